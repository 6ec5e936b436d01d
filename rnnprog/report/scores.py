"""The score of each recorded step, and whether it was right: the two numbers that everything else is drawn from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import JsonValue

from rnnprog.exam_result import ArmRun, MetricSpec
from rnnprog.trace import StepRecord, Trace

__all__ = ["StepScore", "score_trace"]


@dataclass(frozen=True)
class StepScore:
    """How one step did.

    Attributes:
        score: in units of the metric; ``None`` where it cannot be said.
        right: whether the step counts as right; ``None`` where the metric knows no right and wrong.
    """

    score: float | None
    right: bool | None


def score_trace(trace: Trace, metric: MetricSpec, run: ArmRun | None = None) -> list[StepScore]:
    """Score every step of a trace.

    Scores that the exam worked out are taken as they are. Otherwise the prediction is compared with the target:
    a binary metric asks for equality and counts a failed step as wrong; any other takes the absolute error and leaves a
    failed step without a score. Where there is no target, the feedback's own verdict counts.
    """
    given = run.scores.get(trace.sequence) if run else None
    if given is not None and len(given) == len(trace.records):
        return [StepScore(score, (score >= 1.0) if metric.binary and score is not None else None) for score in given]
    judged = {u.of: u.feedback for u in trace.updates if u.feedback is not None}
    scores = []
    for record in trace.records:
        if record.target is not None:
            scores.append(_against_target(record, metric))
            continue
        feedback = judged.get(record.id)
        if feedback is None:
            scores.append(StepScore(None, None))
        elif metric.binary:
            value = None if feedback.correct is None else float(feedback.correct)
            scores.append(StepScore(value, feedback.correct))
        else:
            scores.append(StepScore(feedback.score, feedback.correct))
    return scores


def _against_target(record: StepRecord, metric: MetricSpec) -> StepScore:
    target = record.target or {}
    fields = [metric.field] if metric.field else [name for name in target]
    if metric.binary:
        right = record.prediction is not None and all(record.prediction.get(n) == target.get(n) for n in fields)
        return StepScore(float(right), right)
    if record.prediction is None:
        return StepScore(None, None)
    errors = [_error(record.prediction.get(name), target.get(name)) for name in fields]
    known = [error for error in errors if error is not None]
    return StepScore(sum(known) / len(known) if known else None, None)


def _error(said: JsonValue, true: JsonValue) -> float | None:
    if not isinstance(said, (int, float)) or not isinstance(true, (int, float)):
        return None
    error = abs(float(said) - float(true))
    return error if math.isfinite(error) else None
