"""Delimiters that an item could forge: field markers, chat role tags, headings."""

from __future__ import annotations

import re
from typing import Literal

from rnnprog.guard.base import Check, Proposal, accepted, repaired
from rnnprog.memory import Memory
from rnnprog.schema import MemorySchema
from rnnprog.trace import Verdict

__all__ = ["ForgeryCheck"]

_ROLE = r"(?:system|user|assistant|human|developer|tool|ai)"
_FORGED = re.compile(
    r"\[\[\s*##[^\[\]\n]{0,80}?(?:##\s*)?\]\]|\[\[\s*##"  # dspy's field markers, whole or torn
    r"|<\|[^|<>\n]{1,40}\|>"  # <|im_start|>, <|eot_id|> and their kin
    rf"|</?\s*{_ROLE}\s*>|\[/?INST\]|<</?SYS>>"
    r"|(?m:^[ \t]*(?:[-*•][ \t]+)?\#{1,6}[ \t]*(?=\S))",  # a heading smuggled in as an item
    re.IGNORECASE,
)
_LEAD_ROLE = re.compile(rf"^\W*{_ROLE}\s*:\s*(?=\S)", re.IGNORECASE)
_HINT = re.compile(rf"\[\[|<|\[/?INST|(?m:^\s*(?:[-*•]|\d+[.)])\s+(?:\#|\W*{_ROLE}\s*:))", re.IGNORECASE)


class ForgeryCheck(Check):
    """Takes delimiters out of the items, so that a memory cannot end its field, open a chat turn or add a heading.

    The words around a delimiter stay; an item that was nothing else goes.
    """

    kind: Literal["forgery"] = "forgery"

    def inspect(self, old: Memory, new: Memory, proposal: Proposal, schema: MemorySchema) -> tuple[Memory, Verdict]:
        """See :meth:`Check.inspect`."""
        if not _HINT.search(proposal.text):
            return new, accepted(self.kind)
        count, example = 0, ""
        for section in new.sections:
            cleaned = tuple(_clean(item) for item in section.items)
            if cleaned != section.items:
                touched = [item for item, clean in zip(section.items, cleaned, strict=True) if item != clean]
                count, example = count + len(touched), example or touched[0][:60]
                new = new.with_items(section.key, cleaned)
        if not count:
            return new, accepted(self.kind)
        return new, repaired(self.kind, f"delimiters taken out of {count} item(s), e.g. {example!r}")


def _clean(item: str) -> str:
    before = ""
    while before != item:  # what is left may close up to a delimiter again
        before, item = item, _LEAD_ROLE.sub("", _FORGED.sub(" ", item)).strip()
    return item
