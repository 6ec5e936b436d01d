"""When to stop hoping: a one-sided test, looked at after every few sequences, of whether a candidate can still win.

Pure statistics of paired differences. What is compared with what, and when, is said in ``pruning.py``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from scipy import stats

__all__ = ["Statistic", "look_bounds", "mean_z", "rank_bounds", "signed_rank_z"]

Statistic = Literal["mean", "signed-rank"]
_PATHS = 40_000
Floats = np.ndarray[Any, np.dtype[np.float64]]


@lru_cache(maxsize=64)
def look_bounds(error: float, fractions: tuple[float, ...]) -> tuple[float, ...]:
    """Return the bound that a standardised sum must exceed at each look, to exceed any with probability ``error``.

    Lan and DeMets' spending with the Pocock-like function ``error * ln(1 + (e - 1) t)``: what is spent by look k
    depends on the share t of sequences seen. The looks share their data; Armitage, McPherson and Rowe's recursion
    carries the density of the sums that have crossed no bound yet from one look to the next.

    Args:
        error: probability to cross a bound at some look, where there is no effect.
        fractions: share of sequences seen at each look, increasing, at most 1.

    Example:
        >>> [round(bound, 2) for bound in look_bounds(0.05, (0.5, 1.0))]
        [1.87, 1.89]
    """
    grid = np.linspace(-6.0, 6.0, 481)
    width = float(grid[1] - grid[0])
    density = np.zeros_like(grid)
    bounds: list[float] = []
    before, spent = 0.0, 0.0
    for fraction in fractions:
        spread = float(np.sqrt(fraction - before))
        if bounds:
            density = stats.norm.pdf(grid[:, None], grid[None, :], spread) @ density * width
        else:
            density = stats.norm.pdf(grid, 0.0, spread)
        total = error * float(np.log1p((np.e - 1) * fraction))
        above = width * (np.cumsum(density[::-1])[::-1] - density / 2)  # mass above each point
        bound = float(np.interp(spent - total, -above, grid))
        # The point nearest to the bound counts by the part of its cell that lies below it.
        density *= np.clip((bound - grid) / width + 0.5, 0.0, 1.0)
        bounds.append(bound / float(np.sqrt(fraction)))
        before, spent = fraction, total
    return tuple(bounds)


@lru_cache(maxsize=16)
def rank_bounds(error: float, looks: tuple[int, ...], n: int) -> tuple[float, ...]:
    """Return the bounds of :func:`look_bounds` for the signed-rank statistic, whose looks are coarse at first.

    The ranks of symmetric differences are distribution-free, all looks together, so the bounds come from paths drawn
    once and for all: no normal approximation, however few sequences. What a coarse look cannot spend, later ones do:
    three differences all fall short in one case of eight, which is more than a first look may lose.

    Args:
        error: as there.
        looks: numbers of sequences seen at each look, increasing.
        n: number of sequences of a candidate that is seen to the end.

    Example:
        >>> [round(bound, 2) for bound in rank_bounds(0.1, (3, 5, 6), 8)]
        [inf, 1.75, 1.78]
    """
    paths = np.random.default_rng(0).normal(size=(max((*looks, 0)), _PATHS)).astype(np.float32)
    going = np.ones(_PATHS, dtype=bool)
    falling = np.zeros(_PATHS, dtype=np.int64)  # rank sum of those that fall short: pairs whose sum does (Walsh)
    bounds: list[float] = []
    for seen, drawn in enumerate(paths, start=1):
        falling += (paths[:seen] + drawn < 0).sum(axis=0)
        if seen not in looks:
            continue
        left = error * float(np.log1p((np.e - 1) * seen / n)) * _PATHS - np.count_nonzero(~going)
        above = np.cumsum(np.bincount(falling[going], minlength=seen * (seen + 1) // 2 + 1)[::-1])[::-1]
        bound = int(np.argmax(above <= left)) if above[-1] <= left else len(above)
        going &= falling < bound
        standard = float(np.sqrt(seen * (seen + 1) * (2 * seen + 1) / 24))
        bounds.append((bound - seen * (seen + 1) / 4) / standard if bound < len(above) else float("inf"))
    return tuple(bounds)


def mean_z(differences: Floats, hoped: Floats | float, spread: Floats | float) -> Floats:
    """Return by how many standard errors the mean difference (over the last axis) is above the one hoped for.

    Example:
        >>> float(mean_z(np.array([0.1, -0.1, 0.0, 0.0]), hoped=0.1, spread=0.1))
        -2.0
    """
    return np.asarray((np.mean(differences, axis=-1) - hoped) * np.sqrt(differences.shape[-1]) / spread)


def signed_rank_z(differences: Floats, hoped: Floats | float, spread: Floats | float) -> Floats:
    """Return Wilcoxon's signed-rank statistic, standardised, of what the differences have above the one hoped for.

    Ties share their ranks and narrow the variance, zeros are left out, as scipy does.

    Args:
        differences: candidate minus the best by sequence, on the last axis.
        hoped: the difference worth finding.
        spread: standard deviation of a difference; only tells what counts as a tie.

    Example:
        >>> round(float(signed_rank_z(np.array([0.0, -0.1, 0.05]), hoped=0.1, spread=0.1)), 2)
        -1.6
    """
    above = (differences - np.asarray(hoped)[..., None]) / np.asarray(spread)[..., None]
    above = np.round(above, 9)  # equal scores must stay ties whatever was subtracted
    with np.errstate(invalid="ignore", divide="ignore"):  # nothing but zeros
        found = stats.wilcoxon(above, axis=-1, alternative="less", method="asymptotic", correction=False)
    return np.asarray(np.nan_to_num(found.zstatistic, nan=0.0))
