"""Asking a phase, with retries: a bad answer is a value, a broken configuration is an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import dspy
from dspy.utils.exceptions import (
    AdapterParseError,
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMError,
    LMUnsupportedModelError,
    is_retryable_lm_error,
)

from rnnprog.effects import Call, Effects
from rnnprog.errors import LMUnavailableError, RnnprogError
from rnnprog.lm.adapter import asking_again
from rnnprog.memory import well_formed
from rnnprog.trace import Failure

__all__ = ["attempt"]

T = TypeVar("T")
_BROKEN = (LMConfigurationError, LMAuthError, LMBillingError, LMUnsupportedModelError)
_NAMELESS = ("No LM is loaded", "LLM Provider NOT provided")  # said by dspy and by LiteLLM, as errors of other kinds
_RAW_LIMIT = 4000  # characters of a bad answer kept in the trace


def attempt(
    call: Call, accept: Callable[[dspy.Prediction], T], retries: int
) -> Effects[tuple[T | None, Failure | None]]:
    """Make a call until its answer is accepted; return what ``accept`` made of it, or the failure.

    A retry is asked in a way that neither dspy's cache nor a model at temperature 0 repeats the bad answer, see
    :func:`~rnnprog.lm.adapter.asking_again`. dspy's own retries of transport errors and the adapter's JSON fallback
    come first.

    Args:
        call: the call to make.
        accept: reads the prediction; raises ``ValueError`` if it is not usable.
        retries: further attempts after the first.

    Raises:
        LMUnavailableError: no model is configured, or its credentials or settings are refused.
        RnnprogError: raised inside the model, such as a script that ran out.
    """
    failure: Failure | None = None
    for number in range(1, retries + 2):
        prediction: dspy.Prediction | None = None
        try:
            prediction = yield (call if number == 1 else _again(call, number))
            return accept(prediction), None
        except (AdapterParseError, ValueError, LMError) as error:
            _raise_if_broken(error, call)
            raw = getattr(error, "lm_response", None) or ("" if prediction is None else str(prediction.toDict()))
            failure = Failure(
                phase=call.phase,
                error=_message(error),
                raw=well_formed(str(raw)[:_RAW_LIMIT]),
                attempts=number,
                no_reply=is_retryable_lm_error(error),
            )
            if isinstance(error, LMError):  # dspy has retried these already; asking again changes nothing
                break
    return None, failure


def _again(call: Call, number: int) -> Call:
    @contextmanager
    def within() -> Iterator[None]:
        with asking_again(number), call.within():
            yield

    return replace(call, within=within)


def _raise_if_broken(error: BaseException, call: Call) -> None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RnnprogError):
            raise cause
        cause = cause.__cause__ or cause.__context__
    answered = isinstance(error, AdapterParseError)  # its text quotes the model's answer, which may say anything
    if isinstance(error, _BROKEN) or (not answered and any(said in str(error) for said in _NAMELESS)):
        raise LMUnavailableError(
            f"the model of phase {call.phase!r} cannot be used: {str(error).strip()}; configure one with "
            "dspy.configure(lm=dspy.LM('openai/gpt-4o-mini')) or program.set_lm(...), on the command line with --lm "
            "and --lm-option"
        ) from error


def _message(error: BaseException) -> str:
    text = str(error).split("LM Response:")[0].strip()
    return well_formed(f"{type(error).__name__}: {text}"[:_RAW_LIMIT])
