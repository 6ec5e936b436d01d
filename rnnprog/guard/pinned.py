"""Whether what the user pinned is still there."""

from __future__ import annotations

from typing import Literal

from rnnprog.guard.base import Check, Proposal, accepted, repaired
from rnnprog.guard.restore import missing_items
from rnnprog.memory import Memory
from rnnprog.schema import MemorySchema
from rnnprog.trace import Verdict

__all__ = ["PinnedCheck"]


class PinnedCheck(Check):
    """Puts back what a rewrite took from a pinned section.

    Attributes:
        keep: ``some``: items may be reworded, merged or dropped, but a section that came back empty gets its old
            items; ``all``: every old item that is gone comes back, after the new ones; ``exact``: the section
            stays as it was.
    """

    kind: Literal["pinned"] = "pinned"
    keep: Literal["some", "all", "exact"] = "some"

    def inspect(self, old: Memory, new: Memory, proposal: Proposal, schema: MemorySchema) -> tuple[Memory, Verdict]:
        """See :meth:`Check.inspect`."""
        reasons = []
        for spec in schema.sections:
            if not spec.pinned:
                continue
            before, after = old.section(spec.key).items, new.section(spec.key).items
            if self.keep == "exact":
                items = before
            elif self.keep == "all":
                items = (*after, *missing_items(old, spec.key, after))
            else:
                items = after or before
            if items != after:
                new = new.with_items(spec.key, items)
                reasons.append(f"{spec.key}: pinned items put back")
        return new, repaired(self.kind, "; ".join(reasons)) if reasons else accepted(self.kind)
