"""Folders that cannot be written are told before anything is paid for; a disk that fills up ends in one sentence."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import rnnprog

RUN = ["run", "regimes", "--option", "n_steps=60"]
COMPARE = ["compare", "regimes", "--cells", "reflective", "--option", "n_steps=20", "--option", "n_sequences=2"]


def call(*args: str, most: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command; ``most`` is the size in bytes at which a file finds its disk full."""

    def confine() -> None:
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    command = [sys.executable, "-m", "rnnprog.cli", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, preexec_fn=confine)


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("StorageError: "), done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot be written" in last
    return last


@pytest.mark.parametrize("extra", [[], ["--prompts"]])
def test_a_run_whose_disk_fills_up_shows_its_table_and_keeps_its_steps(tmp_path: Path, extra: list[str]) -> None:
    done = call(*RUN, *extra, "--out", str(tmp_path), most=60_000)
    assert "File too large" in one_sentence(done)
    assert "accuracy" in done.stdout
    (trace,) = rnnprog.read_traces(tmp_path / "trace.jsonl")
    assert 0 < len(trace) < 60
    assert {path.name for path in tmp_path.iterdir()} <= {"trace.jsonl", "prompts.jsonl"}


def test_a_page_that_cannot_be_written_comes_after_the_table(tmp_path: Path) -> None:
    done = call("run", "regimes", "--limit", "5", "--out", str(tmp_path), "--json", most=40_000)
    assert "page.html" in one_sentence(done)
    assert json.loads(done.stdout)["arms"]["reflective"]["steps"] == 5
    assert [path.name for path in tmp_path.iterdir()] == ["trace.jsonl"]


def test_an_exam_whose_disk_fills_up_keeps_what_is_finished_and_goes_on(tmp_path: Path) -> None:
    done = call(*COMPARE, "--out", str(tmp_path), most=15_000)
    assert "the same command goes on" in one_sentence(done)
    assert "NOT COMPLETE" in done.stdout
    assert "Results" in done.stdout
    kept = list((tmp_path / "walks" / "empty_memory").rglob("*.jsonl"))
    assert kept
    assert not list(tmp_path.rglob("*.partial"))
    again = call(*COMPARE, "--out", str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert f"{80 - 20 * len(kept)} steps to walk" in again.stdout


@pytest.mark.parametrize("command", [RUN, COMPARE])
@pytest.mark.parametrize("folder", ["/proc/x", "/dev/null/x"])
def test_a_folder_is_tried_before_anything_else_is_told(command: list[str], folder: str) -> None:
    done = call(*command, "--out", folder)
    one = [line for line in done.stderr.splitlines() if line]
    assert done.returncode == 2
    assert len(one) == 1
    assert folder in one[0]
    assert done.stdout == ""


def test_a_search_whose_disk_fills_up_shows_what_it_found_and_goes_on(tmp_path: Path) -> None:
    tune = ["tune", "regimes", "--option", "n_sequences=14", "--option", "n_steps=8", "--trials", "2"]
    done = call(*tune, "--out", str(tmp_path), most=30_000)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("StorageError: the storage is gone: OSError: [Errno 27] File too large; what was")
    assert "Held out, 7 sequences" in done.stdout
    again = call(*tune, "--out", str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert "all trials are done" in " ".join(again.stdout.split())
