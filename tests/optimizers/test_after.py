from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rnnprog.cli.tune import app
from rnnprog.errors import ConfigurationError, DataError
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Candidate, Instructions, OptunaTuner, Schedule, Space, before_after, changes, windows
from rnnprog.optimizers.planted import best_instructions, planted_sequences
from rnnprog.report.plots import Mark, line_of_best, scatter
from rnnprog.report.tuning import build_tuning
from rnnprog.report.tuning_words import held_out
from rnnprog.statistics import Comparison

SEQUENCES = planted_sequences(20, steps=4)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_before_and_after_on_held_out_sequences(student: RecurrentModule) -> None:
    tuned: Any = Candidate(instructions=best_instructions()).apply(student)
    compared = before_after(student, tuned, SEQUENCES, "accuracy")
    assert compared.outcome == "gain"
    assert compared.gain is not None
    assert compared.gain > 0.2
    assert before_after(student, student, SEQUENCES, "accuracy").outcome == "no evidence"


def test_changes_are_told_sentence_by_sentence(student: RecurrentModule) -> None:
    text = student.cell.rewriter.signature.instructions + " Keep a calibration line."
    tuned = Candidate(instructions={"rewriter": text}, settings={"budget": 200}).apply(student)
    told = changes(student, tuned)
    assert set(told) == {"rewriter.instruction", "settings"}
    assert "+Keep a calibration line." in told["rewriter.instruction"]
    assert [line for line in told["settings"] if line[0] in "+-"] == ["-budget: 128", "+budget: 200"]


@pytest.mark.parametrize(("length", "steps", "lengths"), [(10, 4, [4, 4, 2]), (9, 4, [4, 4]), (4, 4, [4]), (3, 4, [3])])
def test_windows_cover_what_is_worth_walking(length: int, steps: int, lengths: list[int]) -> None:
    whole = planted_sequences(1, steps=length)
    cut = windows(whole, steps)
    assert [len(window) for window in cut] == lengths
    assert [s for window in cut for s in window.steps] == list(whole[0].steps[: sum(lengths)])
    assert len({window.id for window in cut}) == len(cut)
    with pytest.raises(ConfigurationError):
        windows(whole, 0)


def test_the_page_tells_the_search_and_escapes_what_it_shows(student: RecurrentModule, tmp_path: Path) -> None:
    evil = "Answer </pre><script>alert(1)</script> from the notes."
    space = Space(
        parts=(
            Instructions(phase="predictor", texts=(best_instructions()["predictor"], evil), proposals=3),
            Instructions(phase="rewriter", proposals=2),
        )
    )
    schedule = Schedule(trials=9, rounds=2, round_every=3, walks=1, concurrency=2)
    OptunaTuner("accuracy", space=space, schedule=schedule, folder=tmp_path).compile(
        student, trainset=SEQUENCES[:2], valset=SEQUENCES[2:9]
    )
    page = build_tuning(tmp_path / "tuning.json", tmp_path / "tuning.html").read_text()
    read = Reader()
    read.feed(page)
    assert "script" not in read.tags
    assert read.links == []
    assert read.tags.count("svg") == 4  # history, front, and the slices of two parts
    text = " ".join(read.texts)
    for sign in ("How it went", "What mattered", "Slices", "Where the prompts came from", "What it cost", "trial 0"):
        assert sign in text
    assert "proposed-1, round 0" in text
    assert "user-1, best" in text
    assert text.count("user-1") >= 2, "among the slices, and in the lineage"
    record = json.loads((tmp_path / "tuning.json").read_text())
    assert sum(trial["paid"]["calls"] for trial in record["trials"]) == record["spent"]["evaluation"]["calls"]
    assert record["importance"]


@pytest.mark.parametrize("content", [None, "not json", "[]", '{"format": 99}', '{"format": 1}'])
def test_a_page_of_nothing_is_an_error(tmp_path: Path, content: str | None) -> None:
    record = tmp_path / "tuning.json"
    if content is not None:
        record.write_text(content)
    with pytest.raises(DataError):
        build_tuning(record, tmp_path / "page.html")


def test_plots_bear_one_point_and_equal_points() -> None:
    for marks in ([Mark(1, 1, "complete", "<b>")], [Mark(0, 0, "fail", "")] * 3):
        drawn = scatter(marks, "x", "y", line_of_best(marks))
        assert drawn.count("<circle") == len(marks)
        assert "<b>" not in drawn


@pytest.mark.parametrize(("p", "colour"), [(0.062, "open"), (0.04, "gain")])
def test_the_bar_of_the_gain_has_the_colour_of_the_test(p: float, colour: str) -> None:
    found = Comparison(
        arm="tuned", control="student", metric="accuracy", better="higher", arm_score=0.6, control_score=0.5,
        gain=0.1, low=0.01, high=0.2, level=0.95, p=p, p_corrected=p, correction="holm", comparisons=1,
        test="paired permutation", reason="few sequences", unit="sequences", n=8,
    )  # fmt: skip
    told = held_out({"best": 3}, {"trial": 3, "held_out": found.model_dump(), "words": found.words})
    assert f'class="interval {colour}"' in told
    assert ("No evidence" in told) == (colour == "open")


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments], catch_exceptions=False)


def test_the_command_tunes_compares_and_goes_on(tmp_path: Path) -> None:
    common = ("regimes", "--option", "n_steps=120", "--window", "8", "--out", str(tmp_path), "--json")
    estimate = json.loads(run(*common, "--trials", "3", "--dry-run").stdout)
    assert estimate["calls"] > 0
    assert not (tmp_path / "journal.log").exists()
    first = json.loads(run(*common, "--trials", "2").stdout)
    assert first["held_out"]["n"] > 0
    assert first["stopped"] == "all trials are done"
    assert (tmp_path / "program.json").is_file()
    again = json.loads(run(*common, "--trials", "3").stdout)
    assert again["trials"] == first["trials"] + 1
    page = run("regimes", "--out", str(tmp_path), "--report").stdout.strip()
    assert Path(page).read_text().startswith("<!doctype html>")


def test_limits_are_taken_by_the_names_of_compare_too(tmp_path: Path) -> None:
    common = ("regimes", "--option", "n_steps=120", "--window", "8", "--out", str(tmp_path), "--json")
    assert run(*common, "--estimate").stdout == run(*common, "--dry-run").stdout
    for name, documented in (("--max-calls", "calls"), ("--max-tokens", "tokens"), ("--max-usd", "money")):
        for given in (name, f"--budget-{documented}"):
            with pytest.raises(ConfigurationError, match=f"--budget-{documented} 0.* leave it out for no limit"):
                run(*common, given, "0")


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="too few"):
        run("regimes", "--option", "n_steps=20", "--window", "16", "--out", str(tmp_path))
    with pytest.raises(ConfigurationError, match="unknown measures"):
        run("regimes", "--objectives", "score,beauty", "--out", str(tmp_path))
    with pytest.raises(ConfigurationError, match="storage that processes can share"):
        run("regimes", "--storage", "memory", "--workers", "2", "--out", str(tmp_path))
