"""The order column: numbers or moments in time, strictly increasing within a sequence."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any, Union

from pydantic import TypeAdapter, ValidationError

from rnnprog.tasks.casting import is_missing, plain

__all__ = ["Moment", "read_moment"]

Moment = tuple[str, float, Union[int, float, str]]
"""What kind of moment it is (``number``, ``local time`` or ``time with zone``), its rank, and how it is recorded."""

_DATETIME: TypeAdapter[datetime] = TypeAdapter(datetime)
_DATE = re.compile(r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(.*)$", re.DOTALL)
_NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")


def read_moment(value: Any) -> Moment:
    """Read one cell of the order column.

    Args:
        value: a number, a date, or a text that is one of these: ``2012-01-31``, ``2012/1/31``,
            ``2012-01-31T10:00``, with or without a zone.

    Raises:
        ValueError: saying what is wrong and what would be right.

    Example:
        >>> read_moment("2012/1/31")[2], read_moment("17")[2]
        ('2012-01-31', 17)
    """
    value = plain(value)
    if is_missing(value):
        raise ValueError("is empty; every row needs a place in the order")
    if isinstance(value, bool):
        raise ValueError("is no moment; use a number or a date")
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.match(value):
            return _read_time(value)
        value = float(value) if any(mark in value for mark in ".eE") else int(value)
    if not isinstance(value, (int, float)) or value in (float("inf"), float("-inf")):
        raise ValueError("is no moment; use a finite number or a date")
    return "number", value, value


def _read_time(text: str) -> Moment:
    date = _DATE.match(text)
    if not date:
        raise ValueError(
            "is neither a number nor an ISO 8601 date; write dates as 2012-01-31 or 2012-01-31T10:00, or leave "
            "order_by= out if the rows of each sequence stand in order"
        )
    year, month, day, rest = date.groups()
    iso = f"{year}-{int(month):02d}-{int(day):02d}{rest}"
    try:
        moment = _DATETIME.validate_python(iso)
    except ValidationError as error:
        raise ValueError(f"is no date ({error.errors()[0]['msg'].lower()}); write it as 2012-01-31T10:00") from error
    zoned = moment.tzinfo is not None
    rank = moment.timestamp() if zoned else moment.replace(tzinfo=timezone.utc).timestamp()
    return ("time with zone" if zoned else "local time"), rank, iso if not rest.strip() else moment.isoformat()
