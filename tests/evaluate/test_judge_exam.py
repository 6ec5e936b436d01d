"""A finished exam scored by a judge: the walks as they were, other scores, refusals and cost told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import rnnprog
from rnnprog.cli.app import app
from rnnprog.evaluate import ExamConfig, Gate, Running, examine, judge_exam
from rnnprog.exam_result import ExamResult, read_exam, write_exam
from rnnprog.lm.prompts import Prompt
from rnnprog.metrics import get_metric
from rnnprog.report.build import build
from rnnprog.tasks import load_task

SMALL = ["--option", "n_steps=10", "--option", "n_sequences=2"]


@pytest.fixture(scope="module")
def exam() -> ExamResult:
    options = {"n_steps": 8, "n_sequences": 7}
    config = ExamConfig.of(task="regimes", options=options, cells=["zero_shot"], seeds=2, floors=("majority",))
    return examine(config, rnnprog.embedded_lm())


def about(judged: ExamResult) -> Any:
    """What a result says of its judge."""
    return judged.config["judge"]


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


def test_a_metric_of_the_task_that_decided_before_is_not_lost() -> None:
    own = replace(get_metric("accuracy"), name="icd_acc@1")
    data = load_task("regimes", n_steps=8, n_sequences=7).with_metrics(own, "macro_f1[turn]")
    config = ExamConfig.of(task="regimes", cells=["zero_shot"], floors=("majority",))
    exam = examine(config, rnnprog.embedded_lm(), data=data)
    judged = judge_exam(exam, rnnprog.scripted_lm(lambda prompt: "VERDICT: no match"))
    for before, after in zip(exam.arms, judged.arms, strict=True):
        assert after.figures["score"].value == 0.0
        assert after.figures["icd_acc@1"] == before.figures["score"]
        assert after.figures["macro_f1[turn]"] == before.figures["macro_f1[turn]"]


def test_refusals_and_cost_are_told_and_are_no_part_of_the_walks_cost(exam: ExamResult) -> None:
    def unsure(prompt: Prompt) -> str:
        return "I say 2/9." if "straight" in prompt.inputs["truth"] else letters(prompt)

    judged = judge_exam(exam, rnnprog.scripted_lm(unsure))
    told = about(judged)
    refusals, steps = told["refusals"], told["steps"]
    assert set(refusals) == {arm.label for arm in exam.arms}
    none = sum(s is None for arm in judged.arms for run in arm.runs for scores in run.scores.values() for s in scores)
    assert sum(refusals.values()) == steps["unreadable"] == none > 0
    assert "gave no verdict on" in judged.note
    assert told["cost"]["calls"] > 0
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
    assert again["config"]["judge"]["paid this time"]["calls"] == 0
    assert again["config"]["judge"]["cost"] == told["config"]["judge"]["cost"]
    assert (tmp_path / "judgements.jsonl").read_bytes() == first


@pytest.mark.parametrize(
    "args",
    [
        ["--judge", "match"],
        ["--judge", "taste", "--judge-lm", "embedded"],
        ["--judge-lm", "embedded"],
        ["--judge", "alignment", "--judge-lm", "embedded", "--judge-top-k", "5"],
        ["--judge", "match", "--judge-lm", "embedded", "--judge-truth", "first"],
        ["--judge", "match", "--judge-lm", "embedded", "--judge-truth", "second"],
        ["--judge", "match", "--judge-lm", "embedded", "--judge-field", "no-such-output"],
        ["--judge", "match", "--judge-lm", "embedded", "--max-usd", "1", "--price", "embedde=1,1"],
    ],
)
def test_flags_that_do_not_go_together_are_refused_before_anything_is_walked(args: list[str], tmp_path: Path) -> None:
    with pytest.raises(rnnprog.ConfigurationError, match=r"judge|--price"):
        CliRunner().invoke(
            app, ["compare", "regimes", *SMALL, "--out", str(tmp_path / "x"), *args], catch_exceptions=False
        )
    assert not (tmp_path / "x").exists()


# what it costs


def test_one_cap_is_on_walks_and_judge_together_and_a_higher_one_goes_on(exam: ExamResult, tmp_path: Path) -> None:
    store, calls = tmp_path / "judgements.jsonl", []

    def judge(prompt: Prompt) -> str:
        calls.append(prompt.inputs["answer"])
        return letters(prompt)

    whole = about(judge_exam(exam, rnnprog.scripted_lm(letters)))["cost"]["calls"]
    gate = Gate(Running(max_calls=7, concurrency=2))
    gate.calls = 4  # paid for by the walks before
    capped = judge_exam(exam, rnnprog.scripted_lm(judge), store=store, running=gate.running, gate=gate)
    assert len(calls) == 3 < whole
    assert capped.metric == exam.metric
    assert [arm.figures for arm in capped.arms] == [arm.figures for arm in exam.arms]
    assert "NOT JUDGED: the cap of 7 model calls is reached" in capped.note
    assert (capped.config["complete"], len(store.read_text().splitlines())) == (False, 3)
    done = judge_exam(exam, rnnprog.scripted_lm(judge), store=store)
    assert len(calls) == whole
    assert done.metric.name == "judge_match"
    told = about(done)
    assert (told["cost"]["calls"], told["paid this time"]["calls"]) == (whole, whole - 3)


def test_money_of_the_judge_is_by_stated_prices_and_kept_with_the_judgements(exam: ExamResult, tmp_path: Path) -> None:
    lm, store = rnnprog.scripted_lm(letters, model="test/judge"), tmp_path / "judgements.jsonl"
    with pytest.raises(rnnprog.ConfigurationError, match="'test/judge' costs; state its price"):
        judge_exam(exam, lm, running=Running(max_usd=1.0))
    running = Running.of(max_usd=1.0, prices={"test/judge": [3, 15]})
    told = about(judge_exam(exam, lm, store=store, running=running))
    cost = told["cost"]
    assert cost["usd"] == pytest.approx((3 * cost["prompt_tokens"] + 15 * cost["completion_tokens"]) / 1e6)
    again = judge_exam(exam, lm, store=store, running=running)
    assert about(again)["cost"]["usd"] == pytest.approx(cost["usd"])
    assert about(again)["paid this time"]["usd"] is None
    assert f"{cost['usd']:.4g} USD stand apart" in again.note


@pytest.mark.parametrize("flags", [["--max-calls", "25"], ["--max-usd", "0.02", "--price", "embedded=1,1"]])
def test_the_command_stops_at_the_cap_inside_the_judging_and_goes_on(flags: list[str], tmp_path: Path) -> None:
    args = ["compare", "regimes", "--cells", "zero_shot", *SMALL, "--out", str(tmp_path), "--json"]
    walked = CliRunner().invoke(app, args, catch_exceptions=False)
    args += ["--judge", "match", "--judge-lm", "embedded"]
    assert walked.exit_code == 0
    capped = CliRunner().invoke(app, [*args, "--max-calls", "1"], catch_exceptions=False)
    assert capped.exit_code == 4
    assert "NOT JUDGED" in json.loads(capped.stdout)["note"]
    made = len((tmp_path / "judgements.jsonl").read_text().splitlines())
    assert made == 1
    done = json.loads(CliRunner().invoke(app, [*args, *flags], catch_exceptions=False).stdout)
    cost, now = done["config"]["judge"]["cost"], done["config"]["judge"]["paid this time"]
    assert (done["complete"], cost["calls"] - now["calls"]) == (True, made)


def test_a_file_names_the_judge_and_flags_go_before_it(tmp_path: Path) -> None:
    file = tmp_path / "exam.toml"
    file.write_text(
        """
        task = "regimes"
        cells = ["zero_shot"]
        options = {n_steps = 10, n_sequences = 2}
        max_usd = 5
        [judge]
        kind = "match"
        lm = "embedded"
        lm_options = {temperature = 0}
        field = "next_symbol"
        top_k = 2
        [prices]
        embedded = [1, 2]
        "openai/some-other" = [0.15, 0.60]
        """
    )
    run = ["compare", "--config", str(file), "--out", str(tmp_path / "out"), "--json"]
    field = load_task("regimes").task.outputs[0]
    file.write_text(file.read_text().replace("next_symbol", field))
    told = json.loads(CliRunner().invoke(app, [*run, "--estimate"], catch_exceptions=False).stdout)
    assert told["judge"]["calls"] > 0
    assert told["with judge"]["calls"] == told["calls"] + told["judge"]["calls"]
    assert told["with judge"]["usd"] == pytest.approx(told["usd"] + told["judge"]["usd"])
    assert told["judge"]["usd"] > 0
    done = json.loads(CliRunner().invoke(app, run, catch_exceptions=False).stdout)
    assert done["metric"]["name"] == f"judge_match@2[{field}]"
    cost = done["config"]["judge"]["cost"]
    assert 0 < cost["calls"] <= told["judge"]["calls"]
    assert cost["usd"] > 0
    changed = CliRunner().invoke(app, [*run, "--judge-top-k", "1"], catch_exceptions=False)
    assert json.loads(changed.stdout)["metric"]["name"] == f"judge_match@1[{field}]"
    file.write_text('task = "regimes"\njudge = "match"')
    with pytest.raises(rnnprog.ConfigurationError, match=r"table \[judge\]"):
        CliRunner().invoke(app, run, catch_exceptions=False)


def test_killed_while_judging_nothing_is_paid_for_twice(tmp_path: Path) -> None:
    code = """
