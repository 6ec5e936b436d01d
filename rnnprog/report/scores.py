"""The score of each recorded step, and whether it was right: the two numbers that everything else is drawn from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnnprog.exam_result import ArmRun, MetricSpec
from rnnprog.metrics import cases, right, score_steps

__all__ = ["StepScore", "score_run"]


@dataclass(frozen=True)
class StepScore:
    """How one step did.

    Attributes:
        score: in units of the metric; ``None`` where it cannot be said.
        right: whether the step counts as right; ``None`` where right and wrong make no sense.
    """

    score: float | None
    right: bool | None


def score_run(run: ArmRun, metric: MetricSpec) -> dict[str, list[StepScore]]:
    """Score every step of a run, by sequence id, in the order of the records.

    Scores that the exam worked out are taken as they are; otherwise the metric of that name scores the steps. A
    step is right if a binary metric gives it 1; under any other metric, if every output is equal to its target,
    unless a target is a real number, which nothing ever hits.

    Raises:
        ConfigurationError: no metric has that name, or it does not fit the predictions.
    """
    given = run.scores or _scores(run, metric)
    told: dict[str, list[StepScore]] = {}
    for trace in run.result.traces:
        scores = given.get(trace.sequence, ())
        if metric.binary:
            told[trace.sequence] = [StepScore(value, None if value is None else value >= 1.0) for value in scores]
        else:
            hits = (None if _has_float(case.target) else right(case) for case in cases(trace))
            told[trace.sequence] = [StepScore(value, hit) for value, hit in zip(scores, hits, strict=True)]
    return told


def _scores(run: ArmRun, metric: MetricSpec) -> dict[str, tuple[float | None, ...]]:
    scored = score_steps(run.result, metric.name)
    pairs = zip(scored.cases, scored.values.tolist(), strict=True)
    by_step = {(case.sequence, case.t): value for case, value in pairs if math.isfinite(value)}
    return {t.sequence: tuple(by_step.get((t.sequence, r.t)) for r in t.records) for t in run.result.traces}


def _has_float(target: object) -> bool:
    return isinstance(target, dict) and any(isinstance(value, float) for value in target.values())
