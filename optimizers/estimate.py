"""What a search would cost at most, said before any model is called."""

from __future__ import annotations

import math

import dspy

from rnnprog.memory import Value
from rnnprog.optimizers.candidate import cells_of
from rnnprog.optimizers.data import Item
from rnnprog.optimizers.objective import Objective
from rnnprog.optimizers.parts import Instructions, Slotted
from rnnprog.optimizers.schedule import Schedule
from rnnprog.optimizers.space import Space
from rnnprog.tokens import get_tokenizer

__all__ = ["Estimate", "estimate"]


class Estimate(Value):
    """The most a search should cost where no answer has to be asked for twice, and nothing is pruned.

    Attributes:
        trials: candidates.
        walks: whole sequences walked, for judging and for proposals.
        calls: model calls, of walks and of proposals.
        tokens: prompt and completion tokens, roughly: prompts are rendered with notes of half the budget, answers
            are taken to be as long as those notes for rewrites and 60 tokens for everything else.
        calls_per_walk: of the mean sequence.
    """

    trials: int
    walks: int
    calls: int
    tokens: int
    calls_per_walk: float


def estimate(
    student: dspy.Module,
    space: Space,
    schedule: Schedule,
    objective: Objective,
    train: tuple[Item, ...],
    val: tuple[Item, ...],
) -> Estimate:
    """Return what a search would cost at most; see :class:`Estimate`."""
    phases = _phases(student)
    val_steps = sum(_steps(item) for item in val) * objective.rollouts
    rounds = schedule.rounds if any(isinstance(part, Slotted) and part.rooms for part in space.parts) else 0
    train_steps = rounds * min(schedule.walks, len(train)) * math.ceil(sum(map(_steps, train)) / len(train))
    written = sum(part.rooms for part in space.parts if isinstance(part, Instructions)) if rounds else 0
    steps = schedule.trials * val_steps + train_steps
    per_step = sum(_prompt(predictor, name, student) for name, predictor in phases.items())
    return Estimate(
        trials=schedule.trials,
        walks=schedule.trials * len(val) * objective.rollouts + rounds * min(schedule.walks, len(train)),
        calls=steps * len(phases) + written,
        tokens=steps * per_step + written * 4000,
        calls_per_walk=round(len(phases) * sum(map(_steps, val)) / len(val), 1),
    )


def _phases(student: dspy.Module) -> dict[str, dspy.Predict]:
    predictors = dict(student.named_predictors())
    for cell in cells_of(student):
        if not cell.settings.value.reflect:
            predictors = {name: p for name, p in predictors.items() if p is not cell.reflector}
    return predictors


def _steps(item: Item) -> int:
    return len(item.example.get("steps") or (1,))


def _prompt(predictor: dspy.Predict, name: str, student: dspy.Module) -> int:
    budgets = [cell.settings.value.budget for cell in cells_of(student)]
    notes = max(budgets, default=0) // 2
    signature = predictor.signature
    messages = dspy.ChatAdapter().format(signature, predictor.demos, dict.fromkeys(signature.input_fields, ""))
    frame = sum(
        get_tokenizer().count(message["content"]) for message in messages if isinstance(message["content"], str)
    )
    reads = notes if "memory" in signature.input_fields else 0
    return frame + reads + (notes if name.endswith("rewriter") else 60)