import os, sys
from rnnprog.cli import judging, models
from rnnprog.lm.scripted import scripted_lm
from tests.evaluate.test_judge_exam import letters
left = [int(sys.argv[1])]
def judge(prompt):
    left[0] -= 1
    if left[0] < 0:
        os._exit(9)
    return letters(prompt)
judging.model = lambda name, settings: scripted_lm(judge, model="test/judge")
sys.argv = ["rnnprog", *sys.argv[2:]]
from rnnprog.cli.app import app
app()
"""
    args = [
        "compare",
        "regimes",
        "--cells",
        "zero_shot",
        *SMALL,
        "--out",
        str(tmp_path),
        "--json",
        "--concurrency",
        "1",
    ]
    args += ["--judge", "match", "--judge-lm", "test/judge"]
    env = {**os.environ, "PYTHONPATH": os.getcwd()}

    def run(calls: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, str(calls), *args]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)

    killed = run(2)
    assert killed.returncode == 9, killed.stderr
    assert len((tmp_path / "judgements.jsonl").read_text().splitlines()) == 2
    done = run(1000)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["config"]["judge"]
    assert told["cost"]["calls"] - told["paid this time"]["calls"] == 2
    assert told["cost"]["calls"] == len((tmp_path / "judgements.jsonl").read_text().splitlines())
