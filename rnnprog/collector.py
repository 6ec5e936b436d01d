"""Holding back Python's garbage collector where it would stop the work in order to find nothing."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_collection", "seldom_collecting_everything"]

_SELDOM = 200  # collections of the middle generation for each one of everything; Python's own is 10
_lock = threading.Lock()
_inside = 0
_before = 0


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause the cyclic garbage collector.

    Reading a hundred thousand frozen records makes millions of objects and no cycles; going through all of them again
    and again takes longer than the reading.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


@contextmanager
def seldom_collecting_everything() -> Iterator[None]:
    """Go through everything there is more seldom; young objects are looked at as often as ever.

    Use it around walks. They keep what they make, so that going through it finds next to nothing, and each
    time all of them stand still for a tenth to a third of a second. Where several are open, the last one that closes
    puts back the threshold that the first one found; a higher one than its own it leaves alone.

    Example:
        >>> before = gc.get_threshold()
        >>> with seldom_collecting_everything():
        ...     gc.get_threshold()[:2] == before[:2], gc.get_threshold()[2] >= 200
        (True, True)
        >>> gc.get_threshold() == before
        True
    """
    global _inside, _before
    with _lock:
        _inside += 1
        if _inside == 1:
            _before = gc.get_threshold()[2]
            _set_oldest(max(_before, _SELDOM))
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _set_oldest(_before)


def _set_oldest(threshold: int) -> None:
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, threshold)
