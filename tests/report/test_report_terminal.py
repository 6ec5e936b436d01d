"""What the terminal shows, and figures on disk."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from rnnprog.metrics import summary
from rnnprog.report.figures import save_figures
from rnnprog.report.sample import sample_exam
from rnnprog.report.terminal import diff_text, memory_panels, result_table, step_panel, walk_table
from rnnprog.trace import Result, Trace, Usage


def shown(renderable: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_walk_step_by_step(small_trace: Trace) -> None:
    lines = [line.split() for line in shown(walk_table(small_trace)).splitlines()[2:]]
    assert lines[0] == ["0", "right", "sun", "sun", "20", "tokens"]
    assert lines[1] == ["1", "wrong", "sun", "rain", "30", "tokens", "1", "dropped"]
    assert lines[2][:4] == ["2", "failed", "no", "answer"]
    assert lines[3][-2:] == ["late", "feedback"]
    assert len(shown(walk_table(small_trace, first=1, last=2)).splitlines()) == 4


def test_step_shows_evidence_verdict_and_diff(small_trace: Trace) -> None:
    text = shown(step_panel(small_trace, 1))
    assert "+ b" in text
    assert "  a" in text
    assert "dropped for the budget: rules: z" in text
    assert "unchanged" in shown(step_panel(small_trace, 2))
    assert "about p1, which came late" in shown(step_panel(small_trace, 3))
    with pytest.raises(KeyError, match="has no step 9; it has 4"):
        step_panel(small_trace, 9)


def test_memory_before_and_after(small_trace: Trace) -> None:
    text = shown(memory_panels(small_trace))
    assert "+ b" in text
    assert "+ c" in text
    assert "memory before" in text
    assert f"memory of {small_trace.sequence} after" in shown(memory_panels(small_trace, named=True))


def test_styles_of_a_diff() -> None:
    text = diff_text(["#A", "-x", "-y"], ["#A", "-y", "-z"])
    assert text.plain == "  A\n- x\n  y\n+ z".replace("  A", "A")
    assert [str(span.style) for span in text.spans] == ["bold", "red", "green"]


def test_an_empty_section_says_so_and_a_filled_one_does_not() -> None:
    before, after = ["#A", "#B", "#C"], ["#A", "-x", "#B", "#C"]
    assert diff_text(before, before).plain.count("(empty)") == 3
    assert diff_text(before, after).plain == "A\n+ x\nB\n  (empty)\nC\n  (empty)"


def test_the_result_table_keeps_a_row_on_a_line_at_80_columns(small_trace: Trace) -> None:
    big = {"predictor": Usage(calls=4_383, prompt_tokens=4_000_000, completion_tokens=1)}
    record = small_trace.records[0].model_copy(update={"usage": big})
    walk = small_trace.model_copy(update={"records": (record, *small_trace.records[1:])})
    console = Console(file=io.StringIO(), width=80)
    console.print(result_table({"reflective": walk, "empty_memory": walk}, "accuracy", {"seasonal_naive": walk}))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 2 + 3
    assert "4,000," in lines[2]
    assert max(map(len, lines)) <= 80


def test_markup_in_the_data_is_shown_not_obeyed(small_trace: Trace) -> None:
    record = small_trace.records[0]
    hostile = record.model_copy(update={"prediction": {"y": "[red]x[/red]"}, "inputs": {"[bold]": "[link=x]y"}})
    trace = Trace(sequence="[red]s", records=(hostile,))
    assert "[red]x[/red]" in shown(walk_table(trace))
    text = shown(step_panel(trace, 0))
    assert "[bold]" in text
    assert "[link=x]y" in text
    table = result_table({"[red]a": Result(traces=(small_trace,))}, "accuracy")
    assert "[red]a" in shown(table)


def test_result_table_gives_the_numbers_of_the_metrics(small_trace: Trace) -> None:
    text = shown(result_table({"cell": [small_trace]}, "accuracy", {"floor": [small_trace]}))
    told = summary([small_trace], "accuracy")
    row = next(line.split() for line in text.splitlines() if line.startswith("cell"))
    assert row == [
        "cell",
        "0.5",
        "–",
        "4",
        str(told["failed"]),
        str(told["calls"]),
        str(told["tokens"]),
        str(told["tokens_per_step"]),
    ]
    assert next(line.split() for line in text.splitlines() if line.startswith("floor"))[-3:] == ["–", "–", "–"]


def test_figures_are_written_once_for_each_format(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    exam = sample_exam(5, 8, 1)
    names = [path.name for path in save_figures(exam, tmp_path / "a")]
    assert names == ["learning.svg", "learning.png", "cost.svg", "cost.png", "memory.svg", "memory.png"]
    save_figures(exam, tmp_path / "b", formats=("svg",))
    assert (tmp_path / "a" / "cost.svg").read_bytes() == (tmp_path / "b" / "cost.svg").read_bytes()
