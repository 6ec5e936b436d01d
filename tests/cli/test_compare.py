"""``compare``, ``sweep`` and ``report`` as a user or a script calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rnnprog.cli.app import app
from rnnprog.errors import ConfigurationError
from rnnprog.exam_result import read_exam

SMALL = ["--option", "n_steps=10", "--option", "n_sequences=2"]


def call(*args: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(args), catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.stdout


def told(*args: str, code: int = 0) -> dict[str, Any]:
    """Parse the whole of the output: with --json nothing else may be in it."""
    found: dict[str, Any] = json.loads(call(*args, "--json", code=code))
    return found


def test_compare_writes_result_and_page_and_tells_the_verdict(tmp_path: Path) -> None:
    out = str(tmp_path / "exam")
    said = call("compare", "regimes", "--cells", "reflective,zero_shot", *SMALL, "--out", out, "--prompts")
    for words in ("3 arms, 60 steps to walk: about 100 calls", "reflective", "majority", "stand-in", "result.json"):
        assert words in said.replace("\n", " ")
    exam = read_exam(out)
    assert [(arm.label, arm.role) for arm in exam.arms][:3] == [
        ("reflective", "arm"),
        ("zero_shot", "arm"),
        ("empty_memory", "control"),
    ]
    assert (tmp_path / "exam" / "page.html").stat().st_size > 10_000
    assert exam.config["complete"] is True
    assert "already" in call("compare", "regimes", "--cells", "reflective,zero_shot", *SMALL, "--out", out)


def test_json_is_one_object_with_the_figures_and_no_walks(tmp_path: Path) -> None:
    found = told("compare", "regimes", "--cells", "full_history", *SMALL, "--out", str(tmp_path))
    assert found["complete"] is True
    assert {arm["label"] for arm in found["arms"]} >= {"full_history", "empty_memory", "majority"}
    assert "runs" not in found["arms"][0]
    assert found["arms"][0]["figures"]["score"]["n"] == 20
    assert found["comparisons"][0]["control"] == "empty_memory"


def test_a_file_says_the_same_as_flags_and_flags_go_before_it(tmp_path: Path) -> None:
    file = tmp_path / "exam.toml"
    file.write_text(
        """
        task = "regimes"
        cells = ["reflective", "full_history"]
        lm = "embedded"
        budget = 200
        delay = 1
        warm_start = 0.5
        concurrency = 2
        [options]
        n_steps = 10
        n_sequences = 2
        [cell_options.full_history]
        context_budget = 900
        """
    )
    flags = ["--cells", "reflective,full_history", "--budget", "200", "--delay", "1", "--warm-start", "0.5", *SMALL]
    flags += ["--cell-option", "full_history.context_budget=900", "--concurrency", "2"]
    mine = told("compare", "regimes", *flags, "--out", str(tmp_path / "flags"))
    theirs = told("compare", "--config", str(file), "--out", str(tmp_path / "file"))
    assert mine["config"] == theirs["config"]
    assert [arm["figures"]["score"] for arm in mine["arms"]] == [arm["figures"]["score"] for arm in theirs["arms"]]
    changed = told("compare", "--config", str(file), "--budget", "300", "--out", str(tmp_path / "other"))
    assert changed["config"]["budget"] == 300


def test_a_file_may_name_arms_of_one_cell(tmp_path: Path) -> None:
    file = tmp_path / "exam.toml"
    file.write_text(
        'task = "regimes"\n[options]\nn_steps = 8\n[[arms]]\ncell = "reflective"\nlabel = "small"\n'
        "settings = {budget = 100}\n[[arms]]\ncell = 'reflective'\nlabel = 'large'\n"
    )
    found = told("compare", "--config", str(file), "--out", str(tmp_path / "out"))
    assert [arm["label"] for arm in found["arms"]][:3] == ["small", "large", "empty_memory"]


def test_a_cap_ends_it_with_a_code_of_its_own_and_what_was_done(tmp_path: Path) -> None:
    args = ["compare", "regimes", "--cells", "reflective", *SMALL, "--out", str(tmp_path)]
    found = told(*args, "--max-calls", "35", code=4)
    assert found["complete"] is False
    assert "cap of 35" in found["note"]
    assert told(*args)["complete"] is True


def test_the_estimate_stops_before_the_first_walk(tmp_path: Path) -> None:
    found = told("compare", "regimes", "--cells", "reflective", *SMALL, "--out", str(tmp_path / "no"), "--estimate")
    assert (found["calls"], found["steps"], found["usd"]) == (80, 40, None)
    assert not (tmp_path / "no").exists()


def test_an_estimate_beyond_a_cap_is_said_before_anything_is_paid(tmp_path: Path) -> None:
    ask = ["compare", "regimes", "--cells", "reflective", *SMALL, "--out", str(tmp_path / "no"), "--estimate"]
    assert told(*ask, "--max-calls", "80", "--max-tokens", "10")["over"] == ["max_tokens"]
    assert "more than --max-calls 79 allows" in call(*ask, "--max-calls", "79").replace("\n", " ")
    assert "allows" not in call(*ask, "--max-calls", "80")


def test_a_sweep_is_an_exam_with_an_arm_for_each_budget(tmp_path: Path) -> None:
    found = told("sweep", "regimes", "--memory-budget", "64,256", *SMALL, "--out", str(tmp_path))
    assert [arm["label"] for arm in found["arms"]][:3] == ["reflective 64", "reflective 256", "empty_memory"]
    programs = [arm.runs[0].result.program for arm in read_exam(tmp_path).arms[:2]]
    assert [dict(p["settings"])["budget"] for p in programs] == [64, 256]  # type: ignore[arg-type]


def test_a_sweep_has_the_metric_and_the_cell_options_of_compare(tmp_path: Path) -> None:
    own = ["--metric", "macro_f1", "--cells", "memprompt", "--cell-option", "memprompt.k=1"]
    found = told("sweep", "regimes", "--memory-budget", "64", *own, *SMALL, "--out", str(tmp_path))
    assert found["metric"]["name"] == "macro_f1[turn]"
    assert dict(read_exam(tmp_path).arms[0].runs[0].result.program["settings"])["k"] == 1  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"reflective\.budget=.* takes budgets from --memory-budget"):
        call("sweep", "regimes", "--cell-option", "reflective.budget=9")


def test_a_sweep_reads_a_table_by_the_flags_of_run(tmp_path: Path) -> None:
    (tmp_path / "sky.csv").write_text("day,sky\n" + "".join(f"{d},{'sun' if d % 3 else 'rain'}\n" for d in range(9)))
    own = ["--signature", "sky -> tomorrow: Literal['sun', 'rain']", "--target", "next:sky", "--order-by", "day"]
    found = told("sweep", str(tmp_path / "sky.csv"), *own, "--memory-budget", "128", "--out", str(tmp_path / "out"))
    assert found["arms"][0]["figures"]["score"]["n"] == 8


def test_a_file_of_settings_names_columns_as_the_flags_do(tmp_path: Path) -> None:
    table, file = tmp_path / "sky.csv", tmp_path / "exam.toml"
    table.write_text("day,sky\n" + "".join(f"{d},{'sun' if d % 3 else 'rain'}\n" for d in range(9)))
    file.write_text(
        f"""
        task = '{table}'
        signature = "sky -> tomorrow: Literal['sun', 'rain']"
        target = "next:sky"
        order_by = "day"
        cells = ["zero_shot"]
        """
    )
    found = told("compare", "--config", str(file), "--out", str(tmp_path / "out"))
    assert found["arms"][0]["figures"]["score"]["n"] == 8


def test_own_data_by_flags(tmp_path: Path) -> None:
    (tmp_path / "sky.csv").write_text("day,sky\n" + "".join(f"{d},{'sun' if d % 3 else 'rain'}\n" for d in range(12)))
    signature = "sky -> tomorrow: Literal['sun', 'rain']"
    args = ["--signature", signature, "--target", "next:sky", "--order-by", "day", "--cells", "label_history"]
    found = told("compare", str(tmp_path / "sky.csv"), *args, "--out", str(tmp_path / "out"))
    assert found["arms"][0]["figures"]["score"]["n"] == 11
    with pytest.raises(ConfigurationError, match="say what to predict"):
        call("compare", str(tmp_path / "sky.csv"), "--cells", "zero_shot", "--out", str(tmp_path / "x"))


def test_report_writes_page_figures_and_tables(tmp_path: Path) -> None:
    call("compare", "regimes", "--cells", "reflective", *SMALL, "--out", str(tmp_path / "exam"))
    page, figures = tmp_path / "new" / "page.html", tmp_path / "figures"
    said = call("report", str(tmp_path / "exam"), "--out", str(page), "--tables", "md", "--figures", str(figures))
    assert said.startswith("| arm |")
    assert page.is_file()
    assert {path.name for path in figures.iterdir()} >= {"learning.svg", "learning.png", "cost.svg"}
    assert r"\begin{tabular}" in call("report", str(tmp_path / "exam" / "result.json"), "--tables", "latex")
    call("run", "regimes", "--option", "n_steps=8", "--out", str(tmp_path / "walk"))
    assert "page.html" in call("report", str(tmp_path / "walk" / "trace.jsonl"))


def test_run_keeps_prompts_beside_the_trace(tmp_path: Path) -> None:
    call("run", "regimes", "--option", "n_steps=8", "--out", str(tmp_path), "--prompts")
    lines = [json.loads(line) for line in (tmp_path / "prompts.jsonl").read_text().splitlines()]
    assert len(lines) == 24
    assert {line["id"] for line in lines} == {f"regimes-0:{t}" for t in range(8)}
    page = (tmp_path / "page.html").stat().st_size
    call("run", "regimes", "--option", "n_steps=8", "--out", str(tmp_path / "bare"))
    assert page > (tmp_path / "bare" / "page.html").stat().st_size


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["compare", "--cells", "zero_shot"], "name a task"),
        (["compare", "weahter", "--cells", "zero_shot"], "did you mean 'weather'"),
        (["compare", "regimes", "--cells", "zero_shot", "--cell-option", "k=3"], "say of which cell"),
        (["compare", "regimes", "--config", "nowhere.toml"], "no configuration file"),
        (["sweep", "regimes", "--memory-budget", "128,many"], "is not a list"),
        (["sweep", "regimes", "--memory-budget", "5"], "too small"),
        (["compare", "regimes", "--cells", "zero_shot", "--lm-option", "temperature=hot"], "give a number"),
        (["sweep", "regimes", "--memory-budget", "64,128,64"], "64 stands there twice"),
        (["sweep", "regimes", "--memory-budget", ","], "at least one budget"),
        (["report", "nowhere"], "no result at"),
        (["show", "nowhere"], "no trace file at 'nowhere'; give the trace.jsonl"),
        (["run", "regimes", "--cell", "nope"], r"no cell is called 'nope'\. There are ace_full"),
    ],
)
def test_what_cannot_work_says_why(args: list[str], said: str) -> None:
    with pytest.raises(Exception, match=said):
        CliRunner().invoke(app, args, catch_exceptions=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cels = ['zero_shot']", r"no setting is called 'cels' \(did you mean 'cells'\?\); there are .*warm_start"),
        ("[[arms]]\ncell = 'zero_shot'\nbudget = 3", "no setting is called 'budget'; there are label, cell, settings"),
        (
            "[judge]\nkindd = 'match'\nlm = 'embedded'",
            r"no setting 'kindd' \(did you mean 'kind'\?\); it has kind, lm,",
        ),
        ("[judge]\nlm = 'embedded'", "which kind is missing"),
        ("cells = 'reflective'", "cells = 'reflective' cannot be used: give a list of names"),
        ("cells = [3]", "give a list of names"),
        ("cells = 3", "give a list of names"),
        ("arms = 3", r"give tables such as \[\[arms\]\]"),
        ("cells = ['memprompt']\ncell_options = 3", "give a table for each cell"),
    ],
)
def test_a_name_that_a_file_may_not_have_is_told_with_those_it_may(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "exam.toml").write_text(f"task = 'regimes'\n{text}\n")
    with pytest.raises(ConfigurationError, match=said):
        call("compare", "--config", str(tmp_path / "exam.toml"))
    with pytest.raises(ConfigurationError, match=r"no configuration file at .*; there are .*exam\.toml; write one"):
        call("compare", "--config", str(tmp_path / "exma.toml"))


def test_a_folder_of_another_exam_is_refused_before_anything_else_is_told(tmp_path: Path) -> None:
    args = ["compare", "regimes", "--cells", "zero_shot", *SMALL, "--out", str(tmp_path)]
    call(*args)
    for more in ([], ["--estimate"]):
        done = CliRunner().invoke(app, [*args, "--budget", "99", *more])
        assert isinstance(done.exception, ConfigurationError)
        assert "budget was 512, is 99" in str(done.exception)
        assert done.output == ""


def test_own_data_has_the_options_of_run_and_advises_flags(tmp_path: Path) -> None:
    table = tmp_path / "sky.csv"
    table.write_text("day,mm,sky\n" + "".join(f"{d},{'nan' if d == 3 else d},sun\n" for d in range(9)))
    own = ["--target", "next:sky", "--cells", "zero_shot"]
    ask = [
        "compare",
        str(table),
        *own,
        "--out",
        str(tmp_path / "ask"),
        "--signature",
        "mm: float -> tomorrow: Literal['sun', 'rain']",
    ]
    with pytest.raises(Exception, match=r"'nan' is NaN, not a number.*add --option missing=skip"):
        call(*ask)
    assert told(*ask, "--option", "missing=skip")["complete"] is True
    with pytest.raises(ConfigurationError, match=r"no option 'mising' \(did you mean 'missing'\?\)"):
        call(*ask, "--option", "mising=skip")
    other = [
        "compare",
        str(table),
        *own,
        "--out",
        str(tmp_path / "other"),
        "--signature",
        "rain: float -> tomorrow: Literal['sun', 'rain']",
    ]
    with pytest.raises(Exception, match=r"--option 'columns=\{\"rain\": \"its column\"\}'"):
        call(*other)
    assert told(*other, "--option", 'columns={"rain": "day"}')["complete"] is True


def test_any_river_estimator_takes_part_by_name(tmp_path: Path) -> None:
    pytest.importorskip("river")
    cells = "river:linear_model.LogisticRegression,river:preprocessing.OneHotEncoder | naive_bayes.BernoulliNB"
    found = told("compare", "regimes", "--cells", cells, *SMALL, "--out", str(tmp_path / "flags"))
    arms = {arm["label"]: arm for arm in found["arms"]}
    for name in cells.split(","):
        assert (arms[name]["role"], arms[name]["figures"]["score"]["n"]) == ("arm", 20)
        assert arms[name]["figures"]["calls per step"]["value"] == 0
    assert arms["river"]["role"] == "floor"
    file = tmp_path / "exam.toml"
    file.write_text(
        """
        task = "sp500"
        limit = 12
        control = "trees"
        floors = ["running_mean", "river:linear_model.PARegressor"]
        [[arms]]
        label = "trees"
        cell = "river"
        settings = {model = ["preprocessing.StandardScaler", {"tree.HoeffdingTreeRegressor" = {grace_period = 5}}]}
        """
    )
    found = told("compare", "--config", str(file), "--out", str(tmp_path / "file"))
    assert [arm["label"] for arm in found["arms"]] == ["trees", "running_mean", "river:linear_model.PARegressor"]
    with pytest.raises(ConfigurationError, match=r"did you mean linear_model\.LogisticRegression"):
        call("compare", "regimes", "--cells", "river:linear_model.LogisticRegresion", *SMALL, "--out", str(tmp_path))


def test_a_preset_is_where_an_exam_starts_and_everything_else_goes_before_it(tmp_path: Path) -> None:
    found = told("compare", "regimes", "--preset", "llm-as-rnn", *SMALL, "--out", str(tmp_path / "a"), "--estimate")
    assert [arm["label"] for arm in found["arms"]] == [
        *("reflective", "zero_shot", "full_history", "running_summaries", "empty_memory")
    ]
    file = tmp_path / "exam.toml"
    file.write_text('preset = "llm-as-rnn"\ntask = "regimes"\nseeds = 2\ncells = ["reflective"]\ncell_options = {}')
    done = told("compare", "--config", str(file), "--budget", "100", *SMALL, "--out", str(tmp_path / "b"))
    assert (done["config"]["seeds"], done["config"]["budget"]) == (2, 100)
    assert done["config"]["model_options"] == {"temperature": 0.7, "max_tokens": 2048}
    with pytest.raises(ConfigurationError, match="there are: llm-as-rnn"):
        call("compare", "regimes", "--preset", "other", *SMALL)
