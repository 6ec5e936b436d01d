"""Scoring by a judge: which steps, paid once, several at a time, apart from the walk."""

from __future__ import annotations

import ast
import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import LMAuthError, LMTimeoutError

import rnnprog
from rnnprog import scripted_lm
from rnnprog.judgements import Judged, JudgementFile, judged_metric
from rnnprog.judging import ajudge_steps, judge_steps
from rnnprog.lm.prompts import Prompt
from rnnprog.metrics import score_steps
from rnnprog.rubric import Rubric
from rnnprog.statistics import compare
from tests.judging_harness import NO, ONE, UNSURE, YES, judged_by, walked

ROOT = Path(__file__).parents[1]

# which steps, and how they count


def test_failed_steps_and_unknown_truths_are_not_put_before_the_judge() -> None:
    trace = walked(("flu", "flu"), (None, "flu"), ("flu", None), ("cold", []), (None, None))
    judged = judged_by(YES, NO, trace=trace)
    assert judged.counts == {"scored": 2, "cannot tell": 0, "unreadable": 0, "no answer": 0, "not judged": 3}
    scores = score_steps(trace, judged_metric(judged))
    assert scores.overall == pytest.approx(1 / 3)
    assert (len(scores), scores.failures, scores.unscored) == (3, 1, 2)
    assert judged.of("a:1") is None
    with pytest.raises(KeyError):
        judged.of("b:0")


def test_equal_questions_are_asked_once_over_all_arms() -> None:
    arms = [walked(("flu", "cold"), ("flu", "cold")), walked(("cold", "cold"), ("flu", "cold"))]
    judged = judged_by(NO, YES, trace=arms)
    assert judged.usage.calls == 2
    assert [score_steps(arm, judged_metric(judged)).overall for arm in arms] == [0.0, 0.5]
    assert judged.of("a:1") is not None
    with pytest.raises(KeyError, match="several arms"):
        judged.of("a:0")


def test_an_arm_that_was_not_judged_is_not_scored_by_another_arms_verdicts() -> None:
    judged = judged_by(YES)
    with pytest.raises(rnnprog.ConfigurationError, match="never put before the judge"):
        score_steps(walked(("cold", "influenza")), judged_metric(judged))


def test_it_compares_like_any_metric() -> None:
    good = [walked(("flu", "influenza"), sequence=str(i)) for i in range(12)]
    bad = [walked(("cold", "influenza"), sequence=str(i)) for i in range(12)]
    judged = judge_steps([*good, *bad], scripted_lm(lambda p: YES if "flu" in p.inputs["answer"] else NO))
    metric = judged_metric(judged)
    (found,) = compare(score_steps(bad, metric), {"good": score_steps(good, metric)}, "bad")
    assert (found.gain, found.outcome) == (1.0, "gain")


# what it costs, and what is paid once


def test_usage_and_attempts_are_counted_by_judgement_and_in_all() -> None:
    judged = judged_by("2/9", YES, NO, trace=walked(("a", "b"), ("c", "d")))
    first, second = judged.of("a:0"), judged.of("a:1")
    assert first is not None
    assert second is not None
    assert (first.usage.calls, second.usage.calls, judged.usage.calls) == (2, 1, 3)
    assert judged.usage == first.usage + second.usage
    assert second.usage.prompt_tokens > 100
    assert judged.timing.seconds["scorer"] > 0


def test_judged_ones_are_not_paid_twice(tmp_path: Path) -> None:
    store = tmp_path / "deep" / "judgements.jsonl"
    trace = walked(("a", "b"), ("c", "d"), ("e", "f"), ("g", "h"))
    first = judged_by(YES, "2/9", "2/9", UNSURE, NO, trace=trace, store=store)
    again = judged_by(trace=trace, store=store)
    assert again.usage.calls == 0
    assert (again.judgements, again.counts) == (first.judgements, first.counts)
    longer = judged_by(YES, trace=walked(("a", "b"), ("new", "d")), store=store)
    assert longer.usage.calls == 1
    raw = [json.loads(line)["raw"] for line in store.read_text().splitlines()]
    assert raw == [[YES], ["2/9", "2/9"], [UNSURE], [NO], [YES]]


def test_another_judge_or_another_rubric_reads_none_of_them(tmp_path: Path) -> None:
    store = tmp_path / "judgements.jsonl"
    judged_by(YES, store=store)
    other = scripted_lm([NO], model="rnnprog/another")
    assert judge_steps(ONE, other, store=store).counts["scored"] == 1
    judged_by("ALIGNMENT: 10%", kind="alignment", store=store)
    assert len(store.read_text().splitlines()) == 3


def test_a_line_that_was_cut_off_is_judged_again(tmp_path: Path) -> None:
    store = tmp_path / "judgements.jsonl"
    trace = walked(("a", "b"), ("c", "d"))
    judged_by(YES, NO, trace=trace, store=store)
    whole = store.read_bytes()
    for cut in (1, 40, len(whole.splitlines()[1])):
        store.write_bytes(whole[:-cut])
        assert judged_by(NO, trace=trace, store=store).counts["scored"] == 2
        assert store.read_bytes() == whole


def test_damage_elsewhere_is_told(tmp_path: Path) -> None:
    store = tmp_path / "judgements.jsonl"
    judged_by(YES, store=store)
    store.write_bytes(b"{}\n" + store.read_bytes())
    with pytest.raises(rnnprog.TraceError, match="line 1"):
        JudgementFile(store, "x")


