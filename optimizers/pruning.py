"""Ending poor candidates early, in the way that sequences ask for.

A candidate's scores come sequence by sequence, and sequences differ in difficulty, so candidates are compared on the
same sequences only: :class:`PairedPruner` by the differences to the best candidate so far, corrected for looking
repeatedly, :class:`~rnnprog.optimizers.HalvingPruner` by rank among all candidates on the first few sequences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from rnnprog.errors import ConfigurationError
from rnnprog.optimizers.futility import Floats, Statistic, look_bounds, mean_z, rank_bounds, signed_rank_z
from rnnprog.optimizers.halving import HalvingPruner
from rnnprog.optimizers.marks import PRUNED_AFTER

__all__ = [
    "PairedPruner",
    "differences",
    "feasible",
    "incumbent",
    "make_pruner",
    "usual_variance",
]

_LOOKS = 24  # at most: more of them save nothing and cost error
_STATISTICS = {"mean": mean_z, "signed-rank": signed_rank_z}
_WEIGHT = 4  # differences that the usual spread counts for, next to a candidate's own


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

    After every sequence the differences to the best candidate are held against the one that is worth finding,
    ``effect``: a group-sequential test for futility. Its bounds are set for a candidate that is better by that much to
    be ended with probability ``error``, over all looks of a walk together; one that is better by more is ended more
    rarely; one that is ahead on the sequences it shares with the best, never. One that is merely as good brings nothing
    and is often ended, one that is worse by ``effect`` almost always. Measured at an error of 0.1, with a standard
    error of at most 0.008 (each pair: with 8, with 24 sequences)::

        candidate                          wrongly ended           equal one ended         sequences that a
                                           mean       signed-rank  mean       signed-rank  worse one sees
        normal differences                 0.09 0.09  0.07 0.05    0.46 0.71  0.33 0.67    4.4 5.8  5.6 8.1
        heavy tails (t, 3 degrees)         0.07 0.07  0.06 0.06    0.42 0.70  0.42 0.70    4.1 5.2  5.0 7.3
        shares of 5 right steps            0.10 0.09  0.06 0.06    0.46 0.71  0.31 0.65    4.4 5.8  5.6 8.0
        a point more, less or none         0.12 0.08  0.20 0.13    0.49 0.72  0.41 0.65    4.3 6.3  4.9 7.6
        a few sequences gain much          0.00 0.03  0.39 0.26    0.53 0.77  0.40 0.54    4.6 5.6  5.6 7.3
        a few sequences lose much          0.11 0.09  0.00 0.01    0.42 0.68  0.64 0.75    4.7 6.0  4.0 6.0

    By name (``"paired"``) a search takes ``error=0.2, effect=0.6``, by which a good text took the fewest calls to find:
    wrongly ended then are 0.00 to 0.19 with 8 sequences and 0.00 to 0.17 with 24 (normal 0.17 and 0.11), of equal ones
    0.59 to 0.72 and 0.75 to 0.83, of those worse by half a standard deviation 0.93 and more, after 4 to 5 sequences.

    So the mean, which is also what the search maximises, is the default. The signed-rank statistic (Wilcoxon) keeps its
    level where differences are symmetric, whatever their tails, and ends later; it asks whether most sequences gain
    enough and gives up a candidate that gains much on few.

    The error rate is that of one walk against one best candidate. The search then offers second chances
    (:mod:`~rnnprog.optimizers.second_chance`): about half of those ended wrongly qualify (0.52 to 0.54 by the mean,
    0.69 to 0.76 by ranks; normal differences) and are walked to the end if their turn comes before the trials are over.
    The rate at which they are lost for good is lower by that, and no number is promised for it.
    (Optuna's ``WilcoxonPruner`` tests for being worse, after every instance at the full level; equals are kept.)

    Differences are measured in standard deviations of a sequence's difference, estimated from the candidate's own and
    from those of the trials before, so that few or equal differences do not pass for certainty.

    Args:
        n_sequences: sequences that a candidate sees if it is not ended.
        error: probability to end a candidate that is better than the best by ``effect``.
        effect: the gain worth finding, in standard deviations of a sequence's difference.
        min_sequences: sequences before the first look.
        revisit: places from one second chance to the next (:mod:`~rnnprog.optimizers.second_chance`); 0 for none.
        statistic: ``"mean"``, or ``"signed-rank"``.

    Raises:
        ConfigurationError: a level outside (0, 1), an effect that is not positive, a look at one sequence, or no such
            statistic.
    """

    def __init__(
        self,
        n_sequences: int,
        error: float = 0.1,
        effect: float = 0.5,
        min_sequences: int = 3,
        revisit: int = 6,
        statistic: Statistic = "mean",
    ) -> None:
        if statistic not in _STATISTICS:
            raise ConfigurationError(f"statistic={statistic!r} is none of {', '.join(map(repr, _STATISTICS))}")
        if not 0 < error < 1:
            raise ConfigurationError(f"error={error} is a probability between 0 and 1")
        if effect <= 0 or min_sequences < 2:
            raise ConfigurationError(
                f"effect={effect} must be above 0, and min_sequences={min_sequences} at least 2: one difference has "
                "no spread"
            )
        self.error, self.effect, self.revisit, self.statistic = error, effect, revisit, statistic
        last = n_sequences - 1  # a look after the last sequence saves nothing
        points = np.linspace(min_sequences, last, _LOOKS) if last >= min_sequences else np.array([])
        self.looks = tuple(sorted({int(np.rint(point)) for point in points}))
        if statistic == "mean":
            bounds = look_bounds(error, tuple(n / n_sequences for n in self.looks))
        else:
            bounds = rank_bounds(error, self.looks, n_sequences)
        self._bounds = dict(zip(self.looks, bounds, strict=True))

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether to end the trial now."""
        seen = len(trial.intermediate_values)
        best = incumbent(study) if seen in self._bounds else None
        mine = differences(study, trial, best) if best is not None else np.array([])
        if best is None or len(mine) < seen:
            return False
        return bool(self.hopeless(mine, usual_variance(study, trial, best)))

    def hopeless(self, differences: Floats, usual: Floats | float) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return whether a candidate with these paired differences to the best is to be ended now.

        Args:
            differences: its score minus the best one's on each sequence it saw, on the last axis; positive is better.
            usual: the variance of a sequence's difference in other candidates.
        """
        n = differences.shape[-1]
        mean = np.mean(differences, axis=-1)
        behind = np.all(np.isfinite(differences), axis=-1) & (mean <= 0)
        if n not in self._bounds or not np.any(behind):
            return np.zeros_like(behind)
        spread = np.sqrt((_WEIGHT * usual + n * np.var(differences, axis=-1)) / (_WEIGHT + n - 1))
        z = _STATISTICS[self.statistic](differences, self.effect * spread, np.where(spread > 0, spread, 1.0))
        return np.asarray(behind & np.where(spread > 0, z <= -self._bounds[n] + 1e-9, mean < 0))


