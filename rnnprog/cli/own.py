"""A file of one's own on the command line: reading it, and the way out of bad data in words that work there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnprog.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from rnnprog.tasks import TaskData

__all__ = ["in_flags", "task_or_file"]

# What the messages of the readers advise in Python, and what does the same on the command line.
_SPOKEN = {
    r"pass sort=True": "add --option sort=true",
    r"pass encoding='latin-1' \(also 'cp1252'\)": "add --option encoding=latin-1 (also cp1252)",
    r"pass reading=Reading\(missing='skip'\)": "add --option missing=skip",
    r"pass reading=Reading\(decimal=','\)": "add --option decimal=,",
    r"pass reading=Reading\(delimiter='\\t'\)": r"add --option 'delimiter=\\t'",
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


def task_or_file(
    data: str, signature: str | None, columns: dict[str, str | None], given: dict[str, Any], limit: int | None
) -> TaskData:
    """Return the task of that name, or the data of that file.

    Args:
        data: name or path.
        signature: what to predict, for a file.
        columns: what --target, --order-by and --sequence-by say.
        given: options of the task or of the reading.
        limit: steps at most, over all sequences.

    Raises:
        ConfigurationError: no such task, or flags that do not go together.
        DataError: the data is missing or does not fit.
    """
    from rnnprog.tasks import from_options, load_task, task_names

    if data in task_names() and signature is None:
        named = [name for name, value in columns.items() if value is not None]
        if named:
            flags = ", ".join("--" + name.replace("_", "-") for name in named)
            raise ConfigurationError(f"{flags} describe a file of your own, but {data!r} is a task; use --option")
        loaded = load_task(data, **given)
        return loaded.limit(n_steps=limit) if limit is not None else loaded
    if signature is None:
        if not Path(data).suffix:
            load_task(data)  # no such task: its error names those that come near
        raise ConfigurationError(
            f"{data!r} is a file, so say what to predict: "
            "--signature \"rain: float -> tomorrow: Literal['sun', 'rain']\" --target next:COLUMN"
        )
    with in_flags():
        return from_options(
            data, signature, {**given, **{name: value for name, value in columns.items() if value}}, limit
        )
