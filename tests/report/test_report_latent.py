"""Results of the latent wing in the report: found beside a result, told in words, and never with torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rnnprog.cli.app import app
from rnnprog.errors import TraceError
from rnnprog.exam_result import write_exam
from rnnprog.report import build
from rnnprog.report.latent import PLACES, find_latent, latent_section, read_latent
from rnnprog.report.sample import sample_exam


def figure(mean: float, error: float = 0.02) -> dict[str, float]:
    return {"mean": mean, "error": error, "low": mean - 2 * error, "high": mean + 2 * error, "freedom": 9.0}


def row(label: str, gain: float, capacity: int, p: float, **more: Any) -> dict[str, Any]:
    lags = [
        {"lags": name, "n": 9, "own": 0.5, "foreign": 0.1, "gain": figure(gain / (k + 1)), "rate": 0.1}
        for k, name in enumerate(("0-4", "5+"))
    ]
    told = "recall (gain over another conversation's bank)" if gain > 0.1 else "no recall shown (gain)"
    return {
        "method": label, "form": "repaired", "label": label, "capacity": capacity, "rows": 16 * capacity,
        "trained": 9, "seeds": [0, 1],
        "own": figure(0.1 + gain), "foreign": figure(0.1), "zero": figure(0.05), "gain": figure(gain), "p_holm": p,
        "verdict": told, "rate": 0.3, "tax": 0.01, "net": gain, "buckets": lags, **more,
    }  # fmt: skip


def table() -> dict[str, Any]:
    check = {
        "method": "M.4",
        "form": "repaired",
        "label": "M.4",
        "rows": [16, 160],
        "falls": figure(0.2),
        "grows": figure(0.3),
    }
    return {
        "kind": "rnnprog-latent-table/1",
        "facts": {"backbone": "<tiny>", "steps": "300"},
        "references": {"stateless": figure(0.02)},
        "rows": [row("M.3", 0.0, 10, 1.0), row("M.4", 0.312, 1, 0.001), row("M.4", 0.45, 10, 0.00001)],
        "checks": [{**check, "times": figure(4.2)}, {**check, "times": None}],
    }


def write(path: Path, told: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told))
    return path


def test_the_verdict_is_in_words_and_by_the_corrected_p() -> None:
    said = latent_section(table())
    assert "2 of 3 rows show recall, M.4 (repaired), 160 rows the most: +45.0 [+41.0, +49.0] points of F1." in said
    assert said.count("<td>recall</td>") == 2
    assert "&lt;tiny&gt;" in said
    assert "<tiny>" not in said
    none = table()
    for one in none["rows"]:
        one["p_holm"] = 0.06
    assert "<td>recall</td>" not in latent_section(none)
    assert "No method shows recall after correction for 3 rows." in latent_section(none)


def test_the_curve_by_lag_is_that_of_the_larger_banks_with_intervals() -> None:
    said = latent_section(table())
    assert "M.4 (repaired), 160 rows, 0-4: 45.0 [41.0, 49.0]" in said
    assert "M.4 (repaired), 160 rows, 5+: 22.5" in said
    assert "M.4 (repaired), 16 rows, 0-4" not in said
    empty = table()
    empty["rows"][0]["buckets"][1]["gain"] = None
    assert "M.3 (repaired), 160 rows, 5+" not in latent_section(empty)


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_beside_a_result_and_shown_as_a_section(place: str, tmp_path: Path) -> None:
    write_exam(sample_exam(2, 5, 1), tmp_path)
    without = build(tmp_path, tmp_path / "page.html").read_text()
    assert 'id="latent"' not in without
    write(tmp_path / place, table())
    page = build(tmp_path / "result.json", tmp_path / "page.html").read_text()
    assert 'id="latent"' in page
    assert 'id="steps"' in page


def test_other_tables_are_left_alone_and_damaged_ones_are_told(tmp_path: Path) -> None:
    write(tmp_path / "table.json", {"kind": "something else"})
    assert find_latent(tmp_path) is None
    with pytest.raises(TraceError, match="rnnprog latent table writes one"):
        read_latent(tmp_path / "table.json")
    damaged = table()
    del damaged["rows"][0]["gain"]
    write(tmp_path / "table.json", damaged)
    with pytest.raises(TraceError, match="no table of the latent wing"):
        build(tmp_path, tmp_path / "page.html")


def test_a_folder_with_nothing_else_is_a_page_by_the_command_and_needs_no_torch(tmp_path: Path) -> None:
    write(tmp_path / "table" / "table.json", table())
    done = CliRunner().invoke(app, ["report", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    page = (tmp_path / "page.html").read_text()
    assert "<h1>Latent memory</h1>" in page
    assert "<script" not in page
    code = f"import sys; from rnnprog.report import build; build({str(tmp_path)!r}, {str(tmp_path / 'x.html')!r}); "
    code += "assert not {'torch', 'rnnprog.latent'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_opens_without_complaint_in_the_dark_too(tmp_path: Path, open_page: Any) -> None:
    write(tmp_path / "table.json", table())
    page = open_page(build(tmp_path, tmp_path / "page.html"), plain=True, color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert page.locator("svg.plot circle").count() > 3
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
