"""DDXPlus in StreamBench's order, with made-up cases in its format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.tasks import load_task
from rnnprog.tasks.ddxplus import CASES, DIAGNOSES, SEED


def write(path: Path, n: int, pathology: str | None = None) -> Path:
    rows = [
        {"PATIENT_PROFILE": f" case {i} ", "PATHOLOGY": pathology or DIAGNOSES[i % 49].upper(), "AGE": i}
        for i in range(n)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_order_is_the_seeded_permutation(tmp_path: Path) -> None:
    data = load_task("ddxplus", path=write(tmp_path / "test.jsonl", CASES))
    (sequence,) = data.sequences
    order = np.random.default_rng(SEED).permutation(CASES)
    assert [step.inputs["profile"] for step in sequence.steps] == [f"case {i}" for i in order]
    assert [step.target for step in sequence.steps] == [{"diagnosis": DIAGNOSES[i % 49]} for i in order]
    assert data.metrics[0] == "accuracy"


def test_the_order_of_the_file(tmp_path: Path) -> None:
    data = load_task("ddxplus", path=write(tmp_path / "part.jsonl", 7), order="file", limit=5)
    assert [step.inputs["profile"] for step in data.sequences[0].steps] == [f"case {i}" for i in range(5)]


def test_what_is_checked(tmp_path: Path) -> None:
    assert len(set(DIAGNOSES)) == 49
    with pytest.raises(DataError, match=r"7 cases.*1764.*order='file'"):
        load_task("ddxplus", path=write(tmp_path / "part.jsonl", 7))
    with pytest.raises(DataError, match="line 1, column 'PATHOLOGY': 'Plague' is none of the 49"):
        load_task("ddxplus", path=write(tmp_path / "odd.jsonl", 1, "Plague"))
    (tmp_path / "other.csv").write_text("PATIENT_PROFILE,x\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column 'PATHOLOGY'"):
        load_task("ddxplus", path=tmp_path / "other.csv")
    (tmp_path / "empty.csv").write_text('PATIENT_PROFILE,PATHOLOGY\n"",GERD\n', encoding="utf-8")
    with pytest.raises(DataError, match="row 2, column 'PATIENT_PROFILE': empty"):
        load_task("ddxplus", path=tmp_path / "empty.csv")
    with pytest.raises(ConfigurationError, match="choose"):
        load_task("ddxplus", path=tmp_path / "empty.csv", order="random")
