"""Drawing candidates: reproducible draws, also after a resume, and only choices that exist by now."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from rnnprog.optimizers.climbing import ClimbingSampler

__all__ = ["Masked", "SamplerLike", "derive_seed", "make_sampler"]

SamplerLike = Union[BaseSampler, Callable[[int], BaseSampler], None]
"""A sampler, or a function from seed to sampler; only the latter is repeatable after a resume."""

_TRIES = 16


def derive_seed(seed: int, *names: object) -> int:
    """Return a seed for one purpose, the same in every process.

    Example:
        >>> derive_seed(0, "trial", 3) == derive_seed(0, "trial", 3) != derive_seed(0, "trial", 4)
        True
    """
    text = ":".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def make_sampler(
    sampler: SamplerLike,
    seed: int,
    startup: int,
    single: bool = True,
    empty: Mapping[str, Sequence[Any]] | None = None,
    parents: Mapping[tuple[str, Any], Any] | None = None,
) -> BaseSampler:
    """Return the sampler for one trial.

    The default climbs where the score is the one objective; for several objectives it is TPE. It is seeded anew for
    every trial from the search's seed and the trial's place in the search, so that a resumed search draws what an
    uninterrupted one would have drawn.

    Args:
        sampler: the user's choice.
        seed: for this trial.
        startup: trials drawn at random before TPE takes over.
        single: whether the score is the one objective.
        empty: choices by parameter that no option fills yet.
        parents: for a parameter and choice, the choice that it was derived from.
    """
    if isinstance(sampler, BaseSampler):
        return sampler
    if sampler is not None:
        return sampler(seed)
    if single:
        return ClimbingSampler(seed, empty, parents)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)


class Masked(BaseSampler):
    """Wraps a sampler so that it never draws a choice that no option fills yet.

    A study needs the number of choices to be fixed; proposals fill them over time, and some go only with some
    settings. A draw that falls on an empty or unfit one is repeated, and settled at random among the others if the
    sampler insists.

    Args:
        inner: the sampler that does the drawing.
        empty: empty choices by parameter.
        seed: for draws of last resort.
        fixed: choices that are given for this trial.
        unfit: says of a parameter and its value whether it does not go with what the trial has chosen so far.
    """

    def __init__(
        self,
        inner: BaseSampler,
        empty: Mapping[str, Sequence[Any]],
        seed: int,
        fixed: Mapping[str, Any] | None = None,
        unfit: Callable[[str, Any, Mapping[str, Any]], bool] = lambda _name, _value, _chosen: False,
    ) -> None:
        self._inner = inner
        self._fixed = dict(fixed or {})
        self._empty = {name: set(labels) for name, labels in empty.items() if labels}
        self._random = random.Random(seed)
        self._unfit = unfit

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Ask the wrapped sampler."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Ask the wrapped sampler until no draw is empty; what is still empty then is drawn on its own."""
        search_space = {name: space for name, space in search_space.items() if name not in self._fixed}
        drawn: dict[str, Any] = {}
        for _ in range(_TRIES):
            drawn = self._inner.sample_relative(study, trial, search_space)
            chosen = {**trial.params, **self._fixed, **drawn}
            if not any(self._is_no_choice(name, value, chosen) for name, value in drawn.items()):
                return drawn
        return {name: value for name, value in drawn.items() if not self._is_no_choice(name, value, chosen)}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Ask the wrapped sampler until the draw is not empty."""
        chosen = trial.params
        if param_name in self._fixed and not self._unfit(param_name, self._fixed[param_name], chosen):
            return self._fixed[param_name]
        for _ in range(_TRIES):
            value = self._inner.sample_independent(study, trial, param_name, param_distribution)
            if not self._is_no_choice(param_name, value, chosen):
                return value
        assert isinstance(param_distribution, CategoricalDistribution)
        left = [c for c in param_distribution.choices if not self._is_no_choice(param_name, c, chosen)]
        return self._random.choice(left)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Tell the wrapped sampler."""
        self._inner.before_trial(study, trial)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: Any, values: Sequence[float] | None) -> None:
        """Tell the wrapped sampler."""
        self._inner.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Tell the wrapped sampler."""
        self._inner.reseed_rng()

    def _is_no_choice(self, name: str, value: Any, chosen: Mapping[str, Any]) -> bool:
        return value in self._empty.get(name, ()) or self._unfit(name, value, chosen)
