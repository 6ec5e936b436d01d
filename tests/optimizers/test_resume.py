from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., "subprocess.Popen[str]"]
Finish = Callable[["subprocess.Popen[str]"], dict[str, Any]]
CALLS_PER_WALK = 3 * 3
TRIALS = 7


def kill_when(process: subprocess.Popen[str], log: Path, calls: float) -> None:
    deadline = time.monotonic() + 90
    while lines(log) < calls and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    assert process.poll() is None, "the search was over before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def by_place(found: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What the search came to, whatever was killed on the way."""
    rows = [row for row in found["rows"] if row["state"] == "complete"]
    key = [(r["place"], r["params"], r["values"], r["pruned_after"], r["candidate"]) for r in rows]
    return sorted(key, key=lambda row: row[0])


def lines(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, start: Start, finish: Finish) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("whole")
    found = finish(start(folder=str(folder), log=str(folder / "calls")))
    found["lines"] = lines(folder / "calls")
    return found


def test_an_uninterrupted_search_books_every_call(whole: dict[str, Any]) -> None:
    assert whole["calls"] == whole["lines"]


def test_killed_and_started_again_it_pays_for_no_finished_walk_twice(
    whole: dict[str, Any], tmp_path: Path, start: Start, finish: Finish
) -> None:
    log = tmp_path / "calls"
    given = {"folder": str(tmp_path / "study"), "log": str(log)}
    kills = (0.15, 0.6)  # during the first proposals, and in mid-search
    for share in kills:
        kill_when(start(**given, delay=0.004), log, share * whole["lines"])
    found = finish(start(**given))
    assert by_place(found) == by_place(whole)
    assert found["best"] == whole["best"]
    assert found["score"] == whole["score"]
    assert sorted(map(tuple, found["keys"])) == sorted(map(tuple, whole["keys"]))
    assert len(set(map(tuple, found["keys"]))) == len(found["keys"])
    assert found["calls"] == whole["calls"]
    # What is made but not booked are the calls of the one walk that was in flight at each kill.
    made = lines(log)
    assert 0 <= made - found["calls"] < len(kills) * CALLS_PER_WALK

    again = finish(start(**given))  # a finished search, started again, makes no call
    assert lines(log) == made
    assert again["rows"] == found["rows"]

    more = finish(start(**given, trials=TRIALS + 2))  # and goes on where it stood if more is asked for
    assert more["rows"][: len(found["rows"])] == found["rows"]
    assert len(more["rows"]) > len(found["rows"])


@pytest.mark.parametrize("storage", ["journal", "sqlite"])
def test_killed_at_many_moments_it_comes_to_the_same(
    whole: dict[str, Any], tmp_path: Path, storage: str, start: Start, finish: Finish
) -> None:
    """In the first walk, while proposals are made, between and inside trials, at the very end."""
    log = tmp_path / "calls"
    shares = (0.01, 0.05, 0.12, 0.3, 0.55, 0.8, 0.97) if storage == "journal" else (0.1, 0.7)
    kills = [max(1, round(share * whole["lines"])) for share in shares]
    where = None if storage == "journal" else f"sqlite:///{tmp_path}/study.db"
    given = {"folder": str(tmp_path / "study"), "storage": where, "log": str(log)}
    found = finish(start(**given, kills=kills, kill_delay=0.002))
    assert by_place(found) == by_place(whole)
    assert found["best"] == whole["best"]
    assert found["calls"] == whole["calls"]
    assert len(set(map(tuple, found["keys"]))) == len(found["keys"])
    assert 0 <= lines(log) - found["calls"] < len(kills) * CALLS_PER_WALK
