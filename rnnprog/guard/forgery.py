"""Delimiters that an item could forge: field markers, chat role tags, headings."""

from __future__ import annotations

import re
from typing import Literal

from rnnprog.guard.base import Check, Proposal, accepted, repaired
from rnnprog.guard.restore import in_fence
from rnnprog.memory import Memory
from rnnprog.schema import MemorySchema
from rnnprog.trace import Verdict

__all__ = ["ForgeryCheck"]

_ROLE = r"(?:system|user|assistant|human|developer|tool|ai|model)"
_FORGED = re.compile(
    r"\[\s*\[\s*##[^\[\]\n]{0,80}(?:\]\s?\]|$)|\[\s*\[\s*##"  # dspy's field markers, whole or torn
    r"|<\|[^|<>\n]{1,40}\|>"  # <|im_start|>, <|eot_id|> and their kin
    rf"|</?\s*{_ROLE}\s*>|\[/?INST\]|<</?SYS>>",
    re.IGNORECASE,
)
_HEADING = re.compile(r"^(?:[-*•]\s+)?#{1,6}(?:\s+|$)")
_LAYERS = 8


class ForgeryCheck(Check):
    """Takes delimiters out of the items, so that a memory cannot end its field, open a chat turn or add a heading.

    The words around a delimiter stay; an item that was nothing else goes.
    """

    kind: Literal["forgery"] = "forgery"

    def inspect(self, old: Memory, new: Memory, proposal: Proposal, schema: MemorySchema) -> tuple[Memory, Verdict]:
        """See :meth:`Check.inspect`."""
        count, example = 0, ""
        for section in new.sections:
            if not any("[" in item or "<" in item or "#" in item for item in section.items):
                continue
            code = in_fence(section.items)
            cleaned = tuple(_clean(item, code=index in code) for index, item in enumerate(section.items))
            touched = [item for item, clean in zip(section.items, cleaned, strict=True) if item != clean]
            if touched:
                count, example = count + len(touched), example or touched[0][:60]
                new = new.with_items(section.key, cleaned)
        if not count:
            return new, accepted(self.kind)
        return new, repaired(self.kind, f"delimiters taken out of {count} item(s), e.g. {example!r}")


def _clean(item: str, *, code: bool) -> str:
    for _ in range(_LAYERS):  # what is left may close up to a delimiter again
        before, item = item, _FORGED.sub(" ", item)
        item = " ".join((item if code else _HEADING.sub("", item)).split())  # "# ..." in code is a comment
        if before == item:
            return item
    return ""  # wrapped so often, it was built to deceive
