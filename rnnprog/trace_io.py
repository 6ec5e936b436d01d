"""Traces as JSON lines: a ``start`` line for each sequence, a line for each step, an ``end`` line.

A file that a crash cut short is read as far as it goes; damage anywhere else is an error that names the line.
Floats, NaN and infinities included, come back as they were.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rnnprog.errors import TraceError
from rnnprog.folder import put_file
from rnnprog.trace import FORMAT, StepRecord, Trace

__all__ = ["CUT_SHORT", "read_traces", "step_line", "to_lines", "write_traces"]

CUT_SHORT = "the file ends before the sequence does"
"""The ``error`` of a trace whose file has no end line for it: what wrote it was stopped."""
_CUT = {"unanswered": [], "error": CUT_SHORT}


def to_lines(trace: Trace) -> Iterator[str]:
    """Yield the JSON lines of a trace, without line ends; equal walks give equal bytes."""
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
    """Write traces to ``path``, creating its folder; an existing file is replaced in one move, or not at all.

    Raises:
        TraceError: two traces are of the same sequence id.
        StorageError: the file cannot be written.
    """
    return put_file(path, (line + "\n" for trace in _distinct(traces) for line in to_lines(trace)))


def _distinct(traces: Iterable[Trace]) -> Iterator[Trace]:
    names: set[str] = set()
    for trace in traces:
        if trace.sequence in names:
            raise TraceError(f"two traces of sequence {trace.sequence!r}; write them into files of their own")
        names.add(trace.sequence)
        yield trace


def read_traces(path: str | Path) -> list[Trace]:
    """Read the traces of a file; lines of several sequences may be interleaved.

    Returns:
        The traces in the order of their start lines. A last line that was cut off is left out, and a sequence
        without its end line has an ``error`` that says so.

    Raises:
        TraceError: no such file, not a trace, another format version, or a damaged line that was not cut off.
    """
    path = Path(path)
    if not path.is_file():
        raise TraceError(
            f"no trace file at {str(path)!r}; give the trace.jsonl that `rnnprog run --out FOLDER` wrote, or its folder"
        )
    reader = _Reader(path)
    # Lines end at line feeds alone: str.splitlines would also break at U+2028 and its like inside a text.
    *lines, last = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            reader.feed(number, line)
    if last.strip():  # no line feed after it: whatever wrote the file was stopped
        try:
            reader.feed(len(lines) + 1, last)
        except TraceError:
            if not reader.heads:
                raise
    return reader.traces()


@dataclass
class _Reader:
    path: Path
    heads: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: dict[str, list[StepRecord]] = field(default_factory=dict)
    ends: dict[str, dict[str, Any]] = field(default_factory=dict)

    def feed(self, number: int, text: bytes) -> None:
        where = f"{self.path}, line {number}"
        try:
            line = json.loads(text.decode("utf-8"))
            kind, name = line.pop("line"), line["sequence"]
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise TraceError(f"{where}: not a line of a trace ({error})") from error
        if not isinstance(name, str) or kind not in ("start", "step", "end"):
            raise TraceError(f"{where}: not a line of a trace (line {kind!r} of sequence {name!r})")
        if kind == "start":
            self._start(where, name, line)
        elif name not in self.heads:
            raise TraceError(f"{where}: sequence {name!r} has no start line")
        elif name in self.ends:
            raise TraceError(f"{where}: sequence {name!r} goes on after its end line")
        elif kind == "step":
            line.pop("sequence")
            self.records[name].append(_record(where, line))
        else:
            self.ends[name] = line

    def _start(self, where: str, name: str, line: dict[str, Any]) -> None:
        if (found := line.pop("format", None)) != FORMAT:
            raise TraceError(f"{where}: trace format {found!r} is not {FORMAT}; read it with the version that wrote it")
        if name in self.heads:
            raise TraceError(f"{where}: sequence {name!r} starts twice")
        self.heads[name], self.records[name] = line, []

    def traces(self) -> list[Trace]:
        if not self.heads:
            raise TraceError(f"{self.path} holds no trace: it has no start line")
        found = []
        for name, head in self.heads.items():
            try:
                found.append(Trace.model_validate({**head, **self.ends.get(name, _CUT), "records": self.records[name]}))
            except ValidationError as error:
                raise TraceError(f"{self.path}: the trace of sequence {name!r} is damaged: {error}") from error
        return found


def _record(where: str, line: dict[str, Any]) -> StepRecord:
    try:
        return StepRecord.model_validate(line)
    except ValidationError as error:
        raise TraceError(f"{where}: not a step record: {error}") from error


def _dump(line: dict[str, Any]) -> str:
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, as models send them: only an escape can carry it
        return json.dumps(line, separators=(",", ":"))
    return text
