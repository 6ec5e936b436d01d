from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnprog.errors import TraceError
from rnnprog.trace import Failure, StepRecord, Trace, Update
from rnnprog.trace_io import read_traces, step_line, to_lines, write_traces

# U+2028, U+0085, form feed and their like end a line for str.splitlines, and must not here.
TEXT = st.one_of(
    st.text(max_size=20), st.sampled_from(["a\u2028b", "a\x85b", "a\x0cb\x1cc", "\r\n", "\n", "\ufeff", '"', "\\n"])
)
LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT)
FIELDS = st.dictionaries(TEXT, st.one_of(LEAF, st.lists(LEAF, max_size=2)), max_size=3)


@st.composite
def walks(draw: st.DrawFn, name: str) -> Trace:
    update = st.builds(Update, of=TEXT, operation=TEXT, parent=TEXT, digest=TEXT, carry=FIELDS, critique=FIELDS)
    records = tuple(
        StepRecord(
            t=t,
            id=draw(TEXT),
            inputs=draw(FIELDS),
            prediction=draw(st.none() | FIELDS),
            time=draw(LEAF.filter(lambda leaf: not isinstance(leaf, bool))),
            after=tuple(draw(st.lists(update, max_size=1))),
            failure=draw(st.none() | st.builds(Failure, phase=TEXT, error=TEXT, raw=TEXT)),
        )
        for t in range(draw(st.integers(0, 3)))
    )
    return Trace(
        sequence=name,
        program=draw(FIELDS),
        initial=draw(FIELDS),
        initial_digest=draw(TEXT),
        records=records,
        final=draw(FIELDS),
        unanswered=tuple(draw(st.lists(TEXT, max_size=2))),
        error=draw(st.none() | TEXT),
    )


@st.composite
def many(draw: st.DrawFn) -> list[Trace]:
    return [draw(walks(name)) for name in draw(st.lists(TEXT, max_size=3, min_size=1, unique=True))]


FILES = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FILES
@given(many())
def test_what_is_written_reads_back_exactly(tmp_path: Path, traces: list[Trace]) -> None:
    path = write_traces(traces, tmp_path / "deep" / "trace.jsonl")
    again = read_traces(path)
    assert again == traces
    assert [trace.model_dump_json() for trace in again] == [trace.model_dump_json() for trace in traces]
    first = path.read_bytes()
    assert write_traces(again, path).read_bytes() == first
    assert [child.name for child in path.parent.iterdir()] == ["trace.jsonl"]


@FILES
@given(many(), st.randoms(use_true_random=False))
def test_lines_of_several_sequences_may_be_interleaved(
    tmp_path: Path, traces: list[Trace], chance: random.Random
) -> None:
    queues = [list(to_lines(trace)) for trace in traces]
    lines = []
    while queues := [queue for queue in queues if queue]:
        lines.append(chance.choice(queues).pop(0))
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    found = {trace.sequence: trace for trace in read_traces(path)}
    assert found == {trace.sequence: trace for trace in traces}


@FILES
@given(many(), st.data())
def test_a_file_cut_anywhere_is_read_as_far_as_it_goes(
    tmp_path: Path, traces: list[Trace], data: st.DataObject
) -> None:
    path = write_traces(traces, tmp_path / "trace.jsonl")
    whole = path.read_bytes()
    first = whole.index(b"\n")
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    if cut < first:
        with pytest.raises(TraceError):
            read_traces(path)
        return
    found = read_traces(path)
    assert [trace.sequence for trace in found] == [trace.sequence for trace in traces][: len(found)]
    for trace, original in zip(found, traces, strict=False):
        assert trace.records == original.records[: len(trace)]
        if trace != original:
            assert trace.error == "the file ends before the sequence does"
    # every step whose line is complete is there
    complete = sum(b'{"line":"step"' in line for line in whole[:cut].split(b"\n")[:-1])
    assert sum(len(trace) for trace in found) >= complete


def example() -> list[Trace]:
    records = tuple(StepRecord(t=t, id=f"a:{t}", inputs={"rain": 1.5 * t, "sky": "gräu ☁"}) for t in range(3))
    return [Trace(sequence="a", records=records), Trace(sequence="b", records=records[:1])]


@pytest.fixture
def lines() -> list[str]:
    return [line for trace in example() for line in to_lines(trace)]


def reading(tmp_path: Path, lines: list[str]) -> list[Trace]:
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_traces(path)