def differences(study: optuna.Study, trial: FrozenTrial, best: FrozenTrial) -> Floats:
    """Return a trial's score minus the best one's on each sequence that both have seen; positive is better."""
    sign = 1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1.0
    mine, theirs = trial.intermediate_values, best.intermediate_values
    return np.array([sign * (mine[step] - theirs[step]) for step in sorted(set(mine) & set(theirs))])


def usual_variance(study: optuna.Study, trial: FrozenTrial, best: FrozenTrial) -> float:
    """Return the variance of a sequence's difference to the best in other trials; else of the best one's scores."""
    total, count = 0.0, 0
    for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        found = differences(study, other, best) if other.number not in (trial.number, best.number) else np.array([])
        if len(found) > 1 and np.all(np.isfinite(found)):
            total += float(len(found) * np.var(found))
            count += len(found) - 1
    return total / count if count else float(np.var(list(best.intermediate_values.values())))


def make_pruner(pruner: str | BasePruner | None, n_sequences: int) -> BasePruner:
    """Return a pruner by name, or the one given.

    Args:
        pruner: ``"paired"``; ``"wilcoxon"`` for the same by signed ranks; ``"halving"``; ``"none"``; or a pruner.
        n_sequences: sequences that a candidate sees if it is not ended.

    Raises:
        ConfigurationError: no such name.
    """
    if isinstance(pruner, BasePruner):
        return pruner
    if pruner in (None, "none"):
        return optuna.pruners.NopPruner()
    if pruner == "paired":
        # Fewest calls to a good text in benchmarks/tuner_search; a smaller error costs more walks than it saves texts.
        return PairedPruner(n_sequences, error=0.2, effect=0.6)
    if pruner == "wilcoxon":
        return PairedPruner(n_sequences, statistic="signed-rank")
    if pruner == "halving":
        return HalvingPruner(n_sequences)
    raise ConfigurationError(
        f"no pruner is called {pruner!r}; there are 'paired', 'wilcoxon', 'halving', 'none', or your own"
    )
