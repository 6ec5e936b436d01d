"""Ending poor candidates early, in the way that sequences ask for.

A candidate's scores come sequence by sequence, and sequences differ in difficulty, so candidates are compared on the
same sequences only: :class:`PairedPruner` by the mean difference to the best candidate so far, corrected for looking
repeatedly, :class:`HalvingPruner` by rank among all candidates on the first few sequences.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState
from scipy import stats

from rnnprog.errors import ConfigurationError

__all__ = [
    "AGAIN",
    "PRUNED_AFTER",
    "HalvingPruner",
    "PairedPruner",
    "differences",
    "incumbent",
    "look_bounds",
    "second_chance",
]

PRUNED_AFTER = "pruned_after"
"""User attribute of a trial that was ended early: the number of sequences it saw."""
AGAIN = "continues"
"""User attribute of a trial that walks a pruned candidate to the end: the number of the trial that was ended early."""
_LOOKS = 24  # at most: more of them save nothing and cost error
_WEIGHT = 4  # differences that the usual spread counts for, next to a candidate's own


@lru_cache(maxsize=64)
def look_bounds(error: float, fractions: tuple[float, ...]) -> tuple[float, ...]:
    """Return the bound that a standardised sum must exceed at each look, to exceed any with probability ``error``.

    Lan and DeMets' spending with the Pocock-like function ``error * ln(1 + (e - 1) t)``: what is spent by look k
    depends on the share t of sequences seen. The looks share their data; Armitage, McPherson and Rowe's recursion
    carries the density of the sums that have crossed no bound yet from one look to the next.

    Args:
        error: probability to cross a bound at some look, where there is no effect.
        fractions: share of sequences seen at each look, increasing, at most 1.

    Example:
        >>> [round(bound, 2) for bound in look_bounds(0.05, (0.5, 1.0))]
        [1.87, 1.89]
    """
    grid = np.linspace(-6.0, 6.0, 481)
    width = float(grid[1] - grid[0])
    density = np.zeros_like(grid)
    bounds: list[float] = []
    before, spent = 0.0, 0.0
    for fraction in fractions:
        spread = float(np.sqrt(fraction - before))
        if bounds:
            density = stats.norm.pdf(grid[:, None], grid[None, :], spread) @ density * width
        else:
            density = stats.norm.pdf(grid, 0.0, spread)
        total = error * float(np.log1p((np.e - 1) * fraction))
        above = width * (np.cumsum(density[::-1])[::-1] - density / 2)  # mass above each point
        bound = float(np.interp(spent - total, -above, grid))
        # The point nearest to the bound counts by the part of its cell that lies below it.
        density *= np.clip((bound - grid) / width + 0.5, 0.0, 1.0)
        bounds.append(bound / float(np.sqrt(fraction)))
        before, spent = fraction, total
    return tuple(bounds)


def incumbent(study: optuna.Study) -> FrozenTrial | None:
    """Return the best trial that was seen to the end and keeps all constraints; ``None`` if there is none yet."""
    maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
    best: FrozenTrial | None = None
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if PRUNED_AFTER in trial.user_attrs or trial.value is None or not feasible(trial):
            continue
        if best is None or (trial.value > best.value if maximize else trial.value < best.value):  # type: ignore[operator]
            best = trial
    return best


def feasible(trial: FrozenTrial) -> bool:
    """Return whether a trial keeps all its constraints."""
    return all(value <= 0 for value in getattr(trial, "constraints", {}).values())


class PairedPruner(BasePruner):
    """Ends a candidate that has stopped looking better than the best one on the same sequences, at a known error rate.

    After every sequence the mean difference to the best candidate is held against the one that is worth finding,
    ``effect``: a group-sequential test for futility. Its bounds are chosen such that a candidate which is better by
    that much is ended with probability ``error`` at most, over all looks together; one that is better by more, more
    rarely; one that is ahead on the sequences it shares with the best, never. One that is merely as good brings nothing
    and is often ended (with 24 sequences: 7 in 10; 14 sequences are seen on average), one that is worse by ``effect``
    almost always (99 in 100; 6 sequences).
    (Optuna's ``WilcoxonPruner`` tests for being worse, after every instance at the full level; equals are kept.)

    Differences are measured in standard deviations of a sequence's difference, estimated from the candidate's own and
    from those of the trials before, so that few or equal differences do not pass for certainty.

    Args:
        n_sequences: sequences that a candidate sees if it is not ended.
        error: probability to end a candidate that is better than the best by ``effect``.
        effect: the gain worth finding, in standard deviations of a sequence's difference.
        min_sequences: sequences before the first look.
        revisit: places from one second chance to the next (:func:`second_chance`); 0 for none.

    Raises:
        ConfigurationError: a level outside (0, 1), an effect that is not positive, or a look at one sequence.
    """

    def __init__(
        self, n_sequences: int, error: float = 0.1, effect: float = 0.5, min_sequences: int = 3, revisit: int = 6
    ) -> None:
        if not 0 < error < 1:
            raise ConfigurationError(f"error={error} is a probability between 0 and 1")
        if effect <= 0 or min_sequences < 2:
            raise ConfigurationError(
                f"effect={effect} must be above 0, and min_sequences={min_sequences} at least 2: one difference has "
                "no spread"
            )
        self.error, self.effect, self.revisit = error, effect, revisit
        last = n_sequences - 1  # a look after the last sequence saves nothing
        points = np.linspace(min_sequences, last, _LOOKS) if last >= min_sequences else np.array([])
        self.looks = tuple(sorted({int(np.rint(point)) for point in points}))
        crossing = look_bounds(error, tuple(n / n_sequences for n in self.looks))
        drifts = (effect * float(np.sqrt(n)) for n in self.looks)
        self._bounds = {n: drift - c for n, drift, c in zip(self.looks, drifts, crossing, strict=True)}

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether to end the trial now."""
        bound = self._bounds.get(len(trial.intermediate_values))
        best = incumbent(study) if bound is not None else None
        if bound is None or best is None:
            return False
        mine = differences(study, trial, best)
        n, mean = len(mine), float(np.mean(mine)) if len(mine) else 0.0
        if n < len(trial.intermediate_values) or not np.all(np.isfinite(mine)) or mean > 0:
            return False
        spread = float(np.sqrt((_WEIGHT * _usual_variance(study, trial, best) + n * np.var(mine)) / (_WEIGHT + n - 1)))
        return mean < 0 if spread == 0 else mean * np.sqrt(n) / spread <= bound


def second_chance(study: optuna.Study, place: int) -> FrozenTrial | None:
    """Return the pruned trial that is to be walked to the end at this place of the search, if there is one.

    Every so often (the pruner's ``revisit``) the ended candidate goes on whose mean difference to the best one,
    with one standard error added, is the highest, where that is above zero. What it was walked over before is paid
    for. So a candidate that was ended by bad luck comes back, and one is judged anew against a best that has changed.

    Args:
        study: the study.
        place: place of the next trial in the search.
    """
    every = getattr(study.pruner, "revisit", 0)
    best = incumbent(study) if every and place % every == every - 1 else None
    if best is None:
        return None
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING))
    ended = [trial for trial in trials if PRUNED_AFTER in trial.user_attrs]
    known = [trial.params for trial in trials if PRUNED_AFTER not in trial.user_attrs]
    chosen, highest = None, 0.0
    for trial in ended:
        found = differences(study, trial, best)
        if trial.params in known or not len(found) or not np.all(np.isfinite(found)) or not feasible(trial):
            continue
        error = float(np.sqrt(_usual_variance(study, trial, best) / len(found)))
        if float(np.mean(found)) + error > highest:
            chosen, highest = trial, float(np.mean(found)) + error
    return chosen


