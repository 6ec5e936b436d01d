"""Rows sorted into sequences and, within each, into their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from rnnprog.errors import DataError
from rnnprog.signatures import Task
from rnnprog.tasks.casting import is_missing, plain
from rnnprog.tasks.moments import Moment, read_moment
from rnnprog.tasks.table import Row, Table, show
from rnnprog.tasks.target import Target

__all__ = ["Missing", "Placed", "Plan", "group_rows", "rows_within"]

Missing = Literal["error", "skip"]
ONLY = "all"
"""Id of the sequence where no column names one."""


@dataclass(frozen=True)
class Plan:
    """Which columns become what.

    Attributes:
        task: the signature whose fields the columns fill.
        targets: where each output's true value stands.
        sequence_by: column that names the sequence of a row; ``None`` for one sequence.
        order_by: column with the order of the rows; ``None`` for the order of the table.
        columns: from field to column, where the names differ.
        sort: bring rows into order instead of refusing those that are not.
        missing: what to do about empty cells.
        limit: rows to make steps of; ``None`` for all.
        decimal: the decimal mark of numbers that are texts.
    """

    task: Task
    targets: Mapping[str, Target]
    sequence_by: str | None = None
    order_by: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    sort: bool = False
    missing: Missing = "error"
    limit: int | None = None
    decimal: str = "."

    def column(self, name: str) -> str:
        """Return the column that fills an input field."""
        return self.columns.get(name, name)


@dataclass(frozen=True)
class Placed:
    """A row with its moment and its place in the order of reading."""

    row: Row
    moment: Moment | None
    ordinal: int


def group_rows(rows: Iterable[Row], table: Table, plan: Plan) -> dict[str, list[Placed]]:
    """Return the rows of each sequence in order, sequences in the order in which they first appear.

    Raises:
        DataError: a moment that is none, is there twice or comes too early, naming the row and the way out.
    """
    groups: dict[str, list[Placed]] = {}
    for ordinal, row in enumerate(rows):
        name = ONLY
        if plan.sequence_by is not None:
            value = plain(table.cell(row, plan.sequence_by, "the sequence id"))
            if is_missing(value):
                raise DataError(
                    f"{table.place(row, plan.sequence_by)}: empty sequence id; fill it in or leave the row out"
                )
            name = str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()
        groups.setdefault(name, []).append(Placed(row, _moment(row, table, plan), ordinal))
    return {name: _ordered(name, placed, table, plan) for name, placed in groups.items()}


def _moment(row: Row, table: Table, plan: Plan) -> Moment | None:
    if plan.order_by is None:
        return None
    value = table.cell(row, plan.order_by, "the order")
    try:
        return read_moment(value)
    except ValueError as error:
        raise DataError(f"{table.place(row, plan.order_by)}: {show(value)} {error}") from error


def _ordered(name: str, placed: list[Placed], table: Table, plan: Plan) -> list[Placed]:
    if plan.order_by is None:
        return placed
    kinds = {item.moment[0]: item for item in placed if item.moment}
    if len(kinds) > 1:
        other = list(kinds.values())[1]
        raise DataError(
            f"{table.place(other.row, plan.order_by)}: the column mixes {' and '.join(kinds)}; write all alike"
        )
    if plan.sort:
        placed = sorted(placed, key=_rank)
    among = "" if plan.sequence_by is None else f" in sequence {name!r}"
    for earlier, later in pairwise(placed):
        if _rank(later) > _rank(earlier):
            continue
        value, before = later.row.cells[plan.order_by], f"{table.unit} {earlier.row.number}"
        if _rank(later) == _rank(earlier):
            raise DataError(
                f"{table.place(later.row, plan.order_by)}: {show(value)} is there already{among} ({before}); "
                "remove one, use a finer time, or name the column that tells the series apart with sequence_by="
            )
        raise DataError(
            f"{table.place(later.row, plan.order_by)}: {show(value)} comes after "
            f"{show(earlier.row.cells[plan.order_by])}{among} ({before}), which is later; pass sort=True "
            "to bring rows into order, or name the column that tells the series apart with sequence_by="
        )
    return placed


def _rank(item: Placed) -> float:
    return item.moment[1] if item.moment else 0.0


def rows_within(groups: Mapping[str, list[Placed]], plan: Plan) -> set[int]:
    """Return the ordinals of the rows that become steps."""
    rows = [item for placed in groups.values() for item in placed]
    rows.sort(key=_rank if plan.sort else lambda item: item.ordinal)
    return {item.ordinal for item in rows[: plan.limit]}
