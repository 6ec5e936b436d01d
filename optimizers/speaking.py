"""What a search says beside its result: warnings that point at the caller's line, and no greetings of Optuna's."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dspy
import optuna

__all__ = ["ungreeted", "warn"]

_BETWEEN = (f"{Path(__file__).parents[1]}{os.sep}", f"{Path(dspy.__file__).parent}{os.sep}")


def warn(text: str) -> None:
    """Warn at the line that called into this package, whatever of ours and of dspy lies between.

    dspy wraps ``compile`` in several functions, as many as there are callbacks: no fixed ``stacklevel`` leads out.

    Args:
        text: what to say.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_BETWEEN):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)


@contextmanager
def ungreeted() -> Iterator[None]:
    """Keep Optuna from saying on stderr which study is begun, in this thread and for this block.

    The verbosity that a user chose stays as it is, also for studies that other threads begin meanwhile; and a handler
    of the user's own hears of every study.
    """
    mine = threading.get_ident()

    def passes(record: logging.LogRecord) -> bool:
        return record.levelno != logging.INFO or threading.get_ident() != mine

    stderr: logging.Handler | None = getattr(optuna.logging, "_default_handler", None)
    if stderr is None:
        yield
        return
    stderr.addFilter(passes)
    try:
        yield
    finally:
        stderr.removeFilter(passes)
