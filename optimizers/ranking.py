"""Which trial is best, and what to choose from where there are several objectives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from rnnprog.optimizers.marks import CANDIDATE, DUPLICATE, PRUNED_AFTER
from rnnprog.optimizers.objective import MEASURES
from rnnprog.optimizers.pruning import feasible

__all__ = ["front", "ranked"]


class Judged(Protocol):
    """What trials are judged by; of an :class:`~rnnprog.optimizers.Objective` its objectives."""

    @property
    def objectives(self) -> Sequence[str]:
        """Names of measures, the main one first."""
        ...


def ranked(trials: Iterable[FrozenTrial], objective: Judged) -> list[FrozenTrial]:
    """Return those of a study's trials that may be chosen, best first.

    These were seen to the end and keep all constraints. With several objectives the Pareto front comes first, ordered
    by its first objective; equal scores go by trial number, so the student as it is wins a tie.
    """
    usable = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE
        and CANDIDATE in trial.system_attrs
        and "measures" in trial.user_attrs
        and PRUNED_AFTER not in trial.user_attrs
        and DUPLICATE not in trial.user_attrs
        and feasible(trial)
        and all(math.isfinite(value) for value in trial.values or [math.nan])
    ]
    on_front = {trial.number for trial in _undominated(usable, objective)}
    main = objective.objectives[0]
    sign = 1 if MEASURES[main] == "maximize" else -1
    return sorted(usable, key=lambda t: (t.number not in on_front, -sign * t.user_attrs["measures"][main], t.number))


def front(study: optuna.Study, objective: Judged) -> list[FrozenTrial]:
    """Return the Pareto front among the trials that may be chosen, ordered by the first objective."""
    rows = ranked(study.get_trials(deepcopy=False), objective)
    on_front = {trial.number for trial in _undominated(rows, objective)}
    return [trial for trial in rows if trial.number in on_front]


def _undominated(trials: list[FrozenTrial], objective: Judged) -> list[FrozenTrial]:
    signs = [1 if MEASURES[name] == "maximize" else -1 for name in objective.objectives]
    points = {
        trial.number: tuple(
            sign * trial.user_attrs["measures"][name] for sign, name in zip(signs, objective.objectives, strict=True)
        )
        for trial in trials
    }
    return [trial for trial in trials if not any(_dominates(other, points[trial.number]) for other in points.values())]


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True)) and one != other
