"""Which model does what in a program: one for all phases, or one for each; and whether there is any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import dspy

from rnnprog.errors import ConfigurationError, LMUnavailableError

__all__ = ["assign_lms", "require_lm", "shared_lm"]


def require_lm(program: dspy.Module) -> None:
    """Refuse to start where a phase has no model.

    Raises:
        LMUnavailableError: naming the phases without one.
    """
    if dspy.settings.lm is not None:
        return
    without = [name for name, predictor in program.named_predictors() if predictor.lm is None]
    if without:
        raise LMUnavailableError(
            f"no language model for {', '.join(without)}; call dspy.configure(lm=dspy.LM('openai/gpt-4o-mini')), "
            "program.set_lm(...), or for an offline trial program.set_lm(rnnprog.embedded_lm())"
        )


def shared_lm(program: dspy.Module) -> Any:
    """Return the one model that all phases hold, ``None`` if none holds any; models of equal state count as one.

    Raises:
        ValueError: the phases use different models.
    """
    lms = {name: predictor.lm for name, predictor in program.named_predictors()}
    distinct: list[Any] = []
    for lm in lms.values():
        if not any(lm is known or _same(lm, known) for known in distinct):
            distinct.append(lm)
    if len(distinct) > 1:
        models = {name: getattr(lm, "model", lm) for name, lm in lms.items()}
        raise ValueError(f"the phases use different models: {models}; there is no single one to return")
    return distinct[0] if distinct else None


def assign_lms(owners: Iterable[dspy.Module], by_phase: Mapping[str, dspy.LM]) -> None:
    """Give phases models of their own.

    Args:
        owners: the modules whose attributes are phases.
        by_phase: models by the name of the attribute.

    Raises:
        ConfigurationError: a phase that no owner has, or something that is not a model; then nothing changes.
    """
    phases = {name: part for owner in owners for name, part in vars(owner).items() if isinstance(part, dspy.Module)}
    unknown = sorted(set(by_phase) - set(phases))
    if unknown:
        raise ConfigurationError(f"no phase {unknown} in this program; it has {sorted(phases)}")
    for phase, lm in by_phase.items():
        if not isinstance(lm, dspy.BaseLM):
            raise ConfigurationError(
                f"the model for {phase!r} is {lm!r}; give a dspy.LM, e.g. dspy.LM('openai/gpt-4o')"
            )
    for phase, lm in by_phase.items():
        phases[phase].set_lm(lm)


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return False
    try:
        return bool(type(one) is type(other) and one.dump_state() == other.dump_state())
    except Exception:
        return False
