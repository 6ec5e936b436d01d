"""A sampler for what tuning prompts is: few trials, few choices for each part, effects that mostly add up.

It learns what each choice is worth from all trials at once, ended ones too: scores are compared on the same sequences
only, and a text passes on what is known of the text that it was written from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from rnnprog.optimizers.marks import AGAIN
from rnnprog.optimizers.pruning import incumbent

__all__ = ["ClimbingSampler", "Effects"]

Choice = tuple[str, Any]
"""A parameter and its value."""

_STEPS = (0.1, 0.2, 0.4, 0.8)  # of a range: how far a number usually goes, near and far
_FITS = 5  # of the spread of effects and of the effects, in turn
_DRAWS = 32  # until one is new; then as many blind ones
_BOLD = 0.7  # of the standard deviation that is left: fewer calls to a good text than with all of it


class Effects:
    """What choices are worth: an additive Gaussian model of the scores by sequence.

    A score is what the sequence is good for, plus what each choice of the trial is worth, plus noise. What a choice is
    worth is what its parent is worth, plus a step of its own; steps have a normal prior around nothing, whose spread
    comes from the data. Nothing is assumed about sequences, so only differences on shared ones count.

    Args:
        study: the study; only trials with scores by sequence count.
        parents: the value that a choice was derived from, where there is one.
    """

    def __init__(self, study: optuna.Study, parents: Mapping[Choice, Any] | None = None) -> None:
        self._parents = dict(parents or {})
        sign = 1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1.0
        rows = []
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        continued = {trial.user_attrs.get(AGAIN) for trial in trials}  # the trial that goes on has its sequences too
        for trial in trials:
            scores = trial.intermediate_values
            if scores and trial.number not in continued and all(map(math.isfinite, scores.values())):
                steps = [step for name, value in trial.params.items() for step in self._line(name, value)]
                rows.append((sorted(steps, key=repr), {at: sign * score for at, score in sorted(scores.items())}))
        rows.sort(key=repr)  # the order in which trials ended, or were taken up again, must not matter
        self.known: tuple[Choice, ...] = tuple(sorted({step for steps, _ in rows for step in steps}, key=repr))
        self._fit(
            np.array([[steps.count(step) for step in self.known] for steps, _ in rows], dtype=float),
            [scores for _, scores in rows],
        )

    def _fit(self, design: np.ndarray[Any, Any], scores: list[dict[int, float]]) -> None:
        """Find noise and spread by expectation and maximisation, and with them means and precision of the steps."""
        size = len(self.known)
        gram, target, total, freedom = np.zeros((size, size)), np.zeros(size), 0.0, 0
        for at in sorted({at for row in scores for at in row}):
            seen = [n for n, row in enumerate(scores) if at in row]
            x, y = design[seen], np.array([scores[n][at] for n in seen])
            x, y = x - x.mean(axis=0), y - y.mean()
            gram, target = gram + x.T @ x, target + x.T @ y
            total, freedom = total + float(y @ y), freedom + len(seen) - 1
        noise = spread = total / max(1, freedom) or 1.0
        least = 1e-3 * noise
        for _ in range(_FITS):
            self.precision = gram / noise + np.eye(size) / spread
            self.spread = math.sqrt(spread)
            covariance = np.linalg.inv(self.precision)
            self.means = covariance @ target / noise
            explained = 2 * float(self.means @ target) - float(self.means @ gram @ self.means)
            uncertain = float(np.sum(gram * covariance))
            noise = max((total - explained + uncertain) / max(1, freedom), least)
            spread = max(float(np.mean(self.means**2 + np.diag(covariance))) if size else noise, least)

    def _line(self, name: str, value: Any) -> list[Choice]:
        """Return a choice and those that it comes from."""
        line = [(name, value)]
        while line[-1] in self._parents and (name, self._parents[line[-1]]) not in line:
            line.append((name, self._parents[line[-1]]))
        return line

    def worth(self, name: str, value: Any) -> float:
        """Return what a choice is expected to be worth, next to other values of the same parameter."""
        found = dict(zip(self.known, map(float, self.means), strict=True))
        return sum(found.get(step, 0.0) for step in self._line(name, value))

    def draw(self, random: np.random.Generator, bold: float = 1.0) -> Callable[[str, Any], float]:
        """Draw once from what the data leave possible; return what each choice is worth in that draw.

        Args:
            random: where from.
            bold: how far from what is expected, as a share of the standard deviation that is left.
        """
        root = np.linalg.cholesky(self.precision)
        away = np.linalg.solve(root.T, random.normal(0.0, bold, len(self.known)))
        drawn = dict(zip(self.known, map(float, self.means + away), strict=True))

        def worth(name: str, value: Any) -> float:
            for step in self._line(name, value):
                if step not in drawn:
                    drawn[step] = float(random.normal(0.0, bold * self.spread))
            return sum(drawn[step] for step in self._line(name, value))

        return worth


class ClimbingSampler(BaseSampler):
    """Draws for each parameter the value that is best in a draw from what all trials so far leave possible.

    Thompson sampling on :class:`Effects` (Thompson 1933; for additive effects: Agrawal and Goyal 2013): untried values
    and promising ones come first, several at once in each trial, gains that were found apart are brought together, and
    poor values do not come back. Nothing is tried twice while there is anything else near. For one objective whose
    trials report a score for each sequence; until there is such a trial, and for parameters that the best one does not
    have, it draws at random.

    Use it as the tuner does, with a fresh seed for each trial, or as any sampler of Optuna.

    Args:
        seed: of the draws.
        empty: choices by parameter that must not be drawn.
        parents: for a parameter and value, the value that it was derived from.

    Example:
        >>> study = optuna.create_study(sampler=ClimbingSampler(seed=0), direction="maximize")
        >>> def objective(trial):
        ...     x, y = trial.suggest_categorical("x", "abcd"), trial.suggest_categorical("y", "abcd")
        ...     trial.report(float(x == "c") + float(y == "b"), 0)
        ...     return float(x == "c") + float(y == "b")
        >>> study.optimize(objective, n_trials=12)
        >>> study.best_params
        {'x': 'c', 'y': 'b'}
    """

    def __init__(
        self,
        seed: int | None = None,
        empty: Mapping[str, Sequence[Any]] | None = None,
        parents: Mapping[Choice, Any] | None = None,
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._blind = RandomSampler(seed=seed)
        self._empty = {name: set(values) for name, values in (empty or {}).items()}
        self._parents = dict(parents or {})

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the best trial's parameters."""
        best = incumbent(study)
        return {} if best is None else dict(sorted(best.distributions.items()))

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values that are best in a draw; any, where all that it draws were tried together already."""
        best = incumbent(study)
        if best is None or not search_space:
            return {}
        others = [
            other
            for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING))
            if other.number != trial.number
        ]
        parents = dict(self._parents)
        choices = {name: self._choices(name, best, others, parents) for name in search_space}
        effects = Effects(study, parents)
        params: dict[str, Any] = {}
        for attempt in range(2 * _DRAWS):
            worth = effects.draw(self._random, _BOLD) if attempt < _DRAWS else self._blindly
            params = {name: max(values, key=partial(worth, name)) for name, values in choices.items()}
            if not any(params.items() <= other.params.items() for other in others):
                break
        return params

    def _blindly(self, _name: str, _value: Any) -> float:
        return float(self._random.random())

    def _choices(
        self, name: str, best: FrozenTrial, others: Sequence[FrozenTrial], parents: dict[Choice, Any]
    ) -> Sequence[Any]:
        """Return the values to choose from: all filled ones, or numbers that were tried and some near the best one."""
        distribution = best.distributions[name]
        if isinstance(distribution, CategoricalDistribution):
            return [c for c in distribution.choices if c not in self._empty.get(name, ())]
        tried = {other.params[name] for other in others if name in other.params}
        fresh = {self._near(best.params[name], distribution, step) for step in _STEPS} - tried
        parents.update({(name, value): best.params[name] for value in fresh})
        return sorted(tried | fresh)

    def _near(self, value: float, distribution: BaseDistribution, step: float) -> Any:
        """Return a number about a step from the present one, within its range and on its grid."""
        assert isinstance(distribution, (IntDistribution, FloatDistribution))
        to, back = (math.log, math.exp) if distribution.log else (float, float)
        low, high = to(distribution.low), to(distribution.high)
        found = back(min(high, max(low, to(value) + self._random.normal(0.0, step * (high - low)))))
        if distribution.step is not None:
            steps = round((found - distribution.low) / distribution.step)
            found = distribution.low + steps * distribution.step
        found = min(distribution.high, max(distribution.low, found))
        return int(found) if isinstance(distribution, IntDistribution) else float(found)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random choice."""
        if isinstance(param_distribution, CategoricalDistribution):
            choices = [c for c in param_distribution.choices if c not in self._empty.get(param_name, ())]
            return choices[int(self._random.integers(len(choices)))]
        return self._blind.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Draw a fresh seed."""
        self._random = np.random.default_rng()
        self._blind.reseed_rng()
