"""A candidate that is ended by bad luck, goes on, is seen to the end and wins; also where it is killed on the way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from rnnprog.optimizers.board import Board
from rnnprog.optimizers.marks import CANDIDATE
from rnnprog.optimizers.workers import Worker

Start = Callable[..., "subprocess.Popen[str]"]
Finish = Callable[["subprocess.Popen[str]"], dict[str, Any]]
SEQUENCES, TRIALS = 8, 7
GIVEN: dict[str, Any] = {"unlucky": True, "sequences": SEQUENCES + 3, "trials": TRIALS}


def lines(log: Path) -> int:
    return len(log.read_text().splitlines())


def continued(found: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The trial that was ended early, and the one that went on with it."""
    (after,) = [row for row in found["rows"] if row["continues"] is not None and row["state"] == "complete"]
    return found["rows"][after["continues"]], after


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, start: Start, finish: Finish) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("whole")
    found = finish(start(**GIVEN, folder=str(folder), log=str(folder / "calls")))
    found["lines"] = lines(folder / "calls")
    return found


def test_one_that_was_ended_by_bad_luck_goes_on_and_wins(whole: dict[str, Any]) -> None:
    before, after = continued(whole)
    assert before["pruned_after"] == 3
    assert before["values"][0] < 0.5, "it lagged behind the student where it began"
    assert after["candidate"] == before["candidate"] == whole["best"]
    assert after["pruned_after"] is None
    assert after["values"] == [whole["score"]] == [pytest.approx(0.75)]
    assert after["values"] > whole["rows"][0]["values"], "better than the student"


def test_what_it_saw_before_is_not_paid_for_again(whole: dict[str, Any]) -> None:
    before, after = continued(whole)
    evaluations = [tuple(key) for key in whole["keys"]]
    assert len(evaluations) == len(set(evaluations))
    assert sum(key[1] == after["candidate"] for key in evaluations) == SEQUENCES
    assert whole["calls"] == whole["lines"]
    number = {row["place"]: n for n, row in enumerate(whole["rows"])}
    assert sum(whole["paid"][str(number[row["place"]])] for row in (before, after)) == 9 * SEQUENCES


def test_a_second_chance_is_not_counted_as_a_candidate(whole: dict[str, Any]) -> None:
    tally = whole["tally"]
    assert len(whole["rows"]) == TRIALS + 1
    assert tally["tried"] == TRIALS == tally["seen"] + tally["ended"] + tally["failed"]
    assert tally["continued"] == 1
    assert tally["ended"] == sum(row["pruned_after"] is not None for row in whole["rows"]) - 1


def test_killed_while_it_goes_on_it_is_taken_up_and_nothing_is_paid_twice(
    whole: dict[str, Any], tmp_path: Path, start: Start, finish: Finish
) -> None:
    _, after = continued(whole)
    begun = sum(whole["paid"][str(n)] for n, row in enumerate(whole["rows"]) if row["place"] < after["place"])
    log = tmp_path / "calls"
    kills = [begun + 4, begun + 18]  # in its first walk, and in one of the next
    found = finish(start(**GIVEN, folder=str(tmp_path / "study"), log=str(log), kills=kills, kill_delay=0.002))
    retries = [row for row in found["rows"] if row["retry_of"] is not None]
    assert [row["place"] for row in retries] == [after["place"]] * len(kills)
    assert {row["continues"] for row in retries} == {after["continues"]}
    assert sorted(map(tuple, found["keys"])) == sorted(map(tuple, whole["keys"]))
    assert found["calls"] == whole["calls"]
    assert 0 <= lines(log) - found["calls"] < 9 * len(kills), "the one walk that was in flight at each kill"
    assert (found["best"], found["score"]) == (whole["best"], whole["score"])
    assert found["tally"] == {**whole["tally"], "broken": len(kills)}


def test_one_that_is_taken_up_goes_on_with_what_was_chosen_then() -> None:
    """Another worker may have found a new best since: the choice would fall on another candidate now."""
    study = optuna.create_study()
    trial = study.ask()
    trial.suggest_categorical("text", ("a", "b"))
    trial.set_user_attr("interrupted", "by the user")
    trial.set_user_attr("continues", 7)
    study._storage.set_trial_system_attr(trial._trial_id, CANDIDATE, {})
    study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    assert Board(study, Worker(study)).take_up() == 1
    queued = study.trials[1]
    assert queued.user_attrs == {"retry_of": 0, "continues": 7}
    assert queued.system_attrs["fixed_params"] == trial.params
