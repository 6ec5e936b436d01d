"""Whether a single rewrite lost too much of the memory."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rnnprog.guard.base import Check, Proposal, accepted, kept_old, repaired
from rnnprog.guard.restore import missing_items
from rnnprog.memory import Memory
from rnnprog.schema import MemorySchema
from rnnprog.trace import Verdict

__all__ = ["ShrinkCheck"]


class ShrinkCheck(Check):
    """Refuses or repairs a rewrite that leaves much less than there was.

    Attributes:
        min_ratio: the new size must be at least this share of the old one.
        min_items: memories of fewer items than this are too small to collapse; they always pass.
        measure: size in characters of all items together, or in items.
        action: ``restore`` puts the missing old items at the end of their sections, where the budget takes first,
            so the lesson of the step is kept; ``keep_old`` refuses the whole rewrite.
    """

    kind: Literal["shrink"] = "shrink"
    min_ratio: float = Field(default=0.6, gt=0, le=1)
    min_items: int = Field(default=8, ge=1)
    measure: Literal["characters", "items"] = "characters"
    action: Literal["restore", "keep_old"] = "restore"

    def inspect(self, old: Memory, new: Memory, proposal: Proposal, schema: MemorySchema) -> tuple[Memory, Verdict]:
        """See :meth:`Check.inspect`."""
        if sum(len(section.items) for section in old.sections) < self.min_items:
            return new, accepted(self.kind)
        before, after = self._size(old), self._size(new)
        if after >= self.min_ratio * before:
            return new, accepted(self.kind)
        reason = f"from {before} to {after} {self.measure}, less than {self.min_ratio:g} of it"
        if self.action == "keep_old":
            return old, kept_old(self.kind, reason)
        count = 0
        for section in new.sections:
            back = missing_items(old, section.key, section.items)
            if back:
                new = new.with_items(section.key, (*section.items, *back))
                count += len(back)
        return new, repaired(self.kind, f"{reason}; {count} old item(s) put back")

    def _size(self, memory: Memory) -> int:
        if self.measure == "items":
            return sum(len(section.items) for section in memory.sections)
        return sum(len(item) for section in memory.sections for item in section.items)
