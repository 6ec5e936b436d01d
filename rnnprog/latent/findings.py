"""The table as a value and as one JSON file: every figure that the docs and the report show, with its interval.

All scores are token F1 as fractions of 1. This module needs no torch, so a page can be drawn from the file alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from scipy import stats

from rnnprog.latent.errors import LatentError
from rnnprog.latent.examination import Examination, pooled, verdict
from rnnprog.latent.scores import Floats, bucket_names, buckets, clustered, falling_fit, recall_rate
from rnnprog.memory import Value
from rnnprog.statistics.correction import corrected

SCHEMA: Literal["rnnprog-latent-table/1"] = "rnnprog-latent-table/1"
TIMES = 3.0
"""A repaired memory has to stand this many times above its foreign control."""


class Figure(Value):
    """A figure with its standard error and 95 % interval.

    The error adds the bootstrap over conversations and the spread between seeds in quadrature; the interval is Student's
    with the degrees of freedom of that sum (few seeds make it wide).
    """

    mean: float
    error: float
    low: float
    high: float
    freedom: float

    @property
    def p(self) -> float:
        """Two-sided p-value of "this figure is zero"."""
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.freedom)) if self.error else 1.0


class Bucket(Value):
    """One lag bucket: ``lags`` in turns, ``n`` questions, scores, gain over the foreign bank, published rate."""

    lags: str
    n: int
    own: float | None
    foreign: float | None
    gain: Figure | None
    rate: float | None
    rate_fitted: float | None


class Row(Value):
    """One method at one capacity, its seeds pooled.

    ``form`` is paper, proxy or repaired; ``capacity`` is 1 or 10 (the paper's scale, or small and large bank of a repaired
    one); ``gain`` is own minus foreign bank, ``p_holm`` its p-value corrected for the number of rows in the file, and
    ``recall`` the word of the verdict (gain above two standard errors, uncorrected).
    """

    method: str
    form: str
    label: str
    capacity: int
    rows: int
    trained: int
    seeds: tuple[int, ...]
    own: Figure
    foreign: Figure
    zero: Figure
    gain: Figure
    gain_by_seed: tuple[float, ...]
    p_holm: float
    verdict: str
    rate: float
    tax: float
    net: float
    buckets: tuple[Bucket, ...]
    knowledge: tuple[float | None, ...]

    @property
    def recalls(self) -> bool:
        """Whether the verdict says recall."""
        return self.verdict.startswith("recall")


class Check(Value):
    """What a true memory shows: ``falls`` is the gain at the shortest lags minus that at the longest (larger bank),
    ``grows`` the gain of the larger bank minus the smaller one's, ``times`` own over foreign bank (larger bank).
    """

    method: str
    form: str
    label: str
    rows: tuple[int, int]
    falls: Figure
    grows: Figure
    times: Figure

    @property
    def holds(self) -> bool:
        """Whether the curve falls and the capacity counts beyond their intervals, at least 3 times above the control."""
        return self.falls.low > 0 and self.grows.low > 0 and self.times.mean >= TIMES


class Findings(Value):
    """Everything in ``table.json``: ``facts`` about the setting, the frozen model's own scores, rows and checks."""

    schema_name: Literal["rnnprog-latent-table/1"] = SCHEMA
    facts: dict[str, str]
    references: dict[str, Figure]
    rows: tuple[Row, ...]
    checks: tuple[Check, ...]

    def save(self, path: Path) -> Path:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1) + "\n")
        return path

    @classmethod
    def load(cls, path: Path) -> Findings:
        """Read what ``save`` wrote; raises ``LatentError`` for another kind of file."""
        try:
            return cls.model_validate_json(path.read_text())
        except (OSError, ValueError) as error:
            raise LatentError(f"{path} is no table of the latent wing: write one with rnnprog latent table") from error


