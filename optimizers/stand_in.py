"""Instructions for the embedded stand-in model, made of the orders that it documents.

The stand-in cannot write prose. It obeys the orders listed in :mod:`rnnprog.lm.directives`, so for it a proposal is the
present instruction with one or two more orders, the likeliest first by what the walks show.
"""

from __future__ import annotations

import random
from itertools import combinations

from rnnprog.lm.directives import read_directives
from rnnprog.optimizers.options import BASE, Option
from rnnprog.optimizers.rounds import Request
from rnnprog.optimizers.space import phases_of
from rnnprog.optimizers.trajectory import Findings, findings

__all__ = ["ORDERS", "propose_orders"]

ORDERS: dict[str, dict[str, str]] = {
    "rewriter": {
        "counts": "Keep counts of what was seen.",
        "conditions": "State conditions with every note.",
        "recent": "Weigh recent evidence more than old evidence.",
        "lasting": "Weigh all evidence equally.",
        "pairs": "Combine conditions where two of them together decide.",
        "brief": "Be brief.",
    },
    "reflector": {
        "doubt": "Say whether the notes still hold.",
        "outcome_only": "Say only what the outcome was.",
    },
    "predictor": {
        "rules_first": "Trust the rules over the counts.",
        "errors_first": "Trust the recent errors more than old counts.",
        "hedge": "Hedge where the notes are thin.",
    },
}
"""Sentences by phase and order."""

_OPPOSED = {"recent": "lasting", "lasting": "recent", "doubt": "outcome_only", "outcome_only": "doubt"}


def propose_orders(request: Request) -> tuple[list[Option], list[str]]:
    """Return instructions with further orders, single ones first, then pairs."""
    phase = request.part.phase
    orders = ORDERS.get(phase.rpartition(".")[2], {})
    if not orders:
        return [], [f"{request.part.name}: the stand-in model obeys no orders in this phase"]
    current = phases_of(request.program)[phase].signature.instructions
    standing = read_directives(current)
    open_orders = [
        name for name in orders if not getattr(standing, name) and not getattr(standing, _OPPOSED.get(name, name))
    ]
    random.Random(request.seed).shuffle(open_orders)
    reasons = _reasons([findings(walked.trace) for walked in request.walks])
    open_orders.sort(key=lambda name: name not in reasons)  # stable: what the walks speak for comes first
    wanted: list[tuple[str, ...]] = [(name,) for name in open_orders]
    wanted += [pair for pair in combinations(open_orders, 2) if _OPPOSED.get(pair[0]) != pair[1]]
    known = {str(option.value) for option, _ in request.tried}
    options: list[Option] = []
    for names in wanted:
        text = " ".join([current.strip(), *(orders[name] for name in names)])
        if text in known or len(options) == len(request.labels):
            continue
        options.append(
            Option(
                part=request.part.name,
                label=request.labels[len(options)],
                value=text,
                origin="proposed",
                round=request.round,
                parents=(request.base.options.get(request.part.name, BASE),),
                why="; ".join(f"{name}: {reasons.get(name, 'not tried yet')}" for name in names),
            )
        )
    return options, []


def _reasons(found: list[Findings]) -> dict[str, str]:
    """Return which orders the walks speak for, and why."""
    reasons: dict[str, str] = {}
    errors = sum(f.steps - f.right for f in found)
    if not found or not errors:
        return reasons
    reasons["counts"] = reasons["conditions"] = "the notes decide, and there are errors"
    if sum(len(f.repeated) for f in found) > errors / 3 or sum(f.late_errors for f in found) > len(found) / 2:
        reasons["recent"] = reasons["doubt"] = reasons["errors_first"] = (
            "errors come in runs or late: what held before may hold no longer"
        )
    if sum(len(f.lost) for f in found) > sum(f.steps for f in found) / 4:
        reasons["lasting"] = "rewrites lose many notes"
    if sum(f.over_budget for f in found):
        reasons["brief"] = reasons["outcome_only"] = "rewrites run over the budget"
    return reasons
