"""Between beginning a trial and signing it a worker is no one: nobody may take its trial, or it must get over that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Instructions, OptunaTuner, Schedule, Space
from rnnprog.optimizers.board import Board
from rnnprog.optimizers.marks import RETRY, WORKER
from rnnprog.optimizers.planted import planted_sequences
from rnnprog.optimizers.workers import Worker

SEQUENCES = planted_sequences(4, steps=3)
SPACE = Space(parts=(Instructions(phase="predictor", texts=("One.", "Two."), proposals=0),))


class Meanwhile(InMemoryStorage):
    """Something happens once, right after the first look at the trials that run, or at the first trial begun."""

    after_look: Callable[[], Any] | None = None
    after_beginning: Callable[[int], Any] | None = None

    def get_all_trials(self, *given: Any, **named: Any) -> list[FrozenTrial]:
        found = super().get_all_trials(*given, **named)
        happens = self.after_look
        if happens is not None and named.get("states", given[-1]) == (TrialState.RUNNING,):
            self.after_look = None
            happens()
        return found

    def create_new_trial(self, *given: Any, **named: Any) -> int:
        made: int = super().create_new_trial(*given, **named)
        happens, self.after_beginning = self.after_beginning, None
        if happens is not None:
            happens(made)
        return made


def test_a_trial_begun_while_another_worker_starts_is_not_taken_for_an_orphan() -> None:
    storage = Meanwhile()
    study = optuna.create_study(storage=storage)
    begun: list[optuna.Trial] = []
    storage.after_look = lambda: begun.append(study.ask())
    assert Board(study, Worker(study)).take_up() == 0
    (trial,) = begun
    trial.set_user_attr(WORKER, "the other one")  # raises where the trial was failed meanwhile
    assert [one.state for one in study.get_trials()] == [TrialState.RUNNING]


def test_an_orphan_is_still_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnprog.optimizers.board._SIGNING", 0.0)
    study = optuna.create_study(storage=InMemoryStorage())
    study.ask()
    assert Board(study, Worker(study)).take_up() == 1


def test_a_worker_whose_trial_was_taken_before_it_could_sign_goes_on(student: RecurrentModule) -> None:
    """As after a long stop between the two, or where the clocks of two machines differ."""
    storage = Meanwhile()

    def take(trial: int) -> None:
        storage.set_trial_state_values(trial, TrialState.FAIL)
        optuna.load_study(study_name="tune", storage=storage).enqueue_trial({}, user_attrs={RETRY: 0})

    storage.after_beginning = take
    schedule = Schedule(trials=2, rounds=0, concurrency=1)
    tuner = OptunaTuner("accuracy", space=SPACE, schedule=schedule, storage=storage, folder=None, pruner="none")
    found: Any = tuner.compile(student, trainset=SEQUENCES[:1], valset=SEQUENCES[1:])
    assert "all trials are done" in found.stopped
    done = found.study.get_trials()
    assert [trial.state for trial in done] == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    assert sorted(trial.user_attrs["place"] for trial in done[1:]) == [0, 1]
