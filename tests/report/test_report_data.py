"""The numbers that are drawn, against numbers worked out by hand."""

from __future__ import annotations

import base64
import json
import math
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnprog.cells.playbook import Playbook
from rnnprog.exam_result import Arm, ArmRun, ExamResult, MetricSpec
from rnnprog.metrics import memory_curve, recovery, score_steps
from rnnprog.report import blocks
from rnnprog.report.arms import arm_rows
from rnnprog.report.carry import carry_items, carry_lines
from rnnprog.report.columns import FLAGS, UNKNOWN, columns_of
from rnnprog.report.curves import learning_curves, length_curves
from rnnprog.report.intervals import band, estimate
from rnnprog.report.sample import sample_exam, sample_trace
from rnnprog.statistics import Estimate, interval
from rnnprog.trace import Feedback, Result, StepRecord, Trace, Update


def exam_of(*traces: Trace, metric: str = "accuracy", **run: Any) -> ExamResult:
    arm = Arm(label="arm", runs=(ArmRun(result=Result(traces=traces), **run),))
    return ExamResult(task="t", metric=MetricSpec.of(metric), arms=(arm,))


def labels(said: str, true: str, name: str = "s") -> Trace:
    records = (
        StepRecord(t=t, id=str(t), inputs={}, prediction={"y": a}, target={"y": b})
        for t, (a, b) in enumerate(zip(said, true, strict=True))
    )
    return Trace(sequence=name, records=tuple(records))


def unpack(packed: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(packed), -15))


def marks(flags: int) -> set[str]:
    return {name for name, bit in FLAGS.items() if flags & bit}


def test_columns_of_a_walk_worked_out_by_hand(small_trace: Trace) -> None:
    columns = columns_of(exam_of(small_trace))
    assert [marks(int(f)) for f in columns.flags] == [
        {"right", "changed"},
        {"wrong", "changed", "dropped"},
        {"wrong", "failed", "kept_old"},
        {"right", "changed", "late"},
    ]
    assert columns.score.tolist() == [1, 0, 0, 1]
    assert columns.length.tolist() == [20, 30, 30, 40]
    assert columns.calls.tolist() == [2, 2, 2, 2]
    assert columns.prompt_tokens.tolist() == [150, 151, 152, 153]
    assert columns.completion_tokens.tolist() == [15] * 4
    assert [columns.texts[k] for k in columns.said] == ["sun", "sun", "", "sun"]
    assert [columns.texts[k] for k in columns.true] == ["sun", "rain", "sun", "sun"]


def test_row_of_an_arm_worked_out_by_hand(small_trace: Trace) -> None:
    exam = exam_of(small_trace)
    row = arm_rows(exam, columns_of(exam))[0]
    assert row.score.value == 0.5
    assert row.score.low is None
    assert (row.steps, row.sequences, row.seeds, row.failed) == (4, 1, 1, 1)
    assert (row.calls, row.prompt_tokens, row.completion_tokens) == (2, 151.5, 15)
    assert row.tokens_per_right == (150 + 151 + 152 + 153 + 4 * 15) / 2
    assert (row.after_wrong.value, row.after_wrong.n) == (0.5, 2)
    assert (row.after_right.value, row.after_right.n) == (0.0, 1)
    assert (row.length_mean, row.length_max) == (30, 40)
    assert (row.updates, row.dropped, row.verdicts) == (3, 1, {"kept_old": 1})
    assert row.retention == pytest.approx(
        (1 + 0.5) / 2
    )  # a -> a b keeps all; a b -> b c keeps half; empty -> a says nothing


def test_lengths_are_unknown_until_a_memory_has_been_measured(small_trace: Trace) -> None:
    bare = small_trace.records[0].model_copy(update={"after": ()})
    trace = small_trace.model_copy(update={"records": (bare, *small_trace.records[1:])})
    assert columns_of(exam_of(trace)).length.tolist() == [UNKNOWN, 30, 30, 40]


def test_scores_of_the_exam_are_taken_as_they_are() -> None:
    exam = exam_of(labels("aab", "aaa"), scores={"s": (0.0, None, 1.0)})
    columns = columns_of(exam)
    assert columns.score[[0, 2]].tolist() == [0, 1]
    assert math.isnan(columns.score[1])
    assert [marks(int(f)) for f in columns.flags] == [{"wrong"}, set(), {"right"}]


def test_scores_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(ValueError, match="'s' has 3 steps but 1 scores"):
        exam_of(labels("aab", "aaa"), scores={"s": (0.0,)})


def test_a_judged_step_is_right_or_wrong_by_its_verdict() -> None:
    verdict = Update(of="0", operation="keep", parent="", digest="", feedback=Feedback(kind="judge", correct=False))
    record = StepRecord(t=0, id="0", inputs={}, prediction={"y": "an essay"}, after=(verdict,))
    columns = columns_of(exam_of(Trace(sequence="s", records=(record,)), metric="judged"))
    assert marks(int(columns.flags[0])) == {"wrong"}


