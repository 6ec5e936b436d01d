"""Watching a run must never cost the run."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

import rnnprog
from rnnprog.trace import Sequence, StepRecord, Trace

TASK = "rain: float -> tomorrow: Literal['sun', 'rain']"
STEPS = tuple(rnnprog.Step(inputs={"rain": float(t)}, target={"tomorrow": "rain"}) for t in range(6))


class FullDisk:
    """An observer whose disk is full from the third step on."""

    def __init__(self) -> None:
        self.seen = 0

    def begin(self, sequences: list[Sequence], start: Trace) -> None: ...

    def stepped(self, sequence: Sequence, record: StepRecord) -> None:
        self.seen += 1
        if self.seen > 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    def finished(self, trace: Trace) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def end(self) -> None: ...


def test_a_full_disk_costs_the_file_and_not_the_result() -> None:
    program = rnnprog.RecurrentModule(TASK)
    program.set_lm(rnnprog.embedded_lm())
    sequences = [Sequence(id=str(i), steps=STEPS) for i in range(3)]
    disk = FullDisk()
    with pytest.warns(RuntimeWarning, match="No space left on device") as told:
        result = rnnprog.run(program, sequences, concurrency=2, observer=disk)
    assert [len(trace) for trace in result.traces] == [6, 6, 6]
    assert all(trace.error is None for trace in result.traces)
    assert sum("FullDisk" in str(w.message) for w in told) == 1


def test_a_trace_file_holds_what_the_result_holds(tmp_path: Path) -> None:
    file = rnnprog.TraceFile(tmp_path / "trace.jsonl")
    program = rnnprog.RecurrentModule(TASK)
    program.set_lm(rnnprog.embedded_lm())
    result = rnnprog.run(program, [Sequence(id="a", steps=STEPS)], observer=None)
    with file:
        again = rnnprog.run(program, [Sequence(id="a", steps=STEPS)], observer=file)
    assert rnnprog.read_traces(file.path) == list(again.traces) == list(result.traces)
