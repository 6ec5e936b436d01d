"""Work that does not fit into the device's memory is done in halved pieces, said aloud; and one thread at a time."""

from __future__ import annotations

import threading
import traceback
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from rnnprog.latent.errors import DeviceMemoryError

Result = TypeVar("Result")

_FULL = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What a full device says where torch's own allocator was not the one that asked."""


def in_pieces(count: int, size: int, work: Callable[[slice], list[Result]], what: str) -> list[Result]:
    """What ``work`` makes of items 0..count, ``size`` at a time; halved when the device runs out of memory.

    >>> in_pieces(5, 2, lambda part: [str(part.start)] * len(range(*part.indices(5))), "items")
    ['0', '0', '2', '2', '4']
    """
    results: list[Result] = []
    while len(results) < count:
        try:
            results += work(slice(len(results), len(results) + size))
        except RuntimeError as error:
            size = halved(size, error, what)
    return results


def halved(batch: int, error: RuntimeError, what: str) -> int:
    """Half a batch that did not fit into the device's memory, said in a warning; raises when it is one already.

    Any other error is raised again. ``DeviceMemoryError`` counts as full: what a smaller part of the work could not
    do beside a large batch, it may do beside half of it.
    """
    if not is_full(error):
        raise error
    if batch <= 1:
        raise DeviceMemoryError(
            "the device has no memory left even for a batch of one: use a smaller backbone, bfloat16 or the CPU"
        ) from error
    warnings.warn(f"device out of memory: the batch is now {batch // 2} {what}", RuntimeWarning, stacklevel=3)
    traceback.clear_frames(error.__traceback__)  # the frames that failed still hold their tensors
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return batch // 2


def is_full(error: RuntimeError) -> bool:
    """Whether an error means that the device has no memory left.

    >>> is_full(torch.OutOfMemoryError("CUDA out of memory")), is_full(RuntimeError("shapes differ"))
    (True, False)
    """
    full = isinstance(error, torch.OutOfMemoryError | DeviceMemoryError)
    return full or ("CU" in str(error) and any(words in str(error) for words in _FULL))


class OneAtATime:
    """A lock that a copy or a pickle of its owner gets anew."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *ended: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return OneAtATime, ()
