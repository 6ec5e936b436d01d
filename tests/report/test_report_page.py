"""The file itself: complete, self-contained, and closed to what the data might contain."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnprog.errors import TraceError
from rnnprog.exam_result import Arm, ArmRun, ExamResult, write_exam
from rnnprog.report import build, build_walk
from rnnprog.report.arms import arm_rows
from rnnprog.report.columns import columns_of
from rnnprog.report.page import SCRIPTS, head_of
from rnnprog.report.prompts import read_prompts
from rnnprog.report.sample import sample_exam, sample_trace
from rnnprog.trace import Result, Trace
from rnnprog.trace_io import write_traces

FORGED = '</script><script>document.title = "forged"</script><img src=x onerror="1">'
HERE = Path(__file__).parents[2]


def test_page_is_one_file_that_refers_to_nothing(tmp_path: Path) -> None:
    text = build(sample_exam(2, 5, 1), tmp_path / "page.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    markup = re.sub(r'<script type="text/plain".*?</script>', "", text, flags=re.DOTALL)
    assert re.findall(r"https?://[^\s\"']+", markup) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r'(?:src|href)="(?!data:|#)', markup)
    assert "{{" not in markup.split("<style>")[0]


def test_only_the_page_s_own_script_is_allowed(tmp_path: Path) -> None:
    text = build(sample_exam(2, 5, 1), tmp_path / "page.html").read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text


def test_nothing_from_the_data_is_markup(tmp_path: Path) -> None:
    exam = sample_exam(2, 5, 1)
    arm = exam.arms[0].model_copy(update={"label": FORGED})
    hostile = ExamResult(
        task=FORGED, arms=(arm, *exam.arms[1:]), note=FORGED, config={FORGED: FORGED}, versions={FORGED: FORGED}
    )
    text = build(hostile, tmp_path / "page.html").read_text()
    assert text.count("<script>") == 1
    assert "<img" not in text
    assert text.count("&lt;/script&gt;") >= 5


def test_equal_results_give_equal_pages(tmp_path: Path) -> None:
    first = build(sample_exam(3, 9, 1), tmp_path / "a.html")
    assert first.read_bytes() == build(sample_exam(3, 9, 1), tmp_path / "b.html").read_bytes()


def test_a_result_on_disk_gives_the_same_page(tmp_path: Path) -> None:
    exam = sample_exam(3, 9, 1)
    path = write_exam(exam, tmp_path / "exam")
    assert build(path, tmp_path / "a.html").read_bytes() == build(exam, tmp_path / "b.html").read_bytes()


def test_a_walk_from_its_trace_file(tmp_path: Path) -> None:
    path = write_traces([sample_trace(8)], tmp_path / "trace.jsonl")
    pages = [
        build(path, tmp_path / "a.html"),
        build_walk(path, tmp_path / "b.html"),
        build_walk([sample_trace(8)], tmp_path / "c.html"),
    ]
    assert len({page.read_bytes() for page in pages}) == 1


def test_nothing_to_show_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no recorded step"):
        build_walk(Result(traces=(Trace(sequence="s"),)), tmp_path / "page.html")
    with pytest.raises(TraceError, match="no result at"):
        build(tmp_path / "gone.json", tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_prompts_are_read_by_prediction(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    lines = [
        {"id": "a", "phase": "predictor", "prompt": "p\u2028", "completion": "c"},
        {"id": "a", "prompt": [{"role": "user", "content": "q"}]},
    ]
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + '\n\n{"id": "b", "pro')
    assert read_prompts(path) == {"a": [["predictor", "p\u2028", "c"], ["", [{"role": "user", "content": "q"}], ""]]}
    path.write_text('{"id": "b"}\n{"id": "a", "prompt": "p"}\n')
    with pytest.raises(TraceError, match="line 1"):
        read_prompts(path)
    path.write_bytes(b'{"id": "a", "prompt": "\xff"}\n{"id": "a", "prompt": "p"}\n')
    with pytest.raises(TraceError, match="line 1"):
        read_prompts(path)
    with pytest.raises(TraceError, match="no file of prompts"):
        read_prompts(tmp_path / "gone.jsonl")


@pytest.mark.parametrize("program", [{"budget": 64}, {"settings": {"budget": 64}}, {"memory_budget": 64}])
def test_the_budget_is_found_in_the_program(program: dict[str, Any]) -> None:
    arm = Arm(label="a", runs=(ArmRun(result=Result(program=program, traces=(sample_trace(3),))),))
    exam = ExamResult(task="t", arms=(arm,))
    columns = columns_of(exam)
    assert head_of(exam, arm_rows(exam, columns), columns)["arms"][0]["budget"] == 64


def test_every_part_of_the_script_is_used_and_small() -> None:
    folder = HERE / "rnnprog" / "report" / "page"
    assert {path.stem for path in folder.glob("*.js")} == set(SCRIPTS)
    assert max(len(path.read_text().splitlines()) for path in folder.glob("*.js")) < 200


def test_the_gallery_adds_nothing_heavy_to_the_package() -> None:
    added_by = "import rnnprog.report.terminal, rnnprog.report.figures"
    code = f"import sys, rnnprog; old = set(sys.modules); {added_by}; print(*set(sys.modules) - old)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HERE)
    added = done.stdout.split()
    assert "rnnprog.report.build" in added
    assert not [name for name in added if name.split(".")[0] in ("dspy", "litellm", "matplotlib", "datasets", "torch")]
    assert not [name for name in added if name.startswith(("rnnprog.lm", "rnnprog.cells", "rnnprog.module"))]
