"""Holding the garbage collector while very many small values are made at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_collection"]


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
