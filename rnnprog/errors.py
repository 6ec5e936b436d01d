"""The errors of this package: each names the violated condition, the value and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnprog.trace import Trace

__all__ = [
    "ConfigurationError",
    "DataError",
    "LMUnavailableError",
    "MemoryFormatError",
    "RnnprogError",
    "StepFailedError",
    "StorageError",
    "TraceError",
]


class RnnprogError(Exception):
    """Base of every error that this package raises on purpose.

    Attributes:
        trace: the walk up to the error, where there was one; nothing that was already computed is lost.
    """

    trace: Trace | None = None


class ConfigurationError(RnnprogError, ValueError):
    """A program was put together in a way that cannot work; raised at construction."""


class DataError(RnnprogError, ValueError):
    """A data set breaks a condition; the message names the file, the row and the column."""


class MemoryFormatError(RnnprogError, ValueError):
    """A text could not be read as a memory of the given schema."""


class TraceError(RnnprogError, ValueError):
    """A trace file is not one, is of another version, or is damaged in the middle."""


class StorageError(RnnprogError, OSError):
    """A folder cannot be written, or its disk is full; what was finished before is kept."""


class LMUnavailableError(RnnprogError, RuntimeError):
    """No language model is configured, or the configured one failed beyond repair."""


class StepFailedError(RnnprogError, RuntimeError):
    """A step gave no usable answer, and the failure policy says to stop."""
