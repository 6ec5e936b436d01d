"""Where a search stands: the place of each trial in it, and what became of its candidates.

A trial's *place* counts the trials of an uninterrupted search. A retry has the place of the trial it repeats. Seeds,
given choices and rounds of proposals hang on places, which is why a resumed search goes on as if nothing had happened.
"""

from __future__ import annotations

from optuna.trial import FrozenTrial, TrialState

from rnnprog.memory import Value
from rnnprog.optimizers.marks import AGAIN, DUPLICATE, INTERRUPTED, PRUNED_AFTER, RETRY

__all__ = [
    "Tally",
    "counted",
    "places_of",
    "retried",
    "tally",
]


def places_of(trials: list[FrozenTrial]) -> dict[int, int]:
    """Return the place of each trial by its number; all trials must be given."""
    places: dict[int, int] = {}
    retries = 0
    for trial in trials:
        origin = trial.user_attrs.get(RETRY)
        if origin is None:
            places[trial.number] = trial.number - retries
        else:
            retries += 1
            places[trial.number] = places[origin]
    return places


class Tally(Value):
    """How many candidates a search has tried, and what became of them; ``tried`` is the sum of the next three.

    Attributes:
        tried: candidates tried; what the number of trials asked for limits.
        seen: of them, seen to the end, at once or when continued.
        ended: of them, ended early, and left at that.
        failed: of them, failed.
        continued: trials that walked a candidate to the end which had been ended early.
        repeated: trials that drew a candidate again.
        broken: trials that were broken off by a kill, the budget or the user.
    """

    tried: int
    seen: int
    ended: int
    failed: int
    continued: int
    repeated: int
    broken: int


def tally(trials: list[FrozenTrial]) -> Tally:
    """Return what became of the trials that are finished; all trials must be given."""
    continued, repeated, ended, failed = set(), 0, set(), set()
    for trial in trials:
        attrs = trial.user_attrs
        if DUPLICATE in attrs:
            repeated += trial.state == TrialState.COMPLETE
        elif AGAIN in attrs:
            continued |= {attrs[AGAIN]} if trial.state == TrialState.COMPLETE else set()
        elif PRUNED_AFTER in attrs:
            ended.add(trial.number)
        elif "error" in attrs:
            failed.add(trial.number)
    broken = sum(trial.state == TrialState.FAIL and "error" not in trial.user_attrs for trial in trials)
    plain = [t for t in trials if t.state == TrialState.COMPLETE and not {DUPLICATE, AGAIN} & t.user_attrs.keys()]
    left = len(ended - continued)
    return Tally(
        tried=len(plain) + len(failed),
        seen=len(plain) - left,
        ended=left,
        failed=len(failed),
        continued=len(continued),
        repeated=repeated,
        broken=broken,
    )


def counted(trials: list[FrozenTrial]) -> int:
    """Return how many trials, running ones too, count towards the number asked for: one for each candidate."""
    again = retried(trials)
    return sum(
        not {DUPLICATE, AGAIN} & trial.user_attrs.keys() and trial.number not in again and not _stopped(trial)
        for trial in trials
    )


def retried(trials: list[FrozenTrial]) -> set[int]:
    """Return the numbers of the trials that were queued again."""
    return {trial.user_attrs[RETRY] for trial in trials if RETRY in trial.user_attrs}


def _stopped(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and INTERRUPTED in trial.user_attrs
