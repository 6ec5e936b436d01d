"""The table as a value and as one JSON file: every figure that the docs and the report show, with its interval.

All scores are token F1 as fractions of 1. This module needs no torch, so a page can be drawn from the file alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from rnnprog.latent.errors import LatentError
from rnnprog.latent.examination import Examination, pooled, verdict
from rnnprog.latent.figures import Figure, chance_of, difference, fall_of, growth_of, mean_of, times_of
from rnnprog.latent.scores import bucket_names, buckets, falling_fit, recall_rate
from rnnprog.memory import Value
from rnnprog.statistics.correction import corrected

TIMES = 3.0
"""A repaired memory has to stand this many times above its foreign control."""


class Bucket(Value):
    """One lag bucket: ``lags`` in turns, ``n`` questions, scores, gain over the foreign bank, published rate.

    Without a question in it all but ``lags`` and ``n`` are None.
    """

    lags: str
    n: int
    own: float | None
    foreign: float | None
    gain: Figure | None
    rate: float | None
    rate_fitted: float | None


class Row(Value):
    """One method at one capacity, its seeds pooled.

    ``form`` is paper, proxy or repaired and ``label`` the name to show; ``capacity`` is 1 or 10 (of a repaired one: the
    small and the large bank), ``rows`` what that means in rows (M.4: side of its matrix). ``gain`` is own minus foreign
    bank; ``p_holm`` is its p-value over conversations (these seeds taken as they are), corrected for the number of rows
    in the file; ``verdict`` is in words, uncorrected.
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
    """What a true memory shows, for one method with both capacities.

    ``falls``: gain at the shortest lags minus that at the longest, larger bank. ``grows``: gain of the larger bank
    minus that of the smaller. ``times``: own over foreign bank, larger bank (None when either is zero).
    """

    method: str
    form: str
    label: str
    rows: tuple[int, int]
    falls: Figure
    grows: Figure
    times: Figure | None

    @property
    def holds(self) -> bool:
        """Whether both effects exceed their intervals and the own bank is at least three times the foreign one."""
        return self.falls.low > 0 and self.grows.low > 0 and self.times is not None and self.times.mean >= TIMES


class Findings(Value):
    """Everything in ``table.json``: ``facts`` about the setting, the frozen model's own scores, rows and checks.

    Use ``Findings.load("runs/latent/table/table.json")`` to show a finished table elsewhere.
    """

    kind: Literal["rnnprog-latent-table/1"] = "rnnprog-latent-table/1"
    facts: dict[str, str]
    references: dict[str, Figure]
    rows: tuple[Row, ...]
    checks: tuple[Check, ...]

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> Findings:
        """Read what ``save`` wrote; raises ``LatentError`` for another kind of file."""
        try:
            return cls.model_validate_json(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise LatentError(f"{path} is no table of the latent wing: write one with rnnprog latent table") from error


class CellName(Protocol):
    """What tells the runs of a table apart, beside the seed."""

    @property
    def name(self) -> str:
        """M.1 to M.6."""

    @property
    def form(self) -> Any:
        """paper, proxy or repaired."""

    @property
    def capacity(self) -> int:
        """1 or 10."""


def findings(results: Sequence[tuple[CellName, Examination]], edges: Sequence[int], facts: dict[str, str]) -> Findings:
    """Pool the seeds of every method and capacity. Raises ``LatentError`` when there is nothing to pool."""
    if not results:
        raise LatentError("no finished cell: run the table first")
    groups: dict[tuple[str, int, str], list[Examination]] = {}
    for cell, exam in results:
        groups.setdefault((cell.form, cell.capacity, cell.name), []).append(exam.answerable)
    rows = [_row(key, exams, edges) for key, exams in groups.items()]
    adjusted = corrected([chance_of(exams) for exams in groups.values()])
    some = next(iter(groups.values()))[:1]
    references = [name for name in some[0].f1 if name not in ("memory", "shuffled", "zero")]
    pairs = [(form, name) for form, capacity, name in groups if capacity == 10 and (form, 1, name) in groups]
    return Findings(
        facts=facts,
        references={name: mean_of(some, name) for name in references},
        rows=tuple(row.model_copy(update={"p_holm": p}) for row, p in zip(rows, adjusted, strict=True)),
        checks=tuple(_check(pair, groups[pair[0], 1, pair[1]], groups[pair[0], 10, pair[1]], edges) for pair in pairs),
    )


def _row(key: tuple[str, int, str], exams: list[Examination], edges: Sequence[int]) -> Row:
    form, capacity, method = key
    whole, between = pooled(exams)
    return Row(
        method=method, form=form, label=whole.method, capacity=capacity, rows=whole.capacity, trained=whole.parameters,
        seeds=tuple(exam.seed for exam in exams),
        own=mean_of(exams, "memory"), foreign=mean_of(exams, "shuffled"), zero=mean_of(exams, "zero"),
        gain=mean_of(exams, "memory", "shuffled"),
        gain_by_seed=tuple(float(difference(exam, "memory", "shuffled").mean()) for exam in exams),
        p_holm=1.0,
        verdict=verdict(whole, between),
        rate=float(np.mean([recall_rate(exam.f1["memory"], exam.f1["zero"]).mean() for exam in exams])),
        tax=whole.tax.mean, net=whole.net_benefit.mean,
        buckets=_buckets(exams, edges),
        knowledge=tuple(_known(value) for value in whole.knowledge),
    )  # fmt: skip


def _buckets(exams: list[Examination], edges: Sequence[int]) -> tuple[Bucket, ...]:
    place = buckets(exams[0].lags, edges)
    rates = np.mean([recall_rate(exam.f1["memory"], exam.f1["zero"]) for exam in exams], axis=0)
    parts = [place == number for number in range(len(edges))]
    raw = [float(rates[part].mean()) if part.any() else float("nan") for part in parts]
    fitted = falling_fit(raw, [float(part.sum()) for part in parts])
    return tuple(
        Bucket(
            lags=lags, n=int(part.sum()),
            own=mean_of(exams, "memory", keep=part).mean if part.any() else None,
            foreign=mean_of(exams, "shuffled", keep=part).mean if part.any() else None,
            gain=mean_of(exams, "memory", "shuffled", part) if part.any() else None,
            rate=_known(raw[number]), rate_fitted=_known(fitted[number]),
        )
        for number, (lags, part) in enumerate(zip(bucket_names(edges), parts, strict=True))
    )  # fmt: skip


def _check(pair: tuple[str, str], small: list[Examination], large: list[Examination], edges: Sequence[int]) -> Check:
    seeds = {exam.seed for exam in small} & {exam.seed for exam in large}
    less, more = ([exam for exam in exams if exam.seed in seeds] for exams in (small, large))
    return Check(
        form=pair[0], method=pair[1], label=large[0].method, rows=(small[0].capacity, large[0].capacity),
        falls=fall_of(large, edges), grows=growth_of(less, more), times=times_of(large),
    )  # fmt: skip


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
