"""An interval for every figure: over sequences where there are enough of them, else over blocks of steps."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from scipy import stats

from rnnprog.errors import ConfigurationError
from rnnprog.memory import Value
from rnnprog.metrics.score import Scores
from rnnprog.statistics.blocks import block_length, resampled_means, stationary_indices

__all__ = ["FEWEST_SEQUENCES", "Estimate", "interval", "mean_interval"]

FEWEST_SEQUENCES = 6
"""From this number on sequences are the unit: with five pairs no two-sided exact test reaches the 5 % level."""

Where = Literal["all", "last"]

_MOST_DRAWS = 50_000_000
_MOST_CASES = 5_000_000


class Estimate(Value):
    """A figure with its interval.

    Attributes:
        value: the figure; ``None`` if nothing was scored.
        low: lower end of the interval; ``None`` where the data give none.
        high: upper end.
        level: coverage aimed at, e.g. 0.95.
        n: number of units that were resampled.
        unit: what was resampled.
        method: how, in words.
    """

    value: float | None
    low: float | None
    high: float | None
    level: float
    n: int
    unit: Literal["sequences", "steps"]
    method: str

    def __str__(self) -> str:
        if self.value is None:
            return "not scored"
        if self.low is None or self.high is None:
            return f"{self.value:.3g} (no interval: {self.method})"
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def interval(
    scores: Scores, where: Where = "all", level: float = 0.95, resamples: int = 2_000, seed: int = 0
) -> Estimate:
    """Return the score of a run with its interval.

    With six sequences or more whole sequences are resampled (BCa bootstrap), as steps of one sequence share a memory.
    With fewer, blocks of steps are resampled within each sequence (stationary bootstrap), so that time order counts;
    the interval then speaks of these sequences only.

    Args:
        scores: what :func:`rnnprog.metrics.score_steps` gave.
        where: ``"all"`` steps or the ``"last"`` of each sequence.
        level: coverage aimed at.
        resamples: number of resamples; a tenth of it for a corpus-level metric, and fewer, but never below 100, for
            more than 25,000 steps, where the ends hardly move any more.
        seed: of the resampling.

    Raises:
        ConfigurationError: ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ConfigurationError(f"level = {level} is not between 0 and 1; use e.g. 0.95")
    groups = _groups(scores, where)
    if not groups:
        return Estimate(value=None, low=None, high=None, level=level, n=0, unit="steps", method="nothing was scored")
    rng = np.random.default_rng(seed)
    by_sequence = len(groups) >= FEWEST_SEQUENCES
    if scores.metric.corpus is not None:
        return _corpus_interval(scores, groups, by_sequence, level, _bounded(resamples // 10, groups, _MOST_CASES), rng)
    values = [scores.values[index] for index in groups]
    if by_sequence:
        sums = np.array([v.sum() for v in values])
        counts = np.array([len(v) for v in values], dtype=float)
        return _over_sequences(sums, counts, level, resamples, rng, share=scores.metric.unit == "share")
    return _over_steps(values, level, resamples, rng)


def mean_interval(differences: np.ndarray, unit: str, level: float, resamples: int, seed: int) -> tuple[float, float]:
    """Return the interval of a mean difference; NaN twice where the data give none.

    Args:
        differences: one a sequence, or one a step in order of time.
        unit: ``"sequences"`` or ``"steps"``.
        level: coverage aimed at.
        resamples: number of resamples.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    if len(differences) < 2 or np.ptp(differences) == 0:
        return math.nan, math.nan
    if unit == "sequences":
        found = _over_sequences(differences, np.ones(len(differences)), level, resamples, rng, share=False)
    else:
        found = _over_steps([differences], level, resamples, rng)
    return (math.nan, math.nan) if found.low is None or found.high is None else (found.low, found.high)


def _groups(scores: Scores, where: Where) -> list[np.ndarray]:
    groups: dict[str, list[int]] = {}
    for index, case in enumerate(scores.cases):
        groups.setdefault(case.sequence, []).append(index)
    if where == "last":
        return [np.array(index[-1:]) for index in groups.values()]
    return [np.array(index) for index in groups.values()]


def _over_sequences(
    sums: np.ndarray, counts: np.ndarray, level: float, resamples: int, rng: np.random.Generator, share: bool
) -> Estimate:
    n, value = len(sums), float(sums.sum() / counts.sum())
    if not np.isfinite(sums).all():
        return _none(None, n, "sequences", level, "a sequence has no score")
    if np.ptp(sums / counts) == 0:
        if share and value in (0.0, 1.0):
            # Resampling equal values says "certain"; the exact interval of n right (or wrong) sequences does not.
            exact = stats.binomtest(round(value * n), n).proportion_ci(level)
            return _estimate(value, exact.low, exact.high, level, n, "sequences", "exact binomial over sequences")
        return _none(value, n, "sequences", level, "all sequences score the same")
    found = stats.bootstrap(
        (sums, counts),
        lambda s, c, axis: s.sum(axis=axis) / c.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        confidence_level=level,
        method="BCa",
        rng=rng,
    ).confidence_interval
    return _estimate(value, found.low, found.high, level, n, "sequences", "BCa bootstrap over sequences")


def _over_steps(values: list[np.ndarray], level: float, resamples: int, rng: np.random.Generator) -> Estimate:
    steps = np.concatenate(values)
    n, value = len(steps), float(steps.mean())
    if not math.isfinite(value):
        return _none(None, n, "steps", level, "no step has a score")
    if n < 10 or np.ptp(steps) == 0:
        return _none(value, n, "steps", level, "fewer than 10 steps" if n < 10 else "all steps score the same")
    means = resampled_means(values, _bounded(resamples, values, _MOST_DRAWS), rng)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return _estimate(value, low, high, level, n, "steps", "stationary bootstrap over blocks of steps")


def _corpus_interval(
    scores: Scores, groups: list[np.ndarray], by_sequence: bool, level: float, resamples: int, rng: np.random.Generator
) -> Estimate:
    corpus = scores.metric.corpus
    assert corpus is not None
    value = corpus([scores.cases[i] for index in groups for i in index])
    n = len(groups) if by_sequence else sum(map(len, groups))
    unit: Literal["sequences", "steps"] = "sequences" if by_sequence else "steps"
    if math.isnan(value) or (not by_sequence and n < 10):
        return _none(None if math.isnan(value) else value, n, unit, level, "too few steps for this metric")
    blocks = [block_length(scores.values[index]) for index in groups]
    drawn = []
    for _ in range(resamples):
        if by_sequence:
            picked = [groups[g] for g in rng.integers(0, n, size=n)]
        else:
            rows = [stationary_indices(len(g), b, 1, rng)[0] for g, b in zip(groups, blocks, strict=True)]
            picked = [index[row] for index, row in zip(groups, rows, strict=True)]
        drawn.append(corpus([scores.cases[i] for index in picked for i in index]))
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    method = "bootstrap over sequences" if by_sequence else "stationary bootstrap over blocks of steps"
    return _estimate(value, low, high, level, n, unit, method)


def _bounded(resamples: int, parts: list[np.ndarray], most: int) -> int:
    return max(min(resamples, most // sum(map(len, parts))), min(resamples, 100))


def _estimate(
    value: float, low: float, high: float, level: float, n: int, unit: Literal["sequences", "steps"], method: str
) -> Estimate:
    if math.isnan(low) or math.isnan(high):
        return _none(value, n, unit, level, "the resamples do not vary")
    return Estimate(value=value, low=float(low), high=float(high), level=level, n=n, unit=unit, method=method)


def _none(value: float | None, n: int, unit: Literal["sequences", "steps"], level: float, why: str) -> Estimate:
    return Estimate(value=value, low=None, high=None, level=level, n=n, unit=unit, method=why)
