"""Data of your own: a file, a dataset or a data frame, by naming columns."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.signatures import TaskLike, as_task
from rnnprog.tasks.assemble import assemble
from rnnprog.tasks.base import TaskData, make_task
from rnnprog.tasks.grouping import Missing, Plan
from rnnprog.tasks.readers import open_table
from rnnprog.tasks.table import Row, Table
from rnnprog.tasks.target import TargetLike, read_targets

__all__ = ["Reading", "from_dataset", "from_file", "from_options"]


@dataclass(frozen=True)
class Reading:
    """How a table is read, where the defaults do not fit.

    Attributes:
        columns: from field of the signature to column of the table, where the names differ.
        missing: ``"error"`` refuses empty cells and NaN; ``"skip"`` leaves out rows that lack an input, makes a
            lacking outcome unknown, and leaves out sequences too short to have one.
        encoding: of a text file.
        delimiter: of a CSV file; ``None`` for a comma (``.tsv``: a tab).
        decimal: the decimal mark of numbers in a text file; with ``","``, points may stand between thousands.
        name: of the task; ``None`` for the file's.
        about: one sentence on source and unit; ``None`` for the file's name.
        instructions: what the model is told; ``None`` for the signature's own.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    missing: Missing = "error"
    encoding: str = "utf-8"
    delimiter: str | None = None
    decimal: str = "."
    name: str | None = None
    about: str | None = None
    instructions: str | None = None


DEFAULT_READING = Reading()
_NAMED = ("target", "sequence_by", "order_by", "sort")


def from_file(
    path: str | Path,
    signature: TaskLike,
    *,
    target: TargetLike = None,
    sequence_by: str | None = None,
    order_by: str | None = None,
    sort: bool = False,
    limit: int | None = None,
    reading: Reading = DEFAULT_READING,
) -> TaskData:
    r"""Make a task of a CSV, TSV, JSON lines or Parquet file.

    Args:
        path: the file; text files may be compressed (``.gz``).
        signature: the task; its fields are filled from the columns of the same name.
        target: ``"next:weather"`` for the value of ``weather`` in the following row of the same sequence,
            ``"weather"`` for the same row; see :func:`~rnnprog.tasks.target.read_targets` for several outputs.
        sequence_by: column that names the sequence of a row; without it the file is one sequence.
        order_by: column with numbers or ISO 8601 moments, strictly increasing in each sequence.
        sort: bring rows into that order; needs to read the whole file.
        limit: rows to read as steps; a long file is not read beyond that.
        reading: further settings.

    Raises:
        DataError: naming the file, the row (the header is row 1), the column, the value and the way out.
        ConfigurationError: an unusable signature or target.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "sky.csv"
        >>> _ = path.write_text("day,rain,sky\n1,0.0,sun\n2,4.5,rain\n3,0.1,sun\n")
        >>> signature = "rain: float, sky -> tomorrow: Literal['sun', 'rain']"
        >>> data = from_file(path, signature, target="next:sky", order_by="day")
        >>> [step.target for step in data.sequences[0].steps]
        [{'tomorrow': 'rain'}, {'tomorrow': 'sun'}, None]
    """
    plan = _plan(signature, target, sequence_by, order_by, reading, sort=sort, limit=limit)
    table = open_table(path, reading.encoding, reading.delimiter)
    name = reading.name or Path(path).name.partition(".")[0]
    return make_task(name, plan.task, assemble(table, plan), about=reading.about or Path(path).name)


def from_options(
    path: str | Path, signature: TaskLike, options: Mapping[str, Any], limit: int | None = None
) -> TaskData:
    """Do as :func:`from_file` with all arguments by name in one mapping, as flags and configuration files have them.

    Args:
        path: the file.
        signature: the task.
        options: ``target``, ``sequence_by``, ``order_by``, ``sort``, and settings of :class:`Reading`.
        limit: rows to read as steps.

    Raises:
        ConfigurationError: an option that a file does not have.
        DataError: as ``from_file`` does.
    """
    reading = {each.name for each in fields(Reading)}
    if unknown := sorted(set(options) - {*_NAMED, *reading}):
        near = difflib.get_close_matches(unknown[0], [*_NAMED, *reading], n=1)
        guess = f" (did you mean {near[0]!r}?)" if near else ""
        raise ConfigurationError(
            f"a file has no option {unknown[0]!r}{guess}; it has {', '.join([*_NAMED, *sorted(reading)])}"
        )
    named = {name: value for name, value in options.items() if name in _NAMED}
    how = Reading(**{name: value for name, value in options.items() if name in reading})
    return from_file(path, signature, limit=limit, reading=how, **named)


