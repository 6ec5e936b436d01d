"""From the name of an arm to a program: the same frame for all, the control in the very prompt of the method."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from rnnprog.cells.base import cell_names, make_cell
from rnnprog.cells.reflective import ReflectiveSettings
from rnnprog.errors import ConfigurationError
from rnnprog.evaluate.config import ArmSpec, ExamConfig
from rnnprog.feedback import Label
from rnnprog.module import RecurrentModule
from rnnprog.recording import FailurePolicy, Recording
from rnnprog.signatures import Task

__all__ = ["all_cells", "feedback_of", "program_of"]


def all_cells() -> list[str]:
    """Return the names of the cells that ask a model and need nothing but a task, in alphabetical order.

    Example:
        >>> {"reflective", "zero_shot", "full_history"} <= set(all_cells())
        True
    """
    import rnnprog.cells  # noqa: F401  (all cells make themselves known)

    plain = []
    for name in cell_names():
        try:
            cell = make_cell(name, "x -> y: Literal['a', 'b']")
        except ConfigurationError:
            continue
        if cell.named_predictors():
            plain.append(name)
    return plain


def program_of(spec: ArmSpec, task: Task, config: ExamConfig) -> RecurrentModule:
    """Return the program of an arm.

    The budget goes to every cell that takes one. An ``empty_memory`` arm without settings of its own gets those of
    the first ``reflective`` arm: it is that arm's prompt, word for word, with nothing in the memory.

    Raises:
        ConfigurationError: no such cell, or settings that it does not take.
    """
    import rnnprog.cells  # noqa: F401  (all cells make themselves known)

    cell = make_cell(spec.cell, task, **_settings(spec, task, config))
    return RecurrentModule(
        cell,
        feedback=feedback_of(config),
        recording=Recording(every=config.record_every),
        failures=FailurePolicy(give_up_after=config.give_up_after),
    )


def feedback_of(config: ExamConfig) -> Label:
    """Return the source of labels, with the exam's delay."""
    if config.delay_by == "days":
        return Label(delay=timedelta(days=config.delay))
    if config.delay_by == "time":
        return Label(delay=config.delay, by="time")
    return Label(delay=int(config.delay))


def _settings(spec: ArmSpec, task: Task, config: ExamConfig) -> dict[str, Any]:
    if spec.cell == "empty_memory":
        like = next((arm for arm in config.arms if arm.cell == "reflective"), None)
        own = spec.settings or (like.settings if like is not None else {})
        try:
            return {"settings": ReflectiveSettings.model_validate({"budget": config.budget, **own})}
        except ValueError as error:
            raise ConfigurationError(f"arm {spec.label!r}: unusable settings: {error}") from error
    settings = getattr(getattr(make_cell(spec.cell, task, **spec.settings), "settings", None), "value", None)
    shared = {"budget": config.budget} if hasattr(settings, "budget") else {}
    return {**shared, **spec.settings}
