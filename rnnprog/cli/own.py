"""A file of one's own on the command line: the way out of bad data in words that work there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from rnnprog.errors import DataError

__all__ = ["in_flags"]

# What the messages of the readers advise in Python, and what does the same on the command line.
_SPOKEN = {
    r"pass sort=True": "add --option sort=true",
    r"pass encoding='latin-1' \(also 'cp1252'\)": "add --option encoding=latin-1 (also cp1252)",
    r"pass reading=Reading\(missing='skip'\)": "add --option missing=skip",
    r"pass reading=Reading\(delimiter='\\t'\)": r"add --option 'delimiter=\"\\t\"'",
    r"pass reading=Reading\(delimiter='(.)'\)": r"add --option 'delimiter=\1'",
    r"reading=Reading\(columns=\{'([^']*)': 'its column'\}\)": r"""--option 'columns={"\1": "its column"}'""",
    r"correct target=, e\.g\. 'next:weather' or 'weather'": "correct --target, e.g. next:weather or weather",
    r"\b(sequence|order)_by=": r"--\1-by",
}


@contextmanager
def in_flags() -> Iterator[None]:
    """Say the way out of bad data as flags.

    Example:
        >>> with in_flags():
        ...     raise DataError("row 3 is earlier; pass sort=True to bring rows into order")
        Traceback (most recent call last):
        rnnprog.errors.DataError: row 3 is earlier; add --option sort=true to bring rows into order
    """
    try:
        yield
    except DataError as error:
        told = str(error)
        for python, flag in _SPOKEN.items():
            told = re.sub(python, flag, told)
        raise DataError(told) from error
