"""One metric for every dspy optimizer: it scores all steps of a walk, and says in words what went wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from rnnprog.errors import ConfigurationError
from rnnprog.metrics.metric import Case, Metric
from rnnprog.metrics.registry import MetricLike, get_metric
from rnnprog.metrics.score import Scores, score_steps
from rnnprog.trace import Step, StepRecord, Trace

__all__ = ["DspyMetric"]


class DspyMetric:
    """A metric for ``dspy.Evaluate``, MIPROv2, SIMBA, GEPA and the bootstrapping optimizers alike.

    It scores the prediction that a walk returned (``pred.trace``) against the targets of ``gold.steps``. The score is
    always between 0 and 1 for shares and probabilities, and ``1 / (1 + loss / scale)`` where lower is better:
    dspy counts a crashed example as 0, which must not look better than a finished one.

    Called with ``pred_name``, as GEPA does, it returns ``dspy.Prediction(score=..., feedback=...)``.

    Args:
        metric: a metric or its name.
        where: ``"all"`` steps, or only the ``"last"``.
        burn_in: number of first steps that are not scored.
        scale: for a metric where lower is better, the loss that scores one half.
        bar: if set, calls with a trace (bootstrapping) return whether the score reaches it.
        shown: how many steps the feedback describes.

    Raises:
        ConfigurationError: ``where`` is neither, ``scale`` is not positive; while scoring: the prediction has no
            trace.
    """

    def __init__(
        self,
        metric: MetricLike,
        where: str = "all",
        burn_in: int = 0,
        scale: float = 1.0,
        bar: float | None = None,
        shown: int = 5,
    ) -> None:
        if where not in ("all", "last"):
            raise ConfigurationError(f"where={where!r} is neither 'all' nor 'last'")
        if not scale > 0:
            raise ConfigurationError(f"scale={scale} must be above 0: it is the loss that scores one half")
        self.metric: Metric = get_metric(metric)
        self.where, self.burn_in, self.scale, self.bar, self.shown = where, burn_in, scale, bar, shown
        self.__name__ = self.metric.name

    def __call__(self, gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        """Score one walk; see the class."""
        walk = _walk(gold, pred)
        if walk is None:
            return 0.0
        scores = score_steps(walk.model_copy(update={"records": walk.records[self.burn_in :]}), self.metric)
        value = self.score(scores)
        if pred_name is not None:
            import dspy

            return dspy.Prediction(score=value, feedback=self.feedback(walk, scores, str(pred_name), pred_trace))
        return value if trace is None or self.bar is None else value >= self.bar

    def score(self, scores: Scores) -> float:
        """Return the score of one walk, higher is better; 0 where nothing could be scored."""
        raw = scores.last if self.where == "last" else scores.overall
        if math.isnan(raw):
            return 0.0
        if self.metric.better == "lower":
            return 1 / (1 + raw / self.scale)
        return raw / 100 if self.metric.unit == "percent" else raw

    def feedback(self, walk: Trace, scores: Scores, pred_name: str, pred_trace: Any = None) -> str:
        """Return in words how the walk went, seen from one phase."""
        phase = pred_name.rsplit(".", 1)[-1]
        lines = [
            f"The walk had {len(walk)} steps; {self.metric.name} over {len(scores)} scored steps is "
            f"{scores.overall:.4g} ({self.metric.better} is better), {scores.failures} without a usable answer."
        ]
        here = _step_of(walk, pred_trace)
        if here is not None:
            lines.append(f"This call belongs to step {here.t}. " + _told(here))
            lines += _said_about(here, phase)
            after = next((r for r in walk.records if r.t == here.t + 1), None)
            if after is not None and phase != "predictor":
                lines.append("The step after it: " + _told(after))
        worst = self._worst(scores)
        if worst:
            lines.append("Steps that scored worst:")
            records = {record.t: record for record in walk.records}
            lines += [f"- step {case.t}: {_told(records[case.t])}" for case in worst]
        return "\n".join(lines)

    def _worst(self, scores: Scores) -> list[Case]:
        perfect = 0.0 if self.metric.better == "lower" else 100.0 if self.metric.unit == "percent" else 1.0
        rows = zip(scores.values, scores.failed, scores.cases, strict=True)
        missed = [(value, case) for value, failed, case in rows if failed or value != perfect]
        return [case for _, case in sorted(missed, key=lambda row: (self.metric.sign * row[0], row[1].t))[: self.shown]]


@dataclass(frozen=True)
class _Targets:
    """Targets by position, read from steps that are values or plain dicts."""

    steps: tuple[Any, ...]

    def at(self, index: int) -> Any:
        if index >= len(self.steps):
            return None
        step = self.steps[index]
        return step.target if isinstance(step, Step) else step.get("target") if isinstance(step, Mapping) else None


def _walk(gold: Any, pred: Any) -> Trace | None:
    if pred is None:
        return None
    walk = getattr(pred, "trace", None)
    if not isinstance(walk, Trace):
        raise ConfigurationError(
            f"the prediction has no trace of a walk but {type(walk).__name__}; score what a RecurrentModule returned"
        )
    targets = _Targets(tuple(getattr(gold, "steps", None) or ()))
    records = [
        record if record.target is not None else record.model_copy(update={"target": targets.at(index)})
        for index, record in enumerate(walk.records)
    ]
    return walk.model_copy(update={"records": tuple(records)})


def _step_of(walk: Trace, pred_trace: Any) -> StepRecord | None:
    """Find the step that one call of a phase belongs to, by the observation in its inputs."""
    if not pred_trace:
        return None
    given = dict(pred_trace[0][1])
    observation = given.get("observation")
    for record in walk.records:
        if isinstance(observation, str):
            if all(_line(name, value) in observation for name, value in record.inputs.items()):
                return record
        elif all(given.get(name) == value for name, value in record.inputs.items()):
            return record
    return None


def _line(name: str, value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{name}: {text}".split("\n", 1)[0]


def _told(record: StepRecord) -> str:
    answer = "no usable answer" if record.prediction is None else f"answered {record.prediction}"
    if record.failure is not None:
        answer += f" ({record.failure.error})"
    return f"seen {record.inputs}, {answer}, true {record.target}."


def _said_about(record: StepRecord, phase: str) -> list[str]:
    lines = []
    for update in record.updates:
        if phase == "reflector" and update.critique:
            lines.append(f"The critique was {update.critique}.")
        if phase == "rewriter":
            lines.append(f"The update ended as {update.operation!r}, memory {update.tokens} tokens.")
            lines += [f"Guard {v.check}: {v.decision}, {v.reason}" for v in update.verdicts if v.decision != "accept"]
            lines += [f"The budget removed from {section}: {item}" for section, item in update.dropped]
        if update.failure is not None and update.failure.phase == phase:
            lines.append(f"This phase gave no usable answer: {update.failure.error}")
    return lines
