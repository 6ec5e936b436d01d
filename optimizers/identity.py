"""What a search is about: scores of another search are no scores of this one, however its study is called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import dspy
from pydantic import JsonValue

from rnnprog.module import RecurrentModule
from rnnprog.optimizers.candidate import parts_of
from rnnprog.optimizers.code_digest import code_digest, same_code
from rnnprog.optimizers.data import Item, fingerprint
from rnnprog.optimizers.objective import Objective
from rnnprog.optimizers.space import phases_of
from rnnprog.optimizers.teacher import state_digest

__all__ = ["differing", "identity_of"]

_METRIC, _FEEDBACK, _MODELS = "code of the metric", "feedback", "models"
_CODE = (_METRIC, _FEEDBACK)


def identity_of(
    student: dspy.Module,
    objective: Objective,
    valset: Sequence[Item],
    models: Mapping[str, dspy.LM] | None = None,
    **further: JsonValue,
) -> dict[str, JsonValue]:
    """Return what a search is about, as JSON.

    Args:
        student: its state, where its feedback comes from, and the name and temperature of its models; where these are
            served, and with which keys, may change.
        objective: its settings, and the code of the metric.
        valset: sequences that candidates are judged on.
        models: further models, by name.
        **further: what else distinguishes it.
    """
    sources = [module.feedback for module in parts_of(student, RecurrentModule)]
    lms = {phase: predictor.lm or dspy.settings.lm for phase, predictor in phases_of(student).items()}
    return {
        "objective": json.dumps(objective.describe(), sort_keys=True),
        _METRIC: code_digest(objective.metric, objective.step_weights),
        "sequences": fingerprint(valset),
        "student": state_digest(student),
        _FEEDBACK: code_digest(*sources),
        _MODELS: {name: _name(lm) for name, lm in {**lms, **(models or {})}.items() if lm is not None},
        **further,
    }


def differing(known: Mapping[str, Any], mine: Mapping[str, Any]) -> str:
    """Return what differs between two searches, in words; empty if they are about the same."""
    names = [name for name in {**known, **mine} if not _same(name, known.get(name), mine.get(name))]
    told = f"{', '.join(sorted(names))} differ" if names else ""
    if _METRIC in names:
        told += (
            " (its code, the constants it looks up or its public attributes have changed: old scores do not compare)"
        )
    if _MODELS in names:
        told += f" (they were {_shown(known.get(_MODELS))}, now they are {_shown(mine.get(_MODELS))})"
    return told


def _same(name: str, one: Any, other: Any) -> bool:
    if name in _CODE and isinstance(one, str) and isinstance(other, str):
        return same_code(one, other)
    return bool(one == other)


def _name(lm: Any) -> str:
    temperature = getattr(lm, "kwargs", {}).get("temperature")
    return str(getattr(lm, "model", type(lm).__name__)) + (f" at {temperature}" if temperature is not None else "")


def _shown(models: Mapping[str, str] | None) -> str:
    return ", ".join(dict.fromkeys((models or {}).values())) or "not known"
