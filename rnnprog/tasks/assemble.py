"""From the rows of a table to the steps of sequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from rnnprog.errors import DataError
from rnnprog.tasks.casting import MissingCell, alternatives, caster, plain
from rnnprog.tasks.grouping import Placed, Plan, group_rows, rows_within
from rnnprog.tasks.table import Row, Table, show
from rnnprog.trace import Sequence, Step

__all__ = ["assemble"]


def assemble(table: Table, plan: Plan) -> tuple[Sequence, ...]:
    """Make sequences of a table's rows, in the order in which they first appear.

    Raises:
        DataError: naming the source, the row, the column, the value and the way out.
    """
    _need(table, plan)
    ahead = max(target.ahead for target in plan.targets.values())
    # Sorting needs every row; otherwise reading stops at the limit, plus the row that holds the last outcome.
    stop = None if plan.limit is None or plan.sort else plan.limit + ahead
    groups = group_rows(islice(table, stop), table, plan)
    if not groups:
        raise DataError(f"{table.source} has no data rows; it needs at least one")
    builder = _Builder(table, plan, groups)
    sequences = []
    within = rows_within(groups, plan)
    for name, placed in groups.items():
        if ahead and len(placed) == 1 and plan.limit is None:
            if plan.missing == "skip":
                continue
            raise DataError(
                f"{table.place(placed[0].row)}: sequence {name!r} has this row only, so there is no next row to take "
                f"the outcome from; leave it out, or pass reading=Reading(missing='skip')"
            )
        if steps := builder.steps(placed, within):
            sequences.append(Sequence(id=name, steps=tuple(steps)))
    if not sequences:
        raise DataError(f"{table.source}: no sequence is left once rows with empty cells are skipped")
    return tuple(sequences)


def _need(table: Table, plan: Plan) -> None:
    for name in plan.task.inputs:
        way_out = f"rename it there, or say where to look: reading=Reading(columns={{{name!r}: 'its column'}})"
        table.need(plan.column(name), f"input {name!r}", way_out)
    for output, target in plan.targets.items():
        table.need(target.column, f"the outcome of {output!r}", "correct target=, e.g. 'next:weather' or 'weather'")
    if plan.sequence_by is not None:
        table.need(plan.sequence_by, "the sequence id", "correct sequence_by=")
    if plan.order_by is not None:
        table.need(plan.order_by, "the order", "correct order_by=")


class _Builder:
    """Makes the steps of one sequence after the other."""

    def __init__(self, table: Table, plan: Plan, groups: Mapping[str, list[Placed]]) -> None:
        self._table, self._plan, self._groups = table, plan, groups
        fields = {**plan.task.signature.input_fields, **plan.task.signature.output_fields}
        self._cast: dict[str, Callable[[Any], Any]] = {
            name: caster(info.annotation, tuple(info.metadata), plan.decimal) for name, info in fields.items()
        }
        self._optional = {name for name, info in fields.items() if type(None) in alternatives(info.annotation)}

    def steps(self, placed: list[Placed], within: set[int]) -> list[Step]:
        """Make the steps of the rows whose ordinals are in ``within``, without those that the plan says to skip."""
        made = []
        for t, item in enumerate(placed):
            if item.ordinal not in within:
                continue
            try:
                inputs = {n: self._value(item.row, self._plan.column(n), n, "input") for n in self._plan.task.inputs}
            except MissingCell:
                continue
            target = self._target(placed, t)
            made.append(Step(inputs=inputs, target=target, time=item.moment[2] if item.moment else None))
        return made

    def _target(self, placed: list[Placed], t: int) -> dict[str, Any] | None:
        values = {}
        for output, source in self._plan.targets.items():
            if t + source.ahead >= len(placed):
                return None
            try:
                values[output] = self._value(placed[t + source.ahead].row, source.column, output, "outcome of")
            except MissingCell:
                return None
        try:
            return self._plan.task.validate(values)
        except ValueError as error:
            raise DataError(f"{self._table.place(placed[t].row)}: {error}") from error

    def _value(self, row: Row, column: str, name: str, role: str) -> Any:
        absent_is_empty = self._plan.missing == "skip" or name in self._optional
        value = row.cells.get(column) if absent_is_empty else self._table.cell(row, column, f"{role} {name!r}")
        try:
            return self._cast[name](value)
        except MissingCell as error:
            if self._plan.missing == "skip":
                raise
            raise DataError(
                f"{self._table.place(row, column)}: {show(value)} {error}, needed for {role} {name!r}; fill it in, "
                f"type the input as Optional[...], or pass reading=Reading(missing='skip') to leave such rows out"
            ) from error
        except ValueError as error:
            seen = f". {self._seen(column)}" if "is not one of" in str(error) else ""
            raise DataError(
                f"{self._table.place(row, column)}: {show(value)}, {role} {name!r}: {error}{seen}"
            ) from error

    def _seen(self, column: str) -> str:
        counts = Counter(show(plain(item.row.cells.get(column))) for placed in self._groups.values() for item in placed)
        told = ", ".join(f"{label} ({count})" for label, count in counts.most_common(12))
        more = f" and {len(counts) - 12} more" if len(counts) > 12 else ""
        return f"The column holds {told}{more}; add what is missing to the Literal, or correct the rows"
