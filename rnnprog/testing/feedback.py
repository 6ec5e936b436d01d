"""The promises that every source of feedback makes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from rnnprog.effects import drive, perform
from rnnprog.feedback import FeedbackSource
from rnnprog.signatures import TaskLike, as_task
from rnnprog.steps import StepLike, as_steps
from rnnprog.testing.contract import ensure, example_steps, same_json
from rnnprog.testing.models import hostile_lm, pure_lm
from rnnprog.trace import Failure, Feedback, Fields, Step

__all__ = ["check_feedback"]


def check_feedback(make: Callable[[], FeedbackSource], task: TaskLike, steps: Iterable[StepLike] | None = None) -> None:
    """Run every check on a source of feedback; no model is needed.

    Args:
        make: returns a fresh source each time, always configured alike.
        task: the task whose predictions it is to comment.
        steps: steps of that task; made up from the task's types if left out.

    Raises:
        ContractError: naming the promise that is broken.

    Example:
        >>> from rnnprog.feedback import Label
        >>> check_feedback(Label, "rain: float -> tomorrow: Literal['sun', 'rain']")
    """
    read_task = as_task(task)
    read = example_steps(read_task) if steps is None else as_steps(read_task, steps)
    source = make()
    source.set_lm(pure_lm())
    delay = source.delay.total_seconds() if isinstance(source.delay, timedelta) else source.delay
    ensure(delay >= 0, "delays", f"the delay {source.delay!r} is negative")
    ensure(same_json(source.describe(), make().describe()), "descriptions", "made alike, described differently")

    def give(given_by: FeedbackSource, step: Step, outputs: Fields | None) -> Feedback | Failure | None:
        return drive(perform(given_by.giving(read_task, step, outputs)))

    bad = make()
    bad.set_lm(hostile_lm(1))
    for step in read:
        before = step.model_dump_json()
        for outputs in (step.target, None):
            said = give(source, step, copy.deepcopy(outputs))
            _is_feedback(said)
            ensure(said == give(source, step, outputs), "repeatable", f"asked twice, {said} changed")
            ensure(said == give(copy.deepcopy(source), step, outputs), "copies", "a deep copy says something else")
            try:
                _is_feedback(give(bad, step, outputs))
            except Exception as error:
                ensure(False, "bad models", f"raised {type(error).__name__}: {error}; return a Failure instead")
        ensure(step.model_dump_json() == before, "values", "the step that was given was changed")


def _is_feedback(said: Any) -> None:
    ensure(
        said is None or isinstance(said, (Feedback, Failure)),
        "kinds",
        f"giving returned a {type(said).__name__}; return a Feedback, a Failure or None",
    )
    if said is not None:
        read = type(said).model_validate(json.loads(said.model_dump_json()))
        ensure(read == said, "json", "the feedback does not survive JSON")
