"""A carry as lines of text, whatever cell it belongs to, so that any two versions can be laid side by side."""

from __future__ import annotations

import json
from typing import Any

from pydantic import JsonValue

__all__ = ["HEADING", "ITEM", "carry_items", "carry_lines"]

HEADING = "#"
ITEM = "-"


def carry_lines(carry: JsonValue) -> list[str]:
    """Return the lines of a carry, each after one character that says what it is: ``#`` heading, ``-`` entry.

    A memory gives its sections and items; a playbook its bullets as they stand in the prompt; a list gives its entries;
    an object gives a heading for each key that holds a list or object; a text gives its lines; anything else gives one
    line.

    Example:
        >>> carry_lines({"sections": [{"key": "r", "title": "Rules", "items": ["Rain follows rain."]}]})
        ['#Rules', '-Rain follows rain.']
        >>> carry_lines(["a", {"b": 1}])
        ['-a', '-{"b": 1}']
    """
    if carry is None:
        return []
    if isinstance(carry, str):
        return [_text_line(line) for line in carry.splitlines()]
    if isinstance(carry, list):
        return [ITEM + _short(entry) for entry in carry]
    if not isinstance(carry, dict):
        return [ITEM + _short(carry)]
    sections = _sections(carry)
    if sections is not None:
        return _memory_lines(sections)
    lines: list[str] = []
    for key, value in carry.items():
        if isinstance(value, (list, dict)):
            lines += [HEADING + key, *(carry_lines(value))]
        else:
            lines.append(f"{ITEM}{key}: {_short(value)}")
    return lines


def carry_items(carry: JsonValue) -> frozenset[tuple[str, str]] | None:
    """Return the entries of a memory or a playbook as (section key, text); ``None`` if the carry is neither.

    The dumped memory is read as it stands, without validating it again: a page reads a hundred thousand of them.
    """
    sections = _sections(carry)
    if sections is None and isinstance(carry, dict):
        sections = _sections(carry.get("memory"))
    if sections is None and isinstance(carry, dict) and isinstance(bullets := carry.get("bullets"), list):
        return frozenset((str(b.get("section")), str(b.get("text"))) for b in bullets if isinstance(b, dict))
    return None if sections is None else frozenset((s.get("key", ""), item) for s in sections for item in s["items"])


def _sections(carry: JsonValue) -> list[Any] | None:
    sections = carry.get("sections") if isinstance(carry, dict) else None
    if isinstance(sections, list) and all(isinstance(s, dict) and "items" in s for s in sections):
        return sections
    return None


def _memory_lines(sections: list[Any]) -> list[str]:
    lines: list[str] = []
    for section in sections:
        lines.append(HEADING + str(section.get("title", section.get("key", ""))))
        lines += [ITEM + str(item) for item in section["items"]]
    return lines


def _text_line(line: str) -> str:
    return HEADING + line.lstrip("# ") if line.startswith("#") else ITEM + line.removeprefix("- ")


def _short(value: object) -> str:
    if isinstance(value, dict) and {"id", "text", "helpful", "harmful"} <= value.keys():
        return f"[{value['id']}] helpful={value['helpful']} harmful={value['harmful']} :: {value['text']}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
