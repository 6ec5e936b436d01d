"""Verdicts, tables and numbers as they are written."""

from __future__ import annotations

from typing import Any

import pytest

from rnnprog.evaluate.scoring import arm_figures
from rnnprog.exam_result import Arm, ArmRun, ExamResult, MetricSpec
from rnnprog.metrics import get_metric
from rnnprog.report import numbers
from rnnprog.report.arms import ArmRow, arm_rows
from rnnprog.report.columns import columns_of
from rnnprog.report.dress import to_html, to_latex, to_markdown
from rnnprog.report.sample import NOTE, sample_exam
from rnnprog.report.tables import (
    Table,
    further_table,
    memory_table,
    recovery_table,
    result_table,
)
from rnnprog.report.verdict import headline, statements
from rnnprog.statistics import Comparison, Estimate
from rnnprog.trace import Failure, Result, StepRecord, Trace


def _figures(runs: list[ArmRun]) -> dict[str, Estimate]:
    return arm_figures(runs, [get_metric("mae[y]")], pooled=False)


def rows_of(exam: ExamResult) -> list[ArmRow]:
    return arm_rows(exam, columns_of(exam))


def arm(label: str, said: str, role: Any = "arm") -> Arm:
    records = tuple(
        StepRecord(t=t, id=str(t), inputs={}, prediction={"y": s}, target={"y": "a"}) for t, s in enumerate(said)
    )
    return Arm(label=label, role=role, runs=(ArmRun(result=Result(traces=(Trace(sequence="s", records=records),))),))


def compared(gain: float, **values: Any) -> ExamResult:
    told: dict[str, Any] = {
        "arm": "new",
        "control": "old",
        "metric": "accuracy",
        "better": "higher",
        "arm_score": None,
        "control_score": None,
        "gain": gain,
        "low": None,
        "high": None,
        "level": 0.95,
        "p": 0.5,
        "p_corrected": 0.5,
        "correction": "holm",
        "comparisons": 1,
        "test": "mcnemar",
        "reason": "too few steps",
        "unit": "sequences",
        "n": 12,
    }
    comparison = Comparison.model_validate(told | values)
    return ExamResult(task="t", arms=(arm("new", "aab"), arm("old", "abb", "control")), comparisons=(comparison,))


def told(exam: ExamResult) -> tuple[str, str]:
    return headline(exam, rows_of(exam)), statements(exam, rows_of(exam))[0].text


def test_a_gain_is_said_first() -> None:
    head, sentence = told(compared(0.1, low=0.02, high=0.18, p_corrected=0.01, comparisons=3))
    assert head == "new beats old: +10.0 points [+2.0, +18.0]."
    assert sentence == "new: a gain over old, +10.0 points [+2.0, +18.0], p = 0.01 (Holm), mcnemar over 12 sequences."


def test_no_evidence_is_called_so_and_says_what_could_have_been_missed() -> None:
    head, sentence = told(compared(0.1, p_corrected=0.4, detectable=0.2))
    assert head == "No evidence that new beats old."
    assert sentence.endswith("A true difference below 20.0 points could well have been missed.")


def test_a_positive_difference_alone_is_never_called_a_gain() -> None:
    for exam in (compared(0.9, p_corrected=0.06), compared(0.9, p=None, p_corrected=None)):
        head, sentence = told(exam)
        assert "a gain" not in sentence.replace("no evidence of a gain", "")
        assert "new beats" not in head.replace("No evidence that new beats", "")


def test_what_was_not_tested_says_why() -> None:
    assert told(compared(0.9, p_corrected=None))[1] == "new: not tested against old: too few steps."


def test_a_loss_is_counted() -> None:
    head, sentence = told(compared(-0.2, p_corrected=0.00001))
    assert head == "No evidence that new beats old; 1 does worse."
    assert "a loss against old, -20.0 points, p < 0.0001" in sentence


def test_arms_below_the_best_floor_are_named() -> None:
    exam = ExamResult(task="t", arms=(arm("good", "aaa"), arm("poor", "abb"), arm("rule", "aab", "floor")))
    floors = [s.text for s in statements(exam, rows_of(exam)) if s.kind == "floor"]
    assert floors == ["Best floor, without any model: rule, 66.7 %; not better: poor."]


def test_the_headline_says_so_where_a_floor_does_as_well() -> None:
    exam = compared(0.1, p_corrected=0.01)
    for said, more in (("aaa", ", but not clearly rule, a floor without a model (100.0 %)"), ("bbb", "")):
        with_floor = exam.model_copy(update={"arms": (*exam.arms, arm("rule", said, "floor"))})
        assert told(with_floor)[0] == f"new beats old: +10.0 points{more}."


def test_gains_come_first_and_arms_of_which_the_same_is_said_share_a_sentence() -> None:
    exam = compared(0.0, p_corrected=1.0)
    (none,) = exam.comparisons
    gain = none.model_copy(update={"arm": "best", "gain": 0.2, "p_corrected": 0.01})
    twin = none.model_copy(update={"arm": "twin"})
    arms = (*exam.arms, arm("best", "aaa"), arm("twin", "aab"))
    exam = exam.model_copy(update={"arms": arms, "comparisons": (none, twin, gain)})
    said = [statement.text.split(":")[0] for statement in statements(exam, rows_of(exam))]
    assert said == ["best", "new, twin"]