def test_a_judge_out_of_reach_is_counted_and_asked_again_next_time(tmp_path: Path) -> None:
    store = tmp_path / "judgements.jsonl"
    judged = judged_by(LMTimeoutError("too slow"), store=store)
    assert judged.counts["no answer"] == judged.refusals == 1
    assert judged_by(YES, store=store).counts["scored"] == 1


def test_refused_credentials_end_it_and_keep_what_was_judged(tmp_path: Path) -> None:
    store = tmp_path / "judgements.jsonl"
    trace = walked(("a", "b"), ("c", "d"), ("e", "f"))
    lm = scripted_lm([YES, LMAuthError("no"), YES])
    with pytest.raises(rnnprog.LMUnavailableError):
        judge_steps(trace, lm, concurrency=1, store=store)
    assert judged_by(NO, NO, trace=trace, store=store).counts["scored"] == 3


# threads and tasks


def by_number(prompt: Prompt) -> str:
    number = int(prompt.inputs["answer"].rpartition(" ")[2])
    time.sleep(0.002 * (number % 3))
    lines = [YES, NO, UNSURE, "2/9"]
    return lines[number % 4]


MANY = walked(*((f"no. {i}", "truth") for i in range(24)))


def test_threads_and_tasks_give_what_one_after_the_other_gives() -> None:
    lm = scripted_lm(by_number)

    def told(judged: Judged) -> dict[str, Any]:
        return judged.model_dump(exclude={"timing"})

    alone = told(judge_steps(MANY, lm, concurrency=1))
    assert told(judge_steps(MANY, lm, concurrency=8)) == alone
    assert told(asyncio.run(ajudge_steps(MANY, lm, concurrency=8))) == alone
    assert list(alone["judgements"]) == [key for _, key in alone["steps"]]
    assert alone["usage"]["calls"] == 24 + 6


def test_no_more_calls_in_flight_than_allowed() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def judge(_prompt: Prompt) -> str:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        return YES

    judge_steps(MANY, scripted_lm(judge), concurrency=3)
    assert 1 < most <= 3


def test_the_callers_settings_are_left_alone() -> None:
    adapter, lm = dspy.JSONAdapter(), scripted_lm([])
    with dspy.context(lm=lm, adapter=adapter):
        judge_steps(MANY, scripted_lm(by_number))
        asyncio.run(ajudge_steps(MANY, scripted_lm(by_number)))
        assert dspy.settings.lm is lm
        assert dspy.settings.adapter is adapter


def test_a_judge_without_dspys_history_is_metered_too() -> None:
    with dspy.context(disable_history=True):
        judged = judge_steps(ONE, scripted_lm([YES]))
    assert judged.usage.calls == 1


# apart from the walk

TASK = "sky: str -> tomorrow: Literal['sun', 'rain']"


def test_nothing_a_judge_says_reaches_a_walk_or_its_cost() -> None:
    program = rnnprog.RecurrentModule(TASK)
    seen: list[str] = []
    stand_in = rnnprog.embedded_lm()
    inner = stand_in.engine.complete

    def listening(request: Any) -> Any:
        seen.append(str(request))
        return inner(request)

    stand_in.engine.complete = listening
    program.set_lm(stand_in)
    steps = [{"sky": "grey", "tomorrow": "rain"}, {"sky": "blue", "tomorrow": "sun"}]
    with dspy.context(lm=stand_in):
        walk = program(steps=steps)
        before = walk.trace.model_dump_json()
        calls = walk.trace.usage["predictor"].calls
        judged = judge_steps(walk.trace, scripted_lm(lambda _: f"plover xyzzy\n{YES}"))
        assert judged.counts["scored"] == 2
        later = program(steps=steps, state=walk.state)
    assert walk.trace.model_dump_json() == before
    assert "scorer" not in {**walk.trace.usage, **later.trace.usage}
    assert calls == 2
    assert len(seen) > 6
    assert not [prompt for prompt in seen if "xyzzy" in prompt or "VERDICT" in prompt]


def test_no_room_of_the_walk_knows_the_judge() -> None:
    apart = {"rnnprog.judging", "rnnprog.judgements", "rnnprog.rubric"}
    words = {"ScoreMatch", "ScoreAlignment"}
    rooms = [*(ROOT / "rnnprog" / "cells").rglob("*.py"), *(ROOT / "rnnprog" / "guard").rglob("*.py")]
    rooms += [
        ROOT / "rnnprog" / f"{name}.py" for name in ("module", "walk", "feedback", "running", "jobs", "steps", "state")
    ]
    for room in rooms:
        for node in ast.walk(ast.parse(room.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.module not in apart, room
                assert not words & {name.name for name in node.names}, room
            elif isinstance(node, ast.Import):
                assert not apart & {name.name for name in node.names}, room


def test_the_stand_in_rules_letter_for_letter() -> None:
    trace = walked(("flu", "flu"), ("flu", "influenza"))
    judged = judge_steps(trace, rnnprog.embedded_lm())
    assert score_steps(trace, judged_metric(judged)).overall == 0.5
    judged = judge_steps(trace, rnnprog.embedded_lm(), Rubric(kind="alignment"))
    assert score_steps(trace, judged_metric(judged)).overall == 50.0


def test_json_round_trip() -> None:
    judged = judged_by("2/9", "2/9", YES, trace=walked(("a", "b"), ("c", "d"), (None, "x")))
    assert Judged.model_validate_json(judged.model_dump_json()) == judged
