"""What passes between a program and whoever asks it: the answer given out, the outcome brought back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from rnnprog.errors import DataError
from rnnprog.feedback import label_feedback
from rnnprog.signatures import Task
from rnnprog.signatures.text import to_json
from rnnprog.state import Pending
from rnnprog.trace import Failure, Feedback, Fields

__all__ = ["Asked", "outcome_feedback"]


@dataclass(frozen=True)
class Asked:
    """An answer to one observation.

    Attributes:
        id: key to tell the outcome by.
        outputs: typed outputs by field, as JSON values; ``None`` if there was no usable answer. Also readable as
            attributes.
        failure: why there is none.
    """

    id: str
    outputs: Fields | None
    failure: Failure | None = None

    def __getattr__(self, name: str) -> JsonValue:
        outputs = self.__dict__.get("outputs") or {}
        if name in outputs:
            return outputs[name]  # type: ignore[no-any-return]
        raise AttributeError(f"the answer has no output {name!r}; it has {sorted(outputs)}")


def outcome_feedback(task: Task, pending: Pending, outcome: Any) -> Feedback:
    """Read an outcome as it was told: the value of the one output, values by field, or feedback as it is.

    Raises:
        DataError: the outcome does not fit the task.
    """
    if isinstance(outcome, Feedback):
        return outcome
    by_field = isinstance(outcome, Mapping) and (len(task.outputs) > 1 or set(outcome) == set(task.outputs))
    values = outcome if by_field else {task.outputs[0]: outcome}
    try:
        typed = task.validate({name: to_json(value) for name, value in values.items()})
        return label_feedback(task, pending.outputs, typed)
    except ValueError as error:
        raise DataError(f"the outcome {outcome!r} does not fit the task: {error}") from error
