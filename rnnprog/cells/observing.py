"""What every model-backed cell does with an observation: check it, hand it over, type the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import dspy
from pydantic import Field, ValidationError

from rnnprog.attempt import attempt
from rnnprog.cells.base import Answer
from rnnprog.effects import Call, Effects
from rnnprog.errors import ConfigurationError
from rnnprog.memory import Value, neutralise
from rnnprog.signatures import Task
from rnnprog.signatures.text import as_text
from rnnprog.tokens import DEFAULT_TOKENIZER, Tokenizer
from rnnprog.trace import Failure, Fields

__all__ = ["PromptSettings", "check_observation", "predict_call", "settled", "shortened"]

_CHARACTERS_PER_TOKEN = 8  # no ordinary text is denser; above this many characters a budget is surely broken


class PromptSettings(Value):
    """What a cell with a single prompt can be told; saved with the program.

    Attributes:
        context_budget: most tokens that an observation, and what stands beside it, may take together.
        tokenizer: name of the ruler, see :func:`rnnprog.tokens.get_tokenizer`.
        retries: further attempts where the answer is not usable.
    """

    context_budget: int = Field(default=16384, ge=1)
    tokenizer: str = DEFAULT_TOKENIZER
    retries: int = Field(default=1, ge=0)


S = TypeVar("S", bound=PromptSettings)


def settled(kind: type[S], settings: S | None, changes: dict[str, Any]) -> S:
    """Return settings with single values changed.

    Raises:
        ConfigurationError: an unknown name, or a value that cannot be used.

    Example:
        >>> settled(PromptSettings, None, {"retries": 2}).retries
        2
    """
    unknown = sorted(set(changes) - set(kind.model_fields))
    if unknown:
        raise ConfigurationError(f"unknown settings {unknown}; there are {sorted(kind.model_fields)}")
    if settings is not None and not isinstance(settings, kind):
        raise ConfigurationError(f"settings must be a {kind.__name__}, got a {type(settings).__name__}")
    try:
        return kind.model_validate({**dict(settings or {}), **changes})
    except ValidationError as error:
        raise ConfigurationError(f"unusable settings: {error}") from error


def check_observation(task: Task, inputs: Fields, room: int, tokenizer: Tokenizer) -> Failure | None:
    """Return a failure if an observation has the wrong fields or does not fit into ``room`` tokens.

    Only one step is bad then, so this is recorded rather than raised.
    """
    try:
        task.check_inputs(inputs)
    except ValueError as error:
        return Failure(phase="predictor", error=f"DataError: {error}", attempts=0)
    if _most_tokens(inputs) <= room:
        return None
    text = as_text(inputs)
    if len(text.encode("utf-8", "surrogatepass")) <= room:
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


def _most_tokens(inputs: Fields) -> float:
    """Return a cheap upper bound, infinite where there is a nested value: a token has at least one byte of text."""
    total = 0
    for name, value in inputs.items():
        if isinstance(value, str):
            length = len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
            total += len(name) + length + 2 * value.count("\n") + value.count("[[") + 4
        elif isinstance(value, (int, float)) or value is None:
            total += len(name) + 32
        else:
            return float("inf")
    return total


def shortened(text: str, room: int, tokenizer: Tokenizer) -> str:
    """Return ``text``, or its beginning if it takes more than ``room`` tokens.

    For what a model wrote on its way to a memory: if it runs on, the next prompt must not.

    Example:
        >>> from rnnprog.tokens import get_tokenizer
        >>> shortened("sun and rain and sun and rain", 4, get_tokenizer())
        'sun and rain and (cut short)'
    """
    whole = len(text)
    text = text[: _CHARACTERS_PER_TOKEN * room]
    while len(text.encode("utf-8", "surrogatepass")) > room and (tokens := tokenizer.count(text)) > room:
        text = text[: len(text) * room // tokens]
    return text if len(text) == whole else f"{text.rstrip()} (cut short)"


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
