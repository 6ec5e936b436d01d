"""After a mistake: how often is the next step right, and is that more than usual?"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnnprog.metrics.exact import right
from rnnprog.metrics.metric import Case, Source, cases
from rnnprog.metrics.numeric import finite

__all__ = ["Recovery", "recovery"]


@dataclass(frozen=True)
class Recovery:
    """What follows a wrong step, and what follows a right one.

    A recovery rate near the plain accuracy shows no correcting of errors; compare it with :attr:`after_right` and
    with the same figures of the control arm.

    Attributes:
        errors: wrong steps that have a scored successor in the same sequence.
        recovered: how many of those successors are right.
        hits: right steps that have a scored successor.
        repeated: how many of those successors are right, too.
    """

    errors: int
    recovered: int
    hits: int
    repeated: int

    @property
    def rate(self) -> float:
        """P(right at t+1 | wrong at t); NaN if nothing was wrong."""
        return self.recovered / self.errors if self.errors else math.nan

    @property
    def after_right(self) -> float:
        """P(right at t+1 | right at t); NaN if nothing was right."""
        return self.repeated / self.hits if self.hits else math.nan


def recovery(source: Source, field: str | None = None, within: float | None = None) -> Recovery:
    """Count what follows wrong and right steps.

    Args:
        source: a result, a trace, or several traces.
        field: the output to look at; all of them if left out.
        within: for a number: an answer counts as right if it is at most this far off. Needs ``field``.

    Example:
        >>> from rnnprog.trace import StepRecord, Trace
        >>> def step(t, said):
        ...     return StepRecord(t=t, id=str(t), inputs={}, prediction={"y": said}, target={"y": "a"})
        >>> recovery(Trace(sequence="s", records=tuple(step(t, said) for t, said in enumerate("abba"))))
        Recovery(errors=2, recovered=1, hits=1, repeated=0)
    """
    counts = {False: [0, 0], True: [0, 0]}
    previous: Case | None = None
    was: bool | None = None
    for case in cases(source):
        now = _right(case, field, within)
        follows = previous is not None and previous.sequence == case.sequence and previous.t + 1 == case.t
        if follows and was is not None and now is not None:
            counts[was][0] += 1
            counts[was][1] += now
        previous, was = case, now
    return Recovery(*counts[False], *counts[True])


def _right(case: Case, field: str | None, within: float | None) -> bool | None:
    if within is None or field is None:
        return right(case, field)
    truth, answer = finite(case.known(field)), finite(case.answered(field))
    return None if truth is None else answer is not None and abs(answer - truth) <= within
