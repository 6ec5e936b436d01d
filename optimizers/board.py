"""What the workers of a study tell each other through its storage: who runs which trial, options, rounds held."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from pydantic import JsonValue

from rnnprog.optimizers.marks import AGAIN, CANDIDATE, INTERRUPTED, RETRY, WORKER
from rnnprog.optimizers.options import Option, Pool
from rnnprog.optimizers.tally import places_of, retried
from rnnprog.optimizers.workers import Worker

__all__ = ["Board", "refused_proposals"]

_OPTION = "option:"
_ROUND = "rnnprog:round:"
_SIGNING = 3.0  # seconds


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
        taken_up = retried(self.trials())
        self._let_sign()
        taken = 0
        for trial in self.trials(TrialState.RUNNING, TrialState.FAIL):
            if trial.number in taken_up:
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


def _may_be_signing(trial: FrozenTrial) -> bool:
    start = trial.datetime_start
    return (
        WORKER not in trial.user_attrs
        and start is not None
        and abs((datetime.now() - start).total_seconds()) < _SIGNING
    )
