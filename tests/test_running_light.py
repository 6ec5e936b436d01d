"""What a run does so as not to slow itself down, and that it leaves no trace of it behind."""

from __future__ import annotations

import gc
from typing import Any

import dspy
import pytest

import rnnprog

STEPS = (rnnprog.Step(inputs={"rain": 2.0}, target={"tomorrow": "rain"}),) * 3


@pytest.fixture
def program() -> rnnprog.RecurrentModule:
    made = rnnprog.RecurrentModule("rain: float -> tomorrow: Literal['sun', 'rain']")
    made.set_lm(rnnprog.embedded_lm())
    return made


class Watching:
    def __init__(self) -> None:
        self.frozen: list[int] = []

    def begin(self, *_given: Any) -> None: ...

    def stepped(self, *_given: Any) -> None:
        self.frozen.append(gc.get_freeze_count())

    def finished(self, *_given: Any) -> None: ...

    def end(self) -> None: ...


def walk(program: rnnprog.RecurrentModule, watching: Watching, **more: Any) -> rnnprog.Result:
    return rnnprog.run(program, [rnnprog.Sequence(id=i, steps=STEPS) for i in "abc"], observer=watching, **more)


def test_what_was_loaded_is_left_out_of_collections_during_a_run_only(program: rnnprog.RecurrentModule) -> None:
    assert gc.get_freeze_count() == 0
    watching = Watching()
    walk(program, watching)
    assert watching.frozen
    assert min(watching.frozen) > 0
    assert gc.get_freeze_count() == 0


def test_also_after_an_error(program: rnnprog.RecurrentModule) -> None:
    def broken(*_given: Any) -> float:
        raise KeyError("no")

    program.feedback = rnnprog.Rule(broken)
    program.walking.value = program.walking.value.model_copy(
        update={"failures": rnnprog.FailurePolicy(on_step="raise")}
    )
    with pytest.raises(rnnprog.errors.StepFailedError):
        walk(program, Watching(), raise_errors=True)
    assert gc.get_freeze_count() == 0


def test_a_collector_frozen_by_somebody_else_stays_as_it_is(program: rnnprog.RecurrentModule) -> None:
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        walk(program, Watching())
        assert gc.get_freeze_count() >= before * 0.9
    finally:
        gc.unfreeze()


def test_a_trace_that_somebody_opened_holds_every_call(program: rnnprog.RecurrentModule) -> None:
    with dspy.context(trace=[]):
        walk(program, Watching())
        assert len(dspy.settings.trace) == 27


def test_the_trace_that_nobody_reads_stays_short(
    program: rnnprog.RecurrentModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dspy.dsp.utils.settings import main_thread_config

    monkeypatch.setattr("rnnprog.jobs._KEPT", 5)
    before = main_thread_config["trace"]
    main_thread_config["trace"] = []
    try:
        rnnprog.run(program, [rnnprog.Sequence(id="a", steps=STEPS)], concurrency=1)
        assert len(main_thread_config["trace"]) == 5
    finally:
        main_thread_config["trace"] = before
