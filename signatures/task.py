"""The task: what is observed and what is to be predicted, checked once at construction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Union, cast

import dspy
from pydantic import BaseModel, TypeAdapter, ValidationError

from rnnprog.errors import ConfigurationError
from rnnprog.signatures.text import to_json

__all__ = ["RESERVED_NAMES", "Task", "TaskLike", "as_task"]

TaskLike = Union[str, type[dspy.Signature], "Task"]

_PREDICT_ARGUMENTS = {"signature", "demos", "config", "lm", "new_signature", "prediction"}
_EXAMPLE_METHODS = {"labels", "inputs", "keys", "values", "items", "get", "copy", "without", "toDict", "completions"}
_OUR_FIELDS = {"memory", "steps", "carry", "sequence", "outputs", "state", "trace"}
_OTHER_PHASES = {"outcome", "cause", "lesson", "new_memory", "assessment", "acceptable", "hint_"}
RESERVED_NAMES = frozenset(_PREDICT_ARGUMENTS | _EXAMPLE_METHODS | _OUR_FIELDS | _OTHER_PHASES)
"""Field names that a task may not use, because dspy or a phase of the cell already does."""


@dataclass(frozen=True)
class Task:
    """A checked task signature; make one with :func:`as_task`.

    Attributes:
        signature: the dspy signature; inputs are the observation, outputs the prediction.
    """

    signature: type[dspy.Signature]

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the observed fields."""
        return tuple(self.signature.input_fields)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of the predicted fields."""
        return tuple(self.signature.output_fields)

    @cached_property
    def _adapters(self) -> dict[str, TypeAdapter[Any]]:
        adapters = {}
        for name, field in self.signature.output_fields.items():
            kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
            adapters[name] = TypeAdapter(kind)
        return adapters

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs typed, with ranges enforced, as JSON values.

        Raises:
            ValueError: an output is missing, of the wrong type, out of its range or not finite.
        """
        typed: dict[str, Any] = {}
        for name, adapter in self._adapters.items():
            if name not in values:
                raise ValueError(f"output {name!r} is missing")
            value = values[name]
            try:
                checked = adapter.validate_python(value.strip() if isinstance(value, str) else value)
            except ValidationError as error:
                raise ValueError(f"output {name!r} = {value!r}: {error.errors()[0]['msg']}") from error
            if not _finite(adapter.dump_python(checked)):  # as JSON, a NaN in a list is null and gone
                raise ValueError(f"output {name!r} = {value!r}: not a finite number")
            typed[name] = to_json(checked)
        return typed

    def typed(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return validated outputs as the signature types them: a model as a model, a date as a date.

        Args:
            outputs: what :meth:`validate` returned.

        Example:
            >>> as_task("x -> days: set[int]").typed({"days": [1]})
            {'days': {1}}
        """
        return {name: self._adapters[name].validate_python(value) for name, value in outputs.items()}

    def check_inputs(self, values: Mapping[str, Any]) -> None:
        """Refuse an observation that lacks a field or has one too many.

        Raises:
            ValueError: naming the fields.
        """
        if values.keys() == self.signature.input_fields.keys():
            return
        missing = [name for name in self.inputs if name not in values]
        extra = [name for name in values if name not in self.signature.input_fields]
        if missing or extra:
            told = [f"missing {missing}"] * bool(missing) + [f"unknown {extra}"] * bool(extra)
            raise ValueError(
                f"the observation has {' and '.join(told)}; the task's inputs are {list(self.inputs)}, "
                f"its outputs {list(self.outputs)}"
            )

    def __str__(self) -> str:
        def side(fields: Mapping[str, Any]) -> str:
            return ", ".join(f"{name}: {_type_name(field.annotation)}" for name, field in fields.items())

        return f"{side(self.signature.input_fields)} -> {side(self.signature.output_fields)}"


def as_task(task: TaskLike, instructions: str | None = None) -> Task:
    """Read a task from a dspy signature string or class and check that every phase can be built on it.

    Args:
        task: e.g. ``"rain_mm: float, temp_max: float -> tomorrow: Literal['sun', 'rain']"`` or a
            ``dspy.Signature`` class. Outputs may be ``Literal``, ``bool``, ``int``, ``float`` (with a range
            through ``dspy.OutputField(ge=0, le=50)``), ``str``, ``list[...]`` for ranked answers, pydantic
            models; several are fine.
        instructions: replaces the signature's own instructions.

    Raises:
        ConfigurationError: no input or output, a reserved or double name, a type that cannot be an output.

    Example:
        >>> as_task("rain_mm: float -> tomorrow: Literal['sun', 'rain']").outputs
        ('tomorrow',)
    """
    if isinstance(task, Task):
        return task if instructions is None else Task(task.signature.with_instructions(instructions))
    try:
        signature: Any = dspy.Signature(task) if isinstance(task, str) else task
        if not (isinstance(signature, type) and issubclass(signature, dspy.Signature)):
            raise TypeError(f"expected a signature string or class, got {type(task).__name__}")
    except Exception as error:
        raise ConfigurationError(
            f"cannot read the task signature {task!r}: {error}; "
            "write it like \"rain: float -> tomorrow: Literal['sun', 'rain']\""
        ) from error
    if instructions is not None:
        signature = cast(Any, signature).with_instructions(instructions)
    _check(signature)
    return Task(signature)


def _check(signature: type[dspy.Signature]) -> None:
    inputs, outputs = signature.input_fields, signature.output_fields
    if not inputs or not outputs:
        raise ConfigurationError(
            f"the task needs at least one input and one output, got {list(inputs)} -> {list(outputs)}"
        )
    for name in [*inputs, *outputs]:
        if name in RESERVED_NAMES or name.startswith("dspy_"):
            raise ConfigurationError(
                f"the field name {name!r} is taken by dspy or by a phase; rename it, e.g. {name}_value"
            )
    for name, field in outputs.items():
        _check_output_type(name, field.annotation)


def _check_output_type(name: str, annotation: Any) -> None:
    way_out = "use Literal, bool, int, float, str, list[...] or a pydantic model"
    if isinstance(annotation, type) and issubclass(annotation, dspy.Type):
        raise ConfigurationError(f"output {name!r}: {annotation.__name__} cannot be predicted and scored; {way_out}")
    if annotation is Any or annotation is object:
        raise ConfigurationError(f"output {name!r} has no type to check answers against; {way_out}")
    try:
        TypeAdapter(annotation).json_schema()
    except Exception as error:
        raise ConfigurationError(
            f"output {name!r}: type {_type_name(annotation)} has no JSON form; {way_out}"
        ) from error


def _finite(value: Any) -> bool:
    """Return whether every number in plain data, at any depth, is finite; whole ones too, as far as floats reach."""
    if isinstance(value, (int, float)):
        try:
            return math.isfinite(value)
        except OverflowError:
            return False
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    return all(map(_finite, value)) if isinstance(value, (list, tuple, set, frozenset)) else True


def _type_name(annotation: Any) -> str:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or annotation.__module__ == "builtins"):
        return annotation.__name__
    return str(annotation).replace("typing.", "")
