"""Personal data, taken out before a memory is stored. Off unless you add it to the guard."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from pydantic import field_validator

from rnnprog.guard.base import Check, Proposal, accepted, repaired
from rnnprog.memory import Memory
from rnnprog.schema import MemorySchema
from rnnprog.trace import Verdict

__all__ = ["DEFAULT_PATTERNS", "RedactCheck"]

DEFAULT_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}", "(e-mail)"),
    (r"(?<![\w.])(?:\+\d{1,3}[ .-]?)?\(?\d{2,4}\)?[ .-]\d{3,4}[ .-]\d{3,4}(?!\w|\.\d)", "(phone)"),
    (r"(?<![\d.])\d{9,}(?!\d|\.\d)", "(number)"),
)
"""E-mail addresses, telephone numbers, runs of nine digits and more."""


class RedactCheck(Check):
    """Replaces what matches a pattern in any item.

    It sees memories only. Inputs and raw answers stand in the trace as they came: redact observations before they
    reach the program where the trace must not hold them either.

    Attributes:
        patterns: pairs of a regular expression and its replacement, applied in order.

    Raises:
        ValueError: at construction, a pattern is no regular expression.
    """

    kind: Literal["redact"] = "redact"
    patterns: tuple[tuple[str, str], ...] = DEFAULT_PATTERNS

    @field_validator("patterns")
    @classmethod
    def _compiles(cls, patterns: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for pattern, replacement in patterns:
            try:
                re.compile(pattern).sub(replacement, "")
            except re.error as error:
                raise ValueError(f"pattern {pattern!r} is no regular expression: {error}; correct it") from error
        return patterns

    def inspect(self, old: Memory, new: Memory, proposal: Proposal, schema: MemorySchema) -> tuple[Memory, Verdict]:
        """See :meth:`Check.inspect`."""
        count = 0
        for section in new.sections:
            items = []
            for item in section.items:
                for pattern, replacement in self.patterns:
                    item, hits = _compiled(pattern).subn(replacement, item)
                    count += hits
                items.append(item)
            if tuple(items) != section.items:
                new = new.with_items(section.key, tuple(items))
        return new, repaired(self.kind, f"{count} match(es) replaced") if count else accepted(self.kind)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