def from_dataset(
    dataset: Any,
    signature: TaskLike,
    *,
    target: TargetLike = None,
    sequence_by: str | None = None,
    order_by: str | None = None,
    sort: bool = False,
    limit: int | None = None,
    reading: Reading = DEFAULT_READING,
) -> TaskData:
    """Make a task of a ``datasets.Dataset``, an ``IterableDataset``, a data frame or a list of dicts.

    Args:
        dataset: the rows; an ``IterableDataset`` is streamed and, with ``limit``, not read beyond it.
        signature: as in :func:`from_file`, like the arguments below.
        target: where the outcome stands.
        sequence_by: column that names the sequence of a row.
        order_by: column with the order.
        sort: bring rows into that order.
        limit: rows to read as steps.
        reading: further settings.

    Raises:
        DataError: naming the row by its index from 0, the column, the value and the way out.
        ConfigurationError: an unusable signature or target.

    Example:
        >>> rows = [{"rain": 0.0}, {"rain": 4.5}, {"rain": 1.0}]
        >>> data = from_dataset(rows, "rain: float -> tomorrow: float", target="next:rain")
        >>> data.sequences[0].steps[0].target
        {'tomorrow': 4.5}
    """
    plan = _plan(signature, target, sequence_by, order_by, reading, sort=sort, limit=limit)
    return make_task(reading.name or "dataset", plan.task, assemble(_table(dataset), plan), about=reading.about or "")


def _plan(
    signature: TaskLike,
    target: TargetLike,
    sequence_by: str | None,
    order_by: str | None,
    reading: Reading,
    *,
    sort: bool,
    limit: int | None,
) -> Plan:
    task = as_task(signature, reading.instructions)
    if limit is not None and limit < 1:
        raise ConfigurationError(f"limit={limit}: give a number of rows of at least 1, or None for all")
    if sort and order_by is None:
        raise ConfigurationError("sort=True needs order_by=, the column to sort by")
    if reading.missing not in ("error", "skip"):
        raise ConfigurationError(f"missing={reading.missing!r}: choose 'error' or 'skip'")
    if reading.decimal not in (".", ","):
        raise ConfigurationError(f"decimal={reading.decimal!r}: choose '.' or ','")
    known = {*task.inputs, *task.outputs}
    if unknown := [name for name in reading.columns if name not in known]:
        raise ConfigurationError(f"columns names {unknown}, which are no fields of the task; it has {sorted(known)}")
    plan = Plan(task, read_targets(target, task, reading.columns), sequence_by, order_by, reading.columns)
    return replace(plan, sort=sort, missing=reading.missing, limit=limit, decimal=reading.decimal)


def _table(dataset: Any) -> Table:
    if isinstance(dataset, Mapping):
        raise DataError(f"the dataset has several parts, {list(dataset)}; pass one of them, e.g. dataset['train']")
    columns = getattr(dataset, "column_names", None)
    if hasattr(dataset, "itertuples"):
        columns, rows = [str(name) for name in dataset.columns], _frame_rows(dataset)
    elif hasattr(dataset, "iter_rows"):
        columns, rows = list(dataset.columns), dataset.iter_rows(named=True)
    elif hasattr(dataset, "__iter__") and not isinstance(dataset, (str, bytes)):
        rows = iter(dataset)
    else:
        raise DataError(
            f"cannot read rows from {type(dataset).__name__}; pass a datasets.Dataset, a data frame or dicts"
        )
    return Table("dataset", tuple(columns or ()), _checked_rows(rows, _class_names(dataset)), unit="index")


def _class_names(dataset: Any) -> dict[str, list[str]]:
    """Return the names of coded classes; a ``datasets.ClassLabel`` stores their numbers."""
    features = getattr(dataset, "features", None) or {}
    names = {column: getattr(kind, "names", None) for column, kind in dict(features).items()}
    return {column: list(known) for column, known in names.items() if isinstance(known, (list, tuple))}


def _frame_rows(frame: Any) -> Iterator[dict[str, Any]]:
    names = [str(name) for name in frame.columns]
    for values in frame.itertuples(index=False, name=None):
        yield dict(zip(names, values, strict=True))


def _checked_rows(rows: Iterator[Any], class_names: Mapping[str, list[str]]) -> Iterator[Row]:
    for number, cells in enumerate(rows):
        if not isinstance(cells, Mapping):
            raise DataError(f"dataset, index {number}: a {type(cells).__name__}, not a mapping from column to value")
        coded = {
            column: names[cells[column]]
            for column, names in class_names.items()
            if isinstance(cells.get(column), int) and 0 <= cells[column] < len(names)
        }
        yield Row(number, {**cells, **coded} if coded else cells)
