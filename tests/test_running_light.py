"""What a run does so as not to slow itself down, and that it leaves no trace of it behind."""

from __future__ import annotations

import gc
from collections.abc import Iterator

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


class Noting:
    """Notes the threshold of the oldest generation at every step."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def begin(self, sequences: list[rnnprog.Sequence], start: rnnprog.Trace) -> None: ...

    def stepped(self, sequence: rnnprog.Sequence, record: rnnprog.StepRecord) -> None:
        self.seen.append(gc.get_threshold()[2])

    def finished(self, trace: rnnprog.Trace) -> None: ...

    def end(self) -> None: ...


@pytest.fixture
def thresholds() -> Iterator[tuple[int, int, int]]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield gc.get_threshold()
    gc.set_threshold(*before)


def test_everything_is_collected_seldom_while_a_run_goes_on(
    program: rnnprog.RecurrentModule, thresholds: tuple[int, int, int]
) -> None:
    noting = Noting()
    rnnprog.run(program, [rnnprog.Sequence(id="a", steps=STEPS)], observer=noting)
    assert noting.seen == [200] * 3
    assert gc.get_threshold() == thresholds


def test_who_collects_more_seldom_still_is_left_alone(
    program: rnnprog.RecurrentModule, thresholds: tuple[int, int, int]
) -> None:
    gc.set_threshold(5000, 20, 1000)
    noting = Noting()
    rnnprog.run(program, [rnnprog.Sequence(id="a", steps=STEPS)], observer=noting)
    assert noting.seen == [1000] * 3
    assert gc.get_threshold() == (5000, 20, 1000)


def test_of_runs_at_once_the_last_one_puts_it_back(
    program: rnnprog.RecurrentModule, thresholds: tuple[int, int, int]
) -> None:
    class Nested(Noting):
        def stepped(self, sequence: rnnprog.Sequence, record: rnnprog.StepRecord) -> None:
            walk(program)
            super().stepped(sequence, record)

    nested = Nested()
    rnnprog.run(program, [rnnprog.Sequence(id="a", steps=STEPS)], observer=nested)
    assert nested.seen == [200] * 3
    assert gc.get_threshold() == thresholds


def test_it_is_put_back_after_an_error(program: rnnprog.RecurrentModule, thresholds: tuple[int, int, int]) -> None:
    class Failing(Noting):
        def stepped(self, sequence: rnnprog.Sequence, record: rnnprog.StepRecord) -> None:
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        rnnprog.run(program, [rnnprog.Sequence(id="a", steps=STEPS)], observer=Failing(), raise_errors=True)
    assert gc.get_threshold() == thresholds
