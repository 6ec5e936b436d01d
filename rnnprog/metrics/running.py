"""The score while it runs, for a progress bar."""

from __future__ import annotations

import math

from rnnprog.metrics.metric import Case
from rnnprog.metrics.registry import MetricLike, get_metric
from rnnprog.trace import Feedback, StepRecord

__all__ = ["Running"]


class Running:
    """The score so far, for a progress bar: add each record as it comes and read :attr:`value`.

    A mean is exact and costs the same at every step. A corpus-level figure is computed anew only when the number
    of steps has grown by a twentieth, so it may lag by that much.

    Args:
        metric: a metric or its name.

    Example:
        >>> running = Running("accuracy")
        >>> running.add(StepRecord(t=0, id="a", inputs={}, prediction={"sky": "sun"}, target={"sky": "sun"}))
        >>> running.value
        1.0
    """

    def __init__(self, metric: MetricLike) -> None:
        self.metric = get_metric(metric)
        self.failures = 0
        self._cases: list[Case] = []
        self._sum = 0.0
        self._count = 0
        self._worst = math.nan
        self._shown = math.nan
        self._shown_at = 0

    def add(self, record: StepRecord, feedback: Feedback | None = None) -> None:
        """Take one more step into account.

        Args:
            record: the step.
            feedback: evidence about it; by default what the record itself holds about its own prediction.
        """
        evidence = feedback or next((u.feedback for u in record.after if u.of == record.id), None)
        case = Case("", record.t, record.prediction, record.target, evidence, record.time)
        if not self.metric.scorable(case):
            return
        self._count += 1
        if self.metric.corpus is not None:
            self._cases.append(case)
        value = self.metric.of(case)
        if value is None:
            self.failures += 1
        else:
            self._sum += value
            worse = math.isnan(self._worst) or self.metric.gain(value, self._worst) < 0
            self._worst = value if worse else self._worst

    @property
    def value(self) -> float:
        """The score over the steps so far; NaN before the first."""
        if not self._count:
            return math.nan
        if self.metric.corpus is not None:
            if self._count >= 1.05 * self._shown_at:
                self._shown, self._shown_at = self.metric.corpus(self._cases), self._count
            return self._shown
        charge = self._worst if self.metric.failure is None else self.metric.failure
        return (self._sum + (self.failures * charge if self.failures else 0.0)) / self._count
