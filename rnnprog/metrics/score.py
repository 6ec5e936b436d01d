"""From traces and a metric to numbers: overall, by sequence, by step index, and on the last step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnprog.errors import ConfigurationError
from rnnprog.metrics.metric import Case, Metric, Source, cases
from rnnprog.metrics.registry import MetricLike, get_metric

__all__ = ["Scores", "score", "score_steps"]


@dataclass(frozen=True)
class Scores:
    """Every scored step of a run under one metric.

    Steps without a known target are not here; failed steps are, with what a failed step counts.

    Attributes:
        metric: what was measured.
        cases: the scored steps, sequence by sequence, in order of time.
        values: one score a case; what a failed step counts stands for it.
        failed: whether each case had no usable answer.
        unscored: number of steps without a known target.
    """

    metric: Metric
    cases: tuple[Case, ...]
    values: np.ndarray
    failed: np.ndarray
    unscored: int

    def __len__(self) -> int:
        return len(self.cases)

    @cached_property
    def overall(self) -> float:
        """The score over all steps together: their mean, or the corpus-level figure; NaN if nothing was scored."""
        return self._over(np.arange(len(self.cases)))

    @property
    def failures(self) -> int:
        """Number of scored steps that had no usable answer."""
        return int(self.failed.sum())

    def by_sequence(self) -> dict[str, float]:
        """Return the score of each sequence, in order: the unit that intervals and paired tests resample."""
        return {str(key): value for key, value in self._grouped(lambda case: case.sequence).items()}

    def by_step(self) -> dict[int, float]:
        """Return the score at each step index, over the sequences that are long enough."""
        return dict(sorted((int(str(key)), value) for key, value in self._grouped(lambda case: case.t).items()))

    @property
    def last(self) -> float:
        """The score on the last scored step of each sequence."""
        ends = {case.sequence: index for index, case in enumerate(self.cases)}
        return self._over(np.array(sorted(ends.values()), dtype=int))

    def series(self, sequence: str) -> np.ndarray:
        """Return the step scores of one sequence in order of time.

        Raises:
            KeyError: no such sequence was scored.
        """
        index = [i for i, case in enumerate(self.cases) if case.sequence == sequence]
        if not index:
            raise KeyError(f"no scored step in a sequence {sequence!r}")
        return np.asarray(self.values[index])

    def _grouped(self, key: Callable[[Case], object]) -> dict[object, float]:
        groups: dict[object, list[int]] = {}
        for index, case in enumerate(self.cases):
            groups.setdefault(key(case), []).append(index)
        return {name: self._over(np.array(index)) for name, index in groups.items()}

    def _over(self, index: np.ndarray) -> float:
        if not len(index):
            return math.nan
        if self.metric.corpus is not None:
            return self.metric.corpus([self.cases[i] for i in index])
        return float(np.mean(self.values[index]))


def score_steps(source: Source, metric: MetricLike) -> Scores:
    """Score every step of a run whose target is known.

    Args:
        source: a result, a trace, or several traces.
        metric: a metric or its name, e.g. ``"accuracy"`` or ``"mae[temp_max]"``.

    Raises:
        ConfigurationError: unknown metric, or a prediction that it cannot be applied to.

    Example:
        >>> from rnnprog.trace import StepRecord, Trace
        >>> def step(t, said, true):
        ...     target = None if true is None else {"sky": true}
        ...     return StepRecord(t=t, id=str(t), inputs={}, prediction=said and {"sky": said}, target=target)
        >>> walk = Trace(sequence="a", records=(step(0, "sun", "sun"), step(1, None, "rain"), step(2, "sun", None)))
        >>> scores = score_steps(walk, "accuracy")
        >>> scores.overall, scores.failures, scores.unscored
        (0.5, 1, 1)
    """
    metric = get_metric(metric)
    seen = list(cases(source))
    scored = tuple(case for case in seen if metric.scorable(case))
    raw = [metric.of(case) for case in scored]
    failed = np.array([value is None for value in raw], dtype=bool)
    values = np.array([math.nan if value is None else value for value in raw], dtype=float)
    values[failed] = _charge(metric, values[~failed])
    return Scores(metric, scored, values, failed, len(seen) - len(scored))


def score(source: Source, metric: MetricLike, where: str | int = "all") -> float:
    """Return one number for a run.

    Args:
        source: a result, a trace, or several traces.
        metric: a metric or its name.
        where: ``"all"`` steps, the ``"last"`` step of each sequence, or a step index.

    Raises:
        ConfigurationError: ``where`` is something else.
    """
    scores = score_steps(source, metric)
    if where == "all":
        return scores.overall
    if where == "last":
        return scores.last
    if isinstance(where, int):
        return scores.by_step().get(where, math.nan)
    raise ConfigurationError(f"where={where!r} is not 'all', 'last' or a step index")


def _charge(metric: Metric, answered: np.ndarray) -> float:
    if metric.failure is not None:
        return metric.failure
    if not len(answered):
        return math.nan
    return float(np.max(answered) if metric.better == "lower" else np.min(answered))
