"""What is to be maximised, what must not be exceeded, and how a walk becomes numbers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union, cast

import dspy
import numpy as np
from pydantic import JsonValue

from rnnprog.errors import ConfigurationError
from rnnprog.metrics import Case, Metric, get_metric, score_steps
from rnnprog.optimizers.ledger import Entry
from rnnprog.trace import Step, Trace

__all__ = ["MEASURES", "MetricLike", "Objective", "StepWeights"]

_DIGITS = 10

StepWeights = Union[Sequence[float], Callable[[int, int], float]]
MetricLike = Union[str, Metric, Callable[..., Any]]

MEASURES: dict[str, Literal["minimize", "maximize"]] = {
    "score": "maximize",
    "calls": "minimize",
    "tokens": "minimize",
    "money": "minimize",
    "seconds": "minimize",
    "calls_per_step": "minimize",
    "tokens_per_step": "minimize",
    "memory_tokens": "minimize",
    "failed_steps": "minimize",
}
"""Measures of a candidate and which way is better. All but the score are sums over the sequences, except
``*_per_step`` (ratios) and ``memory_tokens`` (the largest)."""


class Objective:
    """How a candidate is judged.

    Args:
        metric: a metric of this package or its name, or any dspy metric that returns a number, a bool, or something
            with a ``score``: ``(example, prediction)``, with a ``trace``, or with GEPA's five arguments, of which all
            after the second are ``None`` here. Where lower is better the sign is turned, so that
            scores are always better when higher. A metric of a whole corpus (``macro_f1``, ``roc_auc``) is taken over
            the steps of all sequences together; a sequence's own value then only serves pruning.
        objectives: names from :data:`MEASURES`; one gives single-objective search with pruning, several a Pareto
            front.
        constraints: upper limits by measure, e.g. ``{"tokens_per_step": 900}``; candidates beyond a limit are never
            the best one. The score is no measure to limit from above.
        rollouts: how often each sequence is walked; above 1 the models need a temperature above 0 to differ.
        step_weights: weight by step index, 0 for steps beyond the last one given, or a function of (step, number of
            steps); for metrics of this package that are means over steps.

    Raises:
        ConfigurationError: unknown measures or metric, a metric of other arguments, an objective given twice, a limit
            on the score or one that is not finite, weights for a metric that has no steps, or weights below 0.

    Example:
        >>> Objective("mae[load]", constraints={"tokens_per_step": 900}).directions
        ['maximize']
    """

    def __init__(
        self,
        metric: MetricLike,
        *,
        objectives: Sequence[str] = ("score",),
        constraints: Mapping[str, float] | None = None,
        rollouts: int = 1,
        step_weights: StepWeights | None = None,
    ) -> None:
        unknown = sorted({*objectives, *(constraints or {})} - set(MEASURES))
        if unknown or not objectives:
            raise ConfigurationError(f"unknown measures {unknown}; there are {list(MEASURES)}")
        if len(set(objectives)) < len(objectives):
            raise ConfigurationError(f"objectives {list(objectives)} name one measure twice; leave one out")
        if "score" in (constraints or {}):
            raise ConfigurationError(
                "a constraint is an upper limit, and a higher score is better; make the score an objective instead"
            )
        for name, limit in (constraints or {}).items():
            if not math.isfinite(limit):
                raise ConfigurationError(f"the limit {name}={limit} keeps nothing or everything; give a finite number")
        if rollouts < 1:
            raise ConfigurationError(f"rollouts={rollouts}: every sequence must be walked at least once")
        self.metric: Metric | Callable[..., Any] = get_metric(metric) if isinstance(metric, str) else metric
        if not isinstance(self.metric, Metric) and not callable(self.metric):
            raise ConfigurationError(f"the metric must be a name, a Metric or a function, got {metric!r}")
        self._given = 0 if isinstance(self.metric, Metric) else _arguments(self.metric, self.name)
        if step_weights is not None and (not isinstance(self.metric, Metric) or self.metric.corpus is not None):
            raise ConfigurationError(
                "step_weights need a metric of this package that is a mean over steps, such as 'accuracy'; "
                "weigh the steps inside your own metric instead"
            )
        if step_weights is not None and not callable(step_weights):
            step_weights = [float(weight) for weight in step_weights]
            if not all(math.isfinite(weight) and weight >= 0 for weight in step_weights) or not sum(step_weights):
                raise ConfigurationError(
                    f"step_weights={step_weights}: weights are finite, none is below 0, and one is above"
                )
        self.objectives = tuple(objectives)
        self.constraints = dict(constraints or {})
        self.rollouts = rollouts
        self.step_weights = step_weights

    @property
    def name(self) -> str:
        """Name of the metric."""
        if isinstance(self.metric, Metric):
            return self.metric.name
        return getattr(self.metric, "__name__", None) or type(self.metric).__name__

    @property
    def directions(self) -> list[Literal["minimize", "maximize"]]:
        """Direction of each objective, as Optuna spells it."""
        return [MEASURES[name] for name in self.objectives]

    @property
    def single(self) -> bool:
        """Whether there is one objective and it is the score, so that pruning makes sense."""
        return self.objectives == ("score",)

    @property
    def priced(self) -> bool:
        """Whether money is an objective or limited, so that the price of every call must be known."""
        return "money" in self.objectives or "money" in self.constraints

    @property
    def corpus(self) -> bool:
        """Whether the score is taken over the steps of all sequences together."""
        return isinstance(self.metric, Metric) and self.metric.corpus is not None

    def describe(self) -> dict[str, JsonValue]:
        """Return what distinguishes this objective from another, as JSON."""
        return {
            "metric": self.name,
            "objectives": list(self.objectives),
            "constraints": dict(sorted(self.constraints.items())),
            "rollouts": self.rollouts,
            "weighted": list(self.step_weights) if isinstance(self.step_weights, list) else bool(self.step_weights),
        }

    def score(self, example: dspy.Example, prediction: Any) -> tuple[float, tuple[JsonValue, ...]]:
        """Score one walk; returns the score and, for a corpus metric, the cases behind it.

        Raises:
            ConfigurationError: the metric scores steps, and the prediction has no trace of them.
            ValueError: the metric gave something that is no finite number.
        """
        if isinstance(self.metric, Metric):
            value, cases = self._score_steps(example, prediction)
        else:
            said = self.metric(example, prediction, *[None] * (self._given - 2))
            value, cases = self._number(getattr(said, "score", said)), ()
        if not math.isfinite(value):
            raise ValueError(f"the metric {self.name!r} returned {value} instead of a finite number")
        return value, cases

    def _number(self, said: Any) -> float:
        try:
            return float(said)
        except (TypeError, ValueError):
            raise ValueError(
                f"the metric {self.name!r} returned {said!r:.80}; return a number, a bool or dspy.Prediction(score=...)"
            ) from None

    def _score_steps(self, example: dspy.Example, prediction: Any) -> tuple[float, tuple[JsonValue, ...]]:
        assert isinstance(self.metric, Metric)
        trace = getattr(prediction, "trace", None)
        if not isinstance(trace, Trace):
            raise ConfigurationError(
                f"metric {self.name!r} scores the steps of a walk, but the prediction has no trace; tune a "
                "RecurrentModule, return the trace of the one inside, dspy.Prediction(..., trace=walked.trace), "
                "or give a metric of your own"
            )
        scores = score_steps(_with_targets(trace, example), self.metric)
        if self.step_weights is None or not len(scores):
            value = scores.overall
        else:
            weights = np.array([self._weight(case.t, len(trace)) for case in scores.cases])
            if weights.sum() <= 0:
                raise ValueError("the weights of all scored steps add up to nothing")
            value = float(np.average(scores.values, weights=weights))
        kept = tuple([case.t, case.prediction, case.target] for case in scores.cases) if self.corpus else ()
        return self.metric.sign * value, kept  # type: ignore[return-value]

    def _weight(self, t: int, total: int) -> float:
        if callable(self.step_weights):
            return float(self.step_weights(t, total))
        assert self.step_weights is not None
        return float(self.step_weights[t]) if t < len(self.step_weights) else 0.0

    def measures(self, entries: Sequence[Entry]) -> dict[str, float]:
        """Return every measure of a candidate from its finished evaluations.

        A score is the mean over sequences of the mean over rollouts, or the corpus figure.
        """
        by_sequence: dict[str, list[float]] = {}
        for entry in entries:
            if entry.score is not None:
                by_sequence.setdefault(entry.sequence, []).append(entry.score)
        score = float(np.mean([np.mean(scores) for scores in by_sequence.values()])) if by_sequence else math.nan
        if self.corpus:
            score = self._corpus_score(entries)
        steps = max(1, sum(entry.steps for entry in entries))
        calls, tokens = sum(entry.calls for entry in entries), sum(entry.tokens for entry in entries)
        return {
            "score": round(score, _DIGITS),  # so that the order of the sequences cannot decide between equals
            "calls": float(calls),
            "tokens": float(tokens),
            "money": sum(entry.money or 0.0 for entry in entries),
            "seconds": sum(entry.seconds for entry in entries),
            "calls_per_step": calls / steps,
            "tokens_per_step": tokens / steps,
            "memory_tokens": float(max((entry.memory_tokens for entry in entries), default=0)),
            "failed_steps": float(sum(entry.failed_steps for entry in entries)),
        }

    def _corpus_score(self, entries: Sequence[Entry]) -> float:
        assert isinstance(self.metric, Metric)
        assert self.metric.corpus is not None
        cases = []
        for entry in entries:
            for kept in entry.cases:
                t, prediction, target = cast(tuple[int, Any, Any], kept)
                cases.append(Case(f"{entry.sequence}/{entry.rollout}", t, prediction, target))
        return self.metric.sign * self.metric.corpus(cases) if cases else math.nan


def _arguments(metric: Callable[..., Any], name: str) -> int:
    """Return how many arguments a metric is called with: as dspy's evaluation, its bootstrapping or GEPA call one."""
    try:
        signature = inspect.signature(metric)
    except (TypeError, ValueError):  # written in C: nothing is known about its arguments
        return 3
    for given in (3, 2, 5):
        try:
            signature.bind(*[None] * given)
        except TypeError:
            continue
        return given
    raise ConfigurationError(
        f"the metric {name!r} takes {signature}; write it as (example, prediction, trace=None), "
        "or as GEPA's (gold, pred, trace, pred_name, pred_trace)"
    )


def _with_targets(trace: Trace, example: dspy.Example) -> Trace:
    """Fill in targets that the walk did not see from the example, so that they can be scored."""
    steps = list(example.get("steps") or ())
    records = []
    for index, record in enumerate(trace.records):
        step = steps[index] if index < len(steps) else None
        target = step.target if isinstance(step, Step) else None
        known = record.target is not None or target is None
        records.append(record if known else record.model_copy(update={"target": target}))
    return trace.model_copy(update={"records": tuple(records)})
