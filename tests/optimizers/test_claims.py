"""Of workers that draw the same candidate at the same moment one walks; a dead worker is waited for by nobody."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from rnnprog.optimizers import claims
from rnnprog.optimizers.board import Board
from rnnprog.optimizers.claims import Claims
from rnnprog.optimizers.marks import DRAWN, WORKER
from rnnprog.optimizers.workers import Worker, _started


class Slow(InMemoryStorage):
    """Every look and every word takes its own short time, so that threads meet in ever other orders."""

    chance = random.Random(0)

    def get_all_trials(self, *given: Any, **named: Any) -> Any:
        time.sleep(self.chance.random() * 0.004)
        found = super().get_all_trials(*given, **named)
        time.sleep(self.chance.random() * 0.004)
        return found

    def set_trial_system_attr(self, *given: Any) -> None:
        time.sleep(self.chance.random() * 0.004)
        super().set_trial_system_attr(*given)


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_one_at_a_time_walks_what_several_have_drawn(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setattr(claims, "_POLL", 0.001)
    for seed in range(15):
        walking, most, walked = [0], [0], []
        storage = Slow()
        storage.chance = random.Random(seed)
        study = optuna.create_study(storage=storage)

        def work(number: int, study: optuna.Study = study, seed: int = seed) -> None:
            chance = random.Random(f"{seed} {number}")
            worker = Worker(study)
            with worker.working():
                trial = study.ask()
                trial.set_user_attr(WORKER, worker.id)
                time.sleep(chance.random() * 0.01)
                trial.set_user_attr(DRAWN, "the same")
                Claims(Board(study, worker)).settle(trial, "the same", study.get_trials())
                walking[0] += 1  # noqa: B023
                most[0] = max(most[0], walking[0])  # noqa: B023
                time.sleep(0.005)
                walked.append(trial.number)  # noqa: B023
                walking[0] -= 1  # noqa: B023
                study.tell(trial, 1.0)

        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(walked) == list(range(workers)), f"seed {seed}: a worker waits for ever"
        assert most == [1], f"seed {seed}: two walked the same candidate at once"


def test_another_candidate_is_not_waited_for() -> None:
    study = optuna.create_study()
    worker = Worker(study)
    with worker.working():
        other, mine = study.ask(), study.ask()
        other.set_user_attr(DRAWN, "another")
        for trial in (other, mine):
            trial.set_user_attr(WORKER, worker.id)
        assert not Claims(Board(study, worker)).settle(mine, "the same", study.get_trials())


def test_waiting_ends_where_patience_does() -> None:
    study = optuna.create_study()
    worker = Worker(study)

    def enough() -> None:
        raise TimeoutError("the budget is spent")

    with worker.working():
        for trial in (study.ask(), mine := study.ask()):
            trial.set_user_attr(WORKER, worker.id)
            trial.set_user_attr(DRAWN, "the same")
        with pytest.raises(TimeoutError, match="the budget"):
            Claims(Board(study, worker), enough).settle(mine, "the same", study.get_trials())


def test_a_search_that_broke_off_in_this_process_is_waited_for_by_nobody() -> None:
    study = optuna.create_study()
    first, second = Worker(study), Worker(study)
    with first.working():
        assert second.lives(first.id)
        left = study.ask()
        left.set_user_attr(WORKER, first.id)
        left.set_user_attr(DRAWN, "the same")
    assert not second.lives(first.id)
    with second.working():
        mine = study.ask()
        assert not Claims(Board(study, second)).settle(mine, "the same", study.get_trials())
    assert left.number == study.get_trials(states=(TrialState.RUNNING,))[0].number


@pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: zombies are told apart by /proc")
def test_a_killed_worker_that_its_parent_has_not_asked_for_is_dead() -> None:
    study = optuna.create_study()
    me = Worker(study)
    process = subprocess.Popen(["sleep", "60"])
    name = f"{me.host}:{process.pid}:{_started(process.pid)}:abcdef"
    assert me.lives(name)
    process.kill()
    deadline = time.monotonic() + 10
    while me.lives(name):
        assert time.monotonic() < deadline, "a zombie counts as alive"
        time.sleep(0.01)
    assert process.wait() == -9
