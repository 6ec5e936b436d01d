"""Where a search stands: the place of each trial in it, whatever was killed, retried or done by other workers.

A trial's *place* counts the trials of an uninterrupted search. A retry has the place of the trial it repeats. Seeds,
given choices and rounds of proposals hang on places, which is why a resumed search goes on as if nothing had happened.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Container
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from pydantic import JsonValue

from rnnprog.memory import Value
from rnnprog.optimizers.options import Option, Pool
from rnnprog.optimizers.pruning import AGAIN, PRUNED_AFTER
from rnnprog.optimizers.workers import WORKER, Worker

__all__ = [
    "CANDIDATE",
    "DUPLICATE",
    "INTERRUPTED",
    "RETRY",
    "Board",
    "Recent",
    "Tally",
    "counted",
    "places_of",
    "tally",
]

RETRY = "retry_of"
INTERRUPTED = "interrupted"
DUPLICATE = "same_as"
CANDIDATE = "rnnprog:candidate"
_OPTION = "option:"
_ROUND = "rnnprog:round:"
_SIGNING = 3.0  # seconds


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


class Board:
    """Reads and writes what the workers of a study share besides the ledger.

    Args:
        study: the study.
        worker: this process.
    """

    def __init__(self, study: optuna.Study, worker: Worker) -> None:
        self.study, self.worker = study, worker
        self._closed: dict[int, dict[str, JsonValue]] = {}

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials, of the given states or all."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def take_up(self) -> int:
        """Fail the trials of dead workers and queue them again, with their parameters; return how many there were.

        Trials that the budget or the user stopped are queued again as well.
        """
        retried = _retried(self.trials())
        self._let_sign()
        taken = 0
        for trial in self.trials(TrialState.RUNNING, TrialState.FAIL):
            if trial.number in retried:
                continue
            if trial.state == TrialState.RUNNING:
                if _may_be_signing(trial):
                    continue  # begun since we waited
                if self.worker.lives(trial.user_attrs.get(WORKER)) or not self._fail(trial):
                    continue
            elif INTERRUPTED not in trial.user_attrs:
                continue
            # A candidate that was drawn to the end is kept; a half-drawn one is drawn anew from the same seed.
            fixed = trial.params if CANDIDATE in trial.system_attrs else trial.system_attrs.get("fixed_params", {})
            continues = {AGAIN: trial.user_attrs[AGAIN]} if fixed and AGAIN in trial.user_attrs else {}
            self.study.enqueue_trial(fixed, user_attrs={RETRY: trial.number, **continues})
            taken += 1
        return taken

    def _let_sign(self) -> None:
        """Wait for trials that were begun this moment: between beginning a trial and signing it a worker needs time."""
        for _ in range(round(_SIGNING / 0.25)):
            if not any(_may_be_signing(trial) for trial in self.trials(TrialState.RUNNING)):
                return
            time.sleep(0.25)

    def _fail(self, trial: FrozenTrial) -> bool:
        try:
            self.study.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, RuntimeError):  # another worker was faster
            return False
        return True

    def pool(self, start: Pool) -> Pool:
        """Return all options: those given, and those proposed so far by any worker."""
        found = [
            Option.model_validate(data) for name, data in self.study.user_attrs.items() if name.startswith(_OPTION)
        ]
        return start.add(sorted(found, key=lambda option: (option.round, option.part, option.label)))

    def publish(self, option: Option) -> None:
        """Make a proposed option known to all workers."""
        self.study.set_user_attr(f"{_OPTION}{option.part}:{option.label}", option.model_dump(mode="json"))

    def round(self, number: int) -> dict[str, JsonValue] | None:
        """Return what round ``number`` of proposals came to; ``None`` if it was not held yet."""
        if number not in self._closed:
            found: dict[str, JsonValue] | None = self._attributes().get(f"{_ROUND}{number}")
            if found is None:
                return None
            self._closed[number] = found
        return self._closed[number]

    def close_round(self, number: int, rejected: list[str]) -> None:
        """Say that a round is over, and what was refused."""
        data: Any = {"rejected": rejected}
        self.study._storage.set_study_system_attr(self.study._study_id, f"{_ROUND}{number}", data)

    def held_by_other(self, place: int) -> bool:
        """Return whether a living other worker runs the trial at ``place``."""
        trials = self.trials()
        places = places_of(trials)
        for trial in trials:
            worker = trial.user_attrs.get(WORKER)
            if (
                trial.state == TrialState.RUNNING
                and places[trial.number] == place
                and worker != self.worker.id
                and self.worker.lives(worker)
            ):
                return True
        return False

    def not_alone(self, trials: list[FrozenTrial]) -> bool:
        """Return whether another worker has begun a trial that is not over, as far as is written down."""
        return any(
            trial.state == TrialState.RUNNING and trial.user_attrs.get(WORKER) != self.worker.id for trial in trials
        )

    def _attributes(self) -> dict[str, Any]:
        return dict(self.study._storage.get_study_system_attrs(self.study._study_id))


def refused_proposals(study: optuna.Study) -> list[str]:
    """Return what was refused in the rounds of proposals so far, and why, each once."""
    attributes = study._storage.get_study_system_attrs(study._study_id)
    rounds = [value for name, value in attributes.items() if name.startswith(_ROUND)]
    return list(dict.fromkeys(told for found in rounds for told in found["rejected"]))


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
    retried = _retried(trials)
    return sum(
        not {DUPLICATE, AGAIN} & trial.user_attrs.keys() and trial.number not in retried and not _stopped(trial)
        for trial in trials
    )


def _may_be_signing(trial: FrozenTrial) -> bool:
    start = trial.datetime_start
    return (
        WORKER not in trial.user_attrs
        and start is not None
        and abs((datetime.now() - start).total_seconds()) < _SIGNING
    )


def _retried(trials: list[FrozenTrial]) -> set[int]:
    return {trial.user_attrs[RETRY] for trial in trials if RETRY in trial.user_attrs}


def _stopped(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and INTERRUPTED in trial.user_attrs
