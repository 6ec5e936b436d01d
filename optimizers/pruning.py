"""Ending poor candidates early, in the way that sequences ask for.

A candidate's scores come sequence by sequence, and sequences differ in difficulty, so candidates are compared on the
same sequences only: :class:`PairedPruner` by a signed-rank test against the best candidate so far, corrected for
looking repeatedly, :class:`HalvingPruner` by rank among all candidates on the first few sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState
from scipy import optimize, stats

from rnnprog.errors import ConfigurationError

__all__ = ["PRUNED_AFTER", "HalvingPruner", "PairedPruner", "incumbent", "look_levels", "signed_rank_p"]

PRUNED_AFTER = "pruned_after"
"""User attribute of a trial that was ended early: the number of sequences it saw."""


def signed_rank_p(differences: Sequence[float]) -> float:
    """Return the exact one-sided p-value that the differences are not below zero.

    Zeros are left out and ties share their mean rank; the distribution is that of the signs given the ranks, so the
    value is exact where scores are coarse, as shares of right steps are. (scipy's exact mode refuses ties.)

    Example:
        >>> signed_rank_p([-1.0, -2.0, -0.5])
        0.125
    """
    values = np.asarray(differences, dtype=float)
    values = values[values != 0]
    if not len(values):
        return 1.0
    ranks = np.rint(2 * stats.rankdata(np.abs(values))).astype(int)  # twice the rank: whole numbers also for ties
    observed = int(ranks[values > 0].sum())
    ways = np.zeros(int(ranks.sum()) + 1)
    ways[0] = 1.0
    for rank in ranks:
        ways[rank:] = (ways[rank:] + ways[:-rank]) / 2.0 if rank else ways[rank:]
        ways[:rank] /= 2.0
    return float(min(1.0, ways[: observed + 1].sum()))


@lru_cache(maxsize=64)
def look_levels(alpha: float, fractions: tuple[float, ...]) -> tuple[float, ...]:
    """Return the one-sided level to test at on each look, so that all looks together err with probability ``alpha``.

    Lan and DeMets' alpha spending with the Pocock-like function ``alpha * ln(1 + (e - 1) t)``: what is spent by look k
    depends on the share of sequences seen. Levels follow from the joint normal distribution of the looks.

    Args:
        alpha: probability to end a candidate that is as good as the best, over all looks.
        fractions: share of sequences seen at each look, increasing.

    Example:
        >>> [round(level, 3) for level in look_levels(0.05, (0.5, 1.0))]
        [0.031, 0.03]
    """
    spent = [alpha * float(np.log1p((np.e - 1) * f)) for f in fractions]
    bounds: list[float] = []
    for k in range(len(fractions)):
        before = spent[k - 1] if k else 0.0
        target = 1.0 - spent[k]  # probability of crossing at no look up to this one

        def crossing(bound: float, k: int = k, target: float = target) -> float:
            if k == 0:
                return float(stats.norm.cdf(bound)) - target
            size = k + 1
            share = np.array(fractions[:size])
            low, high = np.minimum.outer(share, share), np.maximum.outer(share, share)
            joint = stats.multivariate_normal(np.zeros(size), np.sqrt(low / high), allow_singular=True, seed=0)
            return float(joint.cdf(np.array([*bounds, bound]))) - target

        if spent[k] - before <= 1e-9:
            bounds.append(8.0)
            continue
        bounds.append(float(optimize.brentq(crossing, 0.0, 8.0, xtol=1e-3)))
    return tuple(float(stats.norm.sf(bound)) for bound in bounds)


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
    """Ends a candidate that is worse than the best one on the same sequences, with a known error rate.

    At each planned look a one-sided Wilcoxon signed-rank test compares scores by sequence id. The levels of the looks
    are chosen such that a candidate which is as good as the best is ended with probability ``alpha`` at most, over
    all looks together. (Optuna's ``WilcoxonPruner`` looks after every instance at the full level each time.) A
    candidate whose mean is at least the best's on the shared sequences is never ended.

    Args:
        n_sequences: sequences that a candidate sees if it is not ended.
        alpha: probability to end a candidate that is as good as the best. It may be generous: such a one brings no
            gain, and one that is better is ended much less often.
        min_sequences: sequences before the first look.
        looks: number of looks at most.

    Raises:
        ConfigurationError: a level outside (0, 1), or no room for a look.
    """

    def __init__(self, n_sequences: int, alpha: float = 0.2, min_sequences: int = 5, looks: int = 5) -> None:
        if not 0 < alpha < 1:
            raise ConfigurationError(f"alpha={alpha} is a probability between 0 and 1")
        if min_sequences < 2 or looks < 1:
            raise ConfigurationError("a paired test needs at least 2 sequences and one look")
        self.alpha = alpha
        last = n_sequences - 1  # a look after the last sequence saves nothing
        points = np.linspace(min_sequences, last, looks) if last >= min_sequences else np.array([])
        self.looks = tuple(sorted({int(np.rint(point)) for point in points}))
        self._levels = dict(
            zip(self.looks, look_levels(alpha, tuple(n / n_sequences for n in self.looks)), strict=True)
        )

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether to end the trial now."""
        seen = trial.intermediate_values
        level = self._levels.get(len(seen))
        if level is None:
            return False
        best = incumbent(study)
        if best is None:
            return False
        shared = sorted(set(seen) & set(best.intermediate_values))
        sign = 1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1.0
        differences = [sign * (seen[step] - best.intermediate_values[step]) for step in shared]
        if len(differences) < len(seen) or not np.all(np.isfinite(differences)) or np.mean(differences) >= 0:
            return False
        return signed_rank_p(differences) <= level


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
        return PairedPruner(n_sequences)
    if pruner == "halving":
        return HalvingPruner(n_sequences)
    raise ConfigurationError(f"no pruner is called {pruner!r}; there are 'paired', 'halving', 'none', or pass your own")
