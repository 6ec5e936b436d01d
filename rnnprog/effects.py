"""Calls as values: cell logic is written once, as a generator of calls, and driven sync or async.

A cell never calls a model. It yields a :class:`Call` and is sent the answer back. :func:`drive` makes the calls
in this thread, :func:`adrive` awaits them; the logic between two calls is the same object code in both, which is
why sync and async walks give equal traces.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from inspect import isgenerator
from typing import Any, TypeVar, Union, cast

import dspy
from dspy.streaming.messages import StatusMessage, sync_send_to_stream

__all__ = ["Call", "Effects", "Maybe", "Status", "adrive", "drive", "perform"]

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One model call to be made.

    Attributes:
        phase: name of the phase; calls, tokens and seconds are booked under it.
        module: the dspy module to call; normally a ``dspy.Predict``.
        inputs: keyword arguments of the call.
        within: opens a context around the call, e.g. another adapter.
    """

    phase: str
    module: dspy.Module
    inputs: Mapping[str, Any]
    within: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext)


@dataclass(frozen=True)
class Status:
    """A message for whoever streams the program (``dspy.streamify``); nothing is sent back."""

    message: str


Effects = Generator[Union[Call, Status], dspy.Prediction, T]
"""A generator that yields calls, is sent predictions, and returns a ``T``."""

Maybe = Union[T, Effects[T]]
"""What a cell's verbs may return: a plain value if no call is needed, else a generator."""

Booking = Callable[[str], AbstractContextManager[Any]]


def _no_booking(_phase: str) -> AbstractContextManager[Any]:
    return nullcontext()


def perform(what: Maybe[T]) -> Effects[T]:
    """Run cell logic inside another generator: ``answer = yield from perform(cell.predicting(carry, x))``."""
    return cast(T, (yield from what) if isgenerator(what) else what)


def drive(what: Effects[T], booking: Booking = _no_booking) -> T:
    """Make the calls one after the other in this thread and return the result.

    Args:
        what: a generator of calls; wrap what a cell's verb returns with :func:`perform`.
        booking: opens a context for each phase, to book what its calls cost.
    """
    effects = what
    try:
        effect = next(effects)
        while True:
            answer: Any = None
            try:
                if isinstance(effect, Status):
                    sync_send_to_stream(dspy.settings.send_stream, StatusMessage(effect.message))
                else:
                    with booking(effect.phase), effect.within():
                        answer = effect.module(**effect.inputs)
            except Exception as error:
                effect = effects.throw(error)
            else:
                effect = effects.send(answer)
    except StopIteration as stop:
        return cast(T, stop.value)
    finally:
        effects.close()


async def adrive(what: Effects[T], booking: Booking = _no_booking) -> T:
    """Await the calls one after the other and return the result; see :func:`drive`."""
    effects = what
    try:
        effect = next(effects)
        while True:
            answer: Any = None
            try:
                if isinstance(effect, Status):
                    await dspy.settings.send_stream.send(StatusMessage(effect.message))
                else:
                    with booking(effect.phase), effect.within():
                        answer = await effect.module.acall(**effect.inputs)
            except Exception as error:
                effect = effects.throw(error)
            else:
                effect = effects.send(answer)
    except StopIteration as stop:
        return cast(T, stop.value)
    finally:
        effects.close()
