"""Figures of whole walks: recovery, curves, memory over time, cost, faults, the summary line."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnprog.cells.playbook import Playbook
from rnnprog.errors import ConfigurationError
from rnnprog.memory import Memory, MemorySection
from rnnprog.metrics import cost, faults, learning_curve, memory_curve, memory_of, recovery, score_steps, summary
from rnnprog.trace import Failure, Result, StepRecord, Timing, Trace, Update, Usage, Verdict


def walk(hits: list[bool | None], name: str = "a", **extra: Any) -> Trace:
    records = [
        StepRecord(
            t=t,
            id=f"{name}/{t}",
            inputs={},
            prediction={"y": "right" if hit else "wrong"},
            target=None if hit is None else {"y": "right"},
            **extra,
        )
        for t, hit in enumerate(hits)
    ]
    return Trace(sequence=name, records=tuple(records))


def test_recovery_by_hand_and_not_across_sequences_or_gaps() -> None:
    first = walk([False, True, True, None, False], "a")
    second = walk([True, False, False, True], "b")
    found = recovery([first, second])
    assert (found.errors, found.recovered) == (3, 2)
    assert (found.hits, found.repeated) == (2, 1)
    assert found.rate == pytest.approx(2 / 3)
    assert found.after_right == 0.5
    assert math.isnan(recovery(walk([True, True])).rate)


@given(st.lists(st.booleans(), min_size=2, max_size=40))
def test_recovery_counts_every_step_but_the_last(hits: list[bool]) -> None:
    found = recovery(walk(list(hits)))
    assert found.errors + found.hits == len(hits) - 1
    assert found.recovered + found.repeated == sum(hits[1:])


def test_recovery_of_independent_errors_is_the_plain_accuracy() -> None:
    hits = [bool(b) for b in np.random.default_rng(3).uniform(size=20_000) < 0.7]
    found = recovery(walk(list(hits)))
    assert found.rate == pytest.approx(0.7, abs=0.02)
    assert found.rate == pytest.approx(found.after_right, abs=0.025)


def test_recovery_of_numbers_within_a_tolerance() -> None:
    records = [
        StepRecord(t=t, id=str(t), inputs={}, prediction={"y": said}, target={"y": 10.0})
        for t, said in enumerate([12.0, 10.4, 9.8, 15.0])
    ]
    found = recovery(Trace(sequence="a", records=tuple(records)), field="y", within=0.5)
    assert (found.errors, found.recovered, found.hits, found.repeated) == (1, 1, 2, 1)


def test_learning_curve_averages_sequences_and_looks_back() -> None:
    walks = [walk([False, True, True], "a"), walk([False, False], "b")]
    scores = score_steps(walks, "accuracy")
    plain = learning_curve(scores)
    assert [(p.t, p.value, p.count) for p in plain] == [(0, 0.0, 2), (1, 0.5, 2), (2, 1.0, 1)]
    smooth = learning_curve(scores, window=2)
    assert [(p.value, p.count) for p in smooth] == [(0.0, 2), (0.25, 4), (pytest.approx(2 / 3), 3)]
    with pytest.raises(ConfigurationError, match="window = 0"):
        learning_curve(scores, window=0)


def memory(*items: str) -> Memory:
    return Memory(sections=(MemorySection(key="r", title="Rules", items=items),))


def rewriting(memories: list[Memory | None], initial: Memory) -> Trace:
    """Make a trace whose step t ends with ``memories[t]``; ``None`` keeps the memory."""
    records, digest = [], initial.digest
    for t, new in enumerate(memories):
        updates: tuple[Update, ...] = ()
        if new is not None:
            update = Update(
                of=str(t),
                operation="rewrite",
                parent=digest,
                digest=new.digest,
                carry=new.model_dump(mode="json"),
                tokens=10 * t,
            )
            updates, digest = (update,), new.digest
        records.append(StepRecord(t=t, id=str(t), inputs={}, after=updates))
    return Trace(
        sequence="a", initial=initial.model_dump(mode="json"), initial_digest=initial.digest, records=tuple(records)
    )


def test_memory_curve_by_hand() -> None:
    trace = rewriting([memory("a", "b"), None, memory("b", "c", "d"), memory("x")], memory())
    points = memory_curve(trace, lag=2)
    assert [p.items for p in points] == [2, 2, 3, 1]
    assert [p.retention for p in points] == [1.0, 1.0, 0.5, 0.0]
    assert [p.drift for p in points[2:]] == [0.5, 1.0]
    assert all(math.isnan(p.drift) for p in points[:2])
    assert [p.age for p in points] == [0.0, 1.0, pytest.approx(2 / 3), 0.0]
    assert [p.tokens for p in points[2:]] == [20.0, 30.0]


def test_memory_curve_of_a_carry_that_is_no_memory_or_was_not_recorded() -> None:
    update = Update(of="0", operation="append", parent="", digest="x", carry=["turn"], tokens=7)
    bare = Trace(sequence="a", records=(StepRecord(t=0, id="0", inputs={}, after=(update,)),))
    (point,) = memory_curve(bare)
    assert point.tokens == 7.0
    assert math.isnan(point.items)
    assert math.isnan(point.retention)
    with pytest.raises(ConfigurationError, match="lag"):
        memory_curve(bare, lag=0)


def test_bullets_of_a_playbook_are_items_and_their_counts_are_not() -> None:
    first = Playbook().add("clues", "a").add("clues", "b")
    books = (first, first.mark({"clu-00001": "helpful"}), first.without(["clu-00001"]))
    records = [
        StepRecord(
            t=t,
            id=str(t),
            inputs={},
            after=(
                Update(of="", operation="edit", parent=str(t), digest=str(t + 1), carry=book.model_dump(mode="json")),
            ),
        )
        for t, book in enumerate(books)
    ]
    points = memory_curve(Trace(sequence="s", initial_digest="0", records=tuple(records)))
    assert [p.items for p in points] == [2, 2, 1]
    assert [p.retention for p in points[1:]] == [1.0, 0.5]


def test_an_item_that_comes_back_is_young_again() -> None:
    trace = rewriting([memory("a"), memory("b"), memory("a"), None], memory())
    assert [p.age for p in memory_curve(trace)] == [0.0, 0.0, 0.0, 1.0]


def test_memory_of_finds_a_memory_alone_or_inside() -> None:
    found = memory("a")
    assert memory_of(found.model_dump(mode="json")) == found
    assert memory_of({"memory": found.model_dump(mode="json"), "turns": 3}) == found
    assert memory_of({"sections": "none"}) is None
    assert memory_of(None) is None


def test_cost_per_step_and_per_right_answer() -> None:
    spent = {"predictor": Usage(calls=1, prompt_tokens=90, completion_tokens=10)}
    a, b = walk([True, False], "a", usage=spent), walk([True, True], "b", usage=spent)
    timings = {"a": Timing(seconds={"predictor": 3.0}, cost=0.5), "b": Timing(seconds={"predictor": 1.0}, cost=0.1)}
    bill = cost(Result(traces=(a, b), timings=timings))
    assert (bill.steps, bill.right, bill.total.calls, bill.total.tokens) == (4, 3, 4, 400)
    assert bill.per_step() == {"calls": 1.0, "tokens": 100.0, "seconds": 1.0, "money": pytest.approx(0.15)}
    assert bill.per_right()["tokens"] == pytest.approx(400 / 3)
    unknown = cost(Result(traces=(a, b), timings={**timings, "b": Timing(seconds={"predictor": 1.0})}))
    assert math.isnan(unknown.money)
    assert unknown.seconds == 4.0
    assert math.isnan(cost([a, b]).seconds)


def test_faults_are_counted_by_phase_check_and_operation() -> None:
    failed = Failure(phase="rewriter", error="ValueError: no headings")
    verdicts = (Verdict(check="schema", decision="accept"), Verdict(check="shrink", decision="kept_old", reason="1/9"))
    update = Update(
        of="0", operation="failed", parent="", digest="", verdicts=verdicts, dropped=(("r", "x"),), failure=failed
    )
    record = StepRecord(
        t=0, id="0", inputs={}, failure=Failure(phase="predictor", error="ParseError"), after=(update, update)
    )
    found = faults(Trace(sequence="a", records=(record,), unanswered=("9",), error="cut"))
    assert found.failures == {"predictor": 1, "rewriter": 2}
    assert found.verdicts == {("schema", "accept"): 2, ("shrink", "kept_old"): 2}
    assert found.operations == {"failed": 2}
    assert (found.dropped, found.broken, found.unanswered) == (2, 1, 1)


def test_summary_names_the_best_floor_and_is_json() -> None:
    run = walk([True, True, False, None])
    floors = {"majority": walk([True, False, False, None]), "persistence": walk([False, False, False, None])}
    line = summary(run, "accuracy", floors)
    assert json.loads(json.dumps(line)) == line
    assert line["score"] == pytest.approx(2 / 3)
    assert line["best_floor"] == "majority"
    assert line["above_floor"] == pytest.approx(1 / 3)
    assert (line["steps"], line["scored"], line["unscored"]) == (4, 3, 1)
    assert line["seconds"] is None
    assert summary(Result(), "accuracy")["score"] is None


def test_summary_of_a_loss_prefers_the_lower_floor() -> None:
    def numbers(said: float, name: str) -> Trace:
        record = StepRecord(t=0, id=name, inputs={}, prediction={"y": said}, target={"y": 0.0})
        return Trace(sequence=name, records=(record,))

    line = summary(numbers(1.0, "a"), "mae[y]", {"far": numbers(9.0, "a"), "near": numbers(0.5, "a")})
    assert line["best_floor"] == "near"
    assert line["above_floor"] == -0.5
