"""A budget for a search, in calls, tokens, money and minutes: said before, counted during, and a hard stop.

The stop sits in front of each model call, so the call that would exceed a limit on calls is never made. Limits on
tokens, money and minutes end the search before the first call after the limit was reached.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.utils.callback import BaseCallback
from pydantic import Field

from rnnprog.lm.meter import Meter
from rnnprog.memory import Value
from rnnprog.trace import Usage

__all__ = ["Budget", "OutOfBudgetError", "Purse", "PurseMeter", "Spent"]

_EXACT = 1e-9  # of a sum of money: 150 times 0.01 may come to a little less than 1.50, depending on the order
_HISTORY = 200  # calls that dspy keeps for each predictor; its default would hold 10,000 whole prompts


class Budget(Value):
    """What a search may cost; ``None`` sets no limit. It covers evaluations, proposals and models inside metrics.

    Attributes:
        calls: model calls; answers from dspy's cache count as well.
        tokens: prompt and completion tokens together.
        money: in the currency of the provider's price list. dspy must know the price of every model that is called: at
            the first call of unknown price the search ends, since such a limit could not be kept.
        minutes: of wall time, in this process, from the start of ``compile``.

    Several workers share the limits on calls, tokens and money: each learns of what the others have spent after each of
    its walks, so together they may exceed a limit by the walks that are in flight in the others.
    """

    calls: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)
    money: float | None = Field(default=None, gt=0)
    minutes: float | None = Field(default=None, gt=0)

    @property
    def shared(self) -> bool:
        """Whether there is a limit that several workers share."""
        return any(limit is not None for limit in (self.calls, self.tokens, self.money))


class Spent(Value):
    """What has been spent.

    Attributes:
        calls: model calls.
        tokens: prompt and completion tokens together.
        money: where the price is known, else 0.
        seconds: wall time of this process.
    """

    calls: int = 0
    tokens: int = 0
    money: float = 0.0
    seconds: float = 0.0


class OutOfBudgetError(BaseException):
    """Raised in front of a call that the budget does not allow.

    Not an ``Exception``: nothing on the way up, neither a retry nor a recorded failure of a step, may take the end
    of the search for a bad answer of the model.
    """


class Purse:
    """Counts what is spent and refuses further calls; shared by all threads of a search.

    Args:
        budget: the limits.
        before: what earlier processes of the same study have spent.
    """

    def __init__(self, budget: Budget, before: Spent | None = None) -> None:
        self.budget = budget
        self._others = before or Spent()
        self._calls, self._tokens, self._money = 0, 0, 0.0
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._gate = _Gate(self)
        self._stopped = ""

    @property
    def spent(self) -> Spent:
        """What has been spent so far."""
        others, seconds = self._others, time.monotonic() - self._start
        return Spent(
            calls=others.calls + self._calls,
            tokens=others.tokens + self._tokens,
            money=others.money + self._money,
            seconds=seconds,
        )

    @property
    def exhausted(self) -> str:
        """Which limit is reached, in words; empty if none is."""
        if self._stopped:
            return self._stopped
        limits, spent = self.budget, self.spent
        if limits.calls is not None and spent.calls >= limits.calls:
            return f"{spent.calls} of {limits.calls} calls"
        if limits.tokens is not None and spent.tokens >= limits.tokens:
            return f"{spent.tokens} of {limits.tokens} tokens"
        if limits.money is not None and spent.money >= limits.money * (1 - _EXACT):
            return f"{spent.money:.4g} of {limits.money:.4g} in money"
        minutes = spent.seconds / 60
        if limits.minutes is not None and minutes >= limits.minutes:
            return f"{minutes:.2f} of {limits.minutes:.2f} minutes"
        return ""

    def check(self) -> None:
        """Go on where the budget allows it.

        Raises:
            OutOfBudgetError: a limit is reached.
        """
        if reached := self.exhausted:
            raise OutOfBudgetError(f"the budget is spent: {reached}")

    def reserve(self) -> None:
        """Count a call that is about to be made.

        Raises:
            OutOfBudgetError: the budget does not allow it.
        """
        with self._lock:
            self.check()
            self._calls += 1

    def pay(self, tokens: int, money: float | None) -> None:
        """Count what a call used; ``money`` is ``None`` where the price is not known."""
        with self._lock:
            self._tokens += tokens
            self._money += money or 0.0
            if money is None and self.budget.money is not None:
                self._stopped = (
                    "the price of a call is not known, so no limit on money can be kept; limit calls or tokens"
                )

    def stop(self, reason: str) -> None:
        """Let no further call pass, so that walks in flight end at once."""
        with self._lock:
            self._stopped = reason

    def learn(self, booked: Spent, own: Spent) -> None:
        """Take over what other workers have spent.

        Args:
            booked: what stands in the ledger, by all workers.
            own: what this process has booked there; must be read after the other.
        """
        with self._lock:
            self._others = Spent(
                calls=max(self._others.calls, booked.calls - own.calls),
                tokens=max(self._others.tokens, booked.tokens - own.tokens),
                money=max(self._others.money, booked.money - own.money),
            )

    @contextmanager
    def paying(self) -> Iterator[PurseMeter]:
        """Count every model call made inside, also in dspy's own threads; yields the meter of these calls."""
        meter = PurseMeter(self)
        callbacks = [*dspy.settings.get("callbacks", []), self._gate]
        kept = min(dspy.settings.max_history_size, _HISTORY)
        with dspy.context(callbacks=callbacks, max_history_size=kept), meter.listening():
            yield meter


class PurseMeter(Meter):
    """A meter that also pays from a purse."""

    def __init__(self, purse: Purse) -> None:
        super().__init__()
        self._purse = purse
        self.unpriced = 0  # calls that reached a model whose price is not known

    def book(self, prompt: int, completion: int, *, cached: bool = False, cost: float | None = None) -> None:
        """Book one call, and pay for it."""
        super().book(prompt, completion, cached=cached, cost=cost)
        self.unpriced += cost is None and not cached
        self._purse.pay(prompt + completion, 0.0 if cached else cost)

    def total(self) -> Usage:
        """Return all calls and tokens booked since the last reading."""
        return sum(self.take().values(), Usage())


class _Gate(BaseCallback):
    """Stands in front of every model call."""

    def __init__(self, purse: Purse) -> None:
        self._purse = purse

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Let the call pass, or end the search."""
        self._purse.reserve()
