"""Writing what belongs together at once: Optuna's storages commit each attribute of a trial by itself.

On a database each such write is a transaction that waits for the disk, in a journal a lock, a line and a flush. Here
the writes inside :func:`together` are made at its end, as one. A reported value is kept until the next write to its
trial, and goes with it: it can be had again from the ledger, the evaluation itself is written at once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timezone
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import TrialState

__all__ = ["Batching", "FileStorage", "Held", "Writes", "together"]


def together(storage: BaseStorage) -> AbstractContextManager[None]:
    """Return a context in which this thread's writes to trials are held back, and made as one at its end.

    Reads inside do not see them. With a storage that cannot, each write is made as ever.
    """
    return storage.together() if isinstance(storage, Batching) else nullcontext()


class Writes:
    """What is to be written to a trial; later writes of a name replace earlier ones."""

    def __init__(self) -> None:
        self.params: dict[str, tuple[float, BaseDistribution]] = {}
        self.user: dict[str, Any] = {}
        self.system: dict[str, Any] = {}
        self.values: dict[int, float] = {}
        self.end: tuple[TrialState, Sequence[float] | None] | None = None

    def add(self, other: Writes) -> None:
        """Take over what another writes to the same trial later."""
        self.params.update(other.params)
        self.user.update(other.user)
        self.system.update(other.system)
        self.values.update(other.values)


class Held:
    """What is held back: reported values by trial, and all writes of a thread that is inside ``together``."""

    def __init__(self) -> None:
        self.lock, self.values = threading.Lock(), dict[int, Writes]()
        self.local = threading.local()

    def __reduce__(self) -> tuple[type[Held], tuple[()]]:
        return Held, ()  # storages are pickled to other processes, which have nothing to write


class Batching(BaseStorage):
    """What both storages share; each says how several writes are made as one."""

    _held: Held

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold back this thread's writes to trials until the end, whether or not an error ends it."""
        if getattr(self._held.local, "by_trial", None) is not None:
            yield
            return
        self._held.local.by_trial = by_trial = dict[int, Writes]()
        try:
            yield
        finally:
            self._held.local.by_trial = None
            for trial_id, writes in by_trial.items():
                self._put(trial_id, writes)

    def _put(self, trial_id: int, writes: Writes) -> None:
        by_trial = getattr(self._held.local, "by_trial", None)
        if by_trial is not None:
            by_trial.setdefault(trial_id, Writes()).add(writes)
        else:
            self._now(trial_id, writes)

    def _now(self, trial_id: int, writes: Writes) -> None:
        with self._held.lock:
            kept = self._held.values.pop(trial_id, Writes())
        writes.values = {**kept.values, **writes.values}
        self._write(trial_id, writes)

    def _write(self, trial_id: int, writes: Writes) -> None:
        raise NotImplementedError

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Write a parameter."""
        writes = Writes()
        writes.params[param_name] = param_value_internal, distribution
        self._put(trial_id, writes)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write a user attribute."""
        writes = Writes()
        writes.user[key] = value
        self._put(trial_id, writes)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write a system attribute."""
        writes = Writes()
        writes.system[key] = value
        self._put(trial_id, writes)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Keep a reported value for the next write to the trial."""
        with self._held.lock:
            self._held.values.setdefault(trial_id, Writes()).values[step] = intermediate_value

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Write the state and values; with the end of a trial goes what is held back of it."""
        if not state.is_finished():
            return super().set_trial_state_values(trial_id, state, values)  # type: ignore[safe-super]
        by_trial = getattr(self._held.local, "by_trial", None) or {}
        writes = by_trial.pop(trial_id, Writes())
        writes.end = state, values
        self._now(trial_id, writes)
        return True


class FileStorage(Batching, JournalStorage):
    """Optuna's journal storage; what belongs together is appended under one lock and flushed once."""

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self._held = Held()

    def _write(self, trial_id: int, writes: Writes) -> None:
        operation = JournalOperation
        lines: list[tuple[int, dict[str, Any]]] = [
            (
                operation.SET_TRIAL_PARAM,
                {"param_name": name, "param_value_internal": value, "distribution": distribution_to_json(distribution)},
            )
            for name, (value, distribution) in writes.params.items()
        ]
        lines += [(operation.SET_TRIAL_USER_ATTR, {"user_attr": {k: v}}) for k, v in writes.user.items()]
        lines += [(operation.SET_TRIAL_SYSTEM_ATTR, {"system_attr": {k: v}}) for k, v in writes.system.items()]
        lines += [
            (operation.SET_TRIAL_INTERMEDIATE_VALUE, {"step": step, "intermediate_value": value})
            for step, value in writes.values.items()
        ]
        if writes.end is not None:
            ended = datetime.now(tz=timezone.utc).isoformat(timespec="microseconds")
            state, values = writes.end
            lines.append(
                (operation.SET_TRIAL_STATE_VALUES, {"state": state, "values": values, "datetime_complete": ended})
            )
        with self._thread_lock:
            common = {"worker_id": self._replay_result.worker_id, "trial_id": trial_id}
            self._backend.append_logs([{"op_code": code, **common, **fields} for code, fields in lines])
            self._sync_with_backend()
