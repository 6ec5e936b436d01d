"""Every step of every arm as columns of numbers: what the page filters, counts and draws without opening a step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnprog.exam_result import ExamResult
from rnnprog.report.scores import StepScore, score_run
from rnnprog.trace import StepRecord, Trace, Update

__all__ = ["FLAGS", "UNKNOWN", "Columns", "Walk", "columns_of", "short"]

FLAGS = {
    "right": 1,
    "wrong": 2,
    "failed": 4,
    "repaired": 8,
    "kept_old": 16,
    "dropped": 32,
    "changed": 64,
    "late": 128,
    "prompts": 256,
}
"""Bit of each mark in the column ``flags``."""

UNKNOWN = -1
"""Memory length of a step that recorded none."""

_SHORT = 80
_MOST = 3e38  # of a score, as far as its column reaches


@dataclass(frozen=True)
class Walk:
    """Where one sequence of one run lies in the columns.

    Attributes:
        arm: index of the arm.
        run: index of the run in its arm.
        seed: seed of the run.
        trace: the trace.
        offset: index of its first step in the columns.
        prompts: ids of the predictions whose prompts are recorded.
    """

    arm: int
    run: int
    seed: int
    trace: Trace
    offset: int
    prompts: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.trace.records)


@dataclass
class Columns:
    """Columns over all steps, arm by arm, run by run, sequence by sequence.

    Attributes:
        walks: the sequences, in order.
        flags: marks of each step, see :data:`FLAGS`.
        score: score of each step in units of the metric; NaN where there is none.
        length: length of the memory after each step, in tokens; :data:`UNKNOWN` where not recorded.
        calls: model calls of each step, prediction and learning together.
        prompt_tokens: tokens sent.
        completion_tokens: tokens received.
        said: prediction of each step, as an index into ``texts``.
        true: target of each step, as an index into ``texts``.
        texts: the different predictions and targets, shortened.
    """

    walks: list[Walk]
    flags: NDArray[np.uint16]
    score: NDArray[np.float32]
    length: NDArray[np.int32]
    calls: NDArray[np.uint16]
    prompt_tokens: NDArray[np.uint32]
    completion_tokens: NDArray[np.uint32]
    said: NDArray[np.uint32]
    true: NDArray[np.uint32]
    texts: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.flags)


def columns_of(exam: ExamResult, prompts: Mapping[tuple[int, int], frozenset[str]] | None = None) -> Columns:
    """Lay the steps of an exam out as columns.

    Args:
        exam: the result.
        prompts: by (arm index, run index), the ids of predictions whose prompts are to be had.
    """
    n = exam.steps
    columns = Columns(
        walks=[],
        flags=np.zeros(n, np.uint16),
        score=np.full(n, np.nan, np.float32),
        length=np.full(n, UNKNOWN, np.int32),
        calls=np.zeros(n, np.uint16),
        prompt_tokens=np.zeros(n, np.uint32),
        completion_tokens=np.zeros(n, np.uint32),
        said=np.zeros(n, np.uint32),
        true=np.zeros(n, np.uint32),
    )
    texts: dict[str, int] = {"": 0}
    offset = 0
    for a, arm in enumerate(exam.arms):
        for r, run in enumerate(arm.runs):
            ids = (prompts or {}).get((a, r), frozenset())
            scores = score_run(run, exam.metric)
            for trace in run.result.traces:
                walk = Walk(arm=a, run=r, seed=run.seed, trace=trace, offset=offset, prompts=ids)
                columns.walks.append(walk)
                _fill(columns, walk, scores[trace.sequence], texts)
                offset += len(walk)
    columns.texts = list(texts)
    return columns


def _fill(columns: Columns, walk: Walk, scores: list[StepScore], texts: dict[str, int]) -> None:
    length = UNKNOWN
    for i, (record, score) in enumerate(zip(walk.trace.records, scores, strict=True), start=walk.offset):
        for update in record.updates:
            length = length if update.tokens is None else update.tokens
        usage = [u for ledger in (record.usage, *(update.usage for update in record.updates)) for u in ledger.values()]
        columns.flags[i] = _flags(record, score, record.id in walk.prompts)
        columns.score[i] = np.nan if score.score is None else min(max(score.score, -_MOST), _MOST)
        columns.length[i] = length
        columns.calls[i] = sum(u.calls for u in usage)
        columns.prompt_tokens[i] = sum(u.prompt_tokens for u in usage)
        columns.completion_tokens[i] = sum(u.completion_tokens for u in usage)
        columns.said[i] = texts.setdefault(short(record.prediction), len(texts))
        columns.true[i] = texts.setdefault(short(record.target), len(texts))


def _flags(record: StepRecord, score: StepScore, prompts: bool) -> int:
    flags = 0 if score.right is None else FLAGS["right"] if score.right else FLAGS["wrong"]
    if record.failure is not None or record.prediction is None:
        flags |= FLAGS["failed"]
    for update in record.updates:
        flags |= _update_flags(update, record.id)
    return flags | (FLAGS["prompts"] if prompts else 0)


def _update_flags(update: Update, own: str) -> int:
    flags = FLAGS["failed"] if update.failure is not None else 0
    for verdict in update.verdicts:
        flags |= FLAGS.get(verdict.decision, 0)
    flags |= FLAGS["dropped"] if update.dropped else 0
    flags |= FLAGS["changed"] if update.parent != update.digest else 0
    return flags | (FLAGS["late"] if update.of != own else 0)


def short(fields: object) -> str:
    """One value bare, several as ``name: value``; the list shows these, the step itself shows all."""
    if not isinstance(fields, dict) or not fields:
        return ""
    if len(fields) == 1:
        text = _value(next(iter(fields.values())))
    else:
        text = ", ".join(f"{name}: {_value(value)}" for name, value in fields.items())
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
