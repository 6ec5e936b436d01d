"""What the data could have shown: the smallest true difference that would probably have been found."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

__all__ = ["detectable_by_error", "detectable_by_mcnemar", "detectable_by_sequences"]

WILCOXON_EFFICIENCY = 3 / math.pi
"""Of the signed-rank test relative to the t-test, under normal differences."""

PERMUTATION_EFFICIENCY = 0.93
"""Of the exact permutation test on tied differences, which is conservative; by simulation, 24 shares of 10 steps."""


def detectable_by_sequences(
    differences: ArrayLike, alpha: float = 0.05, power: float = 0.8, efficiency: float = 1.0
) -> float:
    """Return the smallest mean difference over sequences that a paired test would find.

    Args:
        differences: arm minus control, one entry a sequence; their spread is what matters.
        alpha: two-sided level of the test; divide it by the number of comparisons that are corrected for.
        power: probability of finding the difference.
        efficiency: of the test relative to the t-test.

    Returns:
        The difference, in units of the score; NaN for fewer than two sequences or differences that never vary.
    """
    d = np.asarray(differences, dtype=float)
    spread = float(np.std(d, ddof=1)) if len(d) > 1 else 0.0
    if not spread:
        return math.nan
    n, df = len(d) * efficiency, max(len(d) * efficiency - 1, 0.5)
    critical = stats.t.isf(alpha / 2, df)

    def surplus(effect: float) -> float:
        return float(stats.nct.sf(critical, df, effect * math.sqrt(n))) - power

    # With two or three units only an enormous difference is found, so the search goes far.
    return float(optimize.brentq(surplus, 0.0, 1e4)) * spread if surplus(1e4) > 0 else math.nan


def detectable_by_mcnemar(discordant: float, n: int, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest difference of two shares that McNemar's test would find.

    Source: the normal approximation of Miettinen 1968; never below what the exact test can find at all.

    Args:
        discordant: share of pairs in which exactly one of the arms is right.
        n: number of pairs.
        alpha: two-sided level of the test.
        power: probability of finding the difference.

    Returns:
        The difference of shares; NaN where no difference could have been found.
    """
    if n < 1:
        return math.nan
    # With k discordant pairs, all to one side, the exact test gives 2 * 2**-k.
    least = math.ceil(1 - math.log2(alpha)) / n
    if least > 1:
        return math.nan
    share = max(discordant, least)
    z_level, z_power = float(stats.norm.isf(alpha / 2)), float(stats.norm.isf(1 - power))

    def surplus(delta: float, share: float) -> float:
        return delta * math.sqrt(n) - z_level * math.sqrt(share) - z_power * math.sqrt(share - delta**2)

    if surplus(share, share) >= 0:
        return max(least, float(optimize.brentq(surplus, 0.0, share, args=(share,))))
    # Even if all of these pairs differed the same way it would not do: more pairs would have to differ.
    if surplus(1.0, 1.0) < 0:
        return math.nan
    return max(least, float(optimize.brentq(lambda delta: surplus(delta, delta), share, 1.0)))


def detectable_by_error(error: float, df: int, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest mean difference that a test with this standard error would find.

    Args:
        error: standard error of the mean difference.
        df: degrees of freedom of its estimate.
        alpha: two-sided level of the test.
        power: probability of finding the difference.
    """
    if math.isnan(error) or df < 1:
        return math.nan
    return float((stats.t.isf(alpha / 2, df) + stats.t.isf(1 - power, df)) * error)
