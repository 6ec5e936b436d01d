"""What every model-backed cell does with an observation: check it, hand it over, type the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import dspy

from rnnprog.attempt import attempt
from rnnprog.cells.base import Answer
from rnnprog.effects import Call, Effects
from rnnprog.memory import neutralise
from rnnprog.signatures import Task
from rnnprog.signatures.text import as_text
from rnnprog.tokens import Tokenizer
from rnnprog.trace import Failure, Fields

__all__ = ["check_observation", "predict_call"]

_CHARACTERS_PER_TOKEN = 8  # no ordinary text is denser; above this many characters a budget is surely broken


def check_observation(task: Task, inputs: Fields, room: int, tokenizer: Tokenizer) -> Failure | None:
    """Return a failure if an observation has the wrong fields or does not fit into ``room`` tokens.

    Only one step is bad then, so this is recorded rather than raised.
    """
    try:
        task.check_inputs(inputs)
    except ValueError as error:
        return Failure(phase="predictor", error=f"DataError: {error}", attempts=0)
    if _most_characters(inputs) <= room:  # a token has at least one character
        return None
    text = as_text(inputs)
    if len(text) <= room:
        return None
    tokens = len(text) // _CHARACTERS_PER_TOKEN
    if tokens <= room:
        tokens = tokenizer.count(text)
    if tokens <= room:
        return None
    return Failure(
        phase="predictor",
        error=f"DataError: the observation takes at least {tokens} tokens, but context_budget leaves {room}; "
        "shorten the observation or raise context_budget",
        attempts=0,
    )


def _most_characters(inputs: Fields) -> float:
    """Return a cheap upper bound on the rendered length; infinite where there is a nested value."""
    total = 0
    for name, value in inputs.items():
        if isinstance(value, str):
            total += len(name) + len(value) + 2 * value.count("\n") + 4
        elif isinstance(value, (int, float)) or value is None:
            total += len(name) + 32
        else:
            return float("inf")
    return total


def predict_call(
    task: Task,
    predictor: dspy.Module,
    beside: Mapping[str, Any],
    inputs: Fields,
    retries: int,
    within: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Effects[Answer]:
    """Ask a predictor for the task's outputs and return them typed.

    Args:
        task: checks and types the outputs.
        predictor: the module to ask.
        beside: further inputs, such as the memory.
        inputs: the observation; field markers inside texts are broken up.
        retries: further attempts where the answer is not usable.
        within: opens a context around the call.
    """
    shown = {name: neutralise(value) if isinstance(value, str) else value for name, value in inputs.items()}

    def accept(said: dspy.Prediction) -> Answer:
        return Answer(task.validate(said.toDict()), None, said)

    answer, failure = yield from attempt(Call("predictor", predictor, {**beside, **shown}, within), accept, retries)
    return answer if answer is not None else Answer(None, failure)
