"""Intervals for what the page draws, by the methods of :mod:`rnnprog.statistics`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rnnprog.metrics import Case, Scores, accuracy
from rnnprog.statistics import Estimate, interval

__all__ = ["band", "estimate"]

_SHARES = accuracy()
_NUMBERS = replace(_SHARES, name="mean", unit="number")
_MOST_DRAWS = 20_000_000


def estimate(sequences: Sequence[str], values: NDArray[np.float64], share: bool) -> Estimate:
    """Return the mean of step values with the interval that :func:`rnnprog.statistics.interval` gives.

    Args:
        sequences: id of the sequence that each value belongs to, in order of time within a sequence.
        values: one a step; NaN marks a step without, which is left out.
        share: whether the values are rights and wrongs.
    """
    known = np.isfinite(values)
    cases = tuple(Case(name, t, None, None) for t, (name, ok) in enumerate(zip(sequences, known, strict=True)) if ok)
    metric = _SHARES if share else _NUMBERS
    scores = Scores(metric, cases, values[known], np.zeros(len(cases), dtype=bool), int((~known).sum()))
    # Of very many steps a few hundred resamples say as much, and take seconds less.
    resamples = int(np.clip(_MOST_DRAWS // max(len(cases), 1), 200, 2000))
    return interval(scores, resamples=resamples)


def band(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return mean, low and high of a few group means, by Student's t; low and high are NaN below two values."""
    n = len(values)
    mean = float(values.mean()) if n else math.nan
    if n < 2:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n))
    return mean, mean - half, mean + half
