from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from rnnprog.trace import (
    Failure,
    Feedback,
    Result,
    Sequence,
    Step,
    StepRecord,
    Timing,
    Trace,
    Update,
    Usage,
    Verdict,
    add_usage,
)

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.sampled_from([-0.0, 5e-324, 10**40])
)
LEAF = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20))
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
FIELDS = st.dictionaries(st.text(max_size=8), JSON, max_size=3)
USAGE = st.dictionaries(
    st.sampled_from(["predictor", "reflector", "rewriter"]),
    st.builds(Usage, calls=st.integers(0, 9), prompt_tokens=st.integers(0, 999), completion_tokens=st.integers(0, 999)),
)
FEEDBACK = st.builds(
    Feedback,
    kind=st.sampled_from(["label", "rule", "judge"]),
    target=st.none() | FIELDS,
    correct=st.none() | st.booleans(),
    score=st.none() | st.floats(allow_nan=False),
    text=st.text(max_size=20),
)
FAILURE = st.builds(Failure, phase=st.just("rewriter"), error=st.text(), raw=st.text(), attempts=st.integers(1, 3))
UPDATE = st.builds(
    Update,
    of=st.text(max_size=5),
    operation=st.sampled_from(["rewrite", "keep", "failed"]),
    parent=st.text(max_size=3),
    digest=st.text(max_size=3),
    feedback=st.none() | FEEDBACK,
    critique=st.none() | FIELDS,
    carry=JSON,
    tokens=st.none() | st.integers(0, 999),
    verdicts=st.lists(
        st.builds(
            Verdict,
            check=st.text(max_size=5),
            decision=st.sampled_from(["accept", "repaired", "kept_old"]),
            reason=st.text(max_size=9),
        ),
        max_size=2,
    ).map(tuple),
    dropped=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=9)), max_size=2).map(tuple),
    usage=USAGE,
    failure=st.none() | FAILURE,
)
TIME = st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)


@st.composite
def traces(draw: st.DrawFn, name: str | None = None) -> Trace:
    first = draw(st.integers(0, 3))
    updates = st.lists(UPDATE, max_size=2).map(tuple)
    records = tuple(
        StepRecord(
            t=first + index,
            id=draw(st.text(max_size=5)),
            inputs=draw(FIELDS),
            prediction=draw(st.none() | FIELDS),
            target=draw(st.none() | FIELDS),
            time=draw(TIME),
            usage=draw(USAGE),
            failure=draw(st.none() | FAILURE),
            before=draw(updates),
            after=draw(updates),
        )
        for index in range(draw(st.integers(0, 3)))
    )
    return Trace(
        sequence=draw(st.text(max_size=6)) if name is None else name,
        program=draw(FIELDS),
        initial=draw(JSON),
        initial_digest=draw(st.text(max_size=3)),
        records=records,
        final=draw(JSON),
        unanswered=tuple(draw(st.lists(st.text(max_size=4), max_size=2))),
        error=draw(st.none() | st.text(max_size=9)),
    )


def same(one: Any, other: Any) -> bool:
    """Equal, and of equal types all the way down; 1, 1.0 and True are three things, 0.0 and -0.0 two."""
    return repr(one) == repr(other)


@settings(max_examples=60)
@given(traces())
def test_json_round_trip_is_exact_down_to_the_types(trace: Trace) -> None:
    for again in (
        Trace.model_validate_json(trace.model_dump_json()),
        Trace.model_validate(json.loads(json.dumps(trace.model_dump(mode="json")))),
    ):
        assert again == trace
        assert same(again.model_dump(), trace.model_dump())
        assert again.model_dump_json() == trace.model_dump_json()


@settings(max_examples=30)
@given(st.lists(traces(), max_size=2), st.dictionaries(st.text(max_size=4), st.builds(Timing)), st.floats(0, 1e9))
def test_a_result_round_trips_too(walks: list[Trace], timings: dict[str, Timing], seconds: float) -> None:
    result = Result(program={"x": 1.5}, traces=tuple(walks), timings=timings, seconds=seconds, interrupted=True)
    assert Result.model_validate_json(result.model_dump_json()) == result


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinities_come_back_as_floats_wherever_they_stand(value: float) -> None:
    step = Step(inputs={"a": value, "b": [value, {"c": value}]}, target={"y": value})
    again = Step.model_validate_json(step.model_dump_json())
    assert same(again.model_dump(), step.model_dump())
    feedback = Feedback(kind="rule", score=value)
    assert same(Feedback.model_validate_json(feedback.model_dump_json()).score, value)


