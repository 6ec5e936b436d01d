"""Worked examples cut from successful walks: every phase's example comes from the same step.

dspy's own optimizers draw the steps of different phases independently of each other, so an example of a rewrite shows
another experience than the example of the reflection before it.
"""

from __future__ import annotations

import random
from typing import Any

from pydantic import JsonValue

from rnnprog.budget import memory_tokens
from rnnprog.cells.reflective import NO_CRITIQUE, Reflective
from rnnprog.edits import edits_between, numbered
from rnnprog.memory import Memory
from rnnprog.optimizers.candidate import cells_of
from rnnprog.optimizers.options import Option
from rnnprog.optimizers.rounds import Request, Walked
from rnnprog.optimizers.space import phases_of
from rnnprog.optimizers.trajectory import was_right
from rnnprog.signatures import as_text
from rnnprog.signatures.rewrite import NO_REMARK
from rnnprog.trace import StepRecord, Trace, Update

__all__ = ["cut_demos", "propose_demos"]

_PHASES = ("predictor", "reflector", "rewriter")
_WRITTEN = ("rewrite", "edit")


def cut_demos(trace: Trace, t: int, cell: Reflective) -> dict[str, dict[str, JsonValue]] | None:
    """Return one example for each phase of the cell, all from step ``t`` of a walk.

    Returns:
        Examples by phase; ``None`` where the step is no model of how to do it: a wrong or failed answer, no critique,
        a rewrite that was refused, cut or failed, or notes under other headings or over the budget of the cell.
    """
    record = trace.records[t]
    update = _lesson(record)
    if update is None or update.carry is None or record.prediction is None:
        return None
    try:
        before = Memory.model_validate(trace.carry_before(record.t))
    except (KeyError, ValueError):
        return None
    after = Memory.model_validate(update.carry)
    seen: dict[str, JsonValue] = {
        "observation": as_text(record.inputs),
        "answer": as_text(record.prediction),
        "evidence": update.feedback.text if update.feedback else "",
    }
    settings = cell.settings.value
    if not settings.layout.matches(after) or memory_tokens(after, cell.tokenizer) > settings.budget:
        return None
    edits = settings.rewriting == "edits"
    demos: dict[str, dict[str, JsonValue]] = {
        "predictor": {"memory": before.render(), **record.inputs, **record.prediction},
        "rewriter": {
            "memory": numbered(before) if edits else before.render(),
            **seen,
            "critique": as_text(update.critique) if update.critique else NO_CRITIQUE,
            "headings": settings.layout.describe(),
            "budget_tokens": settings.budget,
            "remark": NO_REMARK,
            "new_memory": edits_between(before, after) if edits else after.render(),
        },
    }
    if update.critique:
        demos["reflector"] = {**seen, **update.critique}
    return demos


def _lesson(record: StepRecord) -> Update | None:
    """Return the update that taught this very step at once, if step and update went well."""
    if was_right(record) is not True:
        return None
    for update in record.after:
        if update.of == record.id and update.operation in _WRITTEN and not update.dropped and update.failure is None:
            return update
    return None


def _good_steps(walked: Walked) -> list[int]:
    """Return the steps worth showing, best first: recoveries, then steps whose successors are right as well."""
    records = walked.trace.records
    right = [was_right(record) is True for record in records]
    usable = [t for t, record in enumerate(records) if _lesson(record) is not None and t + 1 < len(records)]

    def worth(t: int) -> tuple[bool, int, int]:
        recovery = t > 0 and not right[t - 1]
        return (recovery and right[t + 1], sum(right[t + 1 : t + 4]), t)

    return sorted(usable, key=worth, reverse=True)


def propose_demos(request: Request) -> tuple[list[Option], list[str]]:
    """Cut demo sets from the better half of the walks, without a model; each set from other steps."""
    cell = next(iter(cells_of(request.program)), None)
    if cell is None:
        return [], ["demos: the program has no reflective cell to cut examples for"]
    mine = {id(getattr(cell, phase)): phase for phase in _PHASES}
    phases = {mine[id(p)]: name for name, p in phases_of(request.program).items() if id(p) in mine}
    good = request.walks[: max(1, (len(request.walks) + 1) // 2)]
    steps = [(walked, t) for walked in good for t in _good_steps(walked)[: request.part.size * len(request.labels) * 2]]
    random.Random(request.seed).shuffle(steps)
    cut: list[tuple[str, dict[str, Any]]] = []
    for walked, t in steps:
        demos = cut_demos(walked.trace, t, cell)
        if demos is not None:
            cut.append((f"{walked.item.id} step {t}", demos))
    options: list[Option] = []
    for n, label in enumerate(request.labels):
        chosen = cut[n * request.part.size : (n + 1) * request.part.size]
        if not chosen:
            return options, ["demos: too few good steps for further sets"]
        value: dict[str, JsonValue] = {
            phases[phase]: [demos[phase] for _, demos in chosen if phase in demos]
            for phase in _PHASES
            if phase in phases and any(phase in demos for _, demos in chosen)
        }
        why = "; ".join(where for where, _ in chosen)
        options.append(
            Option(part=request.part.name, label=label, value=value, origin="proposed", round=request.round, why=why)
        )
    return options, []
