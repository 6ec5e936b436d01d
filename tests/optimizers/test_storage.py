from __future__ import annotations

import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from rnnprog.errors import ConfigurationError
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Candidate, Instructions, OptunaTuner, Schedule, Space, StorageError, open_storage
from rnnprog.optimizers.batching import FileStorage
from rnnprog.optimizers.dashboard import told
from rnnprog.optimizers.planted import best_instructions, planted_lm, planted_sequences

Start = Callable[..., "subprocess.Popen[str]"]
Finish = Callable[["subprocess.Popen[str]"], dict[str, Any]]
SEQUENCES = planted_sequences(8, steps=3)
TRAIN, VAL = SEQUENCES[:2], SEQUENCES[2:]
SPACE = Space(parts=(Instructions(phase="predictor", texts=(best_instructions()["predictor"],), proposals=0),))


def tuner(**given: Any) -> OptunaTuner:
    given = {"space": SPACE, "folder": None, "schedule": Schedule(trials=2, rounds=0), **given}
    return OptunaTuner("accuracy", **{"study_name": "tune", **given})


def compiled(student: RecurrentModule, **given: Any) -> Any:
    return tuner(**given).compile(student, trainset=TRAIN, valset=VAL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[Any] | None = None) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise AssertionError(f"the server ended: {process.stderr and process.stderr.read()}")
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private cluster of Debian's package, on a free loopback port, in a temporary folder."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) if Path("/usr/lib/postgresql").is_dir() else []
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed; .ci/run must install the package postgresql")
        pytest.skip("NOT TESTED: PostgreSQL is not installed (apt-get install postgresql)")
    pg_ctl = str(Path(initdb).with_name("pg_ctl"))
    folder = tmp_path_factory.mktemp("pg")
    options: dict[str, Any] = {}
    if os.getuid() == 0:  # the server refuses to run as root
        user = next((n for n in ("postgres", "nobody") if _known(n)), None)
        assert user is not None
        options = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
        folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/rnnprog-pg-XXXXXX"], text=True).strip())
        shutil.chown(folder, user)
    environment = {**os.environ, "LC_ALL": "C", "HOME": str(folder)}
    data, port = folder / "data", free_port()
    run = {"check": True, "capture_output": True, "cwd": str(folder), "env": environment, **options}
    subprocess.run([initdb, "-D", str(data), "-U", "tuner", "-A", "trust", "-N", "-E", "UTF8"], **run)
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    subprocess.run([pg_ctl, "-D", str(data), "-w", "-o", settings, "-l", str(folder / "log"), "start"], **run)
    try:
        yield f"postgresql://tuner@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([pg_ctl, "-D", str(data), "-m", "immediate", "stop"], **run)
        shutil.rmtree(folder, ignore_errors=True)


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


@pytest.mark.parametrize("kind", ["memory", "journal", "sqlite"])
def test_a_search_gives_the_same_in_every_storage(student: RecurrentModule, tmp_path: Path, kind: str) -> None:
    where = {"memory": "memory", "journal": str(tmp_path), "sqlite": f"sqlite:///{tmp_path}/deep/study.db"}[kind]
    program = compiled(student, storage=where)
    assert program.candidate_programs[0]["candidate"].instructions["predictor"] == best_instructions()["predictor"]
    if kind != "memory":
        before = program.ledger.spent.calls
        assert compiled(student, storage=where).ledger.spent.calls == before


def test_the_default_is_a_journal_in_a_folder_of_the_study(student: RecurrentModule, tmp_path: Path) -> None:
    compiled(student, folder=tmp_path / "mine")
    assert (tmp_path / "mine" / "journal.log").is_file()
    assert (tmp_path / "mine" / "program.json").is_file()


def test_a_half_written_last_line_is_mended(student: RecurrentModule, tmp_path: Path) -> None:
    first = compiled(student, storage=tmp_path)
    journal = tmp_path / "journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 9, "worker_id": "x", "val')
    again = compiled(student, storage=tmp_path)
    assert journal.read_bytes()[: len(whole)] == whole
    assert again.ledger == first.ledger


def test_a_study_about_something_else_is_refused(student: RecurrentModule, tmp_path: Path) -> None:
    compiled(student, storage=tmp_path)
    other = Space(parts=(Instructions(phase="predictor", texts=("Another text altogether.",), proposals=0),))
    with pytest.raises(ConfigurationError, match=r"something else: space differ"):
        compiled(student, storage=tmp_path, space=other)
    with pytest.raises(ConfigurationError, match="sequences differ"):
        tuner(storage=tmp_path).compile(student, trainset=TRAIN, valset=VAL[1:])
    with pytest.raises(ConfigurationError, match="objective"):
        OptunaTuner("macro_f1[colour]", space=SPACE, storage=tmp_path, folder=None, study_name="tune").compile(
            student, trainset=TRAIN, valset=VAL
        )
    assert compiled(student, storage=tmp_path, study_name="another", space=other).candidate_programs


def test_a_study_of_somebody_else_is_refused(student: RecurrentModule, tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(tmp_path), study_name="tune", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(ConfigurationError, match="not made by this tuner"):
        compiled(student, storage=tmp_path)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("redis://localhost", "not understood"),
        ("grpc://nowhere", "host and a port"),
        ("postgresql://nobody:secret@127.0.0.1:1/none", "cannot be opened"),
    ],
)
def test_storages_that_cannot_be_opened_say_so_and_keep_the_password(where: str, said: str) -> None:
    with pytest.raises((ConfigurationError, StorageError), match=said) as raised:
        open_storage(where)
    assert "secret" not in str(raised.value)


