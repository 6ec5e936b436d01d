"""Successive halving over sequences: rank among all candidates on the first few decides who goes on."""

from __future__ import annotations

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from rnnprog.errors import ConfigurationError

__all__ = ["HalvingPruner"]


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
