"""A model that is down ends the walks early, with the cause; what is finished is kept, and the same call goes on."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy import lm15

import rnnprog
from rnnprog.cli.models import model as named_model
from rnnprog.evaluate import ExamConfig, Running, examine
from rnnprog.exam_result import Arm, ArmRun, ExamResult
from rnnprog.tasks import make_task
from rnnprog.testing.models import PureEngine
from rnnprog.trace import Sequence, Step, StepRecord, Trace

TASK = "seen: str -> word: Literal['a', 'b']"


class Outage(PureEngine):
    """Answers, except for calls ``first`` up to ``last`` of all threads together."""

    deterministic = True

    def __init__(self, first: int, last: int = 10**9) -> None:
        super().__init__()
        self.first, self.last, self.calls, self._guard = first, last, 0, threading.Lock()

    def complete(self, request: lm15.Request) -> lm15.Response:
        with self._guard:
            self.calls += 1
            number = self.calls
        if self.first <= number <= self.last:
            raise lm15.TransportError("connection refused")
        return super().complete(request)

    def __deepcopy__(self, _memo: object) -> Outage:
        return self


def model(first: int, last: int = 10**9) -> tuple[dspy.LM, Outage]:
    engine = Outage(first, last)
    return dspy.LM("test/outage", engine=engine, cache=False, num_retries=0), engine


def sequences(number: int, steps: int) -> list[Sequence]:
    made = tuple(Step(inputs={"seen": f"day {t}"}, target={"word": "a"}) for t in range(steps))
    return [Sequence(id=f"s{k:02d}", steps=made) for k in range(number)]


def exam(out: Path, lm: dspy.LM, number: int = 6, steps: int = 4, **running: Any) -> ExamResult:
    config = ExamConfig.of(task="days", cells=["zero_shot"], control="zero_shot", floors=())
    data = make_task("days", TASK, sequences(number, steps))
    return examine(config, lm, data=data, out=out, running=Running.of(**{"concurrency": 1, **running}))


def test_no_walk_is_begun_once_the_model_is_down() -> None:
    lm, engine = model(first=6)
    program = rnnprog.RecurrentModule(rnnprog.ZeroShot(TASK))
    program.set_lm(lm)
    result = rnnprog.run(program, sequences(40, 4), concurrency=1)
    assert [len(trace) for trace in result.traces] == [4, 4]
    assert [trace.error is None for trace in result.traces] == [True, False]
    assert "no reply for 3 steps in a row" in (result.traces[1].error or "")
    assert engine.calls == 8
    assert not result.interrupted


def test_walks_shorter_than_the_patience_find_out_together() -> None:
    lm, engine = model(first=1)
    program = rnnprog.RecurrentModule(rnnprog.ZeroShot(TASK))
    program.set_lm(lm)
    result = rnnprog.run(program, sequences(40, 1), concurrency=1)
    assert engine.calls == 3
    assert [[record.no_reply for record in trace.records] for trace in result.traces] == [[True]] * 3
    assert [trace.error for trace in result.traces] == [None] * 3, "as the same walks alone"
    with pytest.raises(rnnprog.LMUnavailableError, match="no reply to any of its 1 steps"):
        rnnprog.run(program, sequences(1, 1), raise_errors=True)


def test_a_short_outage_is_a_failed_step_and_no_more() -> None:
    lm, _ = model(first=2, last=3)
    program = rnnprog.RecurrentModule(rnnprog.ZeroShot(TASK))
    program.set_lm(lm)
    (trace,) = rnnprog.run(program, sequences(1, 6)).traces
    assert trace.error is None
    assert [record.no_reply for record in trace.records] == [False, True, True, False, False, False]


def test_an_exam_keeps_what_is_finished_and_the_same_call_goes_on(tmp_path: Path) -> None:
    lm, engine = model(first=10)
    broken = exam(tmp_path, lm)
    assert broken.config["complete"] is False
    assert broken.config["stopped by"] == "no model"
    assert "2 of 6 walks are finished" in broken.note
    assert "connection refused" in broken.note
    assert [len(run.result.traces) for run in broken.arms[0].runs] == [2], "an unfinished walk is not scored"
    assert engine.calls == 9 + 3
    whole, engine = model(first=10**9)
    assert exam(tmp_path, whole).config["complete"] is True
    assert engine.calls == 4 * 4, "only what was not finished is asked again"


def test_walks_that_never_got_a_reply_are_not_finished(tmp_path: Path) -> None:
    with pytest.raises(rnnprog.LMUnavailableError, match=r"no reply.*No walk was finished yet"):
        exam(tmp_path, model(first=1)[0], steps=2)
    lm, engine = model(first=10**9)
    assert exam(tmp_path, lm, steps=2).config["complete"] is True
    assert engine.calls == 12


def test_the_patience_is_set_in_one_place(tmp_path: Path) -> None:
    lm, engine = model(first=1)
    with pytest.raises(rnnprog.LMUnavailableError):
        exam(tmp_path, lm, number=2, steps=9, patience=7)
    assert engine.calls == 7


@pytest.fixture
def hung() -> Iterator[socket.socket]:
    """Give a server that takes every connection and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        server.settimeout(90)
        yield server


