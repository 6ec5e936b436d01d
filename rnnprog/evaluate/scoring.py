"""From walks to what may be said: figures with intervals, comparisons with the control, the words for both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy import stats

from rnnprog.exam_result import ArmRun
from rnnprog.metrics import Metric, cost, recovery, score_steps
from rnnprog.metrics.score import Scores
from rnnprog.statistics import Comparison, Estimate, Rules, compare, interval

__all__ = ["arm_figures", "comparisons", "horizon", "plain_figure", "run_scores", "scores_of"]


_FEWER = 1_000  # resamples for the metrics that do not decide


def scores_of(runs: Sequence[ArmRun], metric: Metric, pooled: bool) -> list[Scores]:
    """Return the scores of an arm: one for each run, or a single one over all where seeds are more data.

    Args:
        runs: one for each seed.
        metric: what is measured.
        pooled: whether each seed has sequences of its own.
    """
    if pooled:
        return [score_steps([trace for run in runs for trace in run.result.traces], metric)]
    return [score_steps(run.result, metric) for run in runs]


def horizon(delay: float, delay_by: str, runs: Iterable[ArmRun]) -> int:
    """Return how many steps ahead was predicted: 1 where labels come at once, else what they usually wait, plus 1.

    Args:
        delay: of the labels.
        delay_by: what it counts; where that is no steps, the walks are asked how many steps went by.
        runs: walks of the exam.
    """
    if delay_by == "steps" or not delay:
        return int(delay) + 1
    waits = []
    for trace in (trace for run in runs for trace in run.result.traces):
        made = {record.id: record.t for record in trace.records}
        waits += [r.t - made[update.of] for r in trace.records for update in r.updates if update.of in made]
    return int(np.median(waits)) + 1 if waits else 1


def comparisons(arms: Mapping[str, list[Scores]], control: str, rules: Rules) -> tuple[Comparison, ...]:
    """Compare every arm that has scores with the control; nothing where the control has none."""
    if control not in arms or not _scored(arms[control]):
        return ()
    others = {name: list(scores) for name, scores in arms.items() if name != control and _scored(scores)}
    return tuple(compare(arms[control], others, control, rules)) if others else ()


def arm_figures(runs: Sequence[ArmRun], metrics: Sequence[Metric], pooled: bool) -> dict[str, Estimate]:
    """Return the numbers of an arm, by name.

    ``score`` and ``last`` are of the first metric; every further metric stands under its own name. ``recovery`` is
    P(right at t + 1 | wrong at t). Costs are for each step and for each right answer.
    """
    if not any(run.result.traces for run in runs):
        return {}
    figures: dict[str, Estimate] = {}
    for index, metric in enumerate(metrics):
        scores = scores_of(runs, metric, pooled)
        if index == 0:
            figures["score"], figures["last"] = interval(scores), interval(scores, "last")
        else:
            figures[metric.name] = interval(scores, resamples=_FEWER)
    return {**figures, "recovery": _recovery(runs), **_costs(runs)}


def run_scores(run: ArmRun, metric: Metric) -> dict[str, tuple[float | None, ...]]:
    """Return the score of each step by sequence, for metrics that a reader of the file does not know by name."""
    scored = score_steps(run.result, metric)
    pairs = zip(scored.cases, scored.values.tolist(), strict=True)
    by_step = {(case.sequence, case.t): value for case, value in pairs if math.isfinite(value)}
    return {t.sequence: tuple(by_step.get((t.sequence, r.t)) for r in t.records) for t in run.result.traces}


def _scored(runs: Sequence[Scores]) -> bool:
    return bool(runs) and all(len(run) for run in runs)


def plain_figure(value: float | None, n: int, method: str) -> Estimate:
    """Return a number without an interval."""
    return Estimate(value=value, low=None, high=None, level=0.95, n=n, unit="steps", method=method)


def _recovery(runs: Sequence[ArmRun]) -> Estimate:
    targets = (record.target or {} for run in runs for record in run.result.records)
    if any(isinstance(value, float) for target in targets for value in target.values()):
        return plain_figure(None, 0, "nothing hits a number exactly, so right and wrong say nothing")
    counted = [recovery(run.result) for run in runs]
    errors, recovered = sum(c.errors for c in counted), sum(c.recovered for c in counted)
    if not errors:
        return plain_figure(None, 0, "nothing was wrong before a known step")
    told = stats.binomtest(recovered, errors).proportion_ci(method="wilson")
    found = plain_figure(recovered / errors, errors, "Wilson")
    return found.model_copy(update={"low": float(told.low), "high": float(told.high)})


def _costs(runs: Sequence[ArmRun]) -> dict[str, Estimate]:
    bills = [cost(run.result) for run in runs]
    steps, right = sum(bill.steps for bill in bills), sum(bill.right for bill in bills)
    amounts = {
        "calls": float(sum(bill.total.calls for bill in bills)),
        "tokens": float(sum(bill.total.tokens for bill in bills)),
        "seconds": sum(bill.seconds for bill in bills),
        "money": sum(bill.money for bill in bills),
    }
    figures = {}
    for name, amount in amounts.items():
        known = math.isfinite(amount)
        figures[f"{name} per step"] = plain_figure(amount / steps if steps and known else None, steps, "total")
        figures[f"{name} per right answer"] = plain_figure(amount / right if right and known else None, right, "total")
    return figures
