"""Whether the proposed memory has the headings it should have."""

from __future__ import annotations

from typing import Literal

from rnnprog.guard.base import Check, Proposal, accepted, repaired
from rnnprog.guard.restore import in_fence, same_words
from rnnprog.memory import Memory
from rnnprog.schema import MemorySchema
from rnnprog.trace import Verdict

__all__ = ["SchemaCheck"]


class SchemaCheck(Check):
    """Puts back the items of a section whose heading was left out, and removes items that stand twice.

    Items under a heading that the schema does not have went to the section before it when the text was read; this
    check reports that.
    """

    kind: Literal["schema"] = "schema"

    def inspect(self, old: Memory, new: Memory, proposal: Proposal, schema: MemorySchema) -> tuple[Memory, Verdict]:
        """See :meth:`Check.inspect`."""
        parsed, reasons = proposal.parsed, []
        if len(parsed.found) < len(schema.sections):
            for section in old.sections:
                if section.key in parsed.found:
                    continue
                reasons.append(f"{section.key}: heading missing, {len(section.items)} old item(s) put back")
                if section.items:
                    # text before the first heading may have gone here: it stays
                    new = new.with_items(section.key, (*section.items, *new.section(section.key).items))
        if parsed.unknown:
            names = ", ".join(repr(name[:40]) for name in parsed.unknown[:3])
            reasons.append(f"{len(parsed.unknown)} unknown heading(s) ({names}), items moved to the section before")
        twice = 0
        for section in new.sections:
            if len(set(section.items)) == len(section.items):
                continue  # the cheap test first: items that differ are the rule
            once = _once(section.items)
            twice += len(section.items) - len(once)
            new = new.with_items(section.key, once)
        if twice:
            reasons.append(f"{twice} item(s) stood twice")
        return new, repaired(self.kind, "; ".join(reasons)) if reasons else accepted(self.kind)


def _once(items: tuple[str, ...]) -> tuple[str, ...]:
    code, seen, once = in_fence(items), set[str](), []
    for index, item in enumerate(items):
        words = same_words(item)
        if index in code or not words or words not in seen:
            once.append(item)
        seen.add(words)
    return tuple(once)
