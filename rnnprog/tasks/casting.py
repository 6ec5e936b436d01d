"""From a cell of a table to a JSON value of the type that the signature names."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from rnnprog.signatures.text import to_json

__all__ = ["MissingCell", "alternatives", "caster", "is_missing", "plain"]

_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?([eE][+-]?\d+)?")
_NO_NUMBER = {"", "nan", "na", "n/a", "null", "none", "nat"}


class MissingCell(ValueError):
    """The cell is empty or NaN and the type does not allow that."""


def caster(annotation: Any, metadata: tuple[Any, ...] = (), decimal: str = ".") -> Callable[[Any], Any]:
    """Return a function from a cell to a JSON value of the type; it raises ``ValueError`` with what is wrong.

    Args:
        annotation: the type.
        metadata: what bounds it.
        decimal: the decimal mark of numbers that are texts, ``"."`` or ``","``.

    Example:
        >>> caster(float, decimal=",")("1.234,5")
        1234.5
        >>> caster(float)(" 3.5 ")
        3.5
        >>> caster(Literal["sun", "rain"])("rain ")
        'rain'
    """
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[(annotation, *metadata)] if metadata else annotation)
    kinds = {part for part in alternatives(annotation) if part is not type(None)}
    optional = type(None) in alternatives(annotation)
    numeric = bool(kinds) and kinds <= {int, float, bool}
    labels = [label for kind in kinds if get_origin(kind) is Literal for label in get_args(kind)]
    structured = bool(kinds) and not labels and not kinds & {int, float, bool, str}

    def cast(value: Any) -> Any:
        value = plain(value)
        if is_missing(value, numeric):
            if optional:
                return None
            text = "nan" if isinstance(value, float) else str(value or "").strip().lower()
            raise MissingCell(
                "is NaN, not a number" if text == "nan" else "stands for no value" if text else "is empty"
            )
        if labels:
            return _label(value, labels)
        if kinds == {str}:
            return value if isinstance(value, str) else _as_word(value)
        if isinstance(value, str):
            value = _from_json(value, annotation) if structured else value.strip()
            if numeric and decimal == ",":
                value = _with_a_point(value)
        try:
            checked = to_json(adapter.validate_python(value))
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].lower() + _number_hint(value, numeric)) from error
        if isinstance(checked, float) and not math.isfinite(checked):
            raise ValueError("is not a finite number")
        return checked

    return cast


def plain(value: Any) -> Any:
    """Return a cell as plain Python data: scalars of array libraries, decimals and moments in time included."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (datetime.datetime, datetime.date)):
        return None if value != value else value.isoformat()  # a missing moment does not equal itself
    if isinstance(value, Decimal):
        return float(value)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return plain(value.item())
    if hasattr(value, "tolist"):
        return value.tolist()
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def is_missing(value: Any, numeric: bool = False) -> bool:
    """Say whether a cell holds nothing: ``None``, NaN, white space; for numbers also ``NA``, ``null`` and the like."""
    if isinstance(value, str):
        return not value.strip() or (numeric and value.strip().lower() in _NO_NUMBER)
    return value is None or (isinstance(value, float) and math.isnan(value))


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return the types that a field may have: the members of a union, or the type itself.

    Example:
        >>> alternatives(float | None) == (float, type(None))
        True
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(part for argument in get_args(annotation) for part in alternatives(argument))
    return (annotation,)


def _label(value: Any, labels: list[Any]) -> Any:
    for label in labels:
        if type(label) is type(value) and label == value:
            return label
    written = value.strip() if isinstance(value, str) else _as_word(value)
    for label in labels:
        if str(label) == written:
            return label
    raise ValueError(f"is not one of {labels}")


def _as_word(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _from_json(value: str, annotation: Any) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        name = str(annotation).replace("typing.", "")
        raise ValueError(f'is not JSON for {name} ({error}); write e.g. ["a", "b"]') from error


def _with_a_point(text: str) -> str:
    """Return a number written with a decimal comma, and points between thousands or none, as Python writes it."""
    if not {".", ","} & set(text):
        return text
    if not _COMMA.fullmatch(text):
        raise ValueError("is no number with a decimal comma, such as 0,5 or 1.234,5; correct it, or leave decimal out")
    return text.replace(".", "").replace(",", ".")


def _number_hint(value: Any, numeric: bool) -> str:
    if not (numeric and isinstance(value, str)):
        return ""
    if "," in value and value.replace(",", "").replace(".", "").replace("-", "").strip().isdigit():
        return (
            "; write numbers with a decimal point and no thousands separator, or pass reading=Reading(decimal=',') "
            "where all have a decimal comma"
        )
    return "; clean the column, or type the field as str"
