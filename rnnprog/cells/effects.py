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
from typing import Any, TypeVar, Union

import dspy

__all__ = ["Call", "Effects", "Maybe", "adrive", "drive", "perform"]

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


Effects = Generator[Call, dspy.Prediction, T]
"""A generator that yields calls, is sent predictions, and returns a ``T``."""

Maybe = Union[T, Effects[T]]
"""What a cell's verbs may return: a plain value if no call is needed, else a generator."""

Booking = Callable[[str], AbstractContextManager[Any]]


def _no_booking(_phase: str) -> AbstractContextManager[Any]:
    return nullcontext()


def perform(what: Maybe[T]) -> Effects[T]:
    """Run cell logic inside another generator: ``answer = yield from perform(cell.predicting(carry, x))``."""
    if isgenerator(what):
        return (yield from what)
    return what  # type: ignore[return-value]  # not a generator, so it is the value itself


def drive(what: Maybe[T], booking: Booking = _no_booking) -> T:
    """Make the calls one after the other in this thread and return the result.

    Args:
        what: cell logic, or a plain value.
        booking: opens a context for each phase, to book what its calls cost.
    """
    if not isgenerator(what):
        return what  # type: ignore[return-value]
    try:
        call = next(what)
        while True:
            try:
                with booking(call.phase), call.within():
                    answer = call.module(**call.inputs)
            except Exception as error:
                call = what.throw(error)
            else:
                call = what.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        what.close()


async def adrive(what: Maybe[T], booking: Booking = _no_booking) -> T:
    """Await the calls one after the other and return the result; see :func:`drive`."""
    if not isgenerator(what):
        return what  # type: ignore[return-value]
    try:
        call = next(what)
        while True:
            try:
                with booking(call.phase), call.within():
                    answer = await call.module.acall(**call.inputs)
            except Exception as error:
                call = what.throw(error)
            else:
                call = what.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        what.close()