class _Cell(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def form(self) -> Any: ...
    @property
    def capacity(self) -> int: ...


def figure(influence: Floats, owners: Sequence[str], by_seed: Sequence[float], mean: float | None = None) -> Figure:
    """A figure from the influence of every question on it (seeds averaged) and its value in every seed.

    >>> steady = figure(np.array([0.1, -0.1, 0.2, -0.2]), ["a", "a", "b", "b"], [0.5, 0.5])
    >>> steady.mean, round(steady.error, 6)
    (0.5, 0.0)
    """
    within, count = clustered(influence, owners).error, len(by_seed)
    between = float(np.std(by_seed, ddof=1) / np.sqrt(count)) if count > 1 else 0.0
    error = float(np.hypot(within, between))
    parts = within**4 / max(1, len(set(owners)) - 1) + (between**4 / (count - 1) if count > 1 else 0.0)
    freedom = error**4 / parts if parts else float(max(1, len(set(owners)) - 1))
    centre = float(np.mean(by_seed)) if mean is None else mean
    reach = float(stats.t.ppf(0.975, freedom)) * error
    return Figure(mean=centre, error=error, low=centre - reach, high=centre + reach, freedom=freedom)


def findings(results: Sequence[tuple[_Cell, Examination]], edges: Sequence[int], facts: dict[str, str]) -> Findings:
    """Pool the seeds of every method and capacity. Raises ``LatentError`` when there is nothing to pool."""
    if not results:
        raise LatentError("no finished cell: run the table first")

    def key(result: tuple[_Cell, Examination]) -> tuple[Any, ...]:
        return (result[0].form, result[0].capacity, result[0].name)

    order = list(dict.fromkeys(key(result) for result in results))
    ranked = sorted(results, key=lambda result: order.index(key(result)))
    groups = {
        name: [exam.answerable for _, exam in group] for name, group in groupby(ranked, key=key)
    }  # fmt: skip
    rows = [_row(name, exams, edges) for name, exams in groups.items()]
    adjusted = corrected([row.gain.p for row in rows])
    first = next(iter(groups.values()))[0]
    names = [name for name in first.f1 if name not in ("memory", "shuffled", "zero")]
    return Findings(
        facts=facts,
        references={name: _mean([first], name) for name in names},
        rows=tuple(row.model_copy(update={"p_holm": p}) for row, p in zip(rows, adjusted, strict=True)),
        checks=tuple(
            _check(name, groups[form, 1, name], groups[form, 10, name], edges)
            for form, capacity, name in groups
            if capacity == 10 and (form, 1, name) in groups
        ),
    )


def _row(name: tuple[Any, ...], exams: list[Examination], edges: Sequence[int]) -> Row:
    form, capacity, method = name
    whole, between = pooled(exams)
    return Row(
        method=method, form=form, label=whole.method, capacity=capacity, rows=whole.capacity, trained=whole.parameters,
        seeds=tuple(exam.seed for exam in exams),
        own=_mean(exams, "memory"), foreign=_mean(exams, "shuffled"), zero=_mean(exams, "zero"),
        gain=_mean(exams, "memory", "shuffled"),
        gain_by_seed=tuple(_difference(exam, "memory", "shuffled").mean() for exam in exams),
        p_holm=1.0,
        verdict=verdict(whole, between),
        rate=float(np.mean([recall_rate(exam.f1["memory"], exam.f1["zero"]).mean() for exam in exams])),
        tax=whole.tax.mean, net=whole.net_benefit.mean,
        buckets=_buckets(exams, edges),
        knowledge=tuple(_known(value) for value in whole.knowledge),
    )  # fmt: skip


def _difference(exam: Examination, condition: str, over: str | None) -> Floats:
    return exam.f1[condition] - (exam.f1[over] if over else 0.0)


def _mean(exams: list[Examination], condition: str, over: str | None = None, keep: Any = slice(None)) -> Figure:
    values = [_difference(exam, condition, over)[keep] for exam in exams]
    pool = np.mean(values, axis=0)
    return figure(pool - pool.mean(), np.asarray(exams[0].owners)[keep].tolist(), [float(v.mean()) for v in values])


def _buckets(exams: list[Examination], edges: Sequence[int]) -> tuple[Bucket, ...]:
    place = buckets(exams[0].lags, edges)
    rates = np.mean([recall_rate(exam.f1["memory"], exam.f1["zero"]) for exam in exams], axis=0)
    parts = [place == number for number in range(len(edges))]
    raw = [float(rates[part].mean()) if part.any() else float("nan") for part in parts]
    fitted = falling_fit(raw, [float(part.sum()) for part in parts])
    found = []
    for number, (lags, part) in enumerate(zip(bucket_names(edges), parts, strict=True)):
        asked = bool(part.any())
        found.append(
            Bucket(
                lags=lags,
                n=int(part.sum()),
                own=_mean(exams, "memory", keep=part).mean if asked else None,
                foreign=_mean(exams, "shuffled", keep=part).mean if asked else None,
                gain=_mean(exams, "memory", "shuffled", part) if asked else None,
                rate=_known(raw[number]),
                rate_fitted=_known(fitted[number]),
            )
        )
    return tuple(found)


def _check(method: str, small: list[Examination], large: list[Examination], edges: Sequence[int]) -> Check:
    shared = sorted({exam.seed for exam in small} & {exam.seed for exam in large})
    pairs = [[next(exam for exam in exams if exam.seed == seed) for seed in shared] for exams in (small, large)]
    less, more = ([_difference(exam, "memory", "shuffled") for exam in exams] for exams in pairs)
    owners = large[0].owners
    growth = [b - a for a, b in zip(less, more, strict=True)]
    pool = np.mean(growth, axis=0)
    return Check(
        method=method,
        form=large[0].method.partition("(")[2].rstrip(")") or "paper",
        label=large[0].method,
        rows=(small[0].capacity, large[0].capacity),
        falls=_fall([_difference(exam, "memory", "shuffled") for exam in large], large[0], edges),
        grows=figure(pool - pool.mean(), owners, [float(values.mean()) for values in growth]),
        times=_times(large),
    )


def _fall(gains: list[Floats], exam: Examination, edges: Sequence[int]) -> Figure:
    """Gain in the first bucket minus that in the last; the influence of a question is its share of either mean."""
    place = buckets(exam.lags, edges)
    near, far = place == place.min(), place == place.max()
    pool = np.mean(gains, axis=0)
    influence = np.zeros(len(pool))
    influence[near] = (pool[near] - pool[near].mean()) * len(pool) / near.sum()
    influence[far] -= (pool[far] - pool[far].mean()) * len(pool) / far.sum()
    return figure(influence, exam.owners, [float(gain[near].mean() - gain[far].mean()) for gain in gains])


def _times(exams: list[Examination]) -> Figure:
    """Own over foreign bank; the interval is that of the logarithm."""
    own, other = (np.array([exam.f1[name].mean() for exam in exams]) for name in ("memory", "shuffled"))
    mine, theirs = (np.mean([exam.f1[name] for exam in exams], axis=0) for name in ("memory", "shuffled"))
    if min(own.min(), other.min()) <= 0:
        nothing = float("nan") if own.mean() == 0 else float("inf")
        return Figure(mean=nothing, error=nothing, low=0.0, high=float("inf"), freedom=1.0)
    ratio = float(own.mean() / other.mean())
    logs = figure(mine / mine.mean() - theirs / theirs.mean(), exams[0].owners, np.log(own / other).tolist())
    low, high = (float(np.exp(np.log(ratio) + end - logs.mean)) for end in (logs.low, logs.high))
    return Figure(mean=ratio, error=ratio * logs.error, low=low, high=high, freedom=logs.freedom)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
