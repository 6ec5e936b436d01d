"""A file of one's own on the command line: options by name, and the way out in words that work there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.tasks import Reading, TaskData, from_file

__all__ = ["own_file"]

# What the messages of the readers advise in Python, and what does the same on the command line.
_SPOKEN = {
    "pass sort=True": "add --option sort=true",
    "pass encoding='latin-1' (also 'cp1252')": "add --option encoding=latin-1 (also cp1252)",
    "pass reading=Reading(missing='skip')": "add --option missing=skip",
    "with sequence_by=": "with --sequence-by",
}
_READING = [field.name for field in fields(Reading)]


def own_file(
    path: str, signature: str, limit: int | None, columns: Mapping[str, str | None], given: Mapping[str, Any]
) -> TaskData:
    """Read a file as a task.

    Args:
        path: the file.
        signature: of the task.
        limit: rows to read as steps.
        columns: the arguments of ``from_file`` that name columns.
        given: ``sort``, and settings of :class:`~rnnprog.tasks.Reading`, by name.

    Raises:
        ConfigurationError: an option that a file does not have.
        DataError: as ``from_file`` does, with the way out as flags.
    """
    unknown = sorted(set(given) - {"sort", *_READING})
    if unknown:
        raise ConfigurationError(f"--option {unknown[0]}: a file has the options {', '.join(['sort', *_READING])}")
    reading = Reading(**{name: value for name, value in given.items() if name in _READING})
    try:
        return from_file(path, signature, limit=limit, sort=given.get("sort") is True, reading=reading, **columns)
    except DataError as error:
        told = str(error)
        for python, flag in _SPOKEN.items():
            told = told.replace(python, flag)
        raise DataError(told) from error
