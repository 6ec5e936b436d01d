from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., "subprocess.Popen[str]"]
Finish = Callable[["subprocess.Popen[str]"], dict[str, Any]]
CALLS_PER_WALK = 3 * 3
TRIALS = 7


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


def test_killed_at_many_moments_it_pays_for_no_finished_walk_twice(
    whole: dict[str, Any], tmp_path: Path, start: Start, finish: Finish
) -> None:
    """In the first walk, while proposals are made, between and inside trials, at the very end."""
    log = tmp_path / "calls"
    given = {"folder": str(tmp_path / "study"), "log": str(log)}
    kills = [max(1, round(share * whole["lines"])) for share in (0.01, 0.07, 0.2, 0.6, 0.97)]
    found = finish(start(**given, kills=kills, kill_delay=0.002))
    assert by_place(found) == by_place(whole)
    assert found["best"] == whole["best"]
    assert found["score"] == whole["score"]
    assert sorted(map(tuple, found["keys"])) == sorted(map(tuple, whole["keys"]))
    assert len(set(map(tuple, found["keys"]))) == len(found["keys"])
    assert found["calls"] == whole["calls"]
    # What is made but not booked are the calls of the one walk that was in flight at each kill.
    made = lines(log)
    assert 0 <= made - found["calls"] < len(kills) * CALLS_PER_WALK

    more = finish(start(**given, trials=TRIALS + 2))  # a finished search goes on where it stood if more is asked for
    assert more["rows"][: len(found["rows"])] == found["rows"]
    assert len(more["rows"]) > len(found["rows"])
    assert lines(log) - made == more["calls"] - found["calls"], "and pays for nothing else"