def test_numbers_have_scores_but_are_neither_right_nor_wrong() -> None:
    def step(t: int, said: float | None, true: float) -> StepRecord:
        return StepRecord(
            t=t, id=str(t), inputs={}, prediction=None if said is None else {"y": said}, target={"y": true}
        )

    exam = exam_of(Trace(sequence="s", records=(step(0, 1.0, 3.5), step(1, 4.0, 4.0))), metric="mae[y]")
    columns = columns_of(exam)
    assert columns.score.tolist() == [2.5, 0.0]
    assert columns.flags.tolist() == [0, 0]
    assert arm_rows(exam, columns)[0].after_wrong.value is None


@given(
    st.lists(
        st.tuples(st.text("ab", min_size=1, max_size=12), st.randoms(use_true_random=False)), min_size=1, max_size=4
    )
)
def test_recovery_is_that_of_the_metrics(parts: list[tuple[str, Any]]) -> None:
    traces = [labels("".join(r.choice("ab") for _ in true), true, str(k)) for k, (true, r) in enumerate(parts)]
    exam = exam_of(*traces)
    row, counted = arm_rows(exam, columns_of(exam))[0], recovery(traces)
    assert (row.after_wrong.n, row.after_right.n) == (counted.errors, counted.hits)
    for mine, theirs in ((row.after_wrong.value, counted.rate), (row.after_right.value, counted.after_right)):
        assert math.isnan(theirs) if mine is None else mine == pytest.approx(theirs)


def test_retention_is_that_of_the_metrics() -> None:
    trace = sample_trace(60)
    exam = exam_of(trace)
    changed = [any(u.parent != u.digest for u in record.updates) for record in trace.records]
    kept = [p.retention for p, c in zip(memory_curve(trace), changed, strict=True) if c]
    assert arm_rows(exam, columns_of(exam))[0].retention == pytest.approx(np.mean(kept[1:]))  # nothing to keep at first


def test_drift_is_that_of_the_metrics() -> None:
    trace = sample_trace(60)
    exam = exam_of(trace)
    gone = [p.drift for p in memory_curve(trace)][10:]
    assert 0 < np.mean(gone) < 1
    assert arm_rows(exam, columns_of(exam))[0].drift == pytest.approx(np.mean(gone))
    assert arm_rows(exam_of(labels("aab", "aaa")), columns_of(exam_of(labels("aab", "aaa"))))[0].drift is None


def test_learning_curve_of_two_sequences_worked_out_by_hand() -> None:
    columns = columns_of(exam_of(labels("aaaaaaaaaa", "aabbaaaaaa", "1"), labels("aaaaaaaaaa", "abbaaaaaaa", "2")))
    (curve,) = learning_curves(columns, 1)
    assert curve.width == 1
    assert curve.y[:5] == [1.0, 0.5, 0.0, 0.5, 1.0]
    assert curve.n == [2] * 10
    assert curve.low[0] == curve.high[0] == 1.0
    half = 12.706 * math.sqrt(0.5) / math.sqrt(2)  # Student's t with one degree of freedom, values 0 and 1
    assert curve.high[1] == pytest.approx(0.5 + half, abs=1e-3)


def test_a_single_sequence_has_bins_and_no_band() -> None:
    (curve,) = learning_curves(columns_of(exam_of(labels("a" * 95, "a" * 50 + "b" * 45))), 1)
    assert curve.width == 10
    assert curve.y == [1.0] * 5 + [0.0] * 5
    assert curve.x[0] == 4.5
    assert curve.x[-1] == 92.0  # the last bin holds five steps: 90 to 94
    assert set(curve.low) == {None}


def test_memory_lengths_are_averaged_where_known(small_trace: Trace) -> None:
    (curve,) = length_curves(columns_of(exam_of(small_trace)), 1)
    assert (curve.x, curve.y) == ([0, 1, 2, 3], [20, 30, 30, 40])


def test_seeds_are_averaged_and_are_not_more_data() -> None:
    def run(seed: int, *walks: str) -> ArmRun:
        traces = tuple(labels(said, "aa", str(k)) for k, said in enumerate(walks))
        return ArmRun(seed=seed, result=Result(traces=traces))

    several = Arm(
        label="arm", runs=(run(0, "aa", "ab", "bb", "ba", "aa", "bb"), run(1, "aa", "ab", "bb", "ab", "aa", "bb"))
    )
    exam = ExamResult(task="t", arms=(several,))
    row = arm_rows(exam, columns_of(exam))[0]
    once = ExamResult(task="t", arms=(several.model_copy(update={"runs": several.runs[:1]}),))
    assert row.score.n == 6
    assert row.score == arm_rows(once, columns_of(once))[0].score  # each sequence has the same mean under both seeds


def test_a_run_alone_has_the_interval_of_the_statistics() -> None:
    exam = sample_exam(7, 12, 1)
    for arm, row in zip(exam.arms, arm_rows(exam, columns_of(exam)), strict=True):
        assert row.score == interval(score_steps(arm.runs[0].result, "accuracy"))
        assert row.last == interval(score_steps(arm.runs[0].result, "accuracy"), where="last")


