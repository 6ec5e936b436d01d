"""A study in a database: what belongs together is one transaction, and what this process knows is not read again."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial
from sqlalchemy.dialects import postgresql, sqlite

from rnnprog.optimizers.batching import Batching, Held, Writes

__all__ = ["DatabaseStorage"]

_TRIAL, _USER, _SYSTEM = models.TrialModel, models.TrialUserAttributeModel, models.TrialSystemAttributeModel
_VALUES = models.TrialIntermediateValueModel
_STATE = sqlalchemy.select(_TRIAL.__table__.c.state).where(
    _TRIAL.__table__.c.trial_id == sqlalchemy.bindparam("trial_id")
)


class DatabaseStorage(Batching, _CachedStorage):
    """Optuna's database storage, with its cache; what belongs together is one transaction.

    Optuna's cache holds finished trials only, and reads a running one anew, table by table, at each question. A trial
    that was begun here is written here only, so what was written is remembered. One query tells whether anything else
    has changed: trials of other workers, or the state of this one's, which another may have taken for dead.
    """

    def __init__(self, backend: RDBStorage) -> None:
        super().__init__(backend)
        self._held = Held()
        self._mine: set[int] = set()

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begin a trial."""
        trial_id = super().create_new_trial(study_id, template_trial)
        if template_trial is None:
            self._mine.add(trial_id)
        return trial_id

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial; one that was begun here without asking the database."""
        with self._lock:
            if trial_id in self._mine:
                return _copy(self._remembered(trial_id))
        return super().get_trial(trial_id)

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        if not self._all_is_known(study_id):
            super()._read_trials_from_remote_storage(study_id)

    def _all_is_known(self, study_id: int) -> bool:
        """Return whether trials that are not finished, as far as is known, are this process's own and as it left them.

        The trials up to the last finished one that were seen to be finished do not change any more.
        """
        study = self._studies.get(study_id)
        if study is None:
            return False
        trials = _TRIAL.__table__.c
        found = trials.trial_id > study.last_finished_trial_id
        if study.unfinished_trial_ids:
            found = sqlalchemy.or_(found, trials.trial_id.in_(study.unfinished_trial_ids))
        asked = sqlalchemy.select(trials.trial_id, trials.state).where(trials.study_id == study_id, found)
        with self._transaction() as connection:
            states = connection.execute(asked).all()
        with self._lock:
            return all(
                trial_id in self._trial_id_to_study_id_and_number
                and (trial_id in self._mine or state.is_finished())
                and self._remembered(trial_id).state == state
                for trial_id, state in states
            )

    def _remembered(self, trial_id: int) -> FrozenTrial:
        study_id, number = self._trial_id_to_study_id_and_number[trial_id]
        return self._studies[study_id].trials[number]

    def _remember(self, trial_id: int, writes: Writes) -> None:
        """Lay what was written over what is known of a trial, as the database would give it back."""
        with self._lock:
            trial = _copy(self._remembered(trial_id))
            for name, (value, distribution) in writes.params.items():
                trial.distributions[name] = distribution
                trial.params[name] = distribution.to_external_repr(value)
            trial.user_attrs.update(json.loads(json.dumps(writes.user)))
            trial.system_attrs.update(json.loads(json.dumps(writes.system)))
            trial.intermediate_values.update(writes.values)
            if writes.end is not None:
                trial.state, trial.datetime_complete = writes.end[0], datetime.now()
                if writes.end[1] is not None:
                    trial.values = list(writes.end[1])
            self._studies[self._trial_id_to_study_id_and_number[trial_id][0]].trials[trial.number] = trial

    def _write(self, trial_id: int, writes: Writes) -> None:
        study = self._studies[self._study_of(trial_id)]
        if self._backend.engine.name not in ("sqlite", "postgresql") or writes.params or writes.end is not None:
            self._write_by_session(trial_id, writes, study.param_distribution)
        else:  # every evaluation comes this way; without a session it takes a third of the time
            with self._transaction() as connection:
                found = connection.execute(_STATE, {"trial_id": trial_id}).scalar_one()
                self._backend.check_trial_is_updatable(trial_id, found)
                self._upsert(connection, trial_id, writes)
        study.param_distribution.update({name: found for name, (_, found) in writes.params.items()})
        if trial_id in self._mine:
            self._remember(trial_id, writes)

    @contextmanager
    def _transaction(self) -> Iterator[sqlalchemy.Connection]:
        """Commit at the end; with the errors that Optuna's own writes raise."""
        try:
            with self._backend.engine.begin() as connection:
                yield connection
        except sqlalchemy.exc.IntegrityError:
            raise
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise StorageInternalError(f"the database did not answer: {error}") from error

    def _write_by_session(self, trial_id: int, writes: Writes, known: dict[str, Any]) -> None:
        backend = self._backend
        with _create_scoped_session(backend.scoped_session) as session:
            trial = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=writes.end is not None)
            backend.check_trial_is_updatable(trial_id, trial.state)  # type: ignore[arg-type]
            for name, (value, distribution) in writes.params.items():
                backend._set_trial_param_without_commit(session, trial_id, name, value, distribution, known.get(name))
            if backend.engine.name not in ("sqlite", "postgresql"):
                for model, written in ((_USER, writes.user), (_SYSTEM, writes.system)):
                    for key, said in written.items():
                        backend._set_trial_attr_without_commit(session, model, trial_id, key, said)
                for step, reported in writes.values.items():
                    backend._set_trial_intermediate_value_without_commit(session, trial_id, step, reported)
            else:
                self._upsert(session.connection(), trial_id, writes)
            if writes.end is not None:
                for objective, end in enumerate(writes.end[1] or ()):
                    backend._set_trial_value_without_commit(session, trial, objective, end)
                trial.state, trial.datetime_complete = writes.end[0], datetime.now()

    def _study_of(self, trial_id: int) -> int:
        if trial_id not in self._trial_id_to_study_id_and_number:
            for study in self.get_all_studies():
                self.get_all_trials(study._study_id, deepcopy=False)
        return self._trial_id_to_study_id_and_number[trial_id][0]

    def _upsert(self, connection: sqlalchemy.Connection, trial_id: int, writes: Writes) -> None:
        """Write attributes and values, one statement a table; those that are there take the new values."""
        dialect = sqlite if self._backend.engine.name == "sqlite" else postgresql
        stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
        values = [(step, *stored(value)) for step, value in writes.values.items()]
        for model, names, rows in (
            (_USER, ("key", "value_json"), [(key, json.dumps(value)) for key, value in writes.user.items()]),
            (_SYSTEM, ("key", "value_json"), [(key, json.dumps(value)) for key, value in writes.system.items()]),
            (_VALUES, ("step", "intermediate_value", "intermediate_value_type"), values),
        ):
            if rows:
                insert = dialect.insert(model.__table__)
                changed = {name: insert.excluded[name] for name in names[1:]}
                statement = insert.on_conflict_do_update(index_elements=["trial_id", names[0]], set_=changed)
                connection.execute(
                    statement, [{"trial_id": trial_id, **dict(zip(names, row, strict=True))} for row in rows]
                )


def _copy(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial that may be changed without changing this one; the values of attributes are shared."""
    found = copy.copy(trial)
    for name in ("params", "distributions", "user_attrs", "system_attrs", "intermediate_values"):
        setattr(found, name, dict(getattr(trial, name)))
    return found
