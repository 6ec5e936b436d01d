"""The command line as a person or a script meets it."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

import rnnprog
from rnnprog.cli import main

ROOT = Path(__file__).parents[2]
HEADER = "day,rain,sky\n"
ROWS = [f"2024-01-{d:02d},{d % 3}.5,{'rain' if d % 3 else 'sun'}\n" for d in range(1, 21)]
SIGNATURE = "rain: float, sky: str -> tomorrow: Literal['sun', 'rain']"
OWN = ["--signature", SIGNATURE, "--order-by", "day", "--target", "next:sky"]


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def call(*arguments: str) -> Done:
    """Run the command in this process, as the installed script does."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["rnnprog", *arguments])
        patch.setenv("COLUMNS", "200")
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
            return Done(code, out.getvalue(), err.getvalue())
    return Done(0, out.getvalue(), err.getvalue())


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "sky.csv"
    path.write_text(HEADER + "".join(ROWS))
    return path


def test_own_file_end_to_end(table: Path, tmp_path: Path) -> None:
    done = call("run", str(table), *OWN, "--control", "--json", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["task"]["steps"] == 20
    assert told["arms"]["reflective"]["calls"] == 20 + 2 * 19  # the last step has no outcome to learn from
    assert told["arms"]["empty_memory"]["calls"] == 20
    river = {"river"} if find_spec("river") else set()
    assert set(told["arms"]["reflective"]["floors"]) == {"persistence", "majority", "markov"} | river
    (trace,) = rnnprog.read_traces(told["files"]["trace"])
    assert len(trace) == 20
    assert trace.records[-1].target is None
    page = Path(told["files"]["page"]).read_text()
    assert "<html" in page
    assert "http://" not in page.replace("http://www.w3.org", "")  # self-contained


def test_table_and_memory_are_shown(table: Path) -> None:
    done = call("run", str(table), *OWN)
    assert done.returncode == 0, done.stderr
    for shown in ("memory before", "memory after", "reflective", "persistence", "stand-in", "per step"):
        assert shown in done.stdout


def test_show_walk_and_step(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert call("run", str(table), *OWN, "--out", str(out), "--json").returncode == 0
    walk = call("show", str(out))
    assert walk.returncode == 0, walk.stderr
    assert "memory after" in walk.stdout
    step = call("show", str(out / "trace.jsonl"), "--step", "7")
    assert "critique" in step.stdout
    line = json.loads(call("show", str(out), "--step", "7", "--json").stdout)
    assert line["t"] == 7
    beyond = call("show", str(out), "--step", "99")
    assert beyond.returncode == 2
    assert "no step 99; its last is 19" in beyond.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "wether"], 2, "did you mean 'weather'"),
        (["run", "nowhere.csv", "--signature", SIGNATURE], 2, "nowhere.csv"),
        (["run", "some.csv"], 2, "say what to predict"),
        (["run", "weather", "--order-by", "date"], 2, "--order-by"),
        (["run", "regimes", "--cell", "reflectiv"], 2, "did you mean 'reflective'"),
        (["run", "regimes", "--cell-option", "budget=3"], 2, "too small"),
        (["run", "regimes", "--cell-option", "colour=red"], 2, "unknown settings"),
        (["run", "regimes", "--limit", "0"], 2, "limit"),
        (["show", "nothing.jsonl"], 2, "no trace file"),
        (["run", "regimes", "--lm", "replay:none.jsonl"], 2, "none.jsonl"),
    ],
)
def test_bad_use_is_one_line_and_exit_code_2(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_bad_data_names_file_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(HEADER + ROWS[0] + "2024-01-02,wet,sun\n" + ROWS[2])
    done = call("run", str(path), *OWN)
    assert done.returncode == 2
    for part in ("bad.csv", "row 3", "rain", "wet"):
        assert part in done.stderr


def test_a_model_that_refuses_is_exit_code_3(table: Path) -> None:
    """No provider is reachable in tests; a provider model without a key must not look like a result."""
    done = call("run", str(table), *OWN, "--lm", "openai/gpt-4o-mini", "--json")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_record_then_replay_gives_the_same_trace(table: Path, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    first, second = tmp_path / "first", tmp_path / "second"
    assert call("run", str(table), *OWN, "--record", str(tape), "--out", str(first), "--json").returncode == 0
    replayed = call("run", str(table), *OWN, "--lm", f"replay:{tape}", "--out", str(second), "--json")
    assert replayed.returncode == 0, replayed.stderr
    assert (first / "trace.jsonl").read_bytes() == (second / "trace.jsonl").read_bytes()


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_done(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "rnnprog.cli", "run", "weather", "--out", str(out)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    walking = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=tmp_path,
        # A test run in the background has Ctrl-C ignored, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    trace = out / "trace.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (not trace.exists() or trace.read_bytes().count(b"\n") < 5):
        time.sleep(0.05)
    walking.send_signal(signal.SIGINT)
    walking.communicate(timeout=120)
    assert walking.returncode == 130
    (kept,) = rnnprog.read_traces(trace)
    assert 4 <= len(kept) < 1461
    assert kept.error == "interrupted"
    assert (out / "page.html").exists()


def test_help_is_quick_and_complete() -> None:
    done = call("--help")
    assert done.returncode == 0
    for command in ("run", "show", "latent"):
        assert command in done.stdout


def test_python_m_is_the_same_door(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "rnnprog.cli", "run", "wether"], capture_output=True, text=True, env=env
    )
    assert done.returncode == 2
    assert "did you mean 'weather'" in done.stderr


@pytest.mark.parametrize(
    ("rows", "advised", "flags"),
    [
        ("3,1,sun\n1,2,rain\n2,3,sun\n", "add --option sort=true", ["--option", "sort=true"]),
        ("31.01.2024,1,sun\n01.02.2024,2,rain\n", "or leave --order-by out if the rows", None),
        ('1,"1.000,5",sun\n2,"-2,25",rain\n3,3,sun\n', "add --option decimal=,", ["--option", "decimal=,"]),
        ("1,,sun\n2,2,rain\n3,3,sun\n4,1,sun\n", "add --option missing=skip", ["--option", "missing=skip"]),
        ("1,1,sun\n1,2,rain\n", "--sequence-by", None),
        ("1,1,sun\n2,2,r\xfcgen\n", "add --option encoding=latin-1", None),
    ],
)
def test_the_way_out_is_a_flag_that_works(tmp_path: Path, rows: str, advised: str, flags: list[str] | None) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes(("day,rain,sky\n" + rows).encode("latin-1"))
    own = ["--signature", "rain: float -> tomorrow: str", "--order-by", "day", "--target", "next:sky"]
    done = call("run", str(path), *own)
    assert done.returncode == 2
    assert advised in done.stderr
    if flags is not None:
        assert call("run", str(path), *own, *flags).returncode == 0


@pytest.mark.parametrize(("mark", "advised"), [(";", "delimiter=;"), ("\t", r"delimiter=\t"), ("|", "delimiter=|")])
def test_the_separator_is_advised_as_a_flag_that_works(tmp_path: Path, mark: str, advised: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text("day,rain,sky\n1,1,sun\n2,2,rain\n".replace(",", mark))
    own = ["--signature", "rain: float -> tomorrow: str", "--order-by", "day", "--target", "next:sky"]
    done = call("run", str(path), *own)
    assert done.returncode == 2
    assert f"add --option '{advised}'" in done.stderr
    assert call("run", str(path), *own, "--option", advised).returncode == 0
    done = call("run", str(path), *own, "--option", "delimiter=tab")
    assert (done.returncode, "one character" in done.stderr) == (2, True)


def test_an_option_that_a_file_does_not_have(table: Path) -> None:
    done = call("run", str(table), *OWN, "--option", "encode=latin-1")
    assert done.returncode == 2
    assert "encoding" in done.stderr


def test_a_folder_that_cannot_be_written_is_said_in_one_line(table: Path) -> None:
    done = call("run", str(table), *OWN, "--out", "/dev/null/runs")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "/dev/null/runs" in done.stderr


def test_a_model_that_never_answers_is_told_and_is_exit_code_3(table: Path, tmp_path: Path) -> None:
    with closed_port() as base:
        asked = ["--lm", "openai/gone", "--lm-option", f"api_base={base}", "--lm-option", "api_key=none"]
        done = call("run", str(table), *OWN, "--limit", "1", *asked, "--lm-option", "num_retries=0")
        assert done.returncode == 3, done.stdout + done.stderr
        assert "predictor: no usable answer once, first at" in done.stdout
        assert "refused" in done.stdout.replace("\n", " ")
        told = json.loads(
            call("run", str(table), *OWN, "--limit", "1", *asked, "--lm-option", "num_retries=0", "--json").stdout
        )
        assert told["failures"][0]["times"] == 1


def test_a_model_without_provider_stops_the_walk_at_once(table: Path) -> None:
    done = call("run", str(table), *OWN, "--lm", "nosuch/model", "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "LMUnavailableError" in str(json.loads(done.stdout)["errors"])


@contextmanager
def closed_port() -> Iterator[str]:
    """Give the address of a port that is bound, so nobody else takes it, and refuses connections."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"
