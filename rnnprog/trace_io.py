"""Traces as JSON lines: a ``start`` line for each sequence, a line for each step, an ``end`` line.

A file that a crash cut short is read as far as it goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from rnnprog.errors import TraceError
from rnnprog.trace import FORMAT, StepRecord, Trace

__all__ = ["read_traces", "step_line", "to_lines", "write_traces"]


def to_lines(trace: Trace) -> Iterator[str]:
    """Yield the JSON lines of a trace, without line ends; equal traces give equal bytes."""
    head = trace.model_dump(mode="json", exclude={"records", "final", "unanswered", "error"})
    yield _dump({"line": "start", "format": FORMAT, **head})
    for record in trace.records:
        yield step_line(trace.sequence, record)
    tail = trace.model_dump(mode="json", include={"sequence", "final", "unanswered", "error"})
    yield _dump({"line": "end", **tail})


def step_line(sequence: str, record: StepRecord) -> str:
    """Return the JSON line of one step."""
    return _dump({"line": "step", "sequence": sequence, **record.model_dump(mode="json", exclude_defaults=True)})


def write_traces(traces: Iterable[Trace], path: str | Path) -> Path:
    """Write traces to ``path``, creating its folder; an existing file is replaced in one move."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        for trace in traces:
            file.writelines(line + "\n" for line in to_lines(trace))
    partial.replace(path)
    return path


def read_traces(path: str | Path) -> list[Trace]:
    """Read the traces of a file; lines of several sequences may be interleaved.

    Returns:
        The traces in the order of their start lines. A last line that was cut off is left out, and a sequence
        without its end line has an ``error`` that says so.

    Raises:
        TraceError: no such file, not a trace, another format version, or a damaged line that is not the last.
    """
    path = Path(path)
    if not path.is_file():
        raise TraceError(f"no trace file at {str(path)!r}")
    heads: dict[str, dict[str, object]] = {}
    records: dict[str, list[StepRecord]] = {}
    ends: dict[str, dict[str, object]] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, text in enumerate(lines, start=1):
        try:
            line = json.loads(text)
            kind, sequence = line.pop("line"), line["sequence"]
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            if number == len(lines) and heads:
                break
            raise TraceError(f"{path}, line {number}: not a line of a trace ({error})") from error
        if kind == "start":
            if line.pop("format", None) != FORMAT:
                raise TraceError(
                    f"{path}, line {number}: trace format is not {FORMAT}; read it with the version that wrote it"
                )
            heads[sequence], records[sequence] = line, []
        elif sequence not in heads:
            raise TraceError(f"{path}, line {number}: sequence {sequence!r} has no start line")
        elif kind == "step":
            line.pop("sequence")
            records[sequence].append(_record(line, path, number))
        else:
            ends[sequence] = line
    if not heads:
        raise TraceError(f"{path} holds no trace: it has no start line")
    cut = {"unanswered": [], "error": "the file ends before the sequence does"}
    return [
        Trace.model_validate({**head, **ends.get(name, cut), "records": records[name]}) for name, head in heads.items()
    ]


def _record(line: dict[str, object], path: Path, number: int) -> StepRecord:
    try:
        return StepRecord.model_validate(line)
    except ValidationError as error:
        raise TraceError(f"{path}, line {number}: not a step record: {error}") from error


def _dump(line: dict[str, object]) -> str:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))
