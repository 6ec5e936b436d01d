"""Bad data: the error names the file, the place, the value and the way out."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.tasks import Reading, from_dataset, from_file

SKY = "rain: float, sky -> tomorrow: Literal['sun', 'rain']"
NEXT: dict[str, Any] = {"target": "next:sky", "order_by": "day"}
HEAD = "day,rain,sky\n"

CASES: dict[str, tuple[str | bytes, dict[str, Any], tuple[str, ...]]] = {
    "missing column": (
        "day,rian,sky\n1,0,sun\n",
        NEXT,
        ("no column 'rain'", "did you mean 'rian'", "input 'rain'", "columns={'rain': "),
    ),
    "missing order column": ("t,rain,sky\n1,0,sun\n", NEXT, ("no column 'day'", "the order")),
    "missing outcome column": (
        HEAD + "1,0,sun\n",
        {"target": "next:skyy"},
        ("no column 'skyy'", "did you mean 'sky'"),
    ),
    "missing sequence column": (HEAD + "1,0,sun\n", {**NEXT, "sequence_by": "city"}, ("no column 'city'",)),
    "duplicate column": ("day,rain,sky,rain\n1,0,sun,0\n", NEXT, ("2 columns are called 'rain'", "rename")),
    "unsorted": (
        HEAD + "1,0,sun\n3,0,sun\n2,0,rain\n",
        NEXT,
        ("row 4, column 'day'", "'2'", "'3'", "row 3", "sort=True"),
    ),
    "duplicate moment": (
        HEAD + "1,0,sun\n2,0,sun\n2,0,rain\n",
        NEXT,
        ("row 4, column 'day'", "'2' is there already", "row 3", "sequence_by="),
    ),
    "moment of no kind": (HEAD + "1,0,sun\nsoon,0,sun\n", NEXT, ("row 3, column 'day'", "'soon'", "2012-01-31")),
    "ambiguous date": (HEAD + "01/02/2020,0,sun\n", NEXT, ("row 2, column 'day'", "ISO 8601")),
    "impossible date": (HEAD + "2020-02-30,0,sun\n", NEXT, ("row 2, column 'day'", "is no date")),
    "mixed moments": (
        HEAD + "1,0,sun\n2020-01-01,0,sun\n",
        NEXT,
        ("row 3, column 'day'", "number and local time"),
    ),
    "empty moment": (HEAD + ",0,sun\n", NEXT, ("row 2, column 'day'", "is empty")),
    "label outside": (
        HEAD + "1,0,sun\n2,0,hail\n3,0,hail\n4,0,rain\n",
        NEXT,
        ("row 3, column 'sky'", "'hail'", "['sun', 'rain']", "'hail' (2)", "'sun' (1)", "Literal"),
    ),
    "NaN": (HEAD + "1,nan,sun\n2,0,sun\n", NEXT, ("row 2, column 'rain'", "'nan'", "missing='skip'")),
    "empty number": (HEAD + "1,0,sun\n2,,sun\n", NEXT, ("row 3, column 'rain'", "is empty", "Optional")),
    "empty text": (HEAD + "1,0,  \n2,0,sun\n", NEXT, ("row 2, column 'sky'", "is empty")),
    "infinite": (HEAD + "1,1e999,sun\n2,0,sun\n", NEXT, ("row 2, column 'rain'", "finite")),
    "text in a number column": (
        HEAD + "1,0,sun\n2,trace,sun\n",
        NEXT,
        ("row 3, column 'rain'", "'trace'", "number", "type the field as str"),
    ),
    "decimal comma": (
        HEAD + '1,"0,5",sun\n2,0,sun\n',
        NEXT,
        ("row 2, column 'rain'", "decimal point", "Reading(decimal=',')"),
    ),
    "decimal point among commas": (
        HEAD + '1,"0,5",sun\n2,1.5,sun\n',
        {**NEXT, "reading": Reading(decimal=",")},
        ("row 3, column 'rain'", "no number with a decimal comma"),
    ),
    "header only": (HEAD, NEXT, ("no data rows",)),
    "no bytes": ("", NEXT, ("empty (0 bytes)",)),
    "blank header": ("\n1,0,sun\n", NEXT, ("row 1", "no header")),
    "one-step sequence": (HEAD + "1,0,sun\n", NEXT, ("row 2", "'all'", "no next row", "missing='skip'")),
    "one-step sequence among others": (
        "day,rain,sky,city\n1,0,sun,x\n1,0,sun,y\n2,0,sun,x\n",
        {**NEXT, "sequence_by": "city"},
        ("row 3", "'y'", "no next row"),
    ),
    "empty sequence id": ("day,rain,sky,city\n1,0,sun,\n", {**NEXT, "sequence_by": "city"}, ("row 2, column 'city'",)),
    "latin-1 byte": (
        HEAD.encode() + "1,0,sun\n2,0,Übung\n".encode() + b"3,0,caf\xe9\n",
        NEXT,
        ("line 4, byte 8", "0xe9", "utf-8", "encoding='latin-1'"),
    ),
    "utf-16 without saying so": ((HEAD + "1,0,sun\n").encode("utf-16"), NEXT, ("UTF-16", "encoding='utf-16'")),
    "ragged row": (HEAD + "1,0,sun\n2,0,sun,\n", NEXT, ("row 3", "4 cells under 3 columns")),
    "short row": (HEAD + "1,0,sun\n2,0\n", NEXT, ("row 3", "2 cells under 3 columns")),
    "open quote": (HEAD + '1,0,"sun\n', NEXT, ("row 2", "quotes")),
    "other separator": (HEAD.replace(",", ";") + "1;0;sun\n", NEXT, ("row 1", "';'", "delimiter=';'")),
}


@pytest.mark.parametrize("name", CASES)
def test_csv(name: str, tmp_path: Path) -> None:
    content, named, told = CASES[name]
    path = tmp_path / "my.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        from_file(path, SKY, **named)
    assert str(path) in str(caught.value)
    for part in told:
        assert part in str(caught.value)


def test_rows_are_counted_as_a_spreadsheet_shows_them(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text('note,y\n"two\nlines",a\n\n"x",\n', encoding="utf-8")
    with pytest.raises(DataError, match="row 4, column 'y'"):
        from_file(path, "note -> y")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv does not exist; check the path"):
        from_file(tmp_path / "none.csv", SKY)
    with pytest.raises(DataError, match="is a folder"):
        from_file(tmp_path, SKY)


def test_an_unknown_file_type(tmp_path: Path) -> None:
    path = tmp_path / "my.xlsx"
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match=r"'\.xlsx'.*\.csv.*\.parquet"):
        from_file(path, SKY)


@pytest.mark.parametrize("name", ["my.parquet", "my.csv.gz"])
def test_a_file_that_is_not_what_it_says(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"day,rain,sky\n")
    with pytest.raises(DataError, match=name):
        from_file(path, SKY)


def test_an_unknown_encoding(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text(HEAD, encoding="utf-8")
    with pytest.raises(DataError, match="unknown encoding 'utf-99'"):
        from_file(path, SKY, reading=Reading(encoding="utf-99"))


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('{"x": 1, "y": "a"}\n{"x": 2\n', "line 2: not a JSON object"),
        ('{"x": 1, "y": "a"}\n[1]\n', "line 2: a JSON list"),
        ('{"x": 1, "x": 2, "y": "a"}\n', "line 1: .*duplicate column 'x'"),
        ('{"x": 1, "y": "a"}\n{"x": 1}\n', "line 2: no column 'y'"),
        ('{"x": NaN, "y": "a"}\n', "line 1, column 'x': nan is NaN"),
        ('{"x": null, "y": "a"}\n', "line 1, column 'x': None is empty"),
        ('{"x": [1], "y": "a"}\n', r"line 1, column 'x': \[1\]"),
    ],
)
def test_json_lines(lines: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "my.jsonl"
    path.write_text(lines, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        from_file(path, "x: float -> y")


def test_a_long_value_does_not_flood_the_message() -> None:
    with pytest.raises(DataError) as caught:
        from_dataset([{"x": "z" * 1_000_000, "y": "a"}], "x: float -> y")
    assert len(str(caught.value)) < 500
    assert "1000000 characters" in str(caught.value)


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"target": "x"}, "the answer would be in the question"),
        ({"target": "next:"}, "names no column"),
        ({"target": {"z": "next:x"}}, r"\['z'\], which the task does not predict"),
        ({"target": "next:x", "limit": 0}, "limit=0"),
        ({"target": "next:x", "sort": True}, "order_by="),
        ({"target": "next:x", "reading": Reading(columns={"q": "x"})}, r"\['q'\], which are no fields"),
        ({"target": "next:x", "reading": Reading(missing=cast(Any, "drop"))}, "choose 'error' or 'skip'"),
        ({"target": "next:x", "reading": Reading(decimal=";")}, "choose '\\.' or ','"),
    ],
)
def test_settings_that_cannot_work(named: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        from_dataset([{"x": 1}, {"x": 2}], "x: int -> y: int", **named)


def test_one_target_for_two_outputs() -> None:
    with pytest.raises(ConfigurationError, match="say which is which"):
        from_dataset([{"x": 1}], "x: int -> y: int, z: int", target="next:x")


def test_nothing_left_after_skipping() -> None:
    with pytest.raises(DataError, match="no sequence is left"):
        from_dataset([{"x": None, "y": "a"}], "x: int -> y", reading=Reading(missing="skip"))


def test_an_outcome_out_of_its_range() -> None:
    import dspy

    class Ranged(dspy.Signature):
        """Say y."""

        x: int = dspy.InputField()
        y: float = dspy.OutputField(ge=0, le=50)

    with pytest.raises(DataError, match=r"index 1, column 'y': 60\.0.*less than or equal to 50"):
        from_dataset([{"x": 1, "y": 50.0}, {"x": 2, "y": 60.0}], Ranged)


TOKENS = st.sampled_from(
    [
        *("day", "rain", "sky", "1", "2", "2020-01-01", "sun", "hail", "nan", "inf", "1e999", "-0", "null", '"x"', " "),
        *(",", ",", ",", "\n", "\n", "\r", '"', "'", ";", "\t", "\x00", "\ufeff", "\u2028", "é", "{", "}", "[", ":"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
BYTES = st.one_of(st.binary(max_size=60), st.lists(TOKENS, max_size=40).map(lambda parts: "".join(parts).encode()))


@given(content=BYTES, suffix=st.sampled_from(["csv", "tsv", "jsonl", "parquet", "csv.gz"]), header=st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_holds_it_is_read_or_refused_with_its_name(
    content: bytes, suffix: str, header: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"my.{suffix}"
    whole = (b"day,rain,sky\n" if header else b"") + content
    path.write_bytes(gzip.compress(whole) if suffix == "csv.gz" and header else whole)
    told = ""
    try:
        from_file(path, SKY, **NEXT).check()
    except DataError as error:
        told = str(error)
    assert not told or f"my.{suffix}" in told


@given(rows=st.lists(st.fixed_dictionaries({"day": JSON, "rain": JSON, "sky": JSON}), max_size=4))
@settings(max_examples=100, deadline=None)
def test_whatever_a_cell_holds_it_is_read_or_refused_with_its_place(rows: list[dict[str, Any]]) -> None:
    told = ""
    try:
        from_dataset(rows, SKY, **NEXT).check()
    except DataError as error:
        told = str(error)
    assert not told or "dataset" in told


def test_a_damaged_end_of_a_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "my.csv.gz"
    whole = gzip.compress((HEAD + "".join(f"{i},0,sun\n" for i in range(2000))).encode())
    for damaged in (whole[:-20], whole[:200] + b"\xff" * 50 + whole[250:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"my\.csv\.gz"):
            from_file(path, SKY, **NEXT)
