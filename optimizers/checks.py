"""What no trial could be made of is refused here, before anything is paid for."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import dspy
from optuna.samplers import BaseSampler, GridSampler

from rnnprog.errors import ConfigurationError
from rnnprog.lm.roles import require_lm
from rnnprog.metrics import Metric
from rnnprog.module import RecurrentModule
from rnnprog.optimizers.candidate import cells_of
from rnnprog.optimizers.data import Item
from rnnprog.optimizers.objective import Objective
from rnnprog.optimizers.options import BASE
from rnnprog.optimizers.parts import Demos, Model, Setting, StartMemory
from rnnprog.optimizers.schedule import Schedule
from rnnprog.optimizers.space import Space, phases_of
from rnnprog.optimizers.spending import Budget

__all__ = ["check_arguments", "check_search"]

_KINDS: dict[str, tuple[type, ...]] = {
    "schedule": (Schedule,),
    "budget": (Budget,),
    "space": (Space, type(None)),
    "prompt_model": (dspy.BaseLM, type(None)),
    "models": (Mapping,),
}


def check_arguments(given: Mapping[str, Any]) -> None:
    """Check the kinds of a tuner's arguments.

    Raises:
        ConfigurationError: naming the argument, and what it should be.
    """
    for name, kinds in _KINDS.items():
        if not isinstance(value := given[name], kinds):
            raise ConfigurationError(f"{name}={value!r:.60}: give a {kinds[0].__name__}, not a {type(value).__name__}")
    sampler = given["sampler"]
    if isinstance(sampler, GridSampler):
        raise ConfigurationError("GridSampler cannot follow a space that grows with proposals; use BruteForceSampler")
    if sampler is not None and not isinstance(sampler, BaseSampler) and not callable(sampler):
        raise ConfigurationError(f"sampler={sampler!r}: give an Optuna sampler, or a function from seed to sampler")


def check_search(
    student: dspy.Module,
    space: Space,
    models: Mapping[str, dspy.LM],
    objective: Objective,
    budget: Budget,
    valset: Sequence[Item],
) -> None:
    """Check that the parts of a search fit together.

    Args:
        student: the program.
        space: what may change.
        models: those that the tuner was given, by name.
        objective: how a candidate is judged.
        budget: the limits.
        valset: sequences to judge on.

    Warns where the budget ends within the first candidate.

    Raises:
        ConfigurationError: a phase or an output that the program does not have, a model that was not given, or a
            budget that is below one evaluation.
        LMUnavailableError: a phase has no model.
    """
    if isinstance(student, RecurrentModule):  # another program may bring its models into play as it runs
        require_lm(student)
    _check_space(space, phases_of(student), models)
    _check_settings(space, student)
    metric = objective.metric
    named = re.search(r"\[([^\]:]+)", metric.name) if isinstance(metric, Metric) else None
    if named and isinstance(student, RecurrentModule) and named[1] not in student.cell.task.outputs:
        answers = list(student.cell.task.outputs)
        raise ConfigurationError(f"metric {objective.name!r} looks at {named[1]!r}, but the program answers {answers}")
    least = min(len(item.example.get("steps") or (1,)) for item in valset)
    if budget.calls is not None and budget.calls < least:
        raise ConfigurationError(
            f"a budget of {budget.calls} calls is below one evaluation: the shortest sequence alone takes at least "
            f"{least}; raise the budget or shorten the sequences"
        )
    whole = (
        objective.rollouts * len(phases_of(student)) * sum(len(item.example.get("steps") or (1,)) for item in valset)
    )
    if budget.calls is not None and budget.calls < whole:
        warnings.warn(
            f"a budget of {budget.calls} calls ends within the first candidate, which takes about {whole} calls over "
            f"{len(valset)} sequences; the student will most likely be returned as it is",
            stacklevel=4,
        )


def _check_settings(space: Space, student: dspy.Module) -> None:
    idle = [part.name for part in space.parts if isinstance(part, (Setting, Demos, StartMemory))]
    if idle and not cells_of(student):
        raise ConfigurationError(
            f"parts {idle} belong to a reflective cell, and the program has none; leave them out of the space"
        )


def _check_space(space: Space, phases: Mapping[str, Any], models: Mapping[str, dspy.LM]) -> None:
    for part in space.parts:
        phase = getattr(part, "phase", None)
        if phase is not None and phase not in phases:
            raise ConfigurationError(f"part {part.name!r}: no such phase; the program has {sorted(phases)}")
        missing = sorted(set(part.names) - {BASE, *models}) if isinstance(part, Model) else []
        if missing:
            raise ConfigurationError(f"part {part.name!r} names {missing}; give models={{{missing[0]!r}: ...}}")
