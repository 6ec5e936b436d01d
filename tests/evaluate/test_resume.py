"""Killed, interrupted, capped: what is finished is never paid for twice, and nothing is mixed."""

from __future__ import annotations

import _thread
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dspy
import pytest
from rich.console import Console

from rnnprog.errors import ConfigurationError, TraceError
from rnnprog.evaluate import CapReached, ExamConfig, ExamProgress, Gate, Quiet, Running, Store, examine
from rnnprog.evaluate.store import WalkKey
from rnnprog.exam_result import ExamResult
from rnnprog.lm.meter import Heard
from rnnprog.trace import StepRecord, Timing, Trace
from tests.evaluate.harness import CountingEngine, coin_data, counting_lm

SEQUENCES, STEPS = 4, 3
CALLS = {"reflective": 3 * STEPS, "empty_memory": STEPS}  # of a whole walk
CONFIG = ExamConfig.of(task="coins", cells=["reflective"], floors=())

CHILD = """
import sys
from tests.evaluate.harness import *
from tests.evaluate.test_resume import *
lm, _ = counting_lm(kill_at=int(sys.argv[2]))
examine(CONFIG, lm, data=coin_data(SEQUENCES, STEPS), out=sys.argv[1], running=Running(concurrency=2))
"""


def sit(out: Path, engine_options: dict[str, int] | None = None, **running: int) -> tuple[ExamResult, CountingEngine]:
    lm, engine = counting_lm(**(engine_options or {}))
    how = Running.of(**running)
    return examine(CONFIG, lm, data=coin_data(SEQUENCES, STEPS), out=out, running=how), engine


def still_due(out: Path) -> int:
    """Calls of all walks that are not in the folder."""
    walks = [(arm, f"s{k:02d}") for arm in CALLS for k in range(SEQUENCES)]
    return sum(CALLS[arm] for arm, name in walks if not (out / "walks" / arm / "seed0" / f"{name}.jsonl").is_file())


def without_clock(exam: ExamResult) -> str:
    return exam.model_dump_json(
        exclude={"arms": {"__all__": {"figures": True, "runs": {"__all__": {"result": {"timings", "seconds"}}}}}}
    )


def test_killed_in_the_middle_it_goes_on_to_the_call(tmp_path: Path) -> None:
    out, whole = tmp_path / "killed", sum(CALLS.values()) * SEQUENCES
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    child = subprocess.run([sys.executable, "-c", CHILD, str(out), "31"], env=env, capture_output=True, text=True)
    assert child.returncode == 9, child.stderr
    due = still_due(out)
    assert 0 < due < whole
    exam, engine = sit(out)
    assert engine.calls == due
    assert exam.config["complete"] is True
    fresh, engine = sit(tmp_path / "fresh")
    assert engine.calls == whole
    assert without_clock(exam) == without_clock(fresh)
    _, engine = sit(out)
    assert engine.calls == 0


