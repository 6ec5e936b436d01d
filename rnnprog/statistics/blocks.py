"""Resampling one long series without breaking its dependence: the stationary bootstrap and its block length."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnprog.errors import ConfigurationError

__all__ = ["autocovariance", "block_length", "resampled_means", "stationary_indices"]

Floats = NDArray[np.float64]


def autocovariance(series: ArrayLike, lags: int) -> Floats:
    """Return the autocovariances at lags 0 to ``lags``, each divided by the full length.

    Example:
        >>> autocovariance([1.0, -1.0, 1.0, -1.0], 1).tolist()
        [1.0, -0.75]
    """
    x = np.asarray(series, dtype=float)
    x = x - x.mean()
    return np.array([float(x[k:] @ x[: len(x) - k]) / len(x) for k in range(min(lags, len(x) - 1) + 1)])


def block_length(series: ArrayLike) -> float:
    """Return the mean block length at which the stationary bootstrap of a mean errs least.

    The rule finds the lag after which the autocorrelations are noise, estimates the long-run variance with a
    flat-top window up to there, and balances bias against variance. It never exceeds a third of the series and
    never falls below 1, the length for a series without dependence.

    Source: Politis and White 2004, with the correction of Patton, Politis and White 2009.

    Args:
        series: the values in order of time.
    """
    x = np.asarray(series, dtype=float)
    n = len(x)
    if n < 4 or np.ptp(x) == 0:
        return 1.0
    run = max(5, math.ceil(math.log10(n)))
    covariance = autocovariance(x, min(n - 1, math.ceil(math.sqrt(n)) + run))
    correlation = covariance / covariance[0]
    noise = 2 * math.sqrt(math.log10(n) / n)
    quiet = np.abs(correlation[1:]) < noise
    cut = next((m for m in range(len(quiet) - run + 1) if quiet[m : m + run].all()), None)
    if cut is None:
        loud = np.flatnonzero(~quiet)
        cut = int(loud[-1]) + 1 if len(loud) else 0
    reach = min(2 * max(cut, 1), len(covariance) - 1)
    lags = np.arange(1, reach + 1)
    window = np.minimum(1.0, 2 * (1 - lags / reach))
    spread = 2 * float(np.sum(window * lags * covariance[1 : reach + 1]))
    long_run = float(covariance[0] + 2 * np.sum(window * covariance[1 : reach + 1]))
    if long_run <= 0:
        return 1.0
    best = (spread / long_run) ** 2 * n
    return float(min(max(best ** (1 / 3), 1.0), n / 3))


def stationary_indices(n: int, mean_block: float, resamples: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return one row of indices for each resample: blocks of geometric length that wrap around the end.

    Source: Politis and Romano 1994.

    Args:
        n: length of the series.
        mean_block: mean block length in steps, at least 1.
        resamples: number of rows.
        rng: source of randomness.

    Raises:
        ConfigurationError: ``mean_block`` is below 1.
    """
    if mean_block < 1:
        raise ConfigurationError(f"mean block length {mean_block} is below 1 step")
    starts = rng.random((resamples, n)) < 1 / mean_block
    starts[:, 0] = True
    fresh = rng.integers(0, n, size=(resamples, n))
    position = np.broadcast_to(np.arange(n), (resamples, n))
    began = np.maximum.accumulate(np.where(starts, position, 0), axis=1)
    return np.asarray((np.take_along_axis(fresh, began, axis=1) + position - began) % n)


def resampled_means(runs: Sequence[ArrayLike], resamples: int, rng: np.random.Generator) -> Floats:
    """Return the mean over all steps of each resample; every run is resampled within itself, by its own block length.

    Args:
        runs: one series a sequence, in order of time.
        resamples: number of resamples.
        rng: source of randomness.
    """
    total, count = np.zeros(resamples), 0
    for run in runs:
        x = np.asarray(run, dtype=float)
        block = block_length(x)
        # In portions, so that 100,000 steps do not need a table of 100,000 x resamples indices at once.
        portion = max(1, 4_000_000 // max(len(x), 1))
        for start in range(0, resamples, portion):
            stop = min(start + portion, resamples)
            total[start:stop] += x[stationary_indices(len(x), block, stop - start, rng)].sum(axis=1)
        count += len(x)
    return np.asarray(total / count)
