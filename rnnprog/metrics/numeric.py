"""How far off: squared and absolute error, pinball loss, and CRPS for predicted distributions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from pydantic import JsonValue

from rnnprog.errors import ConfigurationError
from rnnprog.metrics.metric import Case, Metric

__all__ = ["crps", "crps_of_quantiles", "crps_of_samples", "finite", "mae", "mse", "pinball", "pinball_loss"]

Score = Callable[[JsonValue, float], "float | None"]


def mse(field: str) -> Metric:
    """Mean squared error of a number, in squared units of the target."""
    return _loss(
        f"mse[{field}]", field, "squared error", _of_number(lambda answer, truth: (answer - truth) * (answer - truth))
    )


def mae(field: str) -> Metric:
    """Mean absolute error of a number, in units of the target."""
    return _loss(f"mae[{field}]", field, "error", _of_number(lambda answer, truth: abs(answer - truth)))


def pinball(field: str, level: float | None = None) -> Metric:
    """Pinball loss of a predicted quantile, or its mean over several.

    Args:
        field: a number, taken as the quantile at ``level``; or an object from level to quantile,
            ``{"0.1": 3.0, "0.5": 5.0, "0.9": 8.0}``, whose levels are averaged if ``level`` is left out.
        level: between 0 and 1.

    Raises:
        ConfigurationError: ``level`` is not between 0 and 1; while scoring: a single number without ``level``.
    """
    if level is not None and not 0 < level < 1:
        raise ConfigurationError(f"pinball level {level} is not between 0 and 1; write e.g. pinball@0.9[{field}]")

    def score(answer: JsonValue, truth: float) -> float | None:
        if isinstance(answer, dict):
            quantiles = _quantiles(answer)
            chosen = quantiles if level is None else {q: v for q, v in quantiles.items() if math.isclose(q, level)}
            return float(np.mean([pinball_loss(v, truth, q) for q, v in chosen.items()])) if chosen else None
        if level is None:
            raise ConfigurationError(
                f"{field!r} is a single number: say which quantile it is, e.g. pinball@0.9[{field}]"
            )
        value = finite(answer)
        return None if value is None else pinball_loss(value, truth, level)

    name = f"pinball[{field}]" if level is None else f"pinball@{level:g}[{field}]"
    return _loss(name, field, "pinball loss", score)


def crps(field: str) -> Metric:
    """Continuous ranked probability score of a predicted distribution, in units of the target.

    Args:
        field: a list of samples, an object from quantile level to value, or a single number, for which the score
            is the absolute error.
    """

    def score(answer: JsonValue, truth: float) -> float | None:
        if isinstance(answer, dict):
            quantiles = _quantiles(answer)
            return crps_of_quantiles(quantiles, truth) if quantiles else None
        samples = [finite(value) for value in (answer if isinstance(answer, list) else [answer])]
        usable = [value for value in samples if value is not None]
        return crps_of_samples(usable, truth) if usable and len(usable) == len(samples) else None

    return _loss(f"crps[{field}]", field, "error", score)


def pinball_loss(quantile: float, truth: float, level: float) -> float:
    """Return the loss whose expectation is least at the true quantile of that level.

    Example:
        >>> pinball_loss(10.0, truth=12.0, level=0.9), round(pinball_loss(10.0, truth=8.0, level=0.9), 9)
        (1.8, 0.2)
    """
    miss = truth - quantile
    return max(level * miss, (level - 1) * miss)


def crps_of_samples(samples: list[float], truth: float) -> float:
    """Return the score of the empirical distribution: mean distance to the truth less half the mean spread.

    Raises:
        ValueError: there are no samples.

    Example:
        >>> crps_of_samples([0.0, 2.0], truth=1.0)
        0.5
    """
    if not samples:
        raise ValueError("crps of no samples; give at least one")
    x = np.sort(np.asarray(samples, dtype=float))
    n = len(x)
    # Sum over pairs of |x_i - x_j| from the order statistics: n log n instead of n squared.
    spread = 2 * float(np.sum((2 * np.arange(1, n + 1) - n - 1) * x)) / n**2
    return float(np.mean(np.abs(x - truth))) - spread / 2


def crps_of_quantiles(quantiles: Mapping[float, float], truth: float) -> float:
    """Return twice the pinball loss, integrated over the levels; each level stands for the range nearest to it.

    With few levels this is an approximation; it is exact in the limit of many.
    """
    levels = np.array(sorted(quantiles))
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    losses = np.array([pinball_loss(quantiles[q], truth, q) for q in levels])
    return float(2 * np.sum(np.diff(edges) * losses))


def finite(value: JsonValue) -> float | None:
    """Return a JSON value as a number; ``None`` if it is not a finite one."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond all floats
        return None


def _of_number(score: Callable[[float, float], float]) -> Score:
    def read(answer: JsonValue, truth: float) -> float | None:
        value = finite(answer)
        return None if value is None else score(value, truth)

    return read


def _loss(name: str, field: str, unit: str, score: Score) -> Metric:
    def step(case: Case) -> float | None:
        truth = finite(case.known(field))
        if truth is None:
            raise ConfigurationError(
                f"{name}: the target {case.known(field)!r} of step {case.t} in {case.sequence!r} is not a finite "
                "number; use accuracy or macro_f1 for labels"
            )
        lost = score(case.answered(field), truth)
        return lost if lost is not None and math.isfinite(lost) else None  # 1e200 squared: no usable answer

    return Metric(
        name=name,
        better="lower",
        unit=unit,
        scorable=lambda case: case.known(field) is not None,
        step=step,
        failure=None,
    )


def _quantiles(answer: Mapping[str, JsonValue]) -> dict[float, float]:
    """Return quantiles by level; nothing if the answer is not a set of quantiles."""
    try:
        quantiles = {float(level): finite(value) for level, value in answer.items()}
    except ValueError:
        return {}
    usable = {level: value for level, value in quantiles.items() if value is not None and 0 < level < 1}
    return usable if len(usable) == len(quantiles) else {}
