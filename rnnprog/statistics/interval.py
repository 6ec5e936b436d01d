"""An interval for every figure: over sequences where there are enough of them, else over blocks of steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import stats

from rnnprog.errors import ConfigurationError
from rnnprog.memory import Value
from rnnprog.metrics.score import Scores
from rnnprog.statistics.blocks import block_length, resampled_means, stationary_indices
from rnnprog.statistics.runs import Where, aligned, grouped, runs_of
from rnnprog.statistics.tallies import draws, portions, tallied

__all__ = ["FEWEST_SEQUENCES", "Estimate", "interval", "mean_interval"]

FEWEST_SEQUENCES = 6
"""From this number on sequences are the unit: with five pairs no two-sided exact test reaches the 5 % level."""

_MOST_DRAWS = 50_000_000
_MOST_LEFT_OUT = 5_000  # sequences; BCa leaves out each once, and of more the percentiles say the same
_MOST_NUMBERS = 4_000_000  # drawn at once


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
    scores: Scores | Sequence[Scores],
    where: Where = "all",
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Estimate:
    """Return the score of a run with its interval; of several runs of one arm, that of their mean.

    With six sequences or more whole sequences are resampled (BCa bootstrap; plain percentiles of more than 5,000), as
    steps of one sequence share a memory. With fewer, blocks of steps are resampled within each sequence (stationary
    bootstrap), so that time order counts; the interval then speaks of these sequences only.

    Runs with different seeds are averaged: at each step that all of them scored, or, for a corpus-level metric, the
    figures of the runs. Each resample draws the same sequences from every run, for more seeds make a figure steadier
    but are not more data.

    Args:
        scores: what :func:`rnnprog.metrics.score_steps` gave, or several of it, one a seed.
        where: ``"all"`` steps or the ``"last"`` of each sequence.
        level: coverage aimed at.
        resamples: number of resamples; fewer, but never below 100, for more than 25,000 steps, where the ends hardly
            move any more.
        seed: of the resampling.

    Raises:
        ConfigurationError: ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ConfigurationError(f"level = {level} is not between 0 and 1; use e.g. 0.95")
    runs = aligned(runs_of(scores, "interval"))
    groups = grouped(runs[0], where)
    if not groups:
        return Estimate(value=None, low=None, high=None, level=level, n=0, unit="steps", method="nothing was scored")
    rng, metric = np.random.default_rng(seed), runs[0].metric
    resamples = _bounded(resamples, groups)
    if metric.corpus is not None:
        found = _corpus_interval(runs, groups, level, resamples, rng)
    else:
        means = np.mean([run.values for run in runs], axis=0)
        values = [means[index] for index in groups]
        if len(groups) >= FEWEST_SEQUENCES:
            sums = np.array([v.sum() for v in values])
            counts = np.array([len(v) for v in values], dtype=float)
            found = _over_sequences(sums, counts, level, resamples, rng, share=metric.unit == "share")
        else:
            found = _over_steps(values, level, resamples, rng)
    if len(runs) == 1:
        return found
    return found.model_copy(update={"method": f"{found.method}, mean of {len(runs)} seeds"})


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
    few = n <= _MOST_LEFT_OUT
    found = stats.bootstrap(
        (sums, counts),
        lambda s, c, axis: s.sum(axis=axis) / c.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=max(min(resamples, _MOST_DRAWS // n), min(resamples, 100)),
        batch=max(1, _MOST_NUMBERS // n),
        confidence_level=level,
        method="BCa" if few else "percentile",
        rng=rng,
    ).confidence_interval
    how = f"{'BCa ' if few else ''}bootstrap over sequences"
    return _estimate(value, found.low, found.high, level, n, "sequences", how)


def _over_steps(values: list[np.ndarray], level: float, resamples: int, rng: np.random.Generator) -> Estimate:
    steps = np.concatenate(values)
    n, value = len(steps), float(steps.mean())
    if not math.isfinite(value):
        return _none(None, n, "steps", level, "no step has a score")
    if n < 10 or np.ptp(steps) == 0:
        return _none(value, n, "steps", level, "fewer than 10 steps" if n < 10 else "all steps score the same")
    means = resampled_means(values, _bounded(resamples, values), rng)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return _estimate(value, low, high, level, n, "steps", "stationary bootstrap over blocks of steps")


def _corpus_interval(
    runs: list[Scores], groups: list[np.ndarray], level: float, resamples: int, rng: np.random.Generator
) -> Estimate:
    corpus = runs[0].metric.corpus
    assert corpus is not None
    tallies = [tallied(corpus, [[run.cases[i] for i in index] for index in groups]) for run in runs]
    value = float(np.mean([tally.of_groups(np.ones((1, len(groups)))) for tally in tallies]))
    by_sequence = len(groups) >= FEWEST_SEQUENCES
    n = len(groups) if by_sequence else sum(map(len, groups))
    unit: Literal["sequences", "steps"] = "sequences" if by_sequence else "steps"
    if math.isnan(value) or (not by_sequence and n < 10):
        return _none(None if math.isnan(value) else value, n, unit, level, "too few steps for this metric")
    blocks = [block_length(np.mean([run.values[index] for run in runs], axis=0)) for index in groups]
    starts = np.cumsum([0, *map(len, groups)])
    drawn = []
    for rows in portions(resamples, min(tally.portion for tally in tallies)):
        if by_sequence:
            weights = draws(rows, n, rng)
            figures = [tally.of_groups(weights) for tally in tallies]
        else:
            places = zip(starts, groups, blocks, strict=False)
            picked = np.hstack([start + stationary_indices(len(g), b, rows, rng) for start, g, b in places])
            figures = [tally.of_steps(picked) for tally in tallies]
        drawn.append(np.mean(figures, axis=0))
    low, high = np.nanquantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2])
    method = "bootstrap over sequences" if by_sequence else "stationary bootstrap over blocks of steps"
    return _estimate(value, low, high, level, n, unit, method)


def _bounded(resamples: int, parts: list[np.ndarray]) -> int:
    return max(min(resamples, _MOST_DRAWS // sum(map(len, parts))), min(resamples, 100))


def _estimate(
    value: float, low: float, high: float, level: float, n: int, unit: Literal["sequences", "steps"], method: str
) -> Estimate:
    if math.isnan(low) or math.isnan(high):
        return _none(value, n, unit, level, "the resamples do not vary")
    return Estimate(value=value, low=float(low), high=float(high), level=level, n=n, unit=unit, method=method)


def _none(value: float | None, n: int, unit: Literal["sequences", "steps"], level: float, why: str) -> Estimate:
    return Estimate(value=value, low=None, high=None, level=level, n=n, unit=unit, method=why)