def test_a_metric_that_needs_all_steps_together_is_scored_so() -> None:
    exam = exam_of(labels("aabb", "abab"), metric="macro_f1[y]")
    assert arm_rows(exam, columns_of(exam))[0].score.value == 0.5


def test_such_a_metric_is_the_mean_of_the_seeds_also_on_the_last_step() -> None:
    def run(seed: int, *walks: str) -> ArmRun:
        return ArmRun(seed=seed, result=Result(traces=tuple(labels(s, "ab", str(k)) for k, s in enumerate(walks))))

    runs = (run(0, "ab", "ab"), run(1, "bb", "ba"))  # right throughout; b: 1 of 3 answers and 1 of 2 truths, a: nothing
    exam = ExamResult(task="t", metric=MetricSpec.of("macro_f1[y]"), arms=(Arm(label="arm", runs=runs),))
    row = arm_rows(exam, columns_of(exam))[0]
    assert row.score.value == pytest.approx((1 + (0 + 2 / 5) / 2) / 2)
    assert row.last.value == pytest.approx((1 + (0 + 2 / 3) / 2) / 2)  # the last steps of seed 1: b, a where b, b


def test_figures_of_the_exam_stand_above_those_of_the_page() -> None:
    exam = exam_of(labels("a", "a"))
    told = Estimate(value=0.25, low=0.1, high=0.4, level=0.95, n=3, unit="sequences", method="")
    exam = exam.model_copy(update={"arms": (exam.arms[0].model_copy(update={"figures": {"score": told}}),)})
    assert arm_rows(exam, columns_of(exam))[0].score == told


def test_steps_without_a_score_are_left_out() -> None:
    found = estimate(["a"] * 3 + ["b"], np.array([1.0, np.nan, 0.0, 1.0]), share=True)
    assert found.value == pytest.approx(2 / 3)
    assert estimate([], np.zeros(0), share=True).value is None
    assert all(math.isnan(v) for v in band(np.array([1.0]))[1:])


def test_blocks_give_back_every_memory(small_trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 3)
    first, second = map(unpack, blocks.detail_blocks(columns_of(exam_of(small_trace))))
    assert (len(first["r"]), len(second["r"])) == (3, 1)

    def lines(block: Any, numbers: list[int]) -> list[str]:
        return [block["s"][k] for k in numbers]

    assert [lines(first, step["c"]) for step in first["r"]] == [["#Rules"], ["#Rules", "-a"], ["#Rules", "-a", "-b"]]
    assert lines(second, second["r"][0]["c"]) == ["#Rules", "-a", "-b"]
    late = second["r"][0]["k"][0]
    assert (late["of"], late["w"], lines(second, late["c"])) == (1, "before", ["#Rules", "-b", "-c"])
    assert first["r"][2]["k"][0]["v"] == [["elision", "kept_old", "placeholder"]]


def test_a_memory_that_was_not_recorded_is_not_made_up(small_trace: Trace) -> None:
    update = small_trace.records[1].after[0].model_copy(update={"carry": None})
    records = list(small_trace.records)
    records[1] = records[1].model_copy(update={"after": (update,)})
    (block,) = map(
        unpack, blocks.detail_blocks(columns_of(exam_of(small_trace.model_copy(update={"records": tuple(records)}))))
    )
    assert block["r"][1]["k"][0]["c"] is None
    assert block["r"][2]["c"] is None
    assert block["r"][3]["k"][0]["c"] is not None


def test_blocks_hold_what_json_does_not_know() -> None:
    assert unpack(blocks.pack_json({"x": [math.nan, math.inf, 1.5], "y": "\ud800"})) == {
        "x": ["NaN", "Infinity", 1.5],
        "y": "?",
    }


def test_a_playbook_is_read_as_it_stands_in_the_prompt() -> None:
    book = Playbook().add("clues", "Wind brings rain.").add("others", "Fog stays.").mark({"clu-00001": "helpful"})
    carry = book.model_dump(mode="json")
    assert carry_lines(carry)[:2] == ["#bullets", f"-{book.bullets[0].render()}"]
    assert carry_items(carry) == frozenset({("clues", "Wind brings rain."), ("others", "Fog stays.")})


@pytest.mark.parametrize(
    ("carry", "lines"),
    [
        (None, []),
        ("## Rules\n- a\nb", ["#Rules", "-a", "-b"]),
        ([{"x": 1}, "turn"], ['-{"x": 1}', "-turn"]),
        ({"turns": ["a"], "n": 2}, ["#turns", "-a", "-n: 2"]),
        (3, ["-3"]),
        ({"sections": "no"}, ["-sections: no"]),
    ],
)
def test_any_carry_has_lines(carry: Any, lines: list[str]) -> None:
    assert carry_lines(carry) == lines
    assert carry_items(carry) is None


def test_sample_is_the_same_every_time_and_within_its_budget() -> None:
    assert sample_exam(2, 8, 1) == sample_exam(2, 8, 1)
    assert max(u.tokens or 0 for u in sample_trace(200).updates) <= 220