def ask_hung(server: socket.socket, *more: str) -> list[str]:
    base = f"api_base=http://127.0.0.1:{server.getsockname()[1]}/v1"
    asked = ["--lm", "openai/hung", "--lm-option", base, "--lm-option", "api_key=none"]
    return [sys.executable, "-m", "rnnprog.cli", "run", "regimes", "--limit", "8", *asked, *more]


def test_a_server_that_hangs_is_given_up_on_after_the_time_that_the_user_says(hung: socket.socket) -> None:
    settings = ["--lm-option", "timeout=0.3", "--lm-option", "num_retries=0", "--cell", "zero_shot", "--json"]
    done = subprocess.run(ask_hung(hung, *settings), capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 3, done.stderr
    assert "no reply for 3 steps in a row" in str(json.loads(done.stdout)["errors"])


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(rnnprog.ConfigurationError, match="give the seconds to wait"):
        named_model("openai/hung", ["timeout=long"])


def test_a_second_ctrl_c_does_not_wait_for_a_server_that_hangs(hung: socket.socket, tmp_path: Path) -> None:
    def hear() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    told = tmp_path / "stderr"
    with told.open("w") as stderr:
        run = subprocess.Popen(ask_hung(hung), stderr=stderr, stdout=subprocess.DEVNULL, preexec_fn=hear)
    try:
        connection, _ = hung.accept()  # the first call is in flight
        with connection:
            run.send_signal(signal.SIGINT)
            deadline = time.monotonic() + 30
            while "a second Ctrl-C leaves at once" not in told.read_text() and time.monotonic() < deadline:
                time.sleep(0.05)
            run.send_signal(signal.SIGINT)
            assert run.wait(30) == 130, told.read_text()
    finally:
        run.kill()
        run.wait()
    assert "Traceback" not in told.read_text()


def test_a_judge_that_is_down_is_given_up_on_and_asked_again_later(tmp_path: Path) -> None:
    from rnnprog.evaluate import judge_exam

    words = [StepRecord(t=t, id=f"s:{t}", inputs={}, prediction={"w": f"x{t}"}, target={"w": "y"}) for t in range(20)]
    walked = rnnprog.Result(traces=(Trace(sequence="s", records=tuple(words)),))
    one = ExamResult(task="t", arms=(Arm(label="a", runs=(ArmRun(result=walked),)),), config={"complete": True})
    lm, engine = model(first=1)
    told = judge_exam(one, lm, store=tmp_path / "j.jsonl", running=Running(concurrency=1))
    assert engine.calls == 3
    assert told.config["stopped by"] == "no model"
    assert "NOT JUDGED: the judge gave no reply to 3 questions in a row" in told.note
