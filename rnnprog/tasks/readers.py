"""CSV, JSON lines and Parquet files as tables, with errors that name the place."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.tasks.table import Row, Table

__all__ = ["SUFFIXES", "open_table"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_LINES = (".jsonl", ".ndjson")
SUFFIXES = (*_DELIMITERS, *_JSON_LINES, ".parquet")
"""File types that can be read; the text ones also with ``.gz`` behind."""

_LARGEST_CELL = 1 << 30


def open_table(path: str | Path, encoding: str = "utf-8", delimiter: str | None = None) -> Table:
    r"""Open a file as a table; rows are read as they are asked for.

    Args:
        path: a ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` (all also ``.gz``) or ``.parquet`` file.
        encoding: of a text file; a byte order mark is accepted.
        delimiter: of a CSV file, if it is not the usual one; a tab may be written ``\t``, as on a command line.

    Raises:
        ConfigurationError: a delimiter that is not one character.
        DataError: no such file, an unknown type, an empty file, or, while reading, a damaged row.
    """
    delimiter = "\t" if delimiter == r"\t" else delimiter
    if delimiter is not None and not (isinstance(delimiter, str) and len(delimiter) == 1 and delimiter not in '"\r\n'):
        raise ConfigurationError(f"delimiter={delimiter!r}: give the one character between cells, e.g. ';' or '\\t'")
    path = Path(path).expanduser()
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {what}; check the path (looked in {path.absolute().parent})")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else (suffixes or [""])[-1]
    if suffix not in SUFFIXES:
        raise DataError(
            f"{path}: cannot read files of type {suffix or '(none)'!r}; save it as one of {', '.join(SUFFIXES)}, "
            "or load it with datasets and use from_dataset"
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); it needs a header and at least one row")
    if suffix == ".parquet":
        return _parquet(path)
    lines = _lines(path, encoding)
    return _json_lines(path, lines) if suffix in _JSON_LINES else _csv(path, lines, delimiter or _DELIMITERS[suffix])


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _lines(path: Path, encoding: str) -> Iterator[str]:
    """Yield lines with their ends as they stand in the file."""
    codec = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    try:
        with io.TextIOWrapper(_open(path), encoding=codec, newline="") as file:
            yield from file
    except UnicodeError as error:
        raise DataError(_undecodable(path, codec, encoding)) from error
    except LookupError as error:
        raise DataError(f"{path}: unknown encoding {encoding!r}; use e.g. 'utf-8', 'latin-1' or 'utf-16'") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); is it damaged, or not really compressed?") from error


def _undecodable(path: Path, codec: str, encoding: str) -> str:
    """Find the first byte that is not of the encoding; only called once something is wrong."""
    with _open(path) as file:
        start = file.read(4)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return f"{path} is not {encoding} but UTF-16 (byte order mark {start[:2].hex(' ')}); pass encoding='utf-16'"
        file.seek(0)
        for number, line in enumerate(file, start=1):
            try:
                line.decode(codec if number == 1 else codec.replace("-sig", ""))
            except UnicodeError as error:
                at = getattr(error, "start", 0)
                return (
                    f"{path}, line {number}, byte {at + 1}: 0x{line[at]:02x} after {line[max(0, at - 20) : at]!r} "
                    f"is not {encoding}; the file mixes encodings or has another one: save it as UTF-8, or pass "
                    "encoding='latin-1' (also 'cp1252') if all of it is that"
                )
    return f"{path} is not {encoding}; pass encoding="


def _csv(path: Path, lines: Iterator[str], delimiter: str) -> Table:
    # The module's own limit of 128 kB a cell is for the whole process; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), _LARGEST_CELL))
    records = csv.reader(lines, delimiter=delimiter, strict=True)
    header = [name.strip() for name in _next_record(path, records, 1) or []]
    if not any(header):
        raise DataError(f"{path}, row 1: no header; the first row must name the columns")
    if len(header) == 1:
        other = next((mark for mark in (";", "\t", "|", ",") if mark != delimiter and mark in header[0]), None)
        if other:
            raise DataError(
                f"{path}, row 1: one column called {header[0]!r}; the separator looks like {other!r}: "
                f"pass reading=Reading(delimiter={other!r})"
            )

    def rows() -> Iterator[Row]:
        number = 1
        while (record := _next_record(path, records, number := number + 1)) is not None:
            if not record:
                continue
            if len(record) != len(header):
                raise DataError(
                    f"{path}, row {number}: {len(record)} cells under {len(header)} columns; a text that holds "
                    f'{delimiter!r} must stand in "quotes", and every row needs every cell'
                )
            yield Row(number, dict(zip(header, record, strict=True)))

    return Table(str(path), tuple(header), rows())


def _next_record(path: Path, records: Iterator[list[str]], number: int) -> list[str] | None:
    try:
        return next(records, None)
    except csv.Error as error:
        raise DataError(f"{path}, row {number}: not readable as CSV ({error}); check quotes and line ends") from error


def _json_lines(path: Path, lines: Iterator[str]) -> Table:
    def rows() -> Iterator[Row]:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                cells = json.loads(line, object_pairs_hook=_no_doubles)
            except ValueError as error:
                raise DataError(f"{path}, line {number}: not a JSON object ({error}); one object a line") from error
            if not isinstance(cells, dict):
                raise DataError(
                    f"{path}, line {number}: a JSON {type(cells).__name__}, not an object; one object a line"
                )
            yield Row(number, cells)

    return Table(str(path), (), rows(), unit="line")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    cells = dict(pairs)
    if len(cells) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"duplicate column {next(name for name in names if names.count(name) > 1)!r}")
    return cells


def _parquet(path: Path) -> Table:
    from pyarrow import ArrowException  # type: ignore[import-untyped]
    from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]

    try:
        file = ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise DataError(f"{path}: not a Parquet file ({error})") from error

    def rows() -> Iterator[Row]:
        number = 0
        try:
            for batch in file.iter_batches():
                for cells in batch.to_pylist():
                    yield Row(number, cells)
                    number += 1
        except (ArrowException, OSError) as error:
            raise DataError(f"{path}, after index {number}: damaged Parquet file ({error})") from error

    return Table(str(path), tuple(file.schema_arrow.names), rows(), unit="index")
