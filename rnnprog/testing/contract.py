"""What all checks share: how a broken promise is reported, and steps made up from a task's types."""

from __future__ import annotations

import json
from typing import Any, Literal, get_args, get_origin

from rnnprog.signatures import Task
from rnnprog.trace import Step

__all__ = ["ContractError", "ensure", "example_steps", "same_json"]


class ContractError(AssertionError):
    """An implementation breaks a promise of its contract; the message names the check and what to do."""


def ensure(kept: bool, check: str, message: str) -> None:
    """Raise a :class:`ContractError` unless ``kept``."""
    if not kept:
        raise ContractError(f"{check}: {message}")


def same_json(one: Any, other: Any) -> bool:
    """Tell whether two values have the same JSON text."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def example_steps(task: Task, count: int = 4) -> list[Step]:
    """Make up labelled steps from the types of a task: numbers, texts, bools, ``Literal`` and lists of these.

    Raises:
        ContractError: a field of another type; hand in steps of your own.

    Example:
        >>> from rnnprog.signatures import as_task
        >>> example_steps(as_task("rain: float -> tomorrow: Literal['sun', 'rain']"), 2)[1]
        Step(inputs={'rain': 1.0}, target={'tomorrow': 'rain'}, time=None)
    """
    signature = task.signature
    inputs = {name: field.annotation for name, field in signature.input_fields.items()}
    outputs = {name: field.annotation for name, field in signature.output_fields.items()}
    return [
        Step(
            inputs={name: _example(name, kind, n) for name, kind in inputs.items()},
            target=task.validate({name: _example(name, kind, n) for name, kind in outputs.items()}),
        )
        for n in range(count)
    ]


def _example(name: str, kind: Any, n: int) -> Any:
    if get_origin(kind) is Literal:
        options = get_args(kind)
        return options[n % len(options)]
    if get_origin(kind) is list:
        return [_example(name, get_args(kind)[0], n)]
    values: dict[Any, Any] = {str: f"{name} {n}", float: float(n % 3), int: n % 3, bool: n % 2 == 0}
    if kind not in values:
        raise ContractError(f"cannot make up a value for field {name!r} of type {kind}; hand in steps of your own")
    return values[kind]
