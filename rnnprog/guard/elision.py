"""Placeholders that stand for content: "[previous items remain]", "(rest unchanged)". The content is gone.

This is the usual way in which a memory that is rewritten as a whole collapses: in the published logs of Dynamic
Cheatsheet (Suzgun et al. 2025, arXiv:2504.07952) the large losses come with such a line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from rnnprog.guard.base import Check, Proposal, accepted, repaired
from rnnprog.guard.phrases import EDGE, is_placeholder, might_begin_placeholder, might_set_apart
from rnnprog.guard.restore import missing_items
from rnnprog.memory import Memory, Value
from rnnprog.schema import MemorySchema
from rnnprog.trace import Verdict

__all__ = ["Elision", "ElisionCheck", "find_elisions"]

_BRACKET = re.compile(r"\[([^\[\]]{1,200})\]|\(([^()]{1,200})\)|<([^<>]{1,200})>|\{([^{}]{1,200})\}")
_BULLET = re.compile(r"(?:[-*•+–]|\d{1,3}[.)])\s+")
_DOTS = re.compile(r"\.{2,}|…")
_PAIRS = {"[": "]", "(": ")", "<": ">", "{": "}"}
_LONGEST = 240  # characters; a placeholder is short


class Elision(Value):
    """One placeholder.

    Attributes:
        line: index of its line in the text, from 0.
        text: the placeholder as it stands.
        whole_line: whether the line holds nothing else.
        scope: what it stands for: items of its own section, or whole other sections.
    """

    line: int
    text: str
    whole_line: bool = True
    scope: Literal["items", "sections"] = "items"


def find_elisions(text: str) -> list[Elision]:
    r"""Find placeholders that stand for left-out content in a text of any layout; fenced code is not searched.

    Example:
        >>> [found.text for found in find_elisions("- Rain follows rain.\n- [previous items remain]")]
        ['[previous items remain]']
        >>> find_elisions("- The wind remains unchanged when pressure is high.\n- Terms 1, 2, ..., n")
        []
    """
    return _scan(text.splitlines())


def _scan(lines: Sequence[str]) -> list[Elision]:
    found: list[Elision] = []
    fenced = False
    for index, line in enumerate(lines):
        if "```" in line or "~~~" in line:
            fenced ^= line.lstrip().startswith(("```", "~~~"))
        elif not fenced and (might_set_apart(line) or might_begin_placeholder(line)):
            found += _in_line(index, line.strip())
    return found


def _in_line(index: int, line: str) -> list[Elision]:
    bullet = _BULLET.match(line)
    bare = line[bullet.end() :] if bullet else line
    if len(bare) <= _LONGEST and _fills_line(bare):
        return [Elision(line=index, text=bare, scope=_scope(bare))]
    return [
        Elision(line=index, text=match[0], whole_line=False, scope=_scope(match[0]))
        for match in _BRACKET.finditer(bare)
        if is_placeholder(next(group for group in match.groups() if group), marked=True, inline=True)
    ]


def _fills_line(text: str) -> bool:
    if text.startswith("#"):
        return False
    dotted = bool(_DOTS.match(text) or _DOTS.search(text[-4:]))
    core = text.strip(EDGE)
    if not core:
        return dotted
    bracketed = _PAIRS.get(core[0]) == core[-1]
    inner = core[1:-1].strip(EDGE) if bracketed else core
    if not inner:
        return bool(_DOTS.search(core))  # "[...]"
    return is_placeholder(inner, marked=bracketed or dotted)


def _scope(text: str) -> Literal["items", "sections"]:
    return "sections" if re.search(r"\b(?:sections|headings)\b", text, re.IGNORECASE) else "items"


class ElisionCheck(Check):
    """Takes placeholders out and puts back what they stood for.

    A placeholder for items brings back the old items of its section that the new section lacks, at its place; one
    for other sections fills the sections that came back empty.
    """

    kind: Literal["elision"] = "elision"

    def inspect(self, old: Memory, new: Memory, proposal: Proposal, schema: MemorySchema) -> tuple[Memory, Verdict]:
        """See :meth:`Check.inspect`."""
        reasons: list[str] = []
        others = False
        for section in new.sections:
            found = _scan(section.items)
            if not found:
                continue
            kept = _cut(section.items, found)
            place = sum(1 for item in kept[: found[0].line] if item)
            items = tuple(item for item in kept if item)
            own = any(elision.scope == "items" for elision in found)
            back = _real_items(missing_items(old, section.key, items)) if own else ()
            new = new.with_items(section.key, (*items[:place], *back, *items[place:]))
            others |= any(elision.scope == "sections" for elision in found)
            count, shown = len(found), found[0].text[:60]
            reasons.append(f"{section.key}: {count} placeholder(s), e.g. {shown!r}; {len(back)} old item(s) put back")
        if others:
            for section in new.sections:
                back = () if section.items else _real_items(missing_items(old, section.key, ()))
                if back:
                    new = new.with_items(section.key, back)
                    reasons.append(f"{section.key}: {len(back)} old item(s) put back")
        return new, repaired(self.kind, "; ".join(reasons)) if reasons else accepted(self.kind)


def _cut(items: tuple[str, ...], found: list[Elision]) -> list[str]:
    """Return the items without the placeholders in them; an item that was nothing else is the empty text."""
    kept = list(items)
    for elision in found:
        left = "" if elision.whole_line else kept[elision.line].replace(elision.text, " ", 1)
        kept[elision.line] = " ".join(left.split())
    return kept


def _real_items(items: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out placeholders that an unguarded rewrite let into the old memory."""
    holes = {elision.line for elision in _scan(items)}
    return tuple(item for index, item in enumerate(items) if index not in holes)
