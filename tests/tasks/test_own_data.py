"""Files and datasets by naming columns: every kind of source gives the same steps."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, IterableDataset, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnprog.errors import DataError
from rnnprog.tasks import Reading, TaskData, from_dataset, from_file
from rnnprog.trace import Sequence

SKY = "rain: float, sky -> tomorrow: Literal['sun', 'rain']"
ROWS: list[dict[str, Any]] = [
    {"day": "2020-01-01", "station": "a", "rain": 0.0, "sky": "sun"},
    {"day": "2020-01-01", "station": "b", "rain": 2.5, "sky": "rain"},
    {"day": "2020-01-02", "station": "a", "rain": 7.0, "sky": "rain"},
    {"day": "2020-01-02", "station": "b", "rain": 0.0, "sky": "sun"},
    {"day": "2020-01-03", "station": "a", "rain": 0.0, "sky": "sun"},
]
NAMED: dict[str, Any] = {"sequence_by": "station", "order_by": "day", "target": "next:sky"}


def write_csv(path: Path, rows: list[dict[str, Any]], encoding: str = "utf-8", **options: Any) -> Path:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), **options)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sources(folder: Path) -> Iterator[tuple[str, TaskData]]:
    yield "csv", from_file(write_csv(folder / "x.csv", ROWS), SKY, **NAMED)
    yield "csv.gz", from_file(write_csv(folder / "x.csv.gz", ROWS), SKY, **NAMED)
    yield "tsv", from_file(write_csv(folder / "x.tsv", ROWS, delimiter="\t"), SKY, **NAMED)
    yield "bom", from_file(write_csv(folder / "bom.csv", ROWS, "utf-8-sig"), SKY, **NAMED)
    utf16 = Reading(encoding="utf-16")
    yield "utf-16", from_file(write_csv(folder / "wide.csv", ROWS, "utf-16"), SKY, **NAMED, reading=utf16)
    semicolons = write_csv(folder / "semi.csv", ROWS, delimiter=";")
    yield "semicolons", from_file(semicolons, SKY, **NAMED, reading=Reading(delimiter=";"))
    yield "jsonl", from_file(write_lines(folder / "x.jsonl", ROWS), SKY, **NAMED)
    pd.DataFrame(ROWS).to_parquet(folder / "x.parquet")
    yield "parquet", from_file(folder / "x.parquet", SKY, **NAMED)
    frame = pd.DataFrame(ROWS)
    yield "frame", from_dataset(frame, SKY, **NAMED)
    yield "frame with moments", from_dataset(frame.assign(day=pd.to_datetime(frame["day"])), SKY, **NAMED)
    yield "dataset", from_dataset(Dataset.from_list(ROWS), SKY, **NAMED)
    yield "stream", from_dataset(IterableDataset.from_generator(lambda: iter(ROWS)), SKY, **NAMED)
    yield "dicts", from_dataset(ROWS, SKY, **NAMED)


def test_every_source_gives_the_same_steps(tmp_path: Path) -> None:
    expected = {
        "a": [(0.0, "sun", "rain"), (7.0, "rain", "sun"), (0.0, "sun", None)],
        "b": [(2.5, "rain", "sun"), (0.0, "sun", None)],
    }
    for name, data in sources(tmp_path):
        got = {
            s.id: [(p.inputs["rain"], p.inputs["sky"], (p.target or {}).get("tomorrow")) for p in s.steps] for s in data
        }
        assert got == expected, name
        assert [str(step.time)[:10] for step in data.sequences[1].steps] == ["2020-01-01", "2020-01-02"], name


def test_json_round_trip_is_exact(tmp_path: Path) -> None:
    for _, data in sources(tmp_path):
        for sequence in data:
            assert Sequence.model_validate_json(sequence.model_dump_json()) == sequence


def test_the_outcome_may_stand_in_the_same_row() -> None:
    data = from_dataset([{"a": 1, "label": True}], "a: int -> label: bool")
    assert data.sequences[0].steps[0].target == {"label": True}


def test_columns_of_other_names_and_several_outputs() -> None:
    rows = [{"Rain (mm)": 1.5, "sky": "sun"}, {"Rain (mm)": 0.0, "sky": "rain"}]
    data = from_dataset(
        rows,
        "rain: float -> tomorrow: str, amount: float",
        target="tomorrow=next:sky, amount=next:Rain (mm)",
        reading=Reading(columns={"rain": "Rain (mm)"}, name="mine", instructions="Say what comes."),
    )
    assert data.sequences[0].steps[0].target == {"tomorrow": "rain", "amount": 0.0}
    assert (data.name, data.instructions) == ("mine", "Say what comes.")


def test_values_are_typed_by_the_signature(tmp_path: Path) -> None:
    path = tmp_path / "typed.csv"
    path.write_text(
        'n,flag,kind,tags,gap,word,y\n 3 ,true,2,"[""a"",""b""]",,007,1\n4,0,1,[],2.5,x,0\n', encoding="utf-8"
    )
    signature = (
        "n: int, flag: bool, kind: Literal[1, 2], tags: list[str], gap: Optional[float], word: str -> y: Literal[0, 1]"
    )
    first, second = from_file(path, signature).sequences[0].steps
    assert first.inputs == {"n": 3, "flag": True, "kind": 2, "tags": ["a", "b"], "gap": None, "word": "007"}
    assert second.inputs == {"n": 4, "flag": False, "kind": 1, "tags": [], "gap": 2.5, "word": "x"}
    assert (first.target, second.target) == ({"y": 1}, {"y": 0})


def test_sorting_brings_rows_into_order_before_the_outcome_is_taken() -> None:
    shuffled = [ROWS[i] for i in (4, 1, 0, 3, 2)]
    in_order = from_dataset(ROWS, SKY, **NAMED)
    sorted_ = from_dataset(shuffled, SKY, **NAMED, sort=True)
    assert {s.id: s.steps for s in sorted_} == {s.id: s.steps for s in in_order}


@given(st.permutations(range(12)), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_sorted_and_limited_is_the_beginning_of_sorted(order: list[int], limit: int) -> None:
    rows = [{"t": t, "x": t * 10} for t in order]
    named: dict[str, Any] = {"target": "next:x", "order_by": "t", "sort": True}
    whole = from_dataset(rows, "x: int -> y: int", **named)
    part = from_dataset(rows, "x: int -> y: int", **named, limit=limit)
    assert part.sequences[0].steps == whole.sequences[0].steps[:limit]


@given(st.integers(1, 5))
@settings(max_examples=5, deadline=None)
def test_a_limit_over_interleaved_series_takes_the_first_rows(limit: int) -> None:
    data = from_dataset(ROWS, SKY, **NAMED, limit=limit)
    seen = sorted((str(step.time), s.id) for s in data for step in s.steps)
    assert seen == sorted((row["day"], row["station"]) for row in ROWS[:limit])


@pytest.mark.parametrize("streamed", [False, True])
def test_a_limited_stream_is_not_read_beyond_the_last_outcome(streamed: bool) -> None:
    read = 0

    def endless() -> Iterator[dict[str, Any]]:
        nonlocal read
        while True:
            read += 1
            yield {"x": read}

    source = IterableDataset.from_generator(endless) if streamed else endless()
    data = from_dataset(source, "x: int -> y: int", target="next:x", limit=10)
    assert data.n_steps == 10
    assert read <= 12  # datasets looks one row ahead
    assert data.sequences[0].steps[-1].target == {"y": 11}


def test_an_observation_of_a_megabyte_passes(tmp_path: Path) -> None:
    text = 'line "one"\n' * 100_000
    path = write_csv(tmp_path / "long.csv", [{"note": text, "y": "ok"}])
    assert from_file(path, "note -> y").sequences[0].steps[0].inputs["note"] == text


def test_skipping_rows_without_inputs_keeps_the_true_next_row() -> None:
    rows = [{"x": 1.0, "s": "a"}, {"x": None, "s": "b"}, {"x": 3.0, "s": "c"}, {"x": 4.0, "s": ""}]
    data = from_dataset(rows, "x: float -> y", target="next:s", reading=Reading(missing="skip"))
    assert [(s.inputs["x"], s.target) for s in data.sequences[0].steps] == [(1.0, {"y": "b"}), (3.0, None), (4.0, None)]


def test_a_dataset_of_several_parts_asks_for_one() -> None:
    with pytest.raises(DataError, match=r"dataset\['train'\]"):
        from_dataset(DatasetDict(train=Dataset.from_list(ROWS)), SKY, **NAMED)


def test_coded_classes_come_with_their_names() -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    data = from_dataset(
        Dataset.from_dict({"text": ["bad", "good"], "label": [0, 1]}, features=features),
        "text -> label: Literal['neg', 'pos']",
    )
    assert [step.target for step in data.sequences[0].steps] == [{"label": "neg"}, {"label": "pos"}]


def test_numbers_with_a_decimal_comma(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("x;n;flag;word;y\n1.234,5;7;true;1,5;-0,25\n1,5e2;7;true;1,5;1\n")
    signature = "x: float, n: int, flag: bool, word: str -> y: Optional[float]"
    data = from_file(path, signature, reading=Reading(delimiter=";", decimal=","))
    first, second = data.sequences[0].steps
    assert first.inputs == {"x": 1234.5, "n": 7, "flag": True, "word": "1,5"}
    assert (first.target, second.inputs["x"], second.target) == ({"y": -0.25}, 150.0, {"y": 1.0})
