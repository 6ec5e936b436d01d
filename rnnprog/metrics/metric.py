"""What a metric is: a number for one scored step, or for many together, and which way is better."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

import numpy as np
from numpy.typing import ArrayLike
from pydantic import JsonValue

from rnnprog.errors import ConfigurationError
from rnnprog.trace import Feedback, Fields, Result, Trace

__all__ = ["Case", "Corpus", "Metric", "Source", "added_up", "cases", "traces_of"]

Source = Union[Result, Trace, Iterable[Trace]]
"""Whatever holds walks: a result, one trace, or several."""


@dataclass(frozen=True)
class Case:
    """One step as a metric sees it.

    Attributes:
        sequence: id of its sequence.
        t: index of the step in its sequence, from 0.
        prediction: outputs by field; ``None`` if the step failed.
        target: the true outcome by field; ``None`` if it is not known.
        feedback: the evidence that arrived about this step by the end of the walk, if any.
        time: the step's time as given.
    """

    sequence: str
    t: int
    prediction: Fields | None
    target: Fields | None
    feedback: Feedback | None = None
    time: int | float | str | None = None

    def known(self, field: str) -> JsonValue:
        """Return the true value of ``field``; ``None`` where it is missing or not a number."""
        value = (self.target or {}).get(field)
        return None if isinstance(value, float) and math.isnan(value) else value

    def answered(self, field: str) -> JsonValue:
        """Return the predicted value of ``field``; ``None`` where the step failed."""
        return (self.prediction or {}).get(field)


@dataclass(frozen=True)
class Corpus:
    """A figure of many steps together that depends on nothing but how often each kind of step occurs.

    A bootstrap then counts kinds in place of going through the steps of each resample. Call it with steps for the one
    figure of these steps.

    Attributes:
        kind: all that the figure looks at in a step, as a tuple; the kinds of one metric can be sorted.
        figure: one figure for each count: of the kinds in order, and a table of resamples x kinds; NaN for none.

    Example:
        >>> rare = Corpus(lambda case: (str(case.known("y")),), lambda kinds, counts: counts.min(axis=1))
        >>> rare([Case("a", t, None, {"y": label}) for t, label in enumerate("xxyxy")])
        2.0
    """

    kind: Callable[[Case], tuple[Any, ...]]
    figure: Callable[[Sequence[Any], np.ndarray], np.ndarray]

    def __call__(self, some: Iterable[Case]) -> float:
        """Return the figure of these steps."""
        counted = Counter(map(self.kind, some))
        kinds = sorted(counted)
        return float(self.figure(kinds, np.array([[counted[kind] for kind in kinds]], dtype=float))[0])


def added_up(counts: np.ndarray, index: ArrayLike, size: int) -> np.ndarray:
    """Return the sums of those columns that have the same index, ``size`` of them.

    Example:
        >>> added_up(np.array([[1.0, 2.0, 3.0]]), [0, 1, 0], 2).tolist()
        [[4.0, 2.0]]
    """
    sums = np.zeros((size, len(counts)))
    np.add.at(sums, np.asarray(index, dtype=np.intp), counts.T)
    return sums.T


@dataclass(frozen=True)
class Metric:
    """A way of scoring predictions; get one by name from :func:`get_metric`.

    Attributes:
        name: as :func:`get_metric` reads it.
        better: which way is better.
        unit: what the number counts: ``share``, ``squared error``, ``error``, ...
        scorable: whether a step can be scored at all (its target is known).
        step: the score of one step that has a prediction, or ``None`` if the prediction is of no use to the metric
            (a probability of 1.3, an empty list of samples): then the step failed, too.
        corpus: the figure of many steps together; ``None`` if it is the mean over the steps. It makes its own rule
            for failed steps and says so.
        failure: what a failed step counts; ``None`` if it is charged the worst score among the answered ones,
            because the measure has no worst value of its own.
    """

    name: str
    better: Literal["higher", "lower"]
    unit: str
    scorable: Callable[[Case], bool]
    step: Callable[[Case], float | None]
    corpus: Corpus | None = None
    failure: float | None = 0.0

    def __post_init__(self) -> None:
        if self.corpus is not None and not isinstance(self.corpus, Corpus):
            raise ConfigurationError(
                f"the metric {self.name!r} has corpus={self.corpus!r}; give a Corpus: the kind of a step, and the "
                "figure of counted kinds"
            )

    @property
    def sign(self) -> int:
        """1 if higher is better, else -1: ``sign * score`` is always better when higher."""
        return 1 if self.better == "higher" else -1

    def of(self, case: Case) -> float | None:
        """Return the score of one scorable step; ``None`` if the step failed."""
        return None if case.prediction is None else self.step(case)

    def gain(self, new: float, old: float) -> float:
        """Return by how much ``new`` is better than ``old``; negative if it is worse."""
        return self.sign * (new - old)


def traces_of(source: Source) -> Iterator[Trace]:
    """Yield the traces of a result, of one trace, or of several."""
    if isinstance(source, Trace):
        yield source
    else:
        yield from source.traces if isinstance(source, Result) else source


def cases(source: Source) -> Iterator[Case]:
    """Yield every recorded step as a case, sequence by sequence, with the feedback that came for it."""
    for trace in traces_of(source):
        arrived = {update.of: update.feedback for update in trace.updates if update.feedback is not None}
        for r in trace.records:
            yield Case(trace.sequence, r.t, r.prediction, r.target, arrived.get(r.id), r.time)
