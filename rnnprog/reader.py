"""Reading a memory from a model's answer: every layout that models are known to write, in one pass, in linear time.

No pattern here can be made slow by hostile text: lines are taken apart with string methods.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["Reader", "fold", "is_empty_mark"]

_NOT_WORD = re.compile(r"[\W_]+")
_NUMBER = re.compile(r"\d{1,3}[.)]\s+")
_BULLETS = frozenset("-*•+–")
_MARKS = "*_` \t"
_FENCES = ("```", "~~~")
_PLAIN_FENCES = frozenset({"", "md", "markdown", "text", "txt", "plaintext", "memory", "notes"})
_EMPTY = frozenset({"empty", "none", "none yet", "none so far", "nothing yet", "na", "n/a"})
_ASIDE = re.compile(r"[(\[]|\s[-–—]")
_UNCHANGED = frozenset(
    {"unchanged", "no change", "no changes", "same", "same as before", "as before", "kept", "kept as is", "continued"}
)  # such an aside is all that the section says, so it must not go unseen
_RULERS = frozenset("-=*_ ")


def fold(name: str) -> str:
    """Return a heading as it is compared: no case, no marks, words of any script."""
    return _NOT_WORD.sub(" ", name.casefold()).strip()


def is_empty_mark(text: str) -> bool:
    """Tell whether a line says that there is nothing to say, as :data:`rnnprog.memory.EMPTY_MARK` does."""
    return len(text) < 30 and text.strip("-*•([ ]).\t").casefold() in _EMPTY


class Reader:
    """The state of one reading: which section is open, and whether the next line continues an item.

    Args:
        names: section key by folded heading.
        abouts: what the prompt says of each section, by key, in schema order; not an item if copied beside a heading.
    """

    def __init__(self, names: Mapping[str, str], abouts: Mapping[str, str]) -> None:
        self.found: list[str] = []
        self.unknown: list[str] = []
        self._names, self._abouts = names, abouts
        self._items: dict[str, list[list[str]]] = {key: [] for key in abouts}
        self._open = self._items[next(iter(abouts))]
        self._pending: list[str] = []  # headings we do not know, and no item under them so far
        self._bullet_open = self._wrapped = self._fenced = False
        self._indent = 0

    def read(self, text: str) -> None:
        """Read a whole text."""
        text = _unpack(text.lstrip("\ufeff"), self._names)
        for line in text.splitlines():
            if line and not line.isspace():
                self._indent = len(line) - len(line.lstrip())
                break
        for line in text.splitlines():
            self._feed(line)

    def items(self, key: str) -> tuple[str, ...]:
        """Return the items read for a section."""
        return tuple(parts[0] if len(parts) == 1 else " ".join(parts) for parts in self._items[key])

    def _feed(self, line: str) -> None:
        text = line.strip()
        if not text:
            self._bullet_open = False
            return
        first = text[0]
        if first in _BULLETS and (text[1:2].isspace() or first == "•"):
            self._add(text[1:].lstrip(), bullet=True)
        elif first.isdigit() and (number := _NUMBER.match(text)):
            body = text[number.end() :]
            if self._fenced or not self._heading(body, hashed=False, whole=True):
                self._add(body, bullet=True)
        elif text.startswith(_FENCES):
            self._fence(text)
        else:
            self._bare(line, text)

    def _bare(self, line: str, text: str) -> None:
        hashed = text[0] == "#"
        inside = self._bullet_open and line[: self._indent + 1].isspace()
        if self._heading(text, hashed=hashed, whole=self._fenced or (inside and not hashed)):
            return
        if inside and not self._fenced:
            self._open[-1].append(text)
        elif self._fenced or ((self.found or self._pending) and not _RULERS.issuperset(text)):
            self._add(text, bullet=False)
        # else a ruled line, or a remark before the notes begin, such as "Here are the new notes:"

    def _add(self, text: str, *, bullet: bool) -> None:
        self._bullet_open = False
        if not text or is_empty_mark(text):
            return
        if self._pending:
            self.unknown += self._pending
            self._pending = []
        self._open.append([text])
        self._bullet_open = bullet

    def _fence(self, text: str) -> None:
        self._bullet_open = False
        info = text.lstrip("`~").strip().casefold()
        if self._fenced:
            self._fenced = False
        elif not self.found and not self._wrapped and info in _PLAIN_FENCES:
            self._wrapped = True  # the whole answer stands in a fence
            return
        elif self._wrapped and not info:
            self._wrapped = False
            return
        else:
            self._fenced = True
        self._add(text, bullet=False)

    def _heading(self, text: str, *, hashed: bool, whole: bool) -> bool:
        """Take a line as a heading if it is one; ``whole``: only if nothing but a known title stands there."""
        if len(text) > 2000:
            return False  # no heading is that long; spares folding a megabyte
        hashes = hashed and text.lstrip("#")[:1].isspace()
        bare = text.strip("#").strip(_MARKS) if hashed else text.strip(_MARKS)
        if hashed and (number := _NUMBER.match(bare)):
            bare = bare[number.end() :].strip(_MARKS)
        key, rest = self._names.get(fold(bare)), ""
        if key is None and not whole:
            name, colon, rest = bare.partition(":")
            key = self._names.get(fold(name)) if colon else None
            if key is None and hashed:  # "## Rules (updated)", "## Rules - at most five"
                name, *aside = _ASIDE.split(bare, maxsplit=1)
                key = self._names.get(fold(name))
                rest = f"({fold(aside[0])})" if aside and fold(aside[0]) in _UNCHANGED else ""
        if key is None:
            if not hashes or self._fenced:
                return False
            self._pending.append(bare)
            self._bullet_open = False
            return True
        self._open, self._pending, self._bullet_open, self._fenced = self._items[key], [], False, False
        if key not in self.found:
            self.found.append(key)
        rest = rest.strip().lstrip("*_").strip()
        if rest and fold(rest) != fold(self._abouts[key]):
            self._add(rest, bullet=False)
        return True


def _unpack(text: str, names: Mapping[str, str]) -> str:
    """Undo a JSON wrapping: a string with escaped line breaks, or an object with a list for each heading."""
    stripped = text.strip()
    if stripped[:1] in ('"', "{") and stripped[-1:] in ('"', "}"):
        try:
            return _from_json(json.loads(stripped, strict=False), names) or text
        except (ValueError, RecursionError):
            return text
    return text.replace("\\n", "\n") if "\n" not in stripped and "\\n" in stripped else text


def _from_json(data: Any, names: Mapping[str, str]) -> str:
    if isinstance(data, str):
        return data
    if not isinstance(data, dict):
        return ""
    if len(data) == 1 and isinstance(only := next(iter(data.values())), str) and fold(next(iter(data))) not in names:
        return only  # {"new_memory": "## Rules ..."}
    lines = []
    for name, value in data.items():
        lines.append(f"## {' '.join(name.split())}")
        values = value if isinstance(value, list) else [value]
        lines += [f"- {' '.join(str(item).split())}" for item in values if item not in (None, "")]
    return "\n".join(lines)