class Impatient(Quiet):
    """Presses Ctrl-C after some steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    def stepped(self, arm: str, sequence: str, record: StepRecord) -> None:
        self.left -= 1
        if self.left == 0:
            _thread.interrupt_main()
        if self.left < 0:
            time.sleep(0.3)  # so that the main thread hears of it before all is done


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Hear Ctrl-C also in a process that was started in the background, which inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_keeps_finished_walks_and_tells_of_them(tmp_path: Path) -> None:
    lm, engine = counting_lm()
    running = Running(concurrency=1)
    exam = examine(CONFIG, lm, data=coin_data(SEQUENCES, STEPS), out=tmp_path, running=running, watcher=Impatient(7))
    assert exam.config["stopped"] == "interrupted"
    finished = sum(len(run.result.traces) for arm in exam.arms for run in arm.runs if arm.role != "floor")
    assert finished == 2
    assert "2 of 8 walks are finished" in exam.note
    paid = engine.calls
    exam, engine = sit(tmp_path)
    assert engine.calls == still_due(tmp_path / "nowhere") - 2 * CALLS["reflective"]
    assert paid < engine.calls
    assert exam.config["complete"] is True


def test_the_display_shows_every_arm(tmp_path: Path) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=120)
    sit(tmp_path / "a", max_calls=20)
    lm, _ = counting_lm()
    examine(CONFIG, lm, data=coin_data(SEQUENCES, STEPS), out=tmp_path / "a", watcher=ExamProgress(screen))
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "reflective" in shown
    assert "empty_memory" in shown
    assert "12/12" in shown
    assert "accuracy" in shown


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_cap_on_calls_holds_to_the_call_and_a_higher_one_goes_on(tmp_path: Path, concurrency: int) -> None:
    exam, engine = sit(tmp_path, max_calls=20, concurrency=concurrency)
    assert engine.calls == 20
    assert exam.config["complete"] is False
    assert "cap of 20 model calls" in exam.note
    assert "NOT COMPLETE" in exam.note
    due = still_due(tmp_path)
    exam, engine = sit(tmp_path)
    assert engine.calls == due
    assert exam.config["complete"] is True


def test_a_cap_that_no_walk_fits_in_leaves_a_result_without_walks(tmp_path: Path) -> None:
    exam, engine = sit(tmp_path, max_calls=0)
    assert engine.calls == 0
    assert exam.steps == 0
    assert "0 of 8 walks" in exam.note


def test_a_cap_on_tokens_stops_after_the_call_that_reaches_it(tmp_path: Path) -> None:
    exam, engine = sit(tmp_path, max_tokens=1000, concurrency=1)
    assert engine.calls == 10  # of 110 tokens each
    assert "cap of 1,000 tokens" in exam.note


def test_arms_with_equal_prompts_share_cached_answers_and_caps_count_none_of_these(tmp_path: Path) -> None:
    lm, engine = counting_lm()
    cached = lm.copy(cache=True)
    twins = [{"label": name, "cell": "zero_shot"} for name in ("one", "two")]
    config = ExamConfig.of(task="coins", arms=twins, control="one", floors=())
    running = Running(concurrency=1, max_calls=SEQUENCES * STEPS + 1)
    exam = examine(config, cached, data=coin_data(SEQUENCES, STEPS, start=5000), out=tmp_path, running=running)
    assert engine.calls == SEQUENCES * STEPS
    assert exam.config["complete"] is True
    usage = [sum(u.calls for u in arm.runs[0].result.usage.values()) for arm in exam.arms]
    assert usage == [SEQUENCES * STEPS] * 2  # what an arm costs does not depend on who was asked first


def test_money_cannot_be_capped_where_no_price_is_known(tmp_path: Path) -> None:
    lm, _ = counting_lm()
    with pytest.raises(
        ConfigurationError, match=r"neither dspy's price list nor you say what 'test/counting' costs.*--price"
    ):
        examine(CONFIG, lm, data=coin_data(1, 2), out=tmp_path, running=Running(max_usd=1.0))


@pytest.mark.parametrize("history", [True, False])
def test_a_cap_on_money_holds_by_stated_prices_with_and_without_dspys_history(tmp_path: Path, history: bool) -> None:
    price = {"test/counting": [10_000, 100_000]}  # 110 tokens: 1 + 1 USD a call
    running = Running.of(max_usd=9.0, prices=price, concurrency=1)
    lm, engine = counting_lm()
    with dspy.context(disable_history=not history):
        exam = examine(CONFIG, lm, data=coin_data(SEQUENCES, STEPS), out=tmp_path, running=running)
    assert engine.calls == 5
    assert "cap of 9 USD is reached (10 were spent)" in exam.note
    whole = Running.of(prices=price)
    exam = examine(CONFIG, counting_lm()[0], data=coin_data(SEQUENCES, STEPS), out=tmp_path, running=whole)
    for arm in exam.arms:
        run = arm.runs[0].result
        assert arm.figures["money per step"].value == pytest.approx(2 * CALLS[arm.label] / STEPS)
        assert sum(timing.cost or 0 for timing in run.timings.values()) == 2 * CALLS[arm.label] * SEQUENCES


def test_a_call_without_a_price_ends_an_exam_whose_money_is_capped() -> None:
    gate = Gate(Running(max_usd=1.0))
    gate.calling("predictor")
    gate.called(Heard("a:0", "predictor", 10, 1, cost=None))
    gate.left("predictor")
    with pytest.raises(CapReached, match="without a price"):
        gate.calling("predictor")


@pytest.mark.parametrize("price", ["1", "1,2,3", [1, -2], {"in": 1}, "a,b", ["nan", 1], None])
def test_a_price_is_two_amounts(price: object) -> None:
    with pytest.raises(ConfigurationError, match="USD for a million tokens sent and for a million received"):
        Running.of(prices={"test/counting": price})


def test_walks_of_another_configuration_are_not_mixed_in(tmp_path: Path) -> None:
    sit(tmp_path)
    lm, engine = counting_lm()
    changes: list[tuple[dict[str, Any], str]] = [
        ({"budget": 99}, "budget was 512, is 99"),
        ({"delay": 1}, "delay was 0.0, is 1.0"),
        ({"cell_options": {"reflective": {"reflect": False}}}, "reflect was true, is false"),
        ({"model": "other"}, 'model was "embedded", is "other"'),
    ]
    for changed, said in changes:
        config = ExamConfig.of(**{"task": "coins", "cells": ["reflective"], "floors": (), **changed})
        with pytest.raises(ConfigurationError, match=said):
            examine(config, lm, data=coin_data(SEQUENCES, STEPS), out=tmp_path)
    with pytest.raises(ConfigurationError, match="data of seed 0"):
        examine(CONFIG, lm, data=coin_data(SEQUENCES, STEPS, start=1), out=tmp_path)
    assert engine.calls == 0


def test_arms_may_be_added_and_what_is_told_may_change(tmp_path: Path) -> None:
    sit(tmp_path)
    lm, engine = counting_lm()
    more = ExamConfig.of(task="coins", cells=["reflective", "zero_shot"], metric="accuracy[turn]", alpha=0.1)
    exam = examine(more, lm, data=coin_data(SEQUENCES, STEPS), out=tmp_path)
    assert engine.calls == SEQUENCES * STEPS  # of the new arm alone
    assert exam.metric.name == "accuracy[turn]"
    _, engine = sit(tmp_path)
    assert engine.calls == 0


def test_prompts_stand_beside_the_result_by_prediction(tmp_path: Path) -> None:
    exam, _ = sit(tmp_path, prompts=True)
    run = exam.arms[0].runs[0]
    assert run.prompts is not None
    lines = [json.loads(line) for line in (tmp_path / run.prompts).read_text().splitlines()]
    found = {(line["id"], line["phase"]) for line in lines}
    phases = ("predictor", "reflector", "rewriter")
    assert found == {(f"s{k:02d}:{t}", p) for k in range(SEQUENCES) for t in range(STEPS) for p in phases}
    assert len(lines) == len(found)
    assert "turn" in lines[0]["prompt"][0]["content"]
    assert "left" in lines[0]["completion"]


def test_odd_names_of_arms_and_sequences_have_files_of_their_own(tmp_path: Path) -> None:
    store = Store(tmp_path)
    names = ["a/b", "a-b", "a b", "../a", "", "ä", "a" * 300, "con~1", "NUL", "nul", "aux.a", "b", "B"]
    for name in names:
        trace = Trace(sequence=name, records=(StepRecord(t=0, id="0", inputs={}),), final=1)
        store.keep(WalkKey(name, 0, name), trace, Timing(cost=1.5))
    for name in names:
        kept = store.load(WalkKey(name, 0, name))
        assert kept is not None
        assert (kept.trace.sequence, kept.timing.cost) == (name, 1.5)
    assert {path.name for path in tmp_path.iterdir()} == {"walks"}
    assert store.load(WalkKey("a", 1, "a")) is None
    made = {path.name.lower() for path in (tmp_path / "walks").iterdir()}
    assert len(made) == len(names)  # also where capitals count for nothing
    assert not {name.partition(".")[0] for name in made} & {"nul", "aux"}  # also where these are no files


def test_a_damaged_walk_is_an_error_that_says_how_to_go_on(tmp_path: Path) -> None:
    sit(tmp_path)
    walk = tmp_path / "walks" / "reflective" / "seed0" / "s01.jsonl"
    whole = walk.read_text()
    walk.write_text("{\n")
    with pytest.raises(TraceError, match=r"s01.*delete .*s01\.jsonl to walk it anew"):
        sit(tmp_path)
    walk.write_text("".join(whole.splitlines(keepends=True)[:-2]))
    with pytest.raises(TraceError, match=r"s01.*cut short; delete it"):
        sit(tmp_path)
    for text in ("{", "[]", '{"shared": 3, "arms": 4}'):
        (tmp_path / "exam.json").write_text(text)
        with pytest.raises(ConfigurationError, match="damaged"):
            sit(tmp_path)
