"""How named values are written into a prompt: one ``name: value`` line each, unforgeable by their content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from rnnprog.memory import neutralise, well_formed

__all__ = ["as_text", "to_json"]

_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def as_text(fields: Mapping[str, Any]) -> str:
    r"""Write named values as lines; further lines of a value are indented, so that they cannot pose as a field.

    Example:
        >>> print(as_text({"rain_mm": 3.1, "sky": "grey", "note": "a\nb: c"}))
        rain_mm: 3.1
        sky: grey
        note: a
          b: c
    """
    return "\n".join(f"{name}: {_value(value)}" for name, value in fields.items())


def to_json(value: Any) -> Any:
    """Return ``value`` as plain JSON data (models as objects, enums as values, tuples and arrays as lists).

    Raises:
        ValueError: it has no JSON form.
    """
    if type(value) is str:
        return well_formed(value)
    if value is None or type(value) in (int, float, bool):
        return value
    return _ANY.dump_python(value, mode="json", fallback=_plain)


def _plain(value: Any) -> Any:
    if callable(to_list := getattr(value, "tolist", None)):  # numpy's scalars and arrays
        return to_list()
    raise ValueError(f"{type(value).__name__} has no JSON form")


def _value(value: Any) -> str:
    if isinstance(value, str):
        return neutralise(value).replace("\n", "\n  ")
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else to_json(value)
    if isinstance(plain, str):
        return _value(plain)
    return neutralise(json.dumps(plain, ensure_ascii=False))
