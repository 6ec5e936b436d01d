"""One row for each arm: score, calls, tokens, what the memory did, and how it recovers from errors."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnprog.exam_result import Arm, ExamResult
from rnnprog.metrics import get_metric, score_steps
from rnnprog.report.carry import carry_items
from rnnprog.report.columns import FLAGS, Columns, Walk
from rnnprog.report.intervals import estimate
from rnnprog.statistics import Estimate, interval
from rnnprog.statistics.runs import Where
from rnnprog.trace import Trace

__all__ = ["ArmRow", "arm_rows"]

_LAG = 10  # steps, over which drift is measured


@dataclass(frozen=True)
class ArmRow:
    """What the tables say about one arm.

    Attributes:
        label: name of the arm.
        role: ``arm``, ``control`` or ``floor``.
        score: mean score with interval.
        last: score on the last step of each sequence.
        steps: recorded steps, all seeds together.
        sequences: different sequences.
        seeds: runs.
        failed: steps without a usable answer or update.
        calls: model calls per step.
        prompt_tokens: tokens sent per step.
        completion_tokens: tokens received per step.
        tokens_per_right: tokens for each right answer; ``None`` where the metric knows no right and wrong.
        seconds: wall time of all runs together.
        cost: money, as far as the provider's price list has it.
        after_wrong: share right at the step after a wrong one.
        after_right: share right at the step after a right one.
        length_mean: mean memory length in tokens.
        length_max: greatest memory length in tokens.
        updates: updates of the memory that changed it.
        verdicts: how often the guard decided what.
        dropped: items that the budget removed.
        retention: mean share of a memory's items that a rewrite keeps word for word; ``None`` if never recorded.
        drift: mean share of the items of ten steps earlier that are gone; ``None`` if never recorded.
    """

    label: str
    role: str
    score: Estimate
    last: Estimate
    steps: int
    sequences: int
    seeds: int
    failed: int
    calls: float
    prompt_tokens: float
    completion_tokens: float
    tokens_per_right: float | None
    seconds: float
    cost: float | None
    after_wrong: Estimate
    after_right: Estimate
    length_mean: float | None
    length_max: int | None
    updates: int
    dropped: int
    verdicts: dict[str, int] = field(default_factory=dict)
    retention: float | None = None
    drift: float | None = None

    @property
    def tokens(self) -> float:
        """Tokens per step, sent and received."""
        return self.prompt_tokens + self.completion_tokens


def arm_rows(exam: ExamResult, columns: Columns) -> list[ArmRow]:
    """Return the rows in the order of the arms."""
    by_arm: dict[int, list[Walk]] = {}
    for walk in columns.walks:
        by_arm.setdefault(walk.arm, []).append(walk)
    return [_row(exam, arm, by_arm.get(a, []), columns) for a, arm in enumerate(exam.arms)]


def _row(exam: ExamResult, arm: Arm, walks: list[Walk], columns: Columns) -> ArmRow:
    where = [slice(walk.offset, walk.offset + len(walk)) for walk in walks]
    index = np.concatenate([np.arange(s.start, s.stop) for s in where]) if where else np.zeros(0, np.int64)
    flags, n = columns.flags[index], len(index)
    right = int((flags & FLAGS["right"] > 0).sum())
    tokens = columns.prompt_tokens[index].sum() + columns.completion_tokens[index].sum()
    knows_right = bool((flags & (FLAGS["right"] | FLAGS["wrong"])).any())
    length = columns.length[index]
    length = length[length >= 0]
    updates = [u for walk in walks for u in walk.trace.updates]
    costs = [t.cost for run in arm.runs for t in run.result.timings.values() if t.cost is not None]
    retention, drift = _kept_and_gone(walks)
    return ArmRow(
        label=arm.label,
        role=arm.role,
        score=arm.figures.get("score") or _score(exam, arm, walks, columns),
        last=arm.figures.get("last") or _last(exam, walks, columns),
        steps=n,
        sequences=len({walk.trace.sequence for walk in walks}),
        seeds=len(arm.runs),
        failed=int((flags & FLAGS["failed"] > 0).sum()),
        calls=float(columns.calls[index].mean()) if n else 0.0,
        prompt_tokens=float(columns.prompt_tokens[index].mean()) if n else 0.0,
        completion_tokens=float(columns.completion_tokens[index].mean()) if n else 0.0,
        tokens_per_right=float(tokens / right) if knows_right and right else None,
        seconds=sum(run.result.seconds for run in arm.runs),
        cost=sum(costs) if costs else None,
        after_wrong=arm.figures.get("after_wrong") or _after(walks, columns, FLAGS["wrong"]),
        after_right=arm.figures.get("after_right") or _after(walks, columns, FLAGS["right"]),
        length_mean=float(length.mean()) if len(length) else None,
        length_max=int(length.max()) if len(length) else None,
        updates=int((flags & FLAGS["changed"] > 0).sum()),
        dropped=sum(len(u.dropped) for u in updates),
        verdicts=dict(Counter(v.decision for u in updates for v in u.verdicts)),
        retention=retention,
        drift=drift,
    )


def _score(exam: ExamResult, arm: Arm, walks: list[Walk], columns: Columns) -> Estimate:
    """Average over all steps; runs of several seeds are averaged at each step first, for they are not more data."""
    if not walks:
        return estimate([], np.zeros(0), exam.metric.binary)
    if get_metric(exam.metric.name).corpus is not None:
        return _together(exam, walks, "all")
    by_sequence: dict[str, list[NDArray[np.float64]]] = {}
    for walk in walks:
        values = columns.score[walk.offset : walk.offset + len(walk)].astype(np.float64)
        by_sequence.setdefault(walk.trace.sequence, []).append(values)
    means = {name: _mean_of_runs(runs) for name, runs in by_sequence.items()}
    names = [name for name, values in means.items() for _ in values]
    return estimate(names, np.concatenate(list(means.values())), exam.metric.binary)


def _together(exam: ExamResult, walks: list[Walk], where: Where) -> Estimate:
    """A corpus-level figure: of all walks where each seed has sequences of its own, else the mean over the seeds."""
    runs: dict[int, list[Trace]] = {}
    pooled = len({walk.trace.sequence for walk in walks}) == len(walks)
    for walk in walks:
        runs.setdefault(0 if pooled else walk.run, []).append(walk.trace)
    return interval([score_steps(traces, exam.metric.name) for traces in runs.values()], where)


def _mean_of_runs(runs: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    table = np.full((len(runs), max(map(len, runs))), np.nan)
    for row, values in zip(table, runs, strict=True):
        row[: len(values)] = values
    known = np.isfinite(table)
    sums, counts = np.where(known, table, 0).sum(axis=0), known.sum(axis=0)
    means: NDArray[np.float64] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def _kept_and_gone(walks: list[Walk]) -> tuple[float | None, float | None]:
    """Mean share of items that survive a change word for word, and of those of ten steps ago that are gone."""
    kept: list[float] = []
    gone: list[float] = []
    for walk in walks:
        items = carry_items(walk.trace.initial)
        past: deque[frozenset[tuple[str, str]] | None] = deque(maxlen=_LAG + 1)
        for record in walk.trace.records:
            for update in record.updates:
                if update.digest == update.parent:
                    continue
                newer = carry_items(update.carry)
                if items and newer is not None:
                    kept.append(len(items & newer) / len(items))
                items = newer
            past.append(items)
            if len(past) > _LAG and past[0] and items is not None:
                gone.append(1 - len(past[0] & items) / len(past[0]))
    return sum(kept) / len(kept) if kept else None, sum(gone) / len(gone) if gone else None


def _last(exam: ExamResult, walks: list[Walk], columns: Columns) -> Estimate:
    ends = [walk for walk in walks if len(walk)]
    if ends and get_metric(exam.metric.name).corpus is not None:
        return _together(exam, walks, "last")
    scores = columns.score[[walk.offset + len(walk) - 1 for walk in ends]].astype(np.float64)
    return estimate([walk.trace.sequence for walk in ends], scores, exam.metric.binary)


def _after(walks: list[Walk], columns: Columns, flag: int) -> Estimate:
    """Share right at t + 1 given that step t bears ``flag``, within sequences."""
    names: list[str] = []
    hits: list[NDArray[np.float64]] = [np.zeros(0)]
    for walk in walks:
        flags = columns.flags[walk.offset : walk.offset + len(walk)]
        following = flags[1:][flags[:-1] & flag > 0]
        following = following[following & (FLAGS["right"] | FLAGS["wrong"]) > 0]
        names += [walk.trace.sequence] * len(following)
        hits.append((following & FLAGS["right"] > 0).astype(np.float64))
    found = estimate(names, np.concatenate(hits), share=True)
    return found.model_copy(update={"n": len(names), "unit": "steps"})
