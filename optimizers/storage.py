"""Where a study lives: in memory, a journal file, SQLite, PostgreSQL, or a gRPC proxy in front of one of these.

A journal file is the default: nothing to start, survives kill -9, and several processes of one machine may share it.
Many machines share PostgreSQL, or a gRPC proxy in front of it.
"""

from __future__ import annotations

import re
import sqlite3
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, Union
from urllib.parse import urlsplit

import optuna
import sqlalchemy
import tenacity
from optuna.storages import BaseStorage

from rnnprog.errors import ConfigurationError, RnnprogError
from rnnprog.optimizers.database import DatabaseStorage
from rnnprog.optimizers.journal import open_journal

__all__ = ["StorageError", "StorageLike", "check_storage", "open_storage", "storage_errors", "why"]

StorageLike = Union[str, Path, BaseStorage, None]
_URL = re.compile(r"^[a-z][a-z0-9+]*://")
_WAIT = 20.0  # seconds for a gRPC proxy to answer
_PATIENCE = 30.0  # seconds for SQLite's lock


class StorageError(RnnprogError, RuntimeError):
    """A storage cannot be opened or does not answer: gone, locked, or written by another version."""


def open_storage(where: StorageLike, folder: Path | None = None) -> BaseStorage:
    """Open a storage.

    Args:
        where: ``"memory"``; a folder or ``.log`` file for a journal; ``sqlite:///FILE`` (``?timeout=SECONDS`` for its
            lock, by default 30); ``postgresql://...``;
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
        return open_journal(Path(text))
    except (ConfigurationError, StorageError):
        raise
    except Exception as error:
        raise StorageError(f"storage {_hide(text)!r} cannot be opened: {why(error)}") from error


def _database(url: str) -> BaseStorage:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    if url.startswith("sqlite"):
        options = {} if "timeout=" in url else {"connect_args": {"timeout": _PATIENCE}}
        name = url.partition("?")[0].partition(":///")[2]
        if name:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
    # Workers that start together race to make the tables; the slower ones find them on the next try.
    for attempt in tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_race),
        stop=tenacity.stop_after_attempt(8) | tenacity.stop_after_delay(_PATIENCE),
        wait=tenacity.wait_random(0.1, 0.6),
        reraise=True,
    ):
        with attempt:
            storage = optuna.storages.RDBStorage(url, engine_kwargs=options)
            if url.startswith("sqlite"):
                _write_ahead(storage.engine)
            return DatabaseStorage(storage)
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
    signs = ("already exists", "duplicate key", "UNIQUE constraint", "database is locked", "DuplicateTable")
    return any(sign in str(error) for sign in signs)


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


def check_storage(storage: BaseStorage) -> None:
    """Read an SQLite file as a newcomer would; other storages report damage themselves.

    With a write-ahead log a process may go on for long on what it has in memory and in the log, and never notice that
    the file was overwritten or replaced.

    Raises:
        StorageInternalError: the file is damaged.
        sqlalchemy.exc.SQLAlchemyError: it is gone, locked, or no database any more.
    """
    engine = getattr(getattr(storage, "_backend", storage), "engine", None)
    if engine is None or engine.dialect.name != "sqlite":
        return
    engine.dispose()
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text("PRAGMA quick_check(1)")).scalar()
        connection.execute(sqlalchemy.text("SELECT COUNT(*) FROM trials"))
    if found != "ok":
        raise optuna.exceptions.StorageInternalError(f"the database is damaged: {found}")


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


def why(error: BaseException) -> str:
    """Return in one line why a storage does not answer, and what to do; passwords are left out."""
    while error.__cause__ is not None:  # the outer ones speak of commits and proxies
        error = error.__cause__
    said = _hide(str(error)).strip()
    text = f"{type(error).__name__}: {said.splitlines()[0] if said else ''}"
    if "no longer compatible" in str(error) or "upgrade" in str(error):
        return text + "; it was written by another version: run `optuna storage upgrade --storage URL`"
    if "database is locked" in str(error):
        return text + "; another process holds it: wait, or use a journal folder or PostgreSQL for several workers"
    return text
