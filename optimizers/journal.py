"""A study in a journal file: shared by processes of one machine, and whole again after a kill in mid-line."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage

from rnnprog.optimizers.batching import FileStorage

__all__ = ["JOURNAL", "open_journal"]

JOURNAL = "journal.log"


def open_journal(path: Path) -> BaseStorage:
    """Open the journal in a folder, or a ``.log`` file; it is made if need be."""
    from optuna.storages.journal import JournalFileBackend

    file = path if path.suffix == ".log" else path / JOURNAL
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = _ProcessLock(str(file) + ".flock")
    _mend(file, lock)
    return FileStorage(JournalFileBackend(str(file), lock_obj=lock))  # type: ignore[arg-type]


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
        try:
            self._handle = open(self._path, "ab")  # noqa: SIM115 - closed by release, in another call
            _lock(self._handle.fileno())
        except BaseException:  # the folder is gone: other threads must meet the same error, not wait for ever
            self._threads.release()
            raise
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


def _lock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:  # pragma: no cover - no such module on Windows
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