@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.text()))
def test_a_time_keeps_its_type(moment: int | float | str) -> None:
    step = Step(inputs={}, time=moment)
    assert same(Step.model_validate_json(step.model_dump_json()).time, moment)


def test_steps_must_follow_one_another() -> None:
    records = [StepRecord(t=t, id=str(t), inputs={}) for t in (0, 1, 3)]
    with pytest.raises(ValidationError, match=r"trace 'a': step 3 follows step 1"):
        Trace(sequence="a", records=tuple(records))


# replay from the records alone


class Walker:
    """Makes a trace with known carries: the oracle for replay."""

    def __init__(self) -> None:
        self.carry, self.version, self.seen = 0, 0, dict[int, int]()

    def update(self, change: bool, recorded: bool) -> Update:
        parent = self.version
        if change:
            self.carry, self.version = self.carry + 1, self.version + 1
        carry: JsonValue = {"n": self.carry} if recorded else None
        return Update(of="x", operation="rewrite", parent=str(parent), digest=str(self.version), carry=carry)

    def walk(self, plan: list[tuple[list[bool], list[bool]]]) -> Trace:
        records = []
        for t, (before, after) in enumerate(plan):
            early = tuple(self.update(change, recorded=True) for change in before)
            self.seen[t] = self.carry
            late = tuple(self.update(change, recorded=True) for change in after)
            records.append(StepRecord(t=t, id=str(t), inputs={}, before=early, after=late))
        return Trace(sequence="a", initial={"n": 0}, initial_digest="0", records=tuple(records))


CHANGES = st.lists(st.booleans(), max_size=3)


@given(st.lists(st.tuples(CHANGES, CHANGES), max_size=6))
def test_replay_gives_the_carry_of_every_step(plan: list[tuple[list[bool], list[bool]]]) -> None:
    walker = Walker()
    trace = walker.walk(plan)
    for t, carry in walker.seen.items():
        assert trace.carry_before(t) == {"n": carry}
    assert trace.carry_after() == {"n": walker.carry}
    with pytest.raises(KeyError, match="has no step"):
        trace.carry_before(len(plan))


def test_a_carry_that_was_not_recorded_is_said_to_be_missing_and_not_guessed() -> None:
    walker = Walker()
    blind = walker.update(change=True, recorded=False)
    known = walker.update(change=True, recorded=True)
    records = (
        StepRecord(t=0, id="0", inputs={}, after=(blind,)),
        StepRecord(t=1, id="1", inputs={}, after=(known,)),
        StepRecord(t=2, id="2", inputs={}),
    )
    trace = Trace(sequence="a", initial={"n": 0}, initial_digest="0", records=records)
    assert trace.carry_before(0) == {"n": 0}
    with pytest.raises(KeyError, match="was not recorded"):
        trace.carry_before(1)
    assert trace.carry_before(2) == {"n": 2}


# ledgers


@given(st.lists(USAGE, max_size=4))
def test_ledgers_add_up_phase_by_phase_in_any_order(ledgers: list[dict[str, Usage]]) -> None:
    total = add_usage(*ledgers)
    assert total == add_usage(*reversed(ledgers))
    for phase in {phase for ledger in ledgers for phase in ledger}:
        assert total[phase].calls == sum(ledger[phase].calls for ledger in ledgers if phase in ledger)
        assert total[phase].tokens == sum(ledger[phase].tokens for ledger in ledgers if phase in ledger)
    assert add_usage() == {}


@settings(max_examples=30)
@given(st.lists(traces(), max_size=3))
def test_the_usage_of_a_result_is_the_sum_over_everything_in_it(walks: list[Trace]) -> None:
    result = Result(traces=tuple(walks))
    calls = sum(
        usage.calls
        for trace in walks
        for record in trace.records
        for ledger in (record.usage, *(update.usage for update in record.updates))
        for usage in ledger.values()
    )
    assert sum(usage.calls for usage in result.usage.values()) == calls
    assert len(list(result.records)) == sum(len(trace) for trace in walks)


def test_a_sequence_has_a_length_and_keeps_what_its_source_said() -> None:
    sequence = Sequence(id="a", steps=(Step(inputs={"x": 1}), Step(inputs={"x": 2})), meta={"station": "Seattle"})
    assert len(sequence) == 2
    assert Sequence.model_validate_json(sequence.model_dump_json()) == sequence
