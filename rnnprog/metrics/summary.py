"""One line about a run and its floors: plain numbers, ready for a table or for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rnnprog.metrics.cost import cost
from rnnprog.metrics.faults import faults
from rnnprog.metrics.metric import Source, traces_of
from rnnprog.metrics.recovery import recovery
from rnnprog.metrics.registry import MetricLike, get_metric
from rnnprog.metrics.score import score_steps
from rnnprog.trace import Result

__all__ = ["summary"]


def summary(source: Source, metric: MetricLike, floors: Mapping[str, Source] | None = None) -> dict[str, Any]:
    """Return what a reader wants to know about a run first.

    Args:
        source: a result or traces.
        metric: a metric or its name.
        floors: runs of the floors over the same steps, by name.

    Returns:
        ``metric``, ``better``, ``score``, ``last_step``, ``steps``, ``scored``, ``failed``, ``unscored``,
        ``sequences``, ``floors`` (score by name), ``best_floor``, ``above_floor`` (how much better than the best floor,
        in the metric's unit; negative if worse), ``recovery``, ``errors``, ``calls``, ``tokens``,
        ``tokens_per_step``, ``tokens_per_right``, ``seconds``, ``money``, ``phase_failures``. A figure that does not
        exist is ``None``, so that the whole is JSON.
    """
    metric = get_metric(metric)
    traces = list(traces_of(source))
    scores = score_steps(traces, metric)
    below = {name: score_steps(run, metric).overall for name, run in (floors or {}).items()}
    usable = {name: value for name, value in below.items() if not math.isnan(value)}
    best = max(usable, key=lambda name: metric.sign * usable[name]) if usable else None
    bill, mended = cost(source if isinstance(source, Result) else traces), recovery(traces)
    line: dict[str, Any] = {
        "metric": metric.name,
        "better": metric.better,
        "score": scores.overall,
        "last_step": scores.last,
        "sequences": len(traces),
        "steps": bill.steps,
        "scored": len(scores),
        "failed": scores.failures,
        "unscored": scores.unscored,
        "floors": {name: _json(value) for name, value in below.items()},
        "best_floor": best,
        "above_floor": math.nan if best is None else metric.gain(scores.overall, usable[best]),
        "recovery": mended.rate,
        "errors": mended.errors,
        "calls": bill.total.calls,
        "tokens": bill.total.tokens,
        "tokens_per_step": bill.per_step()["tokens"],
        "tokens_per_right": bill.per_right()["tokens"],
        "seconds": bill.seconds,
        "money": bill.money,
        "phase_failures": faults(traces).failures,
    }
    return {key: _json(value) for key, value in line.items()}


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
