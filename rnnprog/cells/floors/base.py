"""What the floors share: one small count for each output, in JSON, and no language model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import JsonValue

from rnnprog.cells.base import Answer, Cell, Experience, Learned
from rnnprog.errors import ConfigurationError
from rnnprog.signatures.task import Task, TaskLike, as_task
from rnnprog.trace import Fields

__all__ = ["Floor", "first_guess", "is_number", "key_of", "value_of"]

State = dict[str, Any]


class Floor(Cell):
    """A floor: what can be had without a model. A result below its floor says that the memory does harm.

    A floor keeps one state for each output and treats the outputs one by one. A subclass says how an output is
    guessed from its state and how the state follows from an outcome.

    Args:
        task: what is observed and predicted; a signature string is fine.
        start: what to answer before anything is known, by output; by default the first allowed value, or zero.
        sources: for each output, the input that holds its present value, where there is one.

    Raises:
        ConfigurationError: an unknown output or input is named, the outputs are of the wrong type for this floor,
            or there is no default first answer for an output.
    """

    numeric_only = False

    def __init__(
        self, task: TaskLike, *, start: Fields | None = None, sources: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(as_task(task))
        self.sources = dict(sources or {})
        for output, source in self.sources.items():
            if output not in self.task.outputs or source not in self.task.inputs:
                raise ConfigurationError(
                    f"{self.name}: sources {{{output!r}: {source!r}}} do not name an output and an input of {self.task}"
                )
        if self.numeric_only and not all(is_number(self.task, output) for output in self.task.outputs):
            raise ConfigurationError(f"{self.name} predicts numbers; the task is {self.task}; use majority for labels")
        self.first = self._checked_first(dict(start or {}))

    def guess(self, output: str, state: State, inputs: Fields) -> JsonValue:
        """Return the answer for one output; ``None`` if nothing is known yet."""
        raise NotImplementedError(f"{type(self).__name__} must define guess(output, state, inputs)")

    def follow(self, output: str, state: State, inputs: Fields, outcome: JsonValue) -> State:
        """Return the state of one output after its outcome became known."""
        raise NotImplementedError(f"{type(self).__name__} must define follow(output, state, inputs, outcome)")

    def initial(self) -> dict[str, State]:
        """Return an empty state for each output."""
        return {output: {} for output in self.task.outputs}

    def predicting(self, carry: dict[str, State], inputs: Fields) -> Answer:
        """Guess each output from its state."""
        outputs: Fields = {}
        for output in self.task.outputs:
            value = self.guess(output, carry[output], inputs)
            outputs[output] = self.first[output] if value is None else value
        return Answer(outputs=outputs)

    def learning(self, carry: dict[str, State], experience: Experience) -> Learned:
        """Take the outcome into account, where it came as a label."""
        target = experience.feedback.target if experience.feedback is not None else None
        known = {name: value for name, value in (target or {}).items() if name in carry and value is not None}
        if not known:
            return Learned(carry, "keep")
        news = {o: self.follow(o, carry[o], experience.inputs, v) for o, v in known.items()}
        after = {**carry, **news}
        return Learned(carry if after == carry else after, "count")

    def describe(self) -> Fields:
        """Return name, task and where the present values come from."""
        return {**super().describe(), "sources": dict(self.sources), "start": dict(self.first)}

    def _checked_first(self, given: Fields) -> Fields:
        unknown = given.keys() - set(self.task.outputs)
        if unknown:
            raise ConfigurationError(f"{self.name}: start names {sorted(unknown)}, which the task does not predict")
        start = {output: given.get(output, first_guess(self.task, output)) for output in self.task.outputs}
        try:
            return self.task.validate(start)
        except ValueError as error:
            raise ConfigurationError(f"{self.name} has no valid first answer: {error}; give start={{...}}") from error


def first_guess(task: Task, output: str) -> JsonValue:
    """Return the plainest value of an output: the first of a ``Literal``, false, nothing, or zero within its range."""
    field = task.signature.output_fields[output]
    kind = field.annotation
    if get_origin(kind) is Literal:
        return get_args(kind)[0]  # type: ignore[no-any-return]
    if kind is bool:
        return False
    if kind is str:
        return ""
    if kind is list or get_origin(kind) is list:
        return []
    if kind in (int, float):
        low = next((m.ge for m in field.metadata if hasattr(m, "ge")), 0)
        high = next((m.le for m in field.metadata if hasattr(m, "le")), 0)
        return kind(max(low, min(0, high)))  # type: ignore[no-any-return]
    return None


def is_number(task: Task, output: str) -> bool:
    """Whether an output is an int or a float."""
    return task.signature.output_fields[output].annotation in (int, float)


def key_of(value: JsonValue) -> str:
    """Return a text that stands for a JSON value as key of a count.

    Example:
        >>> key_of("sun"), value_of(key_of("sun"))
        ('"sun"', 'sun')
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def value_of(key: str) -> JsonValue:
    """Return the value that :func:`key_of` wrote."""
    return json.loads(key)  # type: ignore[no-any-return]
