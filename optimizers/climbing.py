"""A sampler for what tuning prompts is: few trials, few choices for each part, effects that mostly add up.

It climbs from the best trial so far, one change at a time, and learns what each change is worth from differences on
sequences that both trials have seen, which are far less noisy than the scores themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from rnnprog.optimizers.pruning import AGAIN, differences, incumbent

__all__ = ["ClimbingSampler", "Effects"]

Change = tuple[str, Any]
"""A parameter, and the value that it takes in place of the best trial's."""

_STEPS = (0.1, 0.2, 0.4, 0.8)  # of a range: how far a number usually goes, near and far
_SURE = 1.0  # standard deviations above nothing at which a change is made along with others


class Effects:
    """What changes to the best trial are worth: an additive Gaussian model of paired differences.

    A trial that differs from the best in some parameters scores the sum of what these changes are worth, plus noise
    that falls with the number of sequences shared. Effects have a normal prior, its mean and spread from the data.

    Args:
        study: the study; only trials with scores by sequence count.
        best: the best trial.
    """

    def __init__(self, study: optuna.Study, best: FrozenTrial) -> None:
        rows: list[tuple[tuple[Change, ...], float, int, float]] = []
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        continued = {trial.user_attrs.get(AGAIN) for trial in trials}
        for trial in trials:
            if trial.number in continued:  # the trial that continued it has its sequences too
                continue
            found = differences(study, trial, best)
            changes = tuple(sorted(changes_of(trial.params, best.params), key=repr))
            if changes and len(found) and np.all(np.isfinite(found)):
                rows.append((changes, float(np.mean(found)), len(found), float(np.sum((found - found.mean()) ** 2))))
        rows.sort(key=repr)  # the order in which trials ended, or were taken up again, must not matter
        self.known: tuple[Change, ...] = tuple(sorted({change for row in rows for change in row[0]}, key=repr))
        freedom = sum(row[2] - 1 for row in rows)
        noise = sum(row[3] for row in rows) / freedom if freedom else 0.0
        singles = [row[1] for row in rows if len(row[0]) == 1] or [row[1] for row in rows] or [0.0]
        self.spread = max(float(np.sqrt(np.mean(np.square(singles)))), 1e-6)
        self.mean = min(float(np.mean(singles)), 0.0)  # changes to what is best by now are mostly for the worse
        design = np.array([[change in row[0] for change in self.known] for row in rows], dtype=float)
        precision = np.eye(len(self.known)) / self.spread**2
        target = np.full(len(self.known), self.mean / self.spread**2)
        if rows:
            weights = np.array([row[2] for row in rows]) / max(noise, (0.1 * self.spread) ** 2)
            precision = precision + design.T @ (design * weights[:, None])
            target = target + design.T @ (weights * np.array([row[1] for row in rows]))
        self.covariance = np.linalg.inv(precision)
        self.means = self.covariance @ target

    def sure(self) -> dict[str, Any]:
        """Return the changes that are better than the best trial's values as far as can be told, one a parameter."""
        found: dict[str, tuple[float, Any]] = {}
        for (name, value), mean, variance in zip(self.known, self.means, np.diag(self.covariance), strict=True):
            if mean > _SURE * math.sqrt(variance) and mean > found.get(name, (0.0, None))[0]:
                found[name] = (mean, value)
        return {name: value for name, (_, value) in found.items()}

    def draw(self, changes: Sequence[Change], random: np.random.Generator) -> dict[Change, float]:
        """Return one draw from what the data leave possible for each change."""
        drawn = random.multivariate_normal(self.means, self.covariance, method="cholesky") if self.known else ()
        known = dict(zip(self.known, map(float, drawn), strict=True))
        return {change: known.get(change, random.normal(self.mean, self.spread)) for change in changes}


class ClimbingSampler(BaseSampler):
    """Climbs from the best trial so far, one change at a time.

    Each trial makes one change to the best one's parameters: the one that looks best in a draw from what the trials so
    far leave possible (Thompson sampling on :class:`Effects`), so untried changes and promising ones come first and
    poor ones do not come back. Changes that are known to help are made along with it, so gains that were found apart
    are brought together. Nothing is tried twice. For one objective whose trials report a score for each sequence;
    until there is such a trial, and for parameters that the best one does not have, it draws at random.

    Use it as the tuner does, with a fresh seed for each trial, or as any sampler of Optuna.

    Args:
        seed: of the draws.
        empty: choices by parameter that must not be drawn.

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

    def __init__(self, seed: int | None = None, empty: Mapping[str, Sequence[Any]] | None = None) -> None:
        self._random = np.random.default_rng(seed)
        self._blind = RandomSampler(seed=seed)
        self._empty = {name: set(values) for name, values in (empty or {}).items()}

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the best trial's parameters."""
        best = incumbent(study)
        return {} if best is None else dict(sorted(best.distributions.items()))

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the best trial's parameters with one change, and with all that are known to help."""
        best = incumbent(study)
        if best is None or not search_space:
            return {}
        base = {name: best.params[name] for name in search_space}
        effects = Effects(study, best)
        sure = {name: value for name, value in effects.sure().items() if name in search_space}
        changes = self._changes(base, search_space)
        worth = effects.draw(changes, self._random)
        tried = [
            other.params
            for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING))
            if other.number != trial.number
        ]
        for kept, size in product((sure, {}) if sure else ({},), range(4)):
            moves = sorted(combinations(changes, size), key=lambda move: -sum(worth[change] for change in move))
            for move in moves:
                params = {**base, **kept, **dict(move)}
                if not any(params.items() <= other.items() for other in (base, *tried)):
                    return params
        return base

    def _changes(self, base: dict[str, Any], space: dict[str, BaseDistribution]) -> list[Change]:
        changes: list[Change] = []
        for name, distribution in space.items():
            if isinstance(distribution, CategoricalDistribution):
                choices: Sequence[Any] = [c for c in distribution.choices if c not in self._empty.get(name, ())]
            else:
                choices = sorted({self._near(base[name], distribution, step) for step in _STEPS})
            changes += [(name, choice) for choice in choices if choice != base[name]]
        return changes

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


def changes_of(params: Mapping[str, Any], base: Mapping[str, Any]) -> list[Change]:
    """Return what one set of parameters changes in another, with parameters that only one of them has."""
    names = {*params, *base}
    return [(name, params.get(name)) for name in sorted(names) if params.get(name) != base.get(name)]
