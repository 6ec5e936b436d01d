"""Figures over several seeds: a mean, a contrast or a ratio with its error over conversations and between seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from rnnprog.latent.examination import Examination
from rnnprog.latent.scores import Floats, buckets, clustered
from rnnprog.memory import Value


class Figure(Value):
    """A figure with its standard error and 95 % interval.

    The error adds the bootstrap over conversations and the spread between seeds in quadrature; the interval is
    Student's with ``freedom`` degrees, those of that sum (Welch-Satterthwaite: few seeds make it wide).
    """

    mean: float
    error: float
    low: float
    high: float
    freedom: float


def figure(influence: Floats, owners: Sequence[str], by_seed: Sequence[float]) -> Figure:
    """The mean of ``by_seed`` with its interval, from the influence of every question on it (seeds averaged).

    >>> steady = figure(np.array([0.1, -0.1, 0.2, -0.2]), ["a", "a", "b", "b"], [0.5, 0.5])
    >>> steady.mean, round(steady.error, 6)
    (0.5, 0.0)
    """
    within, seeds, talks = clustered(influence, owners).error, len(by_seed), len(set(owners))
    within = 0.0 if np.isnan(within) else within
    between = float(np.std(by_seed, ddof=1) / np.sqrt(seeds)) if seeds > 1 else 0.0
    error = float(np.hypot(within, between))
    parts = within**4 / max(1, talks - 1) + between**4 / max(1, seeds - 1)
    freedom = error**4 / parts if parts else float(max(1, talks - 1))
    mean, reach = float(np.mean(by_seed)), float(stats.t.ppf(0.975, freedom)) * error
    return Figure(mean=mean, error=error, low=mean - reach, high=mean + reach, freedom=freedom)


def mean_of(exams: Sequence[Examination], condition: str, over: str | None = None, keep: Any = slice(None)) -> Figure:
    """Mean F1 under a condition, or its gain over another one, over the questions in ``keep``."""
    values = [difference(exam, condition, over)[keep] for exam in exams]
    pool = np.mean(values, axis=0)
    owners = np.asarray(exams[0].owners)[keep].tolist()
    return figure(pool - pool.mean(), owners, [float(part.mean()) for part in values])


def chance_of(exams: Sequence[Examination]) -> float:
    """Two-sided p-value of the gain over the foreign bank, over conversations, the trained seeds taken as they are.

    It tells whether these adapters owe their gain to the luck of the test conversations; whether another seed would
    do as well is told by the interval of ``mean_of``.
    """
    pool = np.mean([difference(exam, "memory", "shuffled") for exam in exams], axis=0)
    gain = clustered(pool, exams[0].owners)
    freedom = max(1, len(set(exams[0].owners)) - 1)
    return float(2 * stats.t.sf(abs(gain.mean) / gain.error, freedom)) if gain.error > 0 else 1.0


def growth_of(small: Sequence[Examination], large: Sequence[Examination]) -> Figure:
    """Gain over the foreign bank of the larger memory minus that of the smaller one, same questions and seeds."""
    parts = [
        difference(more, "memory", "shuffled") - difference(less, "memory", "shuffled")
        for less, more in zip(small, large, strict=True)
    ]
    pool = np.mean(parts, axis=0)
    return figure(pool - pool.mean(), large[0].owners, [float(part.mean()) for part in parts])


def fall_of(exams: Sequence[Examination], edges: Sequence[int]) -> Figure:
    """Gain over the foreign bank in the first lag bucket minus that in the last."""
    place = buckets(exams[0].lags, edges)
    near, far = place == place.min(), place == place.max()
    gains = [difference(exam, "memory", "shuffled") for exam in exams]
    pool = np.mean(gains, axis=0)
    influence = np.zeros(len(pool))
    for part, sign in ((near, 1.0), (far, -1.0)):
        influence[part] += sign * (pool[part] - pool[part].mean()) * len(pool) / part.sum()
    return figure(influence, exams[0].owners, [float(gain[near].mean() - gain[far].mean()) for gain in gains])


def times_of(exams: Sequence[Examination]) -> Figure | None:
    """How many times the own bank's score is the foreign one's; the interval is that of the logarithm.

    None when a score is zero: nothing can be said.
    """
    own, other = (np.array([exam.f1[name].mean() for exam in exams]) for name in ("memory", "shuffled"))
    if min(own.min(), other.min()) <= 0:
        return None
    mine, theirs = (np.mean([exam.f1[name] for exam in exams], axis=0) for name in ("memory", "shuffled"))
    logs = figure(mine / mine.mean() - theirs / theirs.mean(), exams[0].owners, np.log(own / other).tolist())
    ratio, low, high = (float(np.exp(value)) for value in (logs.mean, logs.low, logs.high))
    return Figure(mean=ratio, error=ratio * logs.error, low=low, high=high, freedom=logs.freedom)


def difference(exam: Examination, condition: str, over: str | None = None) -> Floats:
    """F1 of every question under one condition, minus that under another one if there is one."""
    return exam.f1[condition] - (exam.f1[over] if over else 0.0)
