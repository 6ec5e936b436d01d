"""Reading steps in the shapes that people have them in: values, or mappings with the task's fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Union, get_args

import dspy

from rnnprog.errors import DataError
from rnnprog.signatures import Task
from rnnprog.signatures.text import to_json
from rnnprog.trace import Step

__all__ = ["StepLike", "as_step", "as_steps"]

StepLike = Union[Step, Mapping[str, Any], dspy.Example]


def as_steps(task: Task, steps: Iterable[StepLike]) -> list[Step]:
    """Return steps as values.

    Args:
        task: says which fields are observed and which predicted.
        steps: :class:`~rnnprog.Step` values, their JSON form, or flat mappings (a ``dspy.Example`` is one) in which
            output fields, if all are there and not ``None``, are the outcome. Where some of several are known, ``None``
            is the outcome of an ``Optional`` one.

    Raises:
        DataError: an entry is none of these, has other fields than the task, or its outcome does not fit the task.

    Example:
        >>> from rnnprog.signatures import as_task
        >>> as_steps(as_task("rain: float -> tomorrow"), [{"rain": 1.5, "tomorrow": "sun"}])[0].target
        {'tomorrow': 'sun'}
    """
    if isinstance(steps, (str, bytes, Mapping)) or not isinstance(steps, Iterable):
        raise DataError(f"steps must be a list of steps, got a {type(steps).__name__}")
    if hasattr(steps, "iterrows"):
        raise DataError("steps must be a list of steps, got a data frame; give frame.to_dict('records')")
    read = [as_step(task, step, index) for index, step in enumerate(steps)]
    for index, step in enumerate(read):
        try:
            task.check_inputs(step.inputs)
        except ValueError as error:
            raise DataError(f"step {index}: {error}") from error
    return read


def as_step(task: Task, step: StepLike, index: int = 0) -> Step:
    """Return one step as a value, whatever its fields: where steps come one by one, a wrong one is a failed answer.

    Args:
        task: as in :func:`as_steps`.
        step: as there.
        index: its place in the sequence, for messages.

    Raises:
        DataError: it is no step, or its outcome does not fit the task.
    """
    if isinstance(step, dspy.Example):
        step = dict(step.items())
    if isinstance(step, Step):
        read = step
    elif isinstance(step, Mapping):
        read = _read(task, index, step)
    else:
        raise DataError(f"step {index} is a {type(step).__name__}; give a Step or a mapping with the task's fields")
    if read.target is None:
        return read
    try:
        return read.model_copy(update={"target": task.validate(read.target)})
    except ValueError as error:
        raise DataError(f"step {index}: the outcome does not fit the task: {error}") from error


def _read(task: Task, index: int, step: Mapping[str, Any]) -> Step:
    try:
        if not isinstance(step.get("inputs"), Mapping):
            return _flat(task, step)
        return Step.model_validate({**step, "inputs": {name: to_json(value) for name, value in step["inputs"].items()}})
    except ValueError as error:
        raise DataError(f"step {index}: not readable as a step of plain values: {error}") from error


def _flat(task: Task, step: Mapping[str, Any]) -> Step:
    known = {name: to_json(step[name]) for name in task.outputs if step.get(name) is not None}
    if known:
        known |= {
            name: None for name in task.outputs if name in step and step[name] is None and _may_be_none(task, name)
        }
    inputs = {name: to_json(value) for name, value in step.items() if name not in task.outputs}
    return Step(inputs=inputs, target=known if len(known) == len(task.outputs) else None)


def _may_be_none(task: Task, output: str) -> bool:
    return type(None) in get_args(task.signature.output_fields[output].annotation)
