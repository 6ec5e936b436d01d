"""Where the true outcome of a step is found: in its own row, or in the row that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

from rnnprog.errors import ConfigurationError
from rnnprog.signatures import Task

__all__ = ["Target", "TargetLike", "read_targets"]

TargetLike = Union[str, Mapping[str, str], None]


@dataclass(frozen=True)
class Target:
    """The source of one output field.

    Attributes:
        column: the column that holds the outcome.
        ahead: rows between the observation and its outcome: 0 for the same row, 1 for ``next:``.
    """

    column: str
    ahead: int = 0


def read_targets(target: TargetLike, task: Task, columns: Mapping[str, str]) -> dict[str, Target]:
    """Read a target specification.

    Args:
        target: ``"next:weather"`` (the value of column ``weather`` in the following row) or ``"weather"`` (in the
            same row), for a task of one output; for several a mapping from output to such a text, or
            ``"tomorrow=next:weather, high=next:temp_max"``; ``None`` looks for columns named as the outputs.
        task: the task whose outputs these are.
        columns: from field to column, where they differ.

    Raises:
        ConfigurationError: an output without a source, a source for no output, or an outcome that is an input.

    Example:
        >>> from rnnprog.signatures import as_task
        >>> read_targets("next:rain", as_task("rain: float -> tomorrow: float"), {})
        {'tomorrow': Target(column='rain', ahead=1)}
    """
    if isinstance(target, str):
        if "=" in target:
            pairs = [part.partition("=") for part in target.split(",")]
            target = {output.strip(): source.strip() for output, _, source in pairs}
        elif len(task.outputs) == 1:
            target = {task.outputs[0]: target}
        else:
            raise ConfigurationError(
                f"target {target!r} names one column, but the task predicts {list(task.outputs)}; "
                "say which is which, e.g. target='tomorrow=next:weather, high=next:temp_max'"
            )
    given = dict(target or {})
    if unknown := [name for name in given if name not in task.outputs]:
        raise ConfigurationError(
            f"target names {unknown}, which the task does not predict; it predicts {list(task.outputs)}"
        )
    found = {name: _read(given.get(name, columns.get(name, name))) for name in task.outputs}
    seen = {columns.get(name, name): name for name in task.inputs}
    for output, source in found.items():
        if source.ahead == 0 and source.column in seen:
            raise ConfigurationError(
                f"the outcome of {output!r} would be column {source.column!r} of the same row, which is also the input "
                f"{seen[source.column]!r}: the answer would be in the question. Use target='next:{source.column}', "
                "or take the column out of the inputs"
            )
    return found


def _read(text: str) -> Target:
    head, colon, column = text.partition(":")
    if colon and head.strip() == "next":
        text, ahead = column, 1
    else:
        ahead = 0
    if not text.strip():
        raise ConfigurationError("the target names no column; write target='next:weather' or target='weather'")
    return Target(text.strip(), ahead)
