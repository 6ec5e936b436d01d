"""Values as prompts show them: numbers, words, lists and objects, and what can be a condition among them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import cast

from rnnprog.memory import neutralise

__all__ = ["flatten", "is_code", "labels", "named_values", "number", "word"]

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NAMED = re.compile(r"^[ \t]*(?:[-*][ \t]+)?([A-Za-z_]\w*)[ \t]*:[ \t]?(.*)$", re.MULTILINE)
_SPACES = re.compile(r"\s+")
_LONGEST_WORD = 60
_MOST_CODE = 31
_LONGEST_JSON = 20_000


def number(text: str) -> float | None:
    """Read a finite number; ``None`` if the text is not one.

    Example:
        >>> number("3.10"), number("sun")
        (3.1, None)
    """
    text = text.strip() if len(text) < 64 else ""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def is_code(text: str) -> bool:
    """Tell whether a number may be a name: weekdays, months, hours, grades and classes are whole and small.

    Example:
        >>> is_code("12"), is_code("12.0"), is_code("120")
        (True, False, False)
    """
    return len(text) <= 2 and text.isdecimal() and int(text) <= _MOST_CODE


def word(text: str) -> str | None:
    """Return a value short enough to be a condition or an outcome, in one form for all prompts; else ``None``.

    Example:
        >>> word(" True "), word("light  rain"), word("x" * 500)
        ('true', 'light rain', None)
    """
    if len(text) > 4 * _LONGEST_WORD:
        return None
    text = neutralise(_SPACES.sub(" ", text).strip())
    if not text or len(text) > _LONGEST_WORD:
        return None
    if text in ("True", "False", "None"):
        return "null" if text == "None" else text.lower()
    return text


def flatten(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields with objects spread out as ``name.key`` and lists of numbers as their last entry.

    Example:
        >>> flatten({"wind": '{"from": "east", "speed": 3}', "rain": "[0, 2, 1.5]"})
        {'wind.from': 'east', 'wind.speed': '3', 'rain.last': '1.5'}
    """
    flat: dict[str, str] = {}
    for name, text in fields.items():
        _spread(name, text, flat)
    return flat


def _spread(name: str, text: str, flat: dict[str, str]) -> None:
    data = _json(text)
    if isinstance(data, dict) and data:
        for key, value in data.items():
            if re.fullmatch(r"[A-Za-z_]\w*", key):
                _spread(f"{name}.{key}", _text(value), flat)
    elif isinstance(data, list) and data and isinstance(data[-1], (int, float)):
        flat[f"{name}.last"] = _text(data[-1])
    else:
        flat[name] = text


def labels(text: str) -> list[str]:
    """Return the outcomes in a value: the entries of a list, or the value itself.

    Example:
        >>> labels('["a", "b"]'), labels("rain")
        (['a', 'b'], ['rain'])
    """
    data = _json(text)
    entries = [_text(entry) for entry in data] if isinstance(data, list) else [text]
    found = [entry for entry in map(word, entries) if entry is not None]
    return list(dict.fromkeys(found))


def named_values(text: str) -> dict[str, str]:
    r"""Read ``name: value`` lines, indented or not; the first of a name counts.

    Example:
        >>> named_values("The true outcome was:\n  tomorrow: rain\nThe answer was wrong.")
        {'tomorrow': 'rain'}
    """
    found: dict[str, str] = {}
    for name, value in _NAMED.findall(text):
        if value.strip():
            found.setdefault(name, value.strip())
    return found


def _json(text: str) -> object:
    if text[:1] not in ("{", "[") or len(text) > _LONGEST_JSON:
        return None
    try:
        return cast(object, json.loads(text))
    except ValueError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
