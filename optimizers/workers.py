"""Who works on a study: so that a trial of a killed process is taken up again, and one of a living process is not."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import optuna

__all__ = ["Worker"]

_BEAT = "rnnprog:worker:"
_AT_WORK: set[str] = set()  # workers of this process


class Worker:
    """This process, as the other workers of a study see it.

    Args:
        study: what it works on.
        beat: seconds between signs of life.
        grace: seconds without a sign of life after which a worker of another machine counts as dead. On this machine
            the process table is asked instead.
    """

    def __init__(self, study: optuna.Study, beat: float = 15.0, grace: float = 120.0) -> None:
        self.study, self.beat, self.grace = study, beat, grace
        self.host = socket.gethostname()
        self.id = f"{self.host}:{os.getpid()}:{_started(os.getpid())}:{uuid.uuid4().hex[:6]}"
        self._stop = threading.Event()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Give signs of life while the work inside goes on."""
        self._sign()
        _AT_WORK.add(self.id)
        thread = threading.Thread(target=self._beat, name="rnnprog-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            _AT_WORK.discard(self.id)
            thread.join(timeout=self.beat)

    def lives(self, worker: str | None) -> bool:
        """Return whether a worker is still there, as far as can be told."""
        if not worker:
            return False
        if worker == self.id:
            return True
        host, pid, started, _ = worker.rsplit(":", 3)
        if host == self.host and int(pid) == os.getpid():
            return worker in _AT_WORK  # a search that broke off leaves its process alive: a notebook, say
        if host == self.host:
            return _started(int(pid)) == started
        last = self.study._storage.get_study_system_attrs(self.study._study_id).get(_BEAT + worker)
        return last is not None and time.time() - float(last) < self.grace

    def _beat(self) -> None:
        while not self._stop.wait(self.beat):
            try:
                self._sign()
            except Exception:
                # The main thread meets the same trouble with its next write, and says so.
                continue

    def _sign(self) -> None:
        self.study._storage.set_study_system_attr(self.study._study_id, _BEAT + self.id, time.time())


def _started(pid: int) -> str:
    """Return when a process was started, so that a reused process id is not taken for the old one; empty if gone.

    A killed process that its parent has not asked for yet (a zombie) is gone.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return ""
    except PermissionError:
        pass
    return "alive"