@pytest.mark.parametrize(
    ("number", "damaged", "message"),
    [
        (2, '{"line":"step","sequence":"a",', "line 2: not a line of a trace"),
        (2, "null", "line 2: not a line of a trace"),
        (2, "[]", "line 2: not a line of a trace"),
        (2, '{"sequence":"a"}', "line 2: not a line of a trace"),
        (2, '{"line":"step"}', "line 2: not a line of a trace"),
        (2, '{"line":"leap","sequence":"a"}', "line 2: not a line of a trace"),
        (2, '{"line":"step","sequence":["a"]}', "line 2: not a line of a trace"),
        (2, '{"line":"step","sequence":"z","t":0}', "line 2: sequence 'z' has no start line"),
        (2, '{"line":"step","sequence":"a","t":0}', "line 2: not a step record"),
        (2, '{"line":"step","sequence":"a","t":"x","id":"","inputs":{}}', "line 2: not a step record"),
        (2, '{"line":"start","format":1,"sequence":"a"}', "line 2: sequence 'a' starts twice"),
        (2, '{"line":"end","sequence":"a","unanswered":[],"error":null}', "line 3: sequence 'a' goes on after its end"),
        (2, '{"line":"step","sequence":"a","t":7,"id":"","inputs":{}}', "trace of sequence 'a' is damaged"),
        (1, '{"line":"start","format":99,"sequence":"a"}', "trace format 99 is not 1"),
        (1, '{"line":"start","sequence":"a"}', "trace format None is not 1"),
        (1, '{"line":"start","format":1,"sequence":"a","colour":"red"}', "trace of sequence 'a' is damaged"),
        (8, '{"line":"end",', "line 8: not a line of a trace"),
    ],
)
def test_damage_is_named_by_its_line(tmp_path: Path, lines: list[str], number: int, damaged: str, message: str) -> None:
    assert len(lines) == 8
    lines[number - 1] = damaged
    with pytest.raises(TraceError, match=message) as caught:
        reading(tmp_path, lines)
    assert "trace.jsonl" in str(caught.value)


def test_a_lost_line_in_the_middle_is_damage_too(tmp_path: Path, lines: list[str]) -> None:
    del lines[2]
    with pytest.raises(TraceError, match="step 2 follows step 0"):
        reading(tmp_path, lines)


def test_blank_lines_and_windows_line_ends_are_no_damage(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_bytes(("\r\n\r\n".join(lines) + "\r\n").encode())
    assert read_traces(path) == example()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"date,rain\n2012-01-01,0.0\n",
        b"\x89PNG\r\n\x1a\n\x00",
        b"{}",
        b"[1, 2]\n",
        b'"text"',
        b"\xff\xfe{\x00",
        gzip.compress(b"{}", mtime=0),
        b'{"line":"end","sequence":"a"}\n',
        b"[" * 100_000,
        b'{"a": 1}\n{"a": 2}\n',
    ],
)
def test_foreign_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(TraceError, match="foreign"):
        read_traces(path)


def test_no_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(TraceError, match="no trace file at"):
            read_traces(path)


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = write_traces(example(), tmp_path / "trace.jsonl")
    before = path.read_bytes()

    def breaking() -> Iterator[Trace]:
        yield example()[0]
        raise RuntimeError("the power went out")

    with pytest.raises(RuntimeError, match="power"):
        write_traces(breaking(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"

    def watching() -> Iterator[Trace]:
        for trace in example():
            yield trace
            assert not path.exists()

    assert read_traces(write_traces(watching(), path)) == example()


def test_two_traces_of_one_sequence_are_refused_before_anything_is_lost(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="two traces of sequence 'a'"):
        write_traces([example()[0], example()[0]], tmp_path / "trace.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_nan_and_infinities_come_back(tmp_path: Path) -> None:
    record = StepRecord(t=0, id="0", inputs={"a": math.nan, "b": [math.inf, -math.inf]}, prediction={"y": math.nan})
    (trace,) = read_traces(write_traces([Trace(sequence="a", records=(record,))], tmp_path / "t.jsonl"))
    assert repr(trace.records[0]) == repr(record)


def test_half_a_surrogate_pair_from_a_model_does_not_lose_the_trace(tmp_path: Path) -> None:
    raw = json.loads('"broken \\ud83d answer"')
    record = StepRecord(t=0, id="0", inputs={"a": raw}, failure=Failure(phase="predictor", error="e", raw=raw))
    trace = Trace(sequence="a", records=(record,), error=raw)
    assert read_traces(write_traces([trace], tmp_path / "t.jsonl")) == [trace]


def test_one_line_a_step_and_only_what_differs_from_the_defaults() -> None:
    record = StepRecord(t=0, id="a:0", inputs={"x": 1})
    assert step_line("a", record) == '{"line":"step","sequence":"a","t":0,"id":"a:0","inputs":{"x":1}}'
    assert [json.loads(line)["line"] for line in to_lines(example()[0])] == ["start", "step", "step", "step", "end"]
