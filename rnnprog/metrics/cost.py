"""What it cost: calls, tokens, seconds and money, for each step and for each right answer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnnprog.metrics.exact import right
from rnnprog.metrics.metric import Source, cases, traces_of
from rnnprog.trace import Result, Usage, UsageByPhase, add_usage

__all__ = ["Cost", "cost"]


@dataclass(frozen=True)
class Cost:
    """The bill of a run.

    Attributes:
        steps: steps walked.
        right: steps that were right in every output with a known target.
        usage: calls and tokens by phase.
        seconds: time spent waiting for the model, added over sequences; NaN if it was not recorded.
        cached_calls: calls that a cache answered; they are in ``usage`` all the same.
        money: as the provider's price list has it; NaN if it is not known for every sequence.
    """

    steps: int
    right: int
    usage: UsageByPhase
    seconds: float = math.nan
    cached_calls: int = 0
    money: float = math.nan

    @property
    def total(self) -> Usage:
        """Calls and tokens over all phases."""
        return sum(self.usage.values(), Usage())

    def per_step(self) -> dict[str, float]:
        """Return calls, tokens, seconds and money for each step walked; NaN if there was none."""
        return self._over(self.steps)

    def per_right(self) -> dict[str, float]:
        """Return calls, tokens, seconds and money for each right answer; NaN if there was none."""
        return self._over(self.right)

    def _over(self, count: int) -> dict[str, float]:
        amounts = {"calls": self.total.calls, "tokens": self.total.tokens, "seconds": self.seconds, "money": self.money}
        return {name: amount / count if count else math.nan for name, amount in amounts.items()}


def cost(source: Source) -> Cost:
    """Add up what a run cost.

    Args:
        source: a result; or traces, which know calls and tokens but neither seconds nor money.

    Example:
        >>> from rnnprog.trace import StepRecord, Trace
        >>> spent = {"predictor": Usage(calls=1, prompt_tokens=90, completion_tokens=10)}
        >>> said = {"y": "a"}
        >>> records = [
        ...     StepRecord(t=t, id=str(t), inputs={}, prediction=said, target={"y": true}, usage=spent)
        ...     for t, true in enumerate("ab")
        ... ]
        >>> bill = cost(Trace(sequence="s", records=tuple(records)))
        >>> bill.per_step()["tokens"], bill.per_right()["tokens"]
        (100.0, 200.0)
    """
    traces = list(traces_of(source))
    timings = (
        [source.timings[t.sequence] for t in traces if t.sequence in source.timings]
        if isinstance(source, Result)
        else []
    )
    timed = bool(traces) and len(timings) == len(traces)
    prices = [timing.cost for timing in timings]
    return Cost(
        steps=sum(len(trace) for trace in traces),
        right=sum(bool(right(case)) for case in cases(traces)),
        usage=add_usage(*(trace.usage for trace in traces)),
        seconds=sum(sum(timing.seconds.values()) for timing in timings) if timed else math.nan,
        cached_calls=sum(sum(timing.cached_calls.values()) for timing in timings),
        money=sum(p for p in prices if p is not None) if timed and None not in prices else math.nan,
    )
