"""A storage that is locked or goes away while a search runs: real faults, and the result is kept."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Instructions, OptunaTuner, Progress, Schedule, Space, StorageError, open_storage
from rnnprog.optimizers.planted import best_instructions, planted_lm, planted_program, planted_sequences

SEQUENCES = planted_sequences(6, steps=3)
BEST = best_instructions()["predictor"]
TEXTS = (BEST, *(f"Text number {n}." for n in range(8)))
SPACE = Space(parts=(Instructions(phase="predictor", texts=TEXTS, proposals=0),))
Lock = Callable[[], sqlite3.Connection]


def compiled(student: RecurrentModule, storage: str, folder: Path, **given: Any) -> Any:
    schedule = Schedule(trials=6, rounds=0, concurrency=2)
    tuner = OptunaTuner(
        "accuracy", space=SPACE, schedule=schedule, storage=storage, folder=folder, pruner="none", **given
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return tuner.compile(student, trainset=SEQUENCES[:2], valset=SEQUENCES[2:])


def after(trials: int, fault: Callable[[], Any]) -> Callable[[Progress], None]:
    """Let something happen once, as soon as so many trials are done."""
    happened: list[bool] = []

    def watch(progress: Progress) -> None:
        if progress.trials >= trials and not happened:
            happened.append(True)
            fault()

    return watch


def keeps_the_best(found: Any, folder: Path) -> None:
    assert found.stopped.startswith("the storage is gone")
    assert found.candidate_programs[0]["candidate"].instructions["predictor"] == BEST
    again = planted_program()
    again.load(str(folder / "program.json"), allow_unsafe_lm_state=True)
    assert again.cell.predictor.signature.instructions == BEST


@pytest.fixture
def file(tmp_path: Path) -> Path:
    open_storage(f"sqlite:///{tmp_path}/study.db")
    return tmp_path / "study.db"


@pytest.fixture
def lock(file: Path) -> Iterator[Lock]:
    """Hold SQLite's lock, as another program that writes for long would."""
    held: list[sqlite3.Connection] = []

    def take() -> sqlite3.Connection:
        other = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=30)
        other.execute("BEGIN EXCLUSIVE")
        held.append(other)
        return other

    yield take
    for other in held:
        other.close()


def test_a_locked_database_says_who_is_in_the_way(
    student: RecurrentModule, file: Path, lock: Lock, tmp_path: Path
) -> None:
    lock()
    begun = time.monotonic()
    with pytest.raises(StorageError, match=r"database is locked.*another process holds it: wait, or use a journal"):
        compiled(student, f"sqlite:///{file}?timeout=0.1", tmp_path / "out")
    assert time.monotonic() - begun < 15


def test_a_database_that_is_locked_for_a_moment_is_waited_for(
    student: RecurrentModule, file: Path, lock: Lock, tmp_path: Path
) -> None:
    def fault() -> None:
        other = lock()
        threading.Timer(0.8, other.rollback).start()

    found = compiled(student, f"sqlite:///{file}", tmp_path / "out", on_progress=after(2, fault))
    assert found.stopped == "all trials are done"


def test_a_database_locked_in_the_middle_costs_no_result(
    student: RecurrentModule, file: Path, lock: Lock, tmp_path: Path
) -> None:
    storage = f"sqlite:///{file}?timeout=0.2"
    held: list[sqlite3.Connection] = []
    found = compiled(student, storage, tmp_path / "out", on_progress=after(3, lambda: held.append(lock())))
    assert "database is locked; another process holds it" in found.stopped
    keeps_the_best(found, tmp_path / "out")
    held[0].rollback()
    again = compiled(student, storage, tmp_path / "out")
    assert again.stopped == "all trials are done"
    keys = [entry.key for entry in again.ledger.of("evaluation")]
    assert len(keys) == len(set(keys)), "what was on file before is not paid for again"


def test_a_database_that_is_destroyed_costs_no_result(student: RecurrentModule, file: Path, tmp_path: Path) -> None:
    def fault() -> None:
        file.write_bytes(b"no database any more" * 1000)

    found = compiled(student, f"sqlite:///{file}", tmp_path / "out", on_progress=after(3, fault))
    keeps_the_best(found, tmp_path / "out")


def test_a_journal_whose_folder_is_removed_costs_no_result(student: RecurrentModule, tmp_path: Path) -> None:
    fault = after(3, lambda: (tmp_path / "study").rename(tmp_path / "gone"))  # at once, whoever is writing
    found = compiled(student, str(tmp_path / "study"), tmp_path / "out", on_progress=fault)
    keeps_the_best(found, tmp_path / "out")


def test_a_journal_that_cannot_be_written_is_an_error_with_its_reason(student: RecurrentModule, tmp_path: Path) -> None:
    (tmp_path / "study").write_text("a file, where a folder is wanted")
    with pytest.raises(StorageError, match=r"cannot be opened: (FileExists|NotADirectory)"):
        compiled(student, str(tmp_path / "study"), tmp_path / "out")


def test_a_proxy_that_dies_in_the_middle_costs_no_result(student: RecurrentModule, file: Path, tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="NOT TESTED: grpcio is not installed")
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    code = (
        "import optuna, warnings; warnings.simplefilter('ignore');"
        f"s = optuna.storages.get_storage('sqlite:///{file}');"
        f"optuna.storages.run_grpc_proxy_server(s, host='127.0.0.1', port={port})"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)

    def fault() -> None:
        server.kill()
        server.wait()

    try:
        student.set_lm(planted_lm())
        found = compiled(student, f"grpc://127.0.0.1:{port}", tmp_path / "out", on_progress=after(3, fault))
    finally:
        server.kill()
        server.wait()
    keeps_the_best(found, tmp_path / "out")
