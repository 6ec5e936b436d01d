"""Which candidate that was ended early is to be walked to the end after all."""

from __future__ import annotations

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from rnnprog.optimizers.marks import PRUNED_AFTER
from rnnprog.optimizers.pruning import differences, feasible, incumbent, usual_variance

__all__ = ["second_chance"]


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
        error = float(np.sqrt(usual_variance(study, trial, best) / len(found)))
        if float(np.mean(found)) + error > highest:
            chosen, highest = trial, float(np.mean(found)) + error
    return chosen