def test_a_database_of_another_version_says_how_to_upgrade(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    open_storage(f"sqlite:///{file}")
    with sqlite3.connect(file) as database:
        database.execute("UPDATE version_info SET schema_version = 3")
        database.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
    with pytest.raises(StorageError, match="another version: run `optuna storage upgrade"):
        open_storage(f"sqlite:///{file}")


def test_a_file_that_is_no_database_is_an_error_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("hello")
    with pytest.raises(StorageError, match="cannot be opened"):
        open_storage(f"sqlite:///{tmp_path}/study.db")


def test_a_storage_that_goes_away_costs_no_result(
    student: RecurrentModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> None:
        raise OSError("disk gone")

    def sabotage(progress: Any) -> None:
        if progress.trials == 2:
            monkeypatch.setattr(FileStorage, "_write", gone)

    space = Space(parts=(Instructions(phase="predictor", texts=("One.", "Two.", "Three."), proposals=0),))
    with pytest.warns(UserWarning, match="the storage is gone"):
        program = compiled(
            student, storage=tmp_path, space=space, schedule=Schedule(trials=4, rounds=0), on_progress=sabotage
        )
    assert "disk gone" in program.stopped
    assert program.candidate_programs


@pytest.mark.parametrize("kind", ["journal", "sqlite", "postgresql"])
def test_two_processes_share_a_study(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, start: Start, finish: Finish
) -> None:
    where = {"journal": str(tmp_path / "study"), "sqlite": f"sqlite:///{tmp_path}/study.db"}
    storage = where.get(kind) or request.getfixturevalue("postgres")
    trials = 5 if kind == "sqlite" else 8  # SQLite writes slowly: every commit waits for the disk
    given = {"storage": storage, "folder": None, "trials": trials, "study": "two", "delay": 0.004}
    workers = [start(**given, log=str(tmp_path / f"calls-{n}")) for n in range(2)]
    found = [finish(worker) for worker in workers]
    assert all("all trials are done" in one["stopped"] for one in found)
    made = sum(len((tmp_path / f"calls-{n}").read_text().splitlines()) for n in range(2))
    # The other may have seen every call of the last trial booked, and the trial not yet over.
    last = max(found, key=lambda one: (one["calls"], sum(row["state"] == "complete" for row in one["rows"])))
    assert last["calls"] == made, "every call of both workers is in the ledger, once"
    keys = [tuple(key) for key in last["keys"] if key[0] == "evaluation"]
    assert len(keys) == len(set(keys)), "no evaluation is paid for twice"
    counted = [row for row in last["rows"] if row["state"] == "complete" and row["same_as"] is None]
    assert len({row["place"] for row in last["rows"]}) == len(last["rows"])
    assert len(counted) >= trials
    assert {one["best"] for one in found} == {last["best"]} or found[0]["score"] <= last["score"] >= found[1]["score"]
    assert min(len((tmp_path / f"calls-{n}").read_text().splitlines()) for n in range(2)) > 0


def test_a_killed_worker_leaves_its_trial_to_the_next_on_postgresql(
    postgres: str, tmp_path: Path, start: Start, finish: Finish
) -> None:
    log = tmp_path / "calls"
    given = {"storage": postgres, "folder": None, "trials": 5, "study": "killed", "log": str(log)}
    worker = start(**given, delay=0.01)
    while not log.exists() or len(log.read_text().splitlines()) < 100:
        assert worker.poll() is None
        time.sleep(0.01)
    worker.kill()
    worker.wait()
    found = finish(start(**given))
    assert found["score"] is not None
    assert 0 <= len(log.read_text().splitlines()) - found["calls"] < 9
    assert len(set(map(tuple, found["keys"]))) == len(found["keys"])


def test_a_grpc_proxy_serves_a_search(student: RecurrentModule, tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="NOT TESTED: grpcio is not installed")
    port = free_port()
    code = f"""
import optuna, warnings
warnings.simplefilter("ignore")
storage = optuna.storages.get_storage("sqlite:///{tmp_path}/behind.db")
optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port={port})
"""
    server = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    try:
        wait_for(port, server)
        program = compiled(student, storage=f"grpc://127.0.0.1:{port}")
        assert program.candidate_programs[0]["trial"] == 1
        again = compiled(student, storage=f"grpc://127.0.0.1:{port}")
        assert again.ledger.spent.calls == program.ledger.spent.calls
    finally:
        server.kill()
        server.wait()


def test_the_dashboard_shows_the_study(student: RecurrentModule, tmp_path: Path) -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="NOT TESTED: optuna-dashboard is not installed")
    import json
    import urllib.request
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    program = compiled(student, folder=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        app = dashboard.wsgi(
            open_storage(tmp_path),
            artifact_store=optuna.artifacts.FileSystemArtifactStore(str(tmp_path / "artifacts")),
        )

    class Silent(WSGIRequestHandler):
        def log_message(self, *_args: Any) -> None:
            pass

    server = make_server("127.0.0.1", 0, app, handler_class=Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/api/studies/{program.study._study_id}?after=0"
        with urllib.request.urlopen(address, timeout=30) as answer:
            shown = json.load(answer)
    finally:
        server.shutdown()
        server.server_close()
    assert len(shown["trials"]) == 2
    assert {param["name"] for trial in shown["trials"] for param in trial["params"]} == {"predictor.instruction"}
    assert shown["note"]["body"].startswith("# ")
    assert best_instructions()["predictor"] in shown["trials"][1]["note"]["body"]
    assert shown["trials"][1]["artifacts"]


def test_a_note_tells_a_start_memory_in_words(student: RecurrentModule) -> None:
    text = "## Facts and stable patterns\n- Red is common."
    memory = student.cell.settings.value.layout.parse(text).memory
    for given in (text, memory.model_dump(mode="json")):
        assert text in told(Candidate(start_memory=given))


def test_planted_models_need_no_network() -> None:
    assert planted_lm().model == "rnnprog/planted"
