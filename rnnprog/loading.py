"""Taking over the saved state of a program: all of it or nothing, older files with a warning."""

from __future__ import annotations

import logging
from typing import Any

import dspy

from rnnprog.errors import ConfigurationError

__all__ = ["load_parts"]

_logger = logging.getLogger(__name__)


def load_parts(program: dspy.Module, state: dict[str, Any], *, allow_unsafe_lm_state: bool) -> None:
    """Load each part of ``program`` that ``state`` knows; a part that it lacks stays as built, with a warning.

    Args:
        program: what takes the state over; its ``initial`` is tried afterwards.
        state: what its ``dump_state`` returned, in this version or an older one.
        allow_unsafe_lm_state: as in ``dspy.Module.load``.

    Raises:
        ConfigurationError: the state is of another program or task, or of a newer version; nothing is changed.
    """
    names = [name for name, _ in program.named_parameters()]
    unknown = sorted(set(state) - set(names) - {"metadata"})
    missing = [name for name in names if name not in state]
    if unknown or len(missing) == len(names):
        raise ConfigurationError(
            f"this is the state of another program, or of a newer version: it has {sorted(state)}, "
            f"here are {names}; build the same program, or upgrade rnnprog"
        )
    for name, part in program.named_parameters():
        _refuse_other_fields(name, part, state.get(name))
    if missing:
        _logger.warning("the saved state has no %s; these parts stay as they were built", ", ".join(missing))
    for module in (program.deepcopy(), program):  # a trial run first, so that a bad file changes nothing
        for name, part in module.named_parameters():
            if name in missing:
                continue
            if isinstance(part, dspy.Module):
                part.load_state(state[name], allow_unsafe_lm_state=allow_unsafe_lm_state)
            else:
                part.load_state(state[name])
        module.initial()


def _refuse_other_fields(name: str, part: Any, saved: Any) -> None:
    """Refuse a predictor that was saved for other fields: dspy would lay its texts over those that are here."""
    fields = (saved.get("signature") or {}).get("fields") if isinstance(saved, dict) else None
    if not isinstance(fields, list) or not isinstance(part, dspy.Predict):
        return
    known = part.signature
    here = [str((info.json_schema_extra or {}).get("prefix")) for info in known.fields.values()]
    there = [str(field.get("prefix")) for field in fields]
    asked = len(known.input_fields)  # an optimizer may have rewritten the prefix of an output
    if len(there) != len(here) or there[:asked] != here[:asked]:
        raise ConfigurationError(
            f"the saved state is of another task: its {name} has the fields {' '.join(there)}, here it has "
            f"{' '.join(here)}; build the program for the task that it was saved for"
        )
