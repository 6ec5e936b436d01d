"""Where a study lives: in memory, a journal file, SQLite, PostgreSQL, or a gRPC proxy in front of one of these.

A journal file is the default: nothing to start, survives kill -9, and several processes of one machine may share it.
Many machines share PostgreSQL, or a gRPC proxy in front of it.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Union
from urllib.parse import urlsplit

import optuna
import sqlalchemy
import tenacity
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage
from pydantic import JsonValue

from rnnprog.errors import ConfigurationError, RnnprogError

__all__ = ["StorageError", "StorageLike", "guard_study", "open_storage", "open_study"]

Direction = Literal["minimize", "maximize"]
StorageLike = Union[str, Path, BaseStorage, None]
JOURNAL = "journal.log"
_IDENTITY = "rnnprog:identity"
_URL = re.compile(r"^[a-z][a-z0-9+]*://")
_WAIT = 20.0  # seconds for a gRPC proxy to answer


class StorageError(RnnprogError, RuntimeError):
    """A storage cannot be opened or does not answer: gone, locked, or written by another version."""


def open_storage(where: StorageLike, folder: Path | None = None) -> BaseStorage:
    """Open a storage.

    Args:
        where: ``"memory"``; a folder or ``.log`` file for a journal; ``sqlite:///FILE``; ``postgresql://...``;
            ``grpc://HOST:PORT``; an Optuna storage; ``None`` for a journal in ``folder``.
        folder: where the journal goes by default.

    Raises:
        StorageError: it cannot be opened; the message says what to do.
        ConfigurationError: ``where`` is not understood.
    """
    if isinstance(where, BaseStorage):
        return where
    if where == "memory" or (where is None and folder is None):
        return optuna.storages.InMemoryStorage()
    if where is None:
        assert folder is not None
        where = folder
    text = str(where)
    try:
        if text.startswith("grpc://"):
            return _grpc(text)
        if text.startswith(("sqlite://", "postgresql", "mysql")):
            return _database(text)
        if _URL.match(text):
            raise ConfigurationError(
                f"storage {text!r} is not understood; use a folder, sqlite:///FILE, postgresql://..., grpc://HOST:PORT"
            )
        return _journal(Path(text))
    except (ConfigurationError, StorageError):
        raise
    except Exception as error:
        raise StorageError(f"storage {_hide(text)!r} cannot be opened: {_reason(error)}") from error


def _journal(path: Path) -> BaseStorage:
    from optuna.storages.journal import JournalFileBackend

    file = path if path.suffix == ".log" else path / JOURNAL
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = _ProcessLock(str(file) + ".flock")
    _mend(file, lock)
    return optuna.storages.JournalStorage(JournalFileBackend(str(file), lock_obj=lock))  # type: ignore[arg-type]


def _mend(file: Path, lock: _ProcessLock) -> None:
    """Cut off a last line that a killed process left half written; whatever it said had not counted yet."""
    if not file.exists():
        return
    lock.acquire()
    try:
        with file.open("rb+") as journal:
            size = journal.seek(0, os.SEEK_END)
            if size == 0:
                return
            journal.seek(-1, os.SEEK_END)
            if journal.read(1) == b"\n":
                return
            journal.seek(0)
            whole = journal.read()
            journal.truncate(whole.rfind(b"\n") + 1)
    finally:
        lock.release()


class _ProcessLock:
    """A lock between processes that the system releases when its holder dies.

    Optuna's own lock files outlive a killed process and make its successor wait.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._threads = threading.RLock()
        self._handle: Any = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._threads.acquire()
        self._handle = open(self._path, "ab")  # noqa: SIM115 - closed by release, in another call
        try:
            import fcntl
        except ImportError:  # pragma: no cover - no such module on Windows
            import msvcrt

            msvcrt.locking(self._handle.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
        else:
            fcntl.flock(self._handle, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Give the lock back."""
        handle, self._handle = self._handle, None
        handle.close()
        self._threads.release()

    def __getstate__(self) -> dict[str, Any]:
        return {"_path": self._path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_path"])  # type: ignore[misc]


def _database(url: str) -> BaseStorage:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    if url.startswith("sqlite"):
        options = {"connect_args": {"timeout": 30}}
        name = url.partition(":///")[2]
        if name:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
    # Workers that start together race to make the tables; the slower ones find them on the next try.
    for attempt in tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_race),
        stop=tenacity.stop_after_attempt(8),
        wait=tenacity.wait_random(0.1, 0.6),
        reraise=True,
    ):
        with attempt:
            storage = optuna.storages.RDBStorage(url, engine_kwargs=options)
            if url.startswith("sqlite"):
                _write_ahead(storage.engine)
            return optuna.storages.get_storage(storage)
    raise AssertionError("unreachable")


def _write_ahead(engine: Any) -> None:
    """Let SQLite append what is committed instead of waiting for the disk each time, some ten times a sequence.

    A killed process loses nothing by that, a power cut at most the last moments; and readers no longer block writers.
    """

    def settle(connection: Any, _record: Any) -> None:
        with suppress(sqlite3.OperationalError):  # refused while another process switches; it stays with the file
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    sqlalchemy.event.listen(engine, "connect", settle)
    engine.dispose()


def _is_race(error: BaseException) -> bool:
    text = str(error)
    return any(sign in text for sign in ("already exists", "duplicate key", "database is locked", "DuplicateTable"))


def _grpc(url: str) -> BaseStorage:
    try:
        from optuna.storages import GrpcStorageProxy
    except ImportError as error:  # pragma: no cover - depends on the installation
        raise ConfigurationError("grpc:// needs the package grpcio; pip install 'rnnprog[tune]'") from error
    parts = urlsplit(url)
    if not parts.hostname or not parts.port:
        raise ConfigurationError(f"storage {url!r} needs a host and a port: grpc://HOST:PORT")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        proxy = GrpcStorageProxy(host=parts.hostname, port=parts.port)
        proxy.wait_server_ready(timeout=_WAIT)
        return proxy


def open_study(
    storage: BaseStorage,
    name: str,
    directions: list[Direction],
    pruner: BasePruner,
    identity: dict[str, JsonValue],
) -> optuna.Study:
    """Create a study, or go on with the one of that name.

    Args:
        storage: an open storage.
        name: of the study.
        directions: one by objective.
        pruner: ends poor ones; not stored.
        identity: what the study is about; must be equal to that of a study that is gone on with.

    Raises:
        ConfigurationError: a study of this name is about something else.
        StorageError: the storage does not answer.
    """
    try:
        study = optuna.create_study(
            storage=storage, study_name=name, directions=directions, pruner=pruner, load_if_exists=True
        )
    except ValueError as error:
        raise ConfigurationError(
            f"the study {name!r} exists with other objectives: {error}; choose another name"
        ) from error
    except Exception as error:
        raise StorageError(f"the storage of study {name!r} does not answer: {_reason(error)}") from error
    guard_study(study, identity)
    return study


def guard_study(study: optuna.Study, identity: dict[str, JsonValue]) -> None:
    """Write down what a study is about, or refuse to go on where it is about something else.

    Raises:
        ConfigurationError: naming what differs.
    """
    known = study.user_attrs.get(_IDENTITY)
    mine = json.loads(json.dumps(identity))
    if known is None:
        if study.get_trials(deepcopy=False):
            raise ConfigurationError(
                f"the study {study.study_name!r} holds trials that were not made by this tuner; choose another name"
            )
        study.set_user_attr(_IDENTITY, mine)
    elif known != mine:
        differing = [key for key in {**known, **mine} if known.get(key) != mine.get(key)]
        raise ConfigurationError(
            f"the study {study.study_name!r} is about something else: {', '.join(sorted(differing))} differ; "
            "choose another study name or storage, or restore what was changed"
        )


def storage_errors() -> tuple[type[BaseException], ...]:
    """Return the errors by which storages say that they are gone or locked."""
    from sqlalchemy.exc import SQLAlchemyError

    errors: list[type[BaseException]] = [optuna.exceptions.StorageInternalError, SQLAlchemyError, OSError]
    try:
        import grpc  # type: ignore[import-untyped]
    except ImportError:  # pragma: no cover - depends on the installation
        pass
    else:
        errors.append(grpc.RpcError)
    return tuple(errors)


def _hide(url: str) -> str:
    return re.sub(r"//([^:/@]+):[^@]*@", r"//\1:***@", url)


def _reason(error: BaseException) -> str:
    text = f"{type(error).__name__}: {_hide(str(error)).strip().splitlines()[0] if str(error).strip() else ''}"
    if "no longer compatible" in str(error) or "upgrade" in str(error):
        return text + "; it was written by another version: run `optuna storage upgrade --storage URL`"
    if "locked" in str(error):
        return text + "; another process holds it: wait, or use a journal folder or PostgreSQL for several workers"
    return text
