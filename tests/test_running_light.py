"""What a run does so as not to slow itself down, and that it leaves no trace of it behind."""

from __future__ import annotations

import dspy
import pytest

import rnnprog

STEPS = (rnnprog.Step(inputs={"rain": 2.0}, target={"tomorrow": "rain"}),) * 3


@pytest.fixture
def program() -> rnnprog.RecurrentModule:
    made = rnnprog.RecurrentModule("rain: float -> tomorrow: Literal['sun', 'rain']")
    made.set_lm(rnnprog.embedded_lm())
    return made


def walk(program: rnnprog.RecurrentModule) -> rnnprog.Result:
    return rnnprog.run(program, [rnnprog.Sequence(id=i, steps=STEPS) for i in "abc"])


def test_a_trace_that_somebody_opened_holds_every_call(program: rnnprog.RecurrentModule) -> None:
    with dspy.context(trace=[]):
        walk(program)
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
