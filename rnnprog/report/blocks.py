"""The texts of the steps, in compressed blocks that the page opens one at a time."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import JsonValue
from pydantic_core import PydanticSerializationError, to_json

from rnnprog.report.carry import carry_lines
from rnnprog.report.columns import Columns, Walk
from rnnprog.trace import Failure, StepRecord, Update, UsageByPhase

__all__ = ["BLOCK", "MOST_PROMPTS", "detail_blocks", "pack", "pack_json", "prompt_blocks"]

BLOCK = 500
"""Steps in a block; a step is shown after opening one block."""


MOST_PROMPTS = 100_000_000
"""Bytes of packed prompts that a page takes; browsers grow slow beyond."""


def pack(data: bytes, level: int = 6) -> str:
    """Compress and write as base64; the page undoes both."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    return base64.b64encode(compressor.compress(data) + compressor.flush()).decode("ascii")


def pack_json(value: object) -> str:
    """Pack a JSON value; numbers that JSON does not have (NaN, infinity) become texts."""
    try:
        return pack(to_json(value, inf_nan_mode="strings"))
    except PydanticSerializationError:  # half of a surrogate pair, which only Python's own writer lets through
        text = json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace")
        return pack(to_json(json.loads(text), inf_nan_mode="strings"))


def detail_blocks(columns: Columns) -> Iterator[str]:
    """Yield the packed blocks in order; block ``k`` holds steps ``k * BLOCK`` to ``(k + 1) * BLOCK - 1``.

    A block stands alone: its steps refer to lines of memory by number, in the block's own table ``s``.
    """
    lines: dict[str, int] = {}
    steps: list[dict[str, Any]] = []
    for step in _steps(columns.walks, lines):
        steps.append(step)
        if len(steps) == BLOCK:
            yield pack_json({"s": list(lines), "r": steps})
            lines.clear()
            steps = []
    if steps:
        yield pack_json({"s": list(lines), "r": steps})


def prompt_blocks(columns: Columns, prompts: Mapping[tuple[int, int], Mapping[str, list[Any]]]) -> Iterator[str]:
    """Yield packed blocks of prompts in the same division; ``null`` stands for a step without.

    After :data:`MOST_PROMPTS` bytes prompts are left out, and the page says so where one is asked for.
    """
    chunk: list[list[Any] | None] = []
    size = 0
    for walk in columns.walks:
        known = prompts.get((walk.arm, walk.run), {})
        for record in walk.trace.records:
            chunk.append(known.get(record.id) if size < MOST_PROMPTS else None)
            if len(chunk) == BLOCK:
                packed = pack_json(chunk)
                size += len(packed)
                yield packed
                chunk = []
    if chunk:
        yield pack_json(chunk)


def _steps(walks: Iterable[Walk], lines: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Yield the steps of all walks; ``lines`` numbers the texts and may be emptied between two of them."""
    held: tuple[JsonValue, list[int] | None] = (None, None)

    def numbers(carry: JsonValue) -> list[int] | None:
        nonlocal held
        # The memory after a step is the one before the next: it is gone through once, unless a new block begins.
        if carry is not held[0] or not lines:
            found = None if carry is None else [lines.setdefault(line, len(lines)) for line in carry_lines(carry)]
            held = (carry, found)
        return held[1]

    for walk in walks:
        trace = walk.trace
        index = {record.id: record.t for record in trace.records}
        carry, digest = trace.initial, trace.initial_digest
        for record in trace.records:
            before = numbers(carry)
            updates = []
            for where, update in _placed(record):
                if update.digest != digest:
                    carry, digest = update.carry, update.digest
                updates.append({**_update(update, index), "w": where, "c": numbers(carry)})
            yield {**_record(record), "c": before, "k": updates}


def _placed(record: StepRecord) -> Iterator[tuple[str, Update]]:
    yield from (("before", update) for update in record.before)
    yield from (("after", update) for update in record.after)


def _record(record: StepRecord) -> dict[str, Any]:
    step: dict[str, Any] = {
        "t": record.t,
        "id": record.id,
        "i": record.inputs,
        "p": record.prediction,
        "y": record.target,
    }
    if record.time is not None:
        step["T"] = record.time
    if record.usage:
        step["u"] = _usage(record.usage)
    if record.failure is not None:
        step["f"] = _failure(record.failure)
    return step


def _update(update: Update, index: Mapping[str, int]) -> dict[str, Any]:
    feedback = update.feedback
    told: dict[str, Any] = {"of": index.get(update.of, update.of), "op": update.operation, "d": update.digest}
    if feedback is not None:
        told["fb"] = feedback.model_dump(mode="json", exclude_none=True)
    optional = {
        "cr": update.critique,
        "n": update.tokens,
        "v": [[v.check, v.decision, v.reason] for v in update.verdicts],
        "x": update.dropped,
        "u": _usage(update.usage),
        "f": _failure(update.failure) if update.failure else None,
    }
    return told | {name: value for name, value in optional.items() if value not in (None, [], (), {})}


def _usage(usage: UsageByPhase) -> dict[str, list[int]]:
    return {phase: [u.calls, u.prompt_tokens, u.completion_tokens] for phase, u in usage.items()}


def _failure(failure: Failure) -> list[Any]:
    return [failure.phase, failure.error, failure.raw, failure.attempts]