def differences(study: optuna.Study, trial: FrozenTrial, best: FrozenTrial) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a trial's score minus the best one's on each sequence that both have seen; positive is better."""
    sign = 1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1.0
    mine, theirs = trial.intermediate_values, best.intermediate_values
    return np.array([sign * (mine[step] - theirs[step]) for step in sorted(set(mine) & set(theirs))])


def _usual_variance(study: optuna.Study, trial: FrozenTrial, best: FrozenTrial) -> float:
    """Return the variance of a sequence's difference to the best in other trials; else of the best one's scores."""
    total, count = 0.0, 0
    for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        found = differences(study, other, best) if other.number not in (trial.number, best.number) else np.array([])
        if len(found) > 1 and np.all(np.isfinite(found)):
            total += float(len(found) * np.var(found))
            count += len(found) - 1
    return total / count if count else float(np.var(list(best.intermediate_values.values())))


class HalvingPruner(BasePruner):
    """Successive halving over the number of sequences: at each rung only the best ``1/eta`` of all candidates go on.

    All candidates see the sequences in the same order (``fixed_order``), so that a rung compares equals. It saves more
    than :class:`PairedPruner` and promises less: a candidate may be ended by chance however good it is, the more so the
    fewer sequences the first rung has. There is no error rate to state.

    Args:
        n_sequences: sequences that a candidate sees if it is not ended.
        eta: one candidate in ``eta`` goes on.
        min_sequences: sequences at the first rung.
    """

    fixed_order = True

    def __init__(self, n_sequences: int, eta: int = 3, min_sequences: int = 4) -> None:
        if eta < 2 or min_sequences < 1:
            raise ConfigurationError(f"eta={eta} must be at least 2, min_sequences={min_sequences} at least 1")
        self.eta = eta
        rungs = []
        rung = min_sequences
        while rung < n_sequences:
            rungs.append(rung)
            rung *= eta
        self.rungs = tuple(rungs)

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether to end the trial now."""
        seen = trial.intermediate_values
        if len(seen) not in self.rungs:
            return False
        sign = 1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1.0
        mine = sign * float(np.mean(list(seen.values())))
        others = []
        for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING)):
            if other.number != trial.number and set(seen) <= set(other.intermediate_values):
                others.append(sign * float(np.mean([other.intermediate_values[step] for step in seen])))
        if len(others) + 1 < self.eta:
            return False
        going_on = max(1, (len(others) + 1) // self.eta)
        return sum(other > mine for other in others) >= going_on


def make_pruner(pruner: str | BasePruner | None, n_sequences: int) -> BasePruner:
    """Return a pruner by name: ``"paired"``, ``"halving"``, ``"none"``; or the one given.

    Raises:
        ConfigurationError: no such name.
    """
    if isinstance(pruner, BasePruner):
        return pruner
    if pruner in (None, "none"):
        return optuna.pruners.NopPruner()
    if pruner == "paired":
        return PairedPruner(
            n_sequences, error=0.2, effect=0.6
        )  # fewest calls to a good text in benchmarks/tuner_search
    if pruner == "halving":
        return HalvingPruner(n_sequences)
    raise ConfigurationError(f"no pruner is called {pruner!r}; there are 'paired', 'halving', 'none', or pass your own")
