"""``rnnprog tune`` as a user runs it: in processes of its own, several at once, stopped by Ctrl-C and by kill -9."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rnnprog.cli.app import app
from rnnprog.cli.workers import passed_on
from rnnprog.optimizers.ledger import StudyLedger
from rnnprog.optimizers.storage import open_storage

ROOT = Path(__file__).parents[2]
TASK = ("tune", "regimes", "--option", "n_sequences=14", "--option", "n_steps=8", "--concurrency", "1")


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rnnprog.cli", *TASK, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **options,
    )


def done(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=400)  # seconds; on a busy machine a trial takes some
    assert process.returncode == 0, err
    return out


def study(where: str, name: str = "regimes") -> Any:
    import optuna

    return optuna.load_study(storage=open_storage(where), study_name=name)


def trials(where: str) -> list[Any]:
    try:
        found: list[Any] = study(where).get_trials(deepcopy=False)
    except Exception:  # not there yet, or being written
        return []
    return found


def wait_for_trials(where: str, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while sum(trial.state.is_finished() for trial in trials(where)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the search does not get on"
        time.sleep(0.1)


def wait_for_evaluations(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline, journal = time.monotonic() + 60, folder / "journal.log"
    while not journal.exists() or journal.read_text().count("rnnprog:evaluation:evaluation") < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the search does not get on"
        time.sleep(0.02)


def children(process: subprocess.Popen[str]) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in found.stdout.split()]


def paid_once(where: str) -> int:
    """Return the number of evaluations in the study, after a check that none was paid for twice."""
    entries = StudyLedger(study(where)).refresh().of("evaluation")
    twice = {key: n for key, n in Counter(entry.key for entry in entries).items() if n > 1}
    assert not twice
    return len(entries)


def test_two_workers_share_one_study_and_one_of_them_is_killed(tmp_path: Path) -> None:
    where, out = str(tmp_path / "study"), tmp_path / "out"
    process = start("--trials", "90", "--storage", where, "--out", str(out), "--workers", "2", "--json")
    deadline = time.monotonic() + 60
    while len({t.user_attrs.get("worker") for t in trials(where)} - {None}) < 2:
        assert process.poll() is None, "two workers never met"
        assert time.monotonic() < deadline
        time.sleep(0.2)
    (other,) = children(process)
    os.kill(other, signal.SIGKILL)
    found = json.loads(done(process))
    assert found["stopped"] == "all trials are done"
    shared = trials(where)
    assert all(trial.state.is_finished() for trial in shared)
    left = {trial.number for trial in shared if trial.state.name == "FAIL"}
    retried = {trial.user_attrs["retry_of"] for trial in shared if "retry_of" in trial.user_attrs}
    assert left <= retried, "what the dead worker left was taken up by the other"
    assert paid_once(where) > 0
    assert found["spent"]["calls"] == StudyLedger(study(where)).refresh().spent.calls
    assert found["held_out"]["n"] == 7
    record = json.loads((out / "tuning.json").read_text())
    assert record["best"] == found["trial"]
    assert len(record["trials"]) == len(shared), "the page tells of what all workers did"


def test_ctrl_c_ends_all_workers_and_keeps_the_program(tmp_path: Path) -> None:
    where, out = str(tmp_path / "study"), tmp_path / "out"
    given = ("--storage", where, "--out", str(out))
    process = start("--trials", "60", *given, "--workers", "2")
    wait_for_trials(where, 2, process)
    others = children(process)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    told, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - begun < 20
    assert "The same command goes on where it stopped." in " ".join(told.split())
    assert "Traceback" not in err
    assert not any(Path(f"/proc/{pid}").exists() for pid in others)
    assert (out / "program.json").is_file()
    assert not (out / "compared.json").exists(), "nothing more is walked after Ctrl-C"
    before = paid_once(where)
    finished = sum(trial.state.name == "COMPLETE" for trial in study(where).trials)
    found = json.loads(done(start("--trials", str(finished + 1), *given, "--json")))
    assert found["stopped"] == "all trials are done"
    assert paid_once(where) > before


def test_a_first_draft_is_tuned_and_the_gain_shown(tmp_path: Path) -> None:
    draft = "rewriter=Rewrite the notes under the given headings."
    told = done(start("--trials", "3", "--out", str(tmp_path), "--prompt", draft))
    assert "trial 3 of 3: best" in told
    assert "A new study created" not in told
    for sign in ("While searching: accuracy", "Held out, 7 sequences", "Page: "):
        assert sign in told
    page = (tmp_path / "tuning.html").read_text()
    for sign in ("Before and after, on sequences held out", "before: the student", "What changed"):
        assert sign in page
    report = CliRunner().invoke(app, ["report", str(tmp_path), "--out", str(tmp_path / "again.html")])
    assert report.exit_code == 0, report.output
    assert (tmp_path / "again.html").read_text() == page
    refused = CliRunner().invoke(app, ["report", str(tmp_path / "tuning.json"), "--tables", "md"])
    assert "show exams and walks" in str(refused.exception)
    wrong = start("--trials", "3", "--out", str(tmp_path / "b"), "--prompt", "writer=Hello.")
    assert "there is no such phase" in wrong.communicate(timeout=60)[1]
    assert wrong.returncode == 2


def test_workers_get_the_command_without_what_is_not_theirs() -> None:
    given = ["tune", "regimes", "--workers=3", "--json", "--trials", "4", "--workers", "2", "--storage", "a b"]
    assert passed_on(given) == ["tune", "regimes", "--trials", "4", "--storage", "a b"]


@pytest.mark.parametrize(("text", "said"), [("{}", "parts"), ("not json", "the file"), (None, "No such file")])
def test_a_file_that_is_no_search_space_is_told_by_name(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "space.json"
    if text is not None:
        file.write_text(text)
    process = start("--space", str(file), "--out", str(tmp_path / "out"))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert f"--space {file}: {said}" in " ".join(err.split()).replace("\n", "")
    assert "Traceback" not in err


def test_a_file_of_ones_own_is_tuned(tmp_path: Path) -> None:
    rows = [f"s{shop:02d},{day},{'sun' if (shop + day) % 3 else 'rain'}" for shop in range(14) for day in range(6)]
    file = tmp_path / "shops.csv"
    file.write_text("\n".join(["shop,day,sky,busy", *(f"{row},{'yes' if 'sun' in row else 'no'}" for row in rows)]))
    asked = ["tune", str(file), "--signature", "sky: str -> busy: Literal['yes', 'no']", "--target", "busy"]
    asked += ["--sequence-by", "shop", "--order-by", "day", "--trials", "2", "--out", str(tmp_path / "out"), "--json"]
    command = [sys.executable, "-m", "rnnprog.cli", *asked]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["stopped"] == "all trials are done"
    assert found["held_out"]["n"] == 7, "half of the 14 shops"
    assert study(str(tmp_path / "out"), "shops").trials
    wrong = subprocess.run(command[:5], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)
    assert wrong.returncode == 2
    assert "is a file, so say what to predict: --signature" in wrong.stderr


def test_a_killed_search_is_reported_as_it_stands_and_goes_on_with_the_same_model_only(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start("--trials", "60", "--out", str(out))
    wait_for_evaluations(out, 1, process)
    process.kill()
    process.communicate()
    process = start("--trials", "60", "--out", str(out))
    wait_for_trials(str(out), 4, process)
    process.kill()
    process.communicate()
    assert not (out / "tuning.json").exists(), "it had no time to write anything down but its study"
    page = Path(done(start("--report", "--out", str(out))).strip())
    record = json.loads((out / "tuning.json").read_text())
    ended = [trial for trial in record["trials"] if trial["state"] == "complete"]
    assert len(ended) >= 3
    assert len(record["sequences"]) == 4
    assert record["best"] is not None
    assert "Where the prompts came from" in page.read_text()
    assert "the student as it was: 0" in page.read_text(), "also where its first trial was killed"
    other = start("--trials", "60", "--out", str(out), "--lm", "openai/gpt-4o-mini")
    _, err = other.communicate(timeout=60)
    assert other.returncode == 2
    assert "they were rnnprog/embedded, now they are openai/gpt-4o-mini" in " ".join(err.split())


def test_a_report_of_nothing_says_so(tmp_path: Path) -> None:
    process = start("--report", "--out", str(tmp_path / "none"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("DataError: no record of a search")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--budget-calls", "0"), "--budget-calls 0: .* leave it out for no limit"),
        (("--budget-minutes", "-1"), "--budget-minutes -1.0: .* greater than 0"),
        (("--constraint", "calls=NaN"), "keeps nothing or everything"),
    ],
)
def test_limits_that_are_none_are_told_in_one_sentence(given: tuple[str, ...], said: str, tmp_path: Path) -> None:
    process = start(*given, "--out", str(tmp_path))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert re.match(f"ConfigurationError: .*{said}", err), err