def test_with_errors_the_lowest_floor_is_the_best() -> None:
    def number(label: str, error: float, role: Any = "arm") -> Arm:
        record = StepRecord(t=0, id="0", inputs={}, prediction={"y": 10 + error}, target={"y": 10.0})
        return Arm(
            label=label, role=role, runs=(ArmRun(result=Result(traces=(Trace(sequence="s", records=(record,)),))),)
        )

    arms = (number("cell", 2.0), number("far", 5.0, "floor"), number("near", 1.0, "floor"))
    exam = ExamResult(task="t", metric=MetricSpec.of("mae[y]", unit="mm"), arms=arms)
    assert told(exam)[1] == "Best floor, without any model: near, 1 mm; not better: cell."


def test_the_note_and_a_single_walk() -> None:
    exam = sample_exam(2, 5, 1)
    assert statements(exam, rows_of(exam))[-1].text == NOTE
    alone = ExamResult(task="t", arms=(arm("cell", "aab"),))
    assert headline(alone, rows_of(alone)) == "cell: accuracy 66.7 % over 3 steps."


def test_nothing_scored() -> None:
    record = StepRecord(t=0, id="0", inputs={}, prediction={"y": 1})
    run = ArmRun(result=Result(traces=(Trace(sequence="s", records=(record,)),)))
    exam = ExamResult(task="t", arms=(Arm(label="a", runs=(run,)),))
    assert headline(exam, rows_of(exam)).startswith("Nothing was scored: no step has")
    judged = exam.model_copy(update={"config": {"judge": {"kind": "match"}}})
    assert headline(judged, rows_of(judged)) == "Nothing was scored: the judge gave no verdict."
    unasked = exam.model_copy(update={"metric": MetricSpec.of("judged")})
    assert "'judged' is what a judge says, and none was asked" in headline(unasked, rows_of(unasked))


def test_result_table_has_every_arm_and_its_floor_asks_no_model() -> None:
    exam = sample_exam(6, 10, 2)
    table = result_table(exam, rows_of(exam))
    assert [row[0] for row in table.rows] == [a.label for a in exam.arms]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert table.rows[-1][table.columns.index("calls / step")] == "–"
    assert table.rows[3][table.columns.index("gain over control")] == "control"
    assert "Holm" in table.note


def test_metrics_that_did_not_decide_are_shown_with_their_intervals() -> None:
    found = Estimate(value=0.5, low=0.25, high=0.75, level=0.95, n=9, unit="steps", method="")
    names = ("score", "macro_f1[y]", "mae[y]", "house points", "calls per step", "tokens of the warm-up", "recovery")
    first = arm("new", "aab").model_copy(update={"figures": dict.fromkeys(names, found)})
    floor = arm("rule", "aaa", "floor").model_copy(update={"figures": {"mae[y]": found}})
    table = further_table(ExamResult(task="t", arms=(first, floor, arm("old", "abb"))))
    assert table.columns == ("arm", "macro_f1[y] [95 %]", "mae[y] [95 %]", "house points [95 %]")
    shown = "0.5 [0.25, 0.75]"
    assert table.rows == (("new", shown, shown, shown), ("rule", "–", shown, "–"))
    assert "Lower is better: mae[y]." in table.note
    assert further_table(sample_exam(2, 3, 1)).rows == ()


def test_where_recovery_means_nothing_the_results_say_why() -> None:
    record = StepRecord(t=0, id="0", inputs={}, prediction={"y": 1.5}, target={"y": 2.5})
    run = ArmRun(result=Result(traces=(Trace(sequence="s", records=(record,)),)))
    exam = ExamResult(
        task="t", metric=MetricSpec.of("mae[y]"), arms=(Arm(label="a", runs=(run,), figures=_figures([run])),)
    )
    assert "Recovery from errors is not given: nothing hits a number exactly" in result_table(exam, rows_of(exam)).note


def test_an_interval_is_never_broken_between_its_ends() -> None:
    table = Table("t", ("arm", "x"), (("a b", "44.2 % [37.1, 50.4]"),), ("arm",))
    assert "<td>44.2\u00a0% [37.1,\u00a050.4]</td>" in to_html(table)


def test_recovery_is_given_for_every_arm_and_floor() -> None:
    exam = sample_exam(6, 10, 1)
    assert [row[0] for row in recovery_table(exam, rows_of(exam)).rows] == [a.label for a in exam.arms]
    assert len(memory_table(rows_of(exam)).rows) == 2


def test_tables_escape_in_every_dress() -> None:
    table = Table("t", ("arm", "n"), (("<b>&_%#${}|~^\\", "1"),), ("arm",), note="<i>")
    assert "<b>" not in to_html(table)
    assert "<i>" not in to_html(table)
    assert r"\<b\>&\_%#${}\|~^\\" in to_markdown(table)
    assert r"\textless{}b\textgreater{}\&\_\%\#\$\{\}|\textasciitilde{}\textasciicircum{}\textbackslash{}" in to_latex(
        table
    )


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "0"), (99.94, "99.9"), (1234567.0, "1,234,567"), (0.25, "0.2")]
)
def test_counts(value: float | None, text: str) -> None:
    assert numbers.count(value) == text


def test_a_model_that_never_answered_is_no_result() -> None:
    silent = StepRecord(t=0, id="s/0", inputs={}, failure=Failure(phase="predictor", error="refused\nat once"))
    gone = Arm(
        label="old", role="control", runs=(ArmRun(result=Result(traces=(Trace(sequence="s", records=(silent,)),))),)
    )
    exam = compared(0.2)
    exam = exam.model_copy(update={"arms": (exam.arms[0], gone)})
    rows = rows_of(exam)
    assert headline(exam, rows).startswith("The model never answered in old: no result for this arm.")
    said = "old, predictor: no usable answer once, first at s/0: refused at once"
    assert said in [statement.text for statement in statements(exam, rows)]
    assert not headline(compared(0.2), rows_of(compared(0.2))).startswith("The model")
