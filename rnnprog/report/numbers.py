"""How numbers are written: shares in percent, intervals in brackets, digits that mean something."""

from __future__ import annotations

from rnnprog.exam_result import MetricSpec
from rnnprog.statistics import Estimate

__all__ = ["count", "figure", "p_value", "points", "score"]


def is_share(metric: MetricSpec) -> bool:
    """Tell whether scores of this metric are shares, to be shown in percent."""
    return metric.binary and not metric.unit


def score(value: float | None, metric: MetricSpec) -> str:
    """Write a score.

    Example:
        >>> score(0.7123, MetricSpec()), score(2.34567, MetricSpec(name="MAE", binary=False, unit="°C"))
        ('71.2 %', '2.346 °C')
    """
    if value is None:
        return "–"
    if is_share(metric):
        return f"{100 * value:.1f} %"
    return f"{value:.4g}" + (f" {metric.unit}" if metric.unit else "")


def figure(number: Estimate, metric: MetricSpec) -> str:
    """Write a score with its interval.

    Example:
        >>> found = Estimate(value=0.5, low=0.4, high=0.6, level=0.95, n=9, unit="sequences", method="")
        >>> figure(found, MetricSpec())
        '50.0 % [40.0, 60.0]'
    """
    if number.low is None or number.high is None:
        return score(number.value, metric)
    scale, digits = (100, "{:.1f}") if is_share(metric) else (1, "{:.4g}")
    low, high = digits.format(scale * number.low), digits.format(scale * number.high)
    return f"{score(number.value, metric)} [{low}, {high}]"


def points(value: float | None, metric: MetricSpec) -> str:
    """Write a difference of scores with its sign; shares differ by percentage points.

    Example:
        >>> points(0.123, MetricSpec())
        '+12.3 points'
    """
    if value is None:
        return "–"
    if is_share(metric):
        return f"{100 * value:+.1f} points"
    return f"{value:+.4g}" + (f" {metric.unit}" if metric.unit else "")


def count(value: float | None) -> str:
    """Write a count or a mean of counts.

    Example:
        >>> count(12345.6), count(3.0), count(2.25), count(None)
        ('12,346', '3', '2.2', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"


def p_value(value: float | None) -> str:
    """Write a p value.

    Example:
        >>> p_value(0.0000001), p_value(0.0423)
        ('< 0.0001', '0.042')
    """
    if value is None:
        return "–"
    return "< 0.0001" if value < 0.0001 else f"{value:.2g}"
