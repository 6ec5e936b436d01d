"""A finished exam scored by a judge: the walks as they were, other scores, refusals and cost told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rnnprog
from rnnprog.cli.app import app
from rnnprog.evaluate import ExamConfig, examine, judge_exam
from rnnprog.exam_result import ExamResult, read_exam, write_exam
from rnnprog.lm.prompts import Prompt
from rnnprog.report.build import build

SMALL = ["--option", "n_steps=10", "--option", "n_sequences=2"]


@pytest.fixture(scope="module")
def exam() -> ExamResult:
    options = {"n_steps": 8, "n_sequences": 7}
    config = ExamConfig.of(task="regimes", options=options, cells=["zero_shot"], seeds=2, floors=("majority",))
    return examine(config, rnnprog.embedded_lm())


def letters(prompt: Prompt) -> str:
    return "VERDICT: match" if prompt.inputs["answer"] == prompt.inputs["truth"] else "VERDICT: no match"


def test_a_judge_who_compares_letters_gives_the_scores_of_accuracy(exam: ExamResult) -> None:
    assert exam.metric.name.startswith("accuracy")
    judged = judge_exam(exam, rnnprog.scripted_lm(letters))
    assert judged.metric.name == "judge_match"
    assert judged.metric.binary
    for before, after in zip(exam.arms, judged.arms, strict=True):
        assert [run.result for run in after.runs] == [run.result for run in before.runs]
        assert after.figures["score"].value == pytest.approx(before.figures["score"].value)
        assert after.figures[exam.metric.name].value == pytest.approx(before.figures["score"].value)
        assert "recovery" not in after.figures
    assert [c.gain for c in judged.comparisons] == pytest.approx([c.gain for c in exam.comparisons])


def test_refusals_and_cost_are_told_and_are_no_part_of_the_walks_cost(exam: ExamResult) -> None:
    def unsure(prompt: Prompt) -> str:
        return "I say 2/9." if "straight" in prompt.inputs["truth"] else letters(prompt)

    judged = judge_exam(exam, rnnprog.scripted_lm(unsure))
    told = judged.config["judge"]
    assert isinstance(told, dict)
    refusals, steps = told["refusals"], told["steps"]
    assert isinstance(refusals, dict)
    assert isinstance(steps, dict)
    assert set(refusals) == {arm.label for arm in exam.arms}
    none = sum(s is None for arm in judged.arms for run in arm.runs for scores in run.scores.values() for s in scores)
    assert sum(refusals.values()) == steps["unreadable"] == none > 0  # type: ignore[arg-type]
    assert "gave no verdict on" in judged.note
    assert told["cost"]["calls"] > 0  # type: ignore[index, call-overload, operator]
    for before, after in zip(exam.arms, judged.arms, strict=True):
        assert after.figures["calls per step"] == before.figures["calls per step"]


def test_it_is_written_read_and_drawn(exam: ExamResult, tmp_path: Path) -> None:
    judged = judge_exam(exam, rnnprog.scripted_lm(letters), store=tmp_path / "judgements.jsonl")
    path = write_exam(judged, tmp_path)
    assert read_exam(path) == judged
    assert "judge_match" in build(path, tmp_path / "page.html").read_text()
    again = judge_exam(exam, rnnprog.scripted_lm([]), store=tmp_path / "judgements.jsonl")
    assert [arm.runs for arm in again.arms] == [arm.runs for arm in judged.arms]


def test_compare_with_a_judge(tmp_path: Path) -> None:
    args = ["compare", "regimes", "--cells", "zero_shot", *SMALL, "--out", str(tmp_path), "--json"]
    judge = ["--judge", "match", "--judge-lm", "embedded"]
    plain = CliRunner().invoke(app, args, catch_exceptions=False)
    done = CliRunner().invoke(app, [*args, *judge], catch_exceptions=False)
    assert (plain.exit_code, done.exit_code) == (0, 0)
    told = json.loads(done.stdout)
    assert json.loads(plain.stdout)["metric"]["name"] != told["metric"]["name"] == "judge_match"
    assert "only compares letters" in told["note"]
    first = (tmp_path / "judgements.jsonl").read_bytes()
    again = json.loads(CliRunner().invoke(app, [*args, *judge], catch_exceptions=False).stdout)
    assert again["config"]["judge"]["cost"]["calls"] == 0
    assert (tmp_path / "judgements.jsonl").read_bytes() == first


@pytest.mark.parametrize(
    "args",
    [
        ["--judge", "match"],
        ["--judge", "taste", "--judge-lm", "embedded"],
        ["--judge-lm", "embedded"],
        ["--judge", "alignment", "--judge-lm", "embedded", "--judge-top-k", "5"],
    ],
)
def test_flags_that_do_not_go_together_are_refused_before_anything_is_walked(args: list[str], tmp_path: Path) -> None:
    with pytest.raises(rnnprog.ConfigurationError, match="--judge"):
        CliRunner().invoke(
            app, ["compare", "regimes", *SMALL, "--out", str(tmp_path / "x"), *args], catch_exceptions=False
        )
    assert not (tmp_path / "x").exists()
