"""Booking calls, tokens, cache hits and seconds to phases, exactly, under threads.

dspy writes every call into the history of each module on the caller stack. The meter joins that stack for the
length of one walk, so it hears each call of its own walk and of no other, whatever thread makes it. Where dspy keeps
no history (``disable_history``, ``max_history_size=0``) it only reports calls that reached the model; the meter then
books those.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from dspy.dsp.utils.settings import settings
from dspy.utils.usage_tracker import UsageTracker

from rnnprog.lm.prices import Prices
from rnnprog.tokens import get_tokenizer
from rnnprog.trace import Timing, Usage, UsageByPhase

__all__ = ["Heard", "Listener", "Meter"]

_UNBOOKED = "other"


@dataclass(frozen=True)
class Heard:
    """One call as it was booked.

    Attributes:
        about: id of the prediction that the call makes or learns from.
        phase: the phase it was booked to.
        prompt_tokens: tokens sent.
        completion_tokens: tokens received.
        cached: whether dspy's cache answered it.
        cost: money in USD, where a price is stated or the price list knows the model.
        entry: dspy's own history entry, with messages and outputs; ``None`` where dspy keeps no history.
    """

    about: str
    phase: str
    prompt_tokens: int
    completion_tokens: int
    cached: bool = False
    cost: float | None = None
    entry: Mapping[str, Any] | None = None


class Listener(Protocol):
    """Told of the calls of a walk, from the thread that walks."""

    def calling(self, phase: str) -> None:
        """Hear that a phase is about to ask; raise to refuse."""

    def called(self, call: Heard) -> None:
        """Hear of a call that was made."""

    def left(self, phase: str) -> None:
        """Hear that the phase is done asking, with or without an answer."""


class Meter:
    """The meter of one walk.

    Use :meth:`listening` around all calls, :meth:`booking` around the calls of a phase, :meth:`take` to read what
    was booked since the last reading. Tokens are the provider's own counts where it gives them (also for answers
    from dspy's cache); otherwise they are counted from the texts with the default tokenizer.

    Attributes:
        about: id of the prediction at hand; set by the walk.
        listeners: are told of every call, and may refuse it.
        prices: prices that stand above those of dspy's list.
    """

    def __init__(self) -> None:
        self.about = ""
        self.listeners: tuple[Listener, ...] = ()
        self.prices: Prices = {}
        self.history = _Ear(self)  # what dspy appends to, since the meter sits among the caller modules
        self._lock = threading.Lock()
        self._phase = _UNBOOKED
        self._fresh: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._cached: dict[str, int] = {}
        self._cost: float | None = None

    @contextmanager
    def listening(self) -> Iterator[Meter]:
        """Hear every call made inside, also from threads that dspy starts."""
        if settings.disable_history or settings.max_history_size == 0:
            with settings.context(usage_tracker=_Forward(self, settings.usage_tracker)):
                yield self
        else:
            with settings.context(caller_modules=[*(settings.caller_modules or []), self]):
                yield self

    def booking(self, phase: str) -> _Booking:
        """Return a context that books the calls made inside to ``phase``, and the time they take."""
        return _Booking(self, phase)

    def take(self) -> UsageByPhase:
        """Return what was booked since the last reading, by phase."""
        if not self._fresh:
            return {}
        with self._lock:
            fresh, self._fresh = self._fresh, {}
        return {
            phase: Usage(calls=calls, prompt_tokens=prompt, completion_tokens=completion)
            for phase, (calls, prompt, completion) in fresh.items()
        }

    def timing(self) -> Timing:
        """Return seconds, cache hits and money booked so far."""
        return Timing(seconds=dict(self._seconds), cached_calls=dict(self._cached), cost=self._cost)

    def book(self, prompt: int, completion: int, *, cached: bool = False, cost: float | None = None) -> None:
        """Book one call to the present phase."""
        with self._lock:
            ledger = self._fresh.setdefault(self._phase, [0, 0, 0])
            ledger[0] += 1
            ledger[1] += prompt
            ledger[2] += completion
            if cached:
                self._cached[self._phase] = self._cached.get(self._phase, 0) + 1
            elif cost is not None:
                self._cost = (self._cost or 0.0) + cost

    def cost(self, model: object, prompt: int, completion: int, listed: float | None = None) -> float | None:
        """Return what a call cost: by the stated price of its model, else as listed."""
        price = self.prices.get(str(model))
        return listed if price is None else price.of(prompt, completion)

    def tell(
        self,
        prompt: int,
        completion: int,
        *,
        cached: bool = False,
        cost: float | None = None,
        entry: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell the listeners of a call that was booked."""
        if self.listeners:
            heard = Heard(self.about, self._phase, prompt, completion, cached, cost, entry)
            for listener in self.listeners:
                listener.called(heard)


class _Booking:
    __slots__ = ("_before", "_meter", "_phase", "_start")

    def __init__(self, meter: Meter, phase: str) -> None:
        self._meter, self._phase = meter, phase

    def __enter__(self) -> None:
        for listener in self._meter.listeners:
            listener.calling(self._phase)
        self._before, self._meter._phase = self._meter._phase, self._phase
        self._start = time.perf_counter()

    def __exit__(self, *_exc: object) -> None:
        seconds = self._meter._seconds
        seconds[self._phase] = seconds.get(self._phase, 0.0) + time.perf_counter() - self._start
        self._meter._phase = self._before
        for listener in self._meter.listeners:
            listener.left(self._phase)


class _Ear:
    """Looks like a module's history to dspy, keeps nothing."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __len__(self) -> int:
        return 0

    def append(self, entry: Mapping[str, Any]) -> None:
        usage = entry.get("usage") or {}
        kept = getattr(entry.get("response"), "usage", None)  # cached answers keep theirs here
        # A model that never says what it used counts as asked: a cap must not rest on what might be a cached answer.
        cached = not usage and getattr(kept, "input_tokens", None) is not None
        prompt = usage.get("prompt_tokens")
        completion = usage.get("completion_tokens")
        if prompt is None:
            prompt = getattr(kept, "input_tokens", None)
        if completion is None:
            completion = getattr(kept, "output_tokens", None)
        if prompt is None:
            prompt = _count(entry.get("prompt"), *(m.get("content") for m in entry.get("messages") or ()))
        if completion is None:
            completion = _count(*(o.get("text") if isinstance(o, Mapping) else o for o in entry.get("outputs") or ()))
        cost = self._meter.cost(entry.get("model"), prompt, completion, entry.get("cost"))
        self._meter.book(prompt, completion, cached=cached, cost=cost)
        self._meter.tell(prompt, completion, cached=cached, cost=cost, entry=entry)


class _Forward(UsageTracker):
    """Books uncached calls and passes them on to the tracker that was there before."""

    def __init__(self, meter: Meter, outer: UsageTracker | None) -> None:
        super().__init__()
        self._meter, self._outer = meter, outer

    def __deepcopy__(self, _memo: object) -> _Forward:
        return self  # dspy copies trackers into worker threads and loses what the copies hear

    def add_usage(self, lm: str, usage_entry: dict[str, Any]) -> None:
        used = (usage_entry.get("prompt_tokens") or 0, usage_entry.get("completion_tokens") or 0)
        cost = self._meter.cost(lm, *used)
        self._meter.book(*used, cost=cost)
        self._meter.tell(*used, cost=cost)
        if self._outer is not None:
            self._outer.add_usage(lm, usage_entry)


def _count(*texts: object) -> int:
    tokenizer = get_tokenizer()
    return sum(tokenizer.count(text) for text in texts if isinstance(text, str))
