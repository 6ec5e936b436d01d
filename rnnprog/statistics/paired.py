"""Paired tests: is the difference between two arms on the same steps more than chance?

Differences are always arm minus control, in a sense where higher is better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from rnnprog.errors import ConfigurationError
from rnnprog.statistics.blocks import autocovariance

__all__ = ["TestResult", "diebold_mariano", "mcnemar", "paired_permutation", "wilcoxon"]


@dataclass(frozen=True)
class TestResult:
    """What a test gave.

    Attributes:
        test: its name, as a reader knows it.
        statistic: the test statistic.
        p: two-sided p-value; NaN where the data allow no test.
        n: number of pairs.
        error: standard error of the mean difference, where the test knows one; else NaN.
    """

    __test__ = False  # not a test case for pytest

    test: str
    statistic: float
    p: float
    n: int
    error: float = math.nan


def mcnemar(control: ArrayLike, arm: ArrayLike) -> TestResult:
    """Exact McNemar test on right-or-wrong pairs: are the pairs where only one is right split evenly?

    Use it for one scored step a sequence; pairs must be independent.

    Args:
        control: whether the control was right, one entry a pair.
        arm: the same for the arm.

    Raises:
        ConfigurationError: the lengths differ.

    Example:
        >>> result = mcnemar([0, 0, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1, 1])
        >>> result.p
        0.03125
    """
    a, b = np.asarray(control, dtype=bool), np.asarray(arm, dtype=bool)
    if a.shape != b.shape:
        raise ConfigurationError(f"McNemar needs pairs: {a.size} of the control, {b.size} of the arm")
    gained, lost = int((b & ~a).sum()), int((a & ~b).sum())
    p = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    return TestResult("exact McNemar", float(gained - lost), float(p), a.size)


def wilcoxon(differences: ArrayLike) -> TestResult:
    """Wilcoxon signed-rank test on one difference a sequence; zeros are ranked, as Pratt has it.

    Args:
        differences: arm minus control, one entry a sequence.
    """
    d = np.asarray(differences, dtype=float)
    if not np.any(d):
        return TestResult("Wilcoxon", 0.0, 1.0 if len(d) else math.nan, len(d), _error(d))
    found = stats.wilcoxon(d, zero_method="pratt" if np.any(d == 0) else "wilcox")
    return TestResult("Wilcoxon", float(found.statistic), float(found.pvalue), len(d), _error(d))


def paired_permutation(differences: ArrayLike, resamples: int = 9_999, seed: int = 0) -> TestResult:
    """Permutation test on one difference a sequence: flip the arms of each pair and compare the mean.

    Exact where there are at most ``resamples`` ways to flip, else by random flips. It needs no shape of the
    distribution and takes ties as they are.

    Args:
        differences: arm minus control, one entry a sequence.
        resamples: number of random flips.
        seed: of the random flips.
    """
    d = np.asarray(differences, dtype=float)
    if not len(d):
        return TestResult("paired permutation", math.nan, math.nan, 0)
    if not np.any(d):
        return TestResult("paired permutation", 0.0, 1.0, len(d), 0.0)
    if len(d) == 1:
        return TestResult("paired permutation", float(d[0]), 1.0, 1)
    found = stats.permutation_test(
        (d,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // len(d)),
        rng=np.random.default_rng(seed),
    )
    return TestResult("paired permutation", float(found.statistic), float(found.pvalue), len(d), _error(d))


def diebold_mariano(
    differences: ArrayLike, horizon: int = 1, kernel: Literal["flat", "bartlett"] = "flat"
) -> TestResult:
    """Diebold-Mariano test on the score differences of one series, with the small-sample correction.

    Use it inside one long sequence, where steps are not independent. Errors of forecasts ``horizon`` steps ahead are
    correlated over ``horizon - 1`` lags; the variance of their mean takes that in, the statistic is shrunk by the
    factor of Harvey, Leybourne and Newbold, and the reference is Student's t with n - 1 degrees of freedom.

    Sources: Diebold and Mariano 1995; Harvey, Leybourne and Newbold 1997.

    Args:
        differences: arm minus control at each step, in order of time.
        horizon: how many steps ahead was predicted, at least 1; with delayed feedback, the delay plus 1.
        kernel: ``flat`` weighs all lags alike, as in the papers, and falls back to ``bartlett`` where that gives no
            positive variance; ``bartlett`` weighs them less the further off.

    Raises:
        ConfigurationError: ``horizon`` is below 1 or not below the number of steps.

    Example:
        >>> result = diebold_mariano([1.0, 2.0, 0.0, 1.0, 2.0])
        >>> round(result.statistic, 4), round(result.p, 4)
        (3.2071, 0.0327)
    """
    d = np.asarray(differences, dtype=float)
    n, h = len(d), horizon
    if not 1 <= h < max(n, 2):
        raise ConfigurationError(f"horizon = {h} steps must be at least 1 and below the number of steps, {n}")
    if n < 2 or np.ptp(d) == 0:
        # Differences that never vary have no standard error: equal arms are no difference, the rest is no test.
        return TestResult("Diebold-Mariano", math.nan, 1.0 if n and not d.any() else math.nan, n)
    covariance = autocovariance(d, h - 1)
    lags = np.arange(1, h)
    flat = covariance[0] + 2 * float(np.sum(covariance[1:]))
    tapered = covariance[0] + 2 * float(np.sum((1 - lags / h) * covariance[1:]))
    variance = flat if kernel == "flat" and flat > 0 else tapered
    error = math.sqrt(variance / n)
    correction = math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    statistic = float(correction * d.mean() / error)
    p = float(2 * stats.t.sf(abs(statistic), df=n - 1))
    return TestResult("Diebold-Mariano", statistic, p, n, error / correction)


def _error(differences: np.ndarray) -> float:
    n = len(differences)
    return float(np.std(differences, ddof=1) / math.sqrt(n)) if n > 1 else math.nan
