"""What went wrong and was caught: failed phases, verdicts of the guard, items that the budget removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from rnnprog.metrics.metric import Source, traces_of
from rnnprog.trace import Failure, Trace

__all__ = ["Faults", "faults"]

_K = TypeVar("_K", str, tuple[str, str])


@dataclass(frozen=True)
class Faults:
    """Counts over a run.

    Attributes:
        failures: failed phases by name: no usable answer after all attempts.
        verdicts: decisions of the guard by (check, decision).
        operations: acts of learning by what was done.
        dropped: items that the budget removed.
        broken: sequences that ended early.
        unanswered: predictions whose feedback had not come by the end.
    """

    failures: dict[str, int]
    verdicts: dict[tuple[str, str], int]
    operations: dict[str, int]
    dropped: int
    broken: int
    unanswered: int


def faults(source: Source) -> Faults:
    """Count failures, guard verdicts and losses of a run.

    Args:
        source: a result, a trace, or several traces.
    """
    traces = list(traces_of(source))
    updates = [update for trace in traces for update in trace.updates]
    return Faults(
        failures=_sorted(Counter(failure.phase for trace in traces for failure in _failures(trace))),
        verdicts=_sorted(Counter((v.check, str(v.decision)) for update in updates for v in update.verdicts)),
        operations=_sorted(Counter(update.operation for update in updates)),
        dropped=sum(len(update.dropped) for update in updates),
        broken=sum(trace.error is not None for trace in traces),
        unanswered=sum(len(trace.unanswered) for trace in traces),
    )


def _failures(trace: Trace) -> Iterator[Failure]:
    for record in trace.records:
        found = [record.failure, *(update.failure for update in record.updates)]
        yield from (failure for failure in found if failure is not None)


def _sorted(counts: Counter[_K]) -> dict[_K, int]:
    return {key: counts[key] for key in sorted(counts)}
