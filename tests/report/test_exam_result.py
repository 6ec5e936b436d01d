"""The exam's result and its files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from rnnprog.errors import TraceError
from rnnprog.exam_result import Arm, ArmRun, ExamResult, MetricSpec, read_exam, write_exam
from rnnprog.report.sample import sample_exam
from rnnprog.trace import Result


def test_round_trip_is_exact_and_the_head_is_small(tmp_path: Path) -> None:
    exam = sample_exam(sequences=3, steps=12, seeds=2)
    path = write_exam(exam, tmp_path / "new" / "folder")
    assert read_exam(path) == exam
    assert read_exam(path.parent) == exam
    assert len(list((path.parent / "traces").glob("*.jsonl"))) == 12
    assert not list(path.parent.rglob("*.partial"))
    assert "records" not in path.read_text()


def test_arms_whose_names_look_alike_as_files_keep_their_own(tmp_path: Path) -> None:
    run = sample_exam(1, 3, 1).arms[0].runs[0]
    exam = ExamResult(task="t", arms=(Arm(label="a/b", runs=(run,)), Arm(label="a b")))
    exam = exam.model_copy(update={"arms": (exam.arms[0], Arm(label="a b", runs=(ArmRun(result=Result()),)))})
    assert read_exam(write_exam(exam, tmp_path)) == exam
    long = exam.model_copy(update={"arms": (exam.arms[0].model_copy(update={"label": "river:" + "x" * 400}),)})
    assert read_exam(write_exam(long.model_copy(update={"comparisons": ()}), tmp_path / "long")).arms == long.arms


def test_a_file_of_traces_that_lost_whole_sequences_is_refused(tmp_path: Path) -> None:
    path = write_exam(sample_exam(3, 4, 1), tmp_path)
    traces = next((tmp_path / "traces").glob("00-*"))
    lines = traces.read_text().splitlines(keepends=True)
    for kept in (lines[:6], [*lines[:6], lines[6][:20]]):  # a start line, four steps, an end line
        traces.write_text("".join(kept))
        with pytest.raises(TraceError, match="1 sequences of 3: it is cut short"):
            read_exam(path)
    path.write_text(re.sub(r'"sequences": \d+', '"sequences": null', path.read_text()))  # as older versions wrote it
    assert len(read_exam(path).arms[0].runs[0].result.traces) == 1


def test_labels_must_differ_and_comparisons_must_name_arms() -> None:
    with pytest.raises(ValidationError, match=r"\['a'\] stand twice"):
        ExamResult(task="t", arms=(Arm(label="a"), Arm(label="a")))
    with pytest.raises(ValidationError, match=r"name \['empty memory'\], which are no arms"):
        ExamResult(task="t", arms=(Arm(label="reflective"),), comparisons=sample_exam(6, 4, 1).comparisons[:1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not the result of an exam"),
        ('{"format": 1}', "has no arms"),
        ("[1]", "has no arms"),
        ("[" * 100_000, "is not the result of an exam"),
        ('{"format": 99, "arms": []}', "format is not 1"),
        ('{"format": 1, "task": "t", "arms": [{"label": "a", "colour": 1, "runs": []}]}', "colour"),
        (
            '{"format": 1, "task": "t", "arms": [{"label": "a", "runs": [{"result": {}, "traces": "../../x.jsonl"}]}]}',
            "leads out",
        ),
        (
            '{"format": 1, "task": "t", "arms": [{"label": "a", "runs": [{"result": {}, "prompts": "/etc/x.jsonl"}]}]}',
            "leads out",
        ),
        (
            '{"format": 1, "task": "t", "arms": [{"label": "a", "runs": [{"result": {}, "traces": "gone.jsonl"}]}]}',
            "missing beside the result",
        ),
    ],
)
def test_what_is_no_result_is_refused_with_its_path(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(TraceError, match=message):
        read_exam(path)


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"give the result\.json"):
        read_exam(tmp_path)


def test_metric_is_described_from_its_name() -> None:
    assert MetricSpec.of("accuracy").binary
    assert MetricSpec.of("acc@5[d]").binary
    assert not MetricSpec.of("macro_f1[y]").binary
    assert not MetricSpec.of("mae[y]", unit="mm").higher_is_better


def test_result_json_is_readable_by_people(tmp_path: Path) -> None:
    head = json.loads(write_exam(sample_exam(1, 3, 1), tmp_path).read_text())
    assert list(head)[:3] == ["format", "task", "metric"]
    assert head["arms"][0]["runs"][0]["traces"] == "traces/00-reflective-seed0.jsonl"
