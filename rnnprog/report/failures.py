"""What went wrong while walking: which phase gave no usable answer, how often, and what was said the first time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rnnprog.trace import StepRecord, Trace

__all__ = ["FailureCount", "broken_off", "failures", "never_answered"]

_SHOWN = 300  # characters of an error


@dataclass(frozen=True)
class FailureCount:
    """Failures of one phase.

    Attributes:
        phase: which phase.
        times: how often it gave no usable answer.
        step: id of the first prediction concerned.
        error: what was wrong the first time, on one line.
    """

    phase: str
    times: int
    step: str
    error: str

    def __str__(self) -> str:
        often = "once" if self.times == 1 else f"{self.times:,} times"
        return f"{self.phase}: no usable answer {often}, first at {self.step}: {self.error}"


def failures(traces: Iterable[Trace]) -> tuple[FailureCount, ...]:
    """Count the failures of each phase, in the order in which the phases first failed.

    Args:
        traces: the walks.

    Example:
        >>> from rnnprog.trace import Failure
        >>> broken = StepRecord(t=0, id="s/0", inputs={}, failure=Failure(phase="predictor", error="refused"))
        >>> print(*failures([Trace(sequence="s", records=(broken,))]))
        predictor: no usable answer once, first at s/0: refused
    """
    first: dict[str, tuple[str, str]] = {}
    times: dict[str, int] = {}
    for trace in traces:
        for record in trace.records:
            for failure in record.failures:
                first.setdefault(failure.phase, (record.id, " ".join(failure.error.split())[:_SHOWN]))
                times[failure.phase] = times.get(failure.phase, 0) + 1
    return tuple(FailureCount(phase, times[phase], *found) for phase, found in first.items())


def never_answered(traces: Iterable[Trace]) -> bool:
    """Return whether there were steps and not one was answered: then a score is about the model's absence."""
    records: list[StepRecord] = [record for trace in traces for record in trace.records]
    return bool(records) and all(record.failure is not None for record in records)


def broken_off(traces: Iterable[Trace]) -> dict[str, str]:
    """Return, by sequence, why a walk has no result: it ended early, or none of its steps got a reply."""
    told: dict[str, str] = {}
    for trace in traces:
        if trace.error:
            told[trace.sequence] = trace.error
        elif trace.records and all(record.no_reply for record in trace.records):
            last = " ".join(trace.records[-1].failures[0].error.split())[:_SHOWN]
            told[trace.sequence] = f"LMUnavailableError: no reply to any of its {len(trace)} steps, the last: {last}"
    return told
