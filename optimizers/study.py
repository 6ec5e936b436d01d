"""A study by name: begun, gone on with, or refused because it is about something else."""

from __future__ import annotations

import hashlib
import json
import warnings
from typing import Literal

import optuna
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage
from pydantic import JsonValue

from rnnprog.errors import ConfigurationError
from rnnprog.optimizers.identity import differing
from rnnprog.optimizers.storage import StorageError, why

__all__ = ["guard_study", "open_own_study", "open_study"]

Direction = Literal["minimize", "maximize"]
_IDENTITY = "rnnprog:identity"


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
        raise StorageError(f"the storage of study {name!r} does not answer: {why(error)}") from error
    guard_study(study, identity)
    return study


def open_own_study(
    storage: BaseStorage,
    name: str,
    directions: list[Direction],
    pruner: BasePruner,
    identity: dict[str, JsonValue],
) -> optuna.Study:
    """Open the study of that name, or, where that is about something else, one named after what this search is about.

    For callers who gave no name: equal searches find the same study again. Arguments and errors as :func:`open_study`.
    """
    try:
        return open_study(storage, name, directions, pruner, identity)
    except ConfigurationError as error:
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
        warnings.warn(f"{str(error).partition(';')[0]}; this search has its own, '{name}-{digest}'", stacklevel=4)
        return open_study(storage, f"{name}-{digest}", directions, pruner, identity)


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
    elif told := differing(known, mine):
        raise ConfigurationError(
            f"the study {study.study_name!r} is about something else: {told}; "
            "choose another study name or storage, or restore what was changed"
        )
