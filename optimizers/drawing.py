"""Drawing the candidate of a trial: a given one, an ended one that goes on, or what the sampler makes of the rest."""

from __future__ import annotations

import copy
import time
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

import dspy
import optuna
from optuna.trial import FrozenTrial, TrialState

from rnnprog.optimizers.batching import together
from rnnprog.optimizers.candidate import Candidate
from rnnprog.optimizers.fitting import Fitting
from rnnprog.optimizers.marks import AGAIN, CANDIDATE, DRAWN
from rnnprog.optimizers.objective import Objective
from rnnprog.optimizers.options import Pool
from rnnprog.optimizers.rounds import Rounds
from rnnprog.optimizers.sampling import Masked, SamplerLike, derive_seed, make_sampler
from rnnprog.optimizers.second_chance import second_chance
from rnnprog.optimizers.space import Space

__all__ = ["Drawing", "Recent"]


class Recent(optuna.Study):
    """A study whose trials are read again only where what was read is older than some seconds.

    For samplers and pruners, which read all trials at each question. With one worker nothing changes in between but the
    trial that asks, and that is handed to them besides.

    Args:
        study: the study.
        trials: what was just read of it.
        seconds: how long a reading serves.
    """

    def __init__(self, study: optuna.Study, trials: list[FrozenTrial], seconds: float = 5.0) -> None:
        self.__dict__.update(study.__dict__)
        self._read, self._when, self._seconds = trials, time.monotonic(), seconds

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """Return the trials of the given states."""
        if time.monotonic() - self._when > self._seconds:
            self._read, self._when = super().get_trials(deepcopy=False), time.monotonic()
        found = [trial for trial in self._read if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found


@dataclass
class Drawing:
    """Draws candidates. What is drawn at a place depends on the seed, the place and the trials before, on nothing else.

    Attributes:
        study: what is searched.
        space: what may change.
        student: the program that candidates are laid over.
        rounds: rounds of proposals, which know the best choices so far.
        objective: one score, or several.
        trials: candidates asked for.
        seed: of everything random.
        sampler: draws what is not given.
        given: the student's own choices and the user's, as changes to make one at a time.
    """

    study: optuna.Study
    space: Space
    student: dspy.Module
    rounds: Rounds
    objective: Objective
    trials: int
    seed: int
    sampler: SamplerLike = None
    given: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.given = self.space.first(self.student)

    def draw(self, trial: optuna.Trial, place: int, pool: Pool, trials: list[FrozenTrial]) -> Candidate:
        """Draw the candidate of ``trial``, and write it down.

        Args:
            trial: a running trial of this process.
            place: its place in the search.
            pool: all options that there are by now.
            trials: all trials, as they were when this one began.
        """
        empty = self.space.room(pool)
        drawn = bool(trials[trial.number].system_attrs.get("fixed_params"))  # to the end, before it broke off
        free = place >= len(self.given) and self.objective.single and not drawn and not _untried(pool, trials)
        again = second_chance(Recent(self.study, trials), place) if free else None
        fixed = self._fixed(place) if again is None else dict(again.params)
        startup = max(4, min(10, self.trials // 4))
        seed = derive_seed(self.seed, "sampler", place)
        parents = {(option.part, option.label): option.parents[0] for option in pool.options if option.parents}
        inner = make_sampler(self.sampler, seed, startup, self.objective.single, empty, parents)
        self.study.sampler = Masked(inner, empty, seed, fixed, Fitting(self.space, pool, self.student).unfit)
        trial.study = Recent(self.study, trials)
        with together(self.study._storage):
            if again is not None:
                trial.set_user_attr(AGAIN, again.number)
            candidate = self.space.suggest(trial, pool)
            if place == 0:
                candidate = Candidate(options=candidate.options)  # the student as it is, whatever ranges can express
            self.study._storage.set_trial_system_attr(trial._trial_id, CANDIDATE, candidate.model_dump(mode="json"))
            trial.set_user_attr(DRAWN, candidate.digest)
            trial.set_user_attr("place", place)
        return candidate

    def _fixed(self, place: int) -> dict[str, Any]:
        if place >= len(self.given):
            return {}
        base = self.given[0]
        change = {name: value for name, value in self.given[place].items() if value != base[name]}
        return {**base, **self.rounds.best_params(), **change} if change else base


def _untried(pool: Pool, trials: list[FrozenTrial]) -> bool:
    """Return whether there are options that no trial has had."""
    had = {
        item
        for trial in trials
        if trial.state in (TrialState.COMPLETE, TrialState.RUNNING)
        for item in trial.params.items()
    }
    return any((option.part, option.label) not in had for option in pool.options)
