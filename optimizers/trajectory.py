"""Whole walks in words, for a model that is to improve the prompts behind them.

A walk is told from its start: what the memory held, what was seen, answered and true, what the critique said, what the
rewrite kept and lost; and summed up: where the first error came, which errors came back, which steps recovered.
"""

from __future__ import annotations

from pydantic import JsonValue, ValidationError

from rnnprog.memory import Memory, Value
from rnnprog.signatures import as_text
from rnnprog.trace import StepRecord, Trace

__all__ = ["Findings", "findings", "tell_step", "tell_walk", "was_right"]

_BEFORE, _AFTER = 1, 2  # steps told around each turning point
_LINE = 400  # characters of one field


class Findings(Value):
    """What a walk shows.

    Attributes:
        steps: number of steps.
        right: number of steps known to be right.
        first_error: index of the first wrong step; ``None`` if there is none.
        repeated: indices of wrong steps that follow a wrong step.
        recovered: indices of right steps that follow a wrong one.
        late_errors: share of the errors that fall into the second half.
        lost: items that rewrites removed, as (step, item), latest last.
        refused: number of rewrites that the guard refused.
        failed: number of steps or updates without a usable answer.
        over_budget: number of rewrites that had to be cut.
    """

    steps: int
    right: int = 0
    first_error: int | None = None
    repeated: tuple[int, ...] = ()
    recovered: tuple[int, ...] = ()
    late_errors: float = 0.0
    lost: tuple[tuple[int, str], ...] = ()
    refused: int = 0
    failed: int = 0
    over_budget: int = 0


def was_right(record: StepRecord) -> bool | None:
    """Return whether a step was right, by its feedback, else by its target; ``None`` if neither tells."""
    for update in record.updates:
        if update.of == record.id and update.feedback is not None and update.feedback.correct is not None:
            return update.feedback.correct
    if record.target is None:
        return None
    return record.prediction is not None and all(record.prediction.get(k) == v for k, v in record.target.items())


def findings(trace: Trace) -> Findings:
    """Return what a walk shows, without a model."""
    verdicts = [was_right(record) for record in trace.records]
    wrong = [t for t, right in enumerate(verdicts) if right is False]
    half = len(verdicts) / 2
    updates = [(record.t, update) for record in trace.records for update in record.updates]
    return Findings(
        steps=len(trace),
        right=sum(right is True for right in verdicts),
        first_error=wrong[0] if wrong else None,
        repeated=tuple(t for t in wrong if t > 0 and verdicts[t - 1] is False),
        recovered=tuple(t for t, right in enumerate(verdicts) if right and t > 0 and verdicts[t - 1] is False),
        late_errors=sum(t >= half for t in wrong) / len(wrong) if wrong else 0.0,
        lost=_lost(trace),
        refused=sum(update.operation == "kept_old" for _, update in updates),
        failed=sum(r.failure is not None for r in trace.records) + sum(u.failure is not None for _, u in updates),
        over_budget=sum(bool(update.dropped) for _, update in updates),
    )


def _lost(trace: Trace) -> tuple[tuple[int, str], ...]:
    lost: list[tuple[int, str]] = []
    old = _memory(trace.initial)
    for record in trace.records:
        for update in record.updates:
            new = _memory(update.carry)
            if old is not None and new is not None:
                lost += [(record.t, item) for _, item in old.diff(new).removed]
            old = new or old
    return tuple(lost)


def tell_walk(trace: Trace, score: float, budget: int = 6000) -> str:
    """Return a walk as text: a summary, then the steps around its turning points.

    Args:
        trace: the walk.
        score: its score.
        budget: most characters; later turning points are left out first, and the text says so.
    """
    found = findings(trace)
    lines = [f"Series {trace.sequence}: score {score:.3f}, {found.right} of {found.steps} steps right."]
    if found.first_error is not None:
        lines.append(
            f"The first error came at step {found.first_error}; "
            f"{found.late_errors:.0%} of errors fall into the second half."
        )
    if found.repeated:
        lines.append(f"Errors right after an error: steps {_some(found.repeated)}.")
    if found.recovered:
        lines.append(f"Recovered at steps {_some(found.recovered)}.")
    if found.lost:
        lines.append(
            f"Rewrites removed {len(found.lost)} notes, e.g. {found.lost[-1][1]!r} at step {found.lost[-1][0]}."
        )
    for count, what in (
        (found.refused, "rewrites were refused by the checks"),
        (found.over_budget, "rewrites were over the budget and were cut"),
        (found.failed, "phases gave no usable answer"),
    ):
        if count:
            lines.append(f"{count} {what}.")
    turning = [t for t in (found.first_error, *found.recovered[:3], *found.repeated[:3]) if t is not None]
    shown = sorted({s for t in turning for s in range(max(0, t - _BEFORE), min(len(trace), t + _AFTER))})
    text = "\n".join(lines)
    for t in shown or range(min(3, len(trace))):
        step = tell_step(trace, t)
        if len(text) + len(step) > budget:
            return text + "\n(further steps left out)"
        text += "\n" + step
    return text


def tell_step(trace: Trace, t: int) -> str:
    """Return one step as text: the memory before it, what was seen, answered and true, the critique, notes changed."""
    record = trace.records[t]
    right = {True: "right", False: "WRONG", None: "not known"}[was_right(record)]
    lines = [f"--- step {record.t} ({right})"]
    memory = _memory_before(trace, record.t)
    if memory:
        lines.append(f"memory before:\n{memory}")
    lines.append(f"seen: {_short(as_text(record.inputs))}")
    lines.append(f"answered: {_short(as_text(record.prediction)) if record.prediction else '(nothing usable)'}")
    if record.target is not None:
        lines.append(f"true: {_short(as_text(record.target))}")
    for update in record.updates:
        if update.critique:
            lines.append(f"critique: {_short(as_text(update.critique))}")
        removed, added = _changes(trace, record, update.carry)
        lines += [f"note lost: {_short(item)}" for item in removed] + [f"note added: {_short(item)}" for item in added]
        if update.operation not in ("rewrite", "edit"):
            lines.append(f"update: {update.operation}")
    return "\n".join(lines)


def _changes(trace: Trace, record: StepRecord, carry: JsonValue) -> tuple[list[str], list[str]]:
    try:
        old = _memory(trace.carry_before(record.t))
    except KeyError:
        old = None
    new = _memory(carry)
    if old is None or new is None:
        return [], []
    diff = old.diff(new)
    return [item for _, item in diff.removed], [item for _, item in diff.added]


def _memory_before(trace: Trace, t: int) -> str:
    try:
        memory = _memory(trace.carry_before(t))
    except KeyError:
        return ""
    return memory.render() if memory is not None else ""


def _memory(carry: JsonValue) -> Memory | None:
    if not isinstance(carry, dict):
        return None
    try:
        return Memory.model_validate(carry)
    except ValidationError:
        return None


def _short(text: str) -> str:
    flat = " | ".join(text.splitlines())
    return flat if len(flat) <= _LINE else flat[: _LINE - 1] + "…"


def _some(steps: tuple[int, ...]) -> str:
    return ", ".join(map(str, steps[:8])) + (" ..." if len(steps) > 8 else "")
