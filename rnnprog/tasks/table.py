"""Rows that know where they come from, so that an error can name the place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rnnprog.errors import DataError

__all__ = ["Row", "Table", "show"]

_LONGEST_SHOWN = 80


def show(value: Any) -> str:
    """Return a short form of a value for an error message.

    Example:
        >>> len(show("x" * 1_000_000)) < 120
        True
    """
    text = repr(value[:_LONGEST_SHOWN] if isinstance(value, str) else value)
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return f"{text}... ({len(value)} characters)"
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


@dataclass(frozen=True)
class Row:
    """One row: its number as the source counts, and its cells by column."""

    number: int
    cells: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Columns and rows of one source, read as they are needed.

    Attributes:
        source: what the user calls it: the path, or ``dataset``.
        columns: as the source has them, doubles included; empty if the source does not say before the first row.
        rows: can be iterated once.
        unit: what ``Row.number`` counts: ``row`` (the header is row 1), ``line`` or ``index`` (from 0).
    """

    source: str
    columns: tuple[str, ...]
    rows: Iterable[Row]
    unit: str = "row"

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def place(self, row: Row, column: str | None = None) -> str:
        """Return where something stands, for the start of an error message."""
        where = f"{self.source}, {self.unit} {row.number}"
        return where if column is None else f"{where}, column {column!r}"

    def need(self, column: str, what_for: str, way_out: str) -> None:
        """Refuse a column that is missing or there twice.

        Args:
            column: its name.
            what_for: what it is needed for.
            way_out: which argument to correct.

        Raises:
            DataError: naming the columns there are.
        """
        if not self.columns:
            return
        if column not in self.columns:
            near = difflib.get_close_matches(column, self.columns, n=1)
            guess = f" (did you mean {near[0]!r}?)" if near else ""
            raise DataError(
                f"{self.source}: no column {column!r}{guess}, needed for {what_for}; it has {list(self.columns)}; "
                f"{way_out}"
            )
        if self.columns.count(column) > 1:
            raise DataError(
                f"{self.source}: {self.columns.count(column)} columns are called {column!r}, needed for {what_for}; "
                "rename all but one of them in the header"
            )

    def cell(self, row: Row, column: str, what_for: str) -> Any:
        """Return one cell.

        Raises:
            DataError: this row has no such column.
        """
        try:
            return row.cells[column]
        except KeyError:
            raise DataError(
                f"{self.place(row)}: no column {column!r}, needed for {what_for}; this row has {list(row.cells)}"
            ) from None
