"""The speed table of the docs is what the benchmark last wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.latent_speed_page import Ratio, Row, filled, load, publish

DOCS = Path(__file__).parents[2] / "docs"
EMPTY = "before\n<!-- latent speed -->\n\n<!-- end -->\nafter\n"


def row(name: str, median: float, limit: float | None = 1.15, *, at_most: bool = True) -> Row:
    return Row(name, Ratio(median, median - 0.1, median + 0.1), limit, at_most)


def test_limits_hold_in_both_directions() -> None:
    assert row("a", 1.15).met
    assert not row("a", 1.16).met
    assert row("b", 5.0, 5, at_most=False).met
    assert not row("b", 4.9, 5, at_most=False).met
    assert row("c", 99.0, None).met


def test_runs_are_merged_row_by_row_and_a_miss_is_bold(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(EMPTY)
    publish(page, "tiny", [row("write", 1.0), row("answer", 1.3)])
    publish(page, "small", [row("write", 1.2)])
    publish(page, "tiny", [row("answer", 1.1)])
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    assert lines[0] == "| what | tiny | small | limit |"
    assert lines[2] == "| write | 1.00 (0.90-1.10) | **1.20 (1.10-1.30)** | <= 1.15 |"
    assert lines[3] == "| answer | 1.10 (1.00-1.20) | - | <= 1.15 |"
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("after\n")


def test_a_page_without_a_place_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing to fill")
    with pytest.raises(SystemExit, match="no block"):
        publish(page, "tiny", [row("write", 1.0)])
    assert not (tmp_path / "latent-speed.json").exists()


def test_the_docs_show_the_last_runs() -> None:
    text, runs = (DOCS / "latent-results.md").read_text(), load(DOCS / "latent-speed.json")
    assert filled(text, runs) == text
    names = {line.name for lines in runs.values() for line in lines}
    for method in ("M.1", "M.2", "M.3", "M.4", "M.5", "M.6"):
        assert {re.sub(r"M\.\d", method, name) for name in names if name.startswith("write, M.1")} <= names
