"""A hard limit on what an exam and its judge may cost: asked before each call, so that no call goes beyond it."""

from __future__ import annotations

import threading

import dspy

from rnnprog.errors import ConfigurationError
from rnnprog.evaluate.config import Running
from rnnprog.jobs import Halt
from rnnprog.lm.meter import Heard
from rnnprog.lm.prices import price_of

__all__ = ["CapReached", "Gate", "check_priced"]

_STATE = "state its price in USD for a million tokens sent and received (--price MODEL=IN,OUT, or a table prices)"


class CapReached(Halt):
    """The next call might go beyond a cap. What is finished is kept; a higher cap goes on from there."""


class Gate:
    """Counts what an exam pays for, and refuses calls once a cap is reached; a listener of every walk and judgement.

    Calls are counted when they come back. As long as calls in flight could use up what is left of ``max_calls``,
    others wait for them, so the number of calls that reach the model is never above it, unless an adapter asks
    again within one call. Tokens and money are known only afterwards: calls in flight when such a cap is reached
    finish and are paid. Answers from dspy's cache count nothing, but once a cap is reached nothing is asked any more:
    whether the cache holds an answer is only known afterwards.

    Args:
        running: the caps.

    Attributes:
        calls: model calls paid for.
        tokens: tokens paid for.
        usd: money spent, as far as it is known.
    """

    def __init__(self, running: Running) -> None:
        self.running = running
        self.calls = self.tokens = 0
        self.usd = 0.0
        self.reached: str | None = None
        self._in_flight = 0
        self._change = threading.Condition()

    def calling(self, phase: str) -> None:
        """Let a call pass, or wait until it is known whether it may.

        Raises:
            CapReached: it may not.
        """
        most = self.running.max_calls
        with self._change:
            while self.reached is None:
                self.reached = self._why_not()
                if self.reached is None and (most is None or self.calls + self._in_flight < most):
                    self._in_flight += 1
                    return
                if self.reached is None:
                    self._change.wait()
            self._change.notify_all()
            raise CapReached(f"{self.reached}; what is finished is kept, and a higher cap goes on from there")

    def called(self, call: Heard) -> None:
        """Count a call."""
        if call.cached:
            return
        with self._change:
            self.calls += 1
            self.tokens += call.prompt_tokens + call.completion_tokens
            self.usd += call.cost or 0.0
            if call.cost is None and self.running.max_usd is not None and self.reached is None:
                cap = f"the cap of {self.running.max_usd:g} USD cannot be held"
                self.reached = f"a call came back without a price, so {cap}; {_STATE}"

    def left(self, phase: str) -> None:
        """Hear that a call came back."""
        with self._change:
            self._in_flight -= 1
            self._change.notify_all()

    def _why_not(self) -> str | None:
        limits = self.running
        if limits.max_calls is not None and self.calls >= limits.max_calls:
            return f"the cap of {limits.max_calls:,} model calls is reached"
        if limits.max_tokens is not None and self.tokens >= limits.max_tokens:
            return f"the cap of {limits.max_tokens:,} tokens is reached ({self.tokens:,} were paid for)"
        if limits.max_usd is not None and self.usd >= limits.max_usd:
            return f"the cap of {limits.max_usd:g} USD is reached ({self.usd:.4g} were spent)"
        return None


def check_priced(running: Running, *models: dspy.LM | None) -> None:
    """Refuse a cap on money where the price of a model is not known: it could not be held.

    Raises:
        ConfigurationError: as said.
    """
    for lm in models if running.max_usd is not None else ():
        if lm is not None and price_of(lm, running.prices) is None:
            raise ConfigurationError(
                f"a cap of {running.max_usd:g} USD (max_usd) cannot be held: neither dspy's price list nor you say "
                f"what {lm.model!r} costs; {_STATE}, or cap calls or tokens instead"
            )
