"""Intervals for what the page draws: means over sequences, shares, and ratios, from the sequences as units."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rnnprog.exam_result import Figure

__all__ = ["mean_over_groups", "share"]

_SEED = 20260101
_RESAMPLES = 2000


def mean_over_groups(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> Figure:
    """Return the mean over all steps with a bootstrap interval that resamples whole groups (sequences).

    Args:
        sums: sum of the scores of each group.
        counts: number of scored steps of each group.

    With fewer than five groups there is nothing to resample, and no interval is given.
    """
    total = float(counts.sum())
    if total == 0:
        return Figure(value=None)
    value = float(sums.sum() / total)
    groups = int((counts > 0).sum())
    if groups < 5:
        return Figure(value=value, n=int(total), method=f"no interval: {groups} sequence{'s' * (groups != 1)}")
    rng = np.random.default_rng(_SEED)
    drawn = rng.integers(0, len(sums), size=(_RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / np.maximum(counts[drawn].sum(axis=1), 1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Figure(
        value=value, low=float(low), high=float(high), n=int(total), method=f"bootstrap over {groups} sequences"
    )


def share(hits: int, n: int) -> Figure:
    """Return a share with Wilson's interval.

    Example:
        >>> figure = share(8, 10)
        >>> figure.value, round(figure.low, 2), round(figure.high, 2)
        (0.8, 0.49, 0.94)
    """
    if n == 0:
        return Figure(value=None)
    interval = stats.binomtest(hits, n).proportion_ci(method="wilson")
    return Figure(value=hits / n, low=float(interval.low), high=float(interval.high), n=n, method="Wilson")


def band(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return mean, low and high of a few group means, by Student's t; low and high are NaN below two values."""
    n = len(values)
    mean = float(values.mean()) if n else math.nan
    if n < 2:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n))
    return mean, mean - half, mean + half
