"""The stand-in's notes as edits, where it is asked for edits of numbered notes."""

from __future__ import annotations

import re

from rnnprog.edits import edits_between
from rnnprog.errors import MemoryFormatError
from rnnprog.schema import MemorySchema, SectionSpec

__all__ = ["as_edits", "asks_for_edits", "without_numbers"]

_ORDERS = re.compile(r"\bADD\b.*\bUPDATE\b.*\bREMOVE\b", re.DOTALL)
_NUMBER = re.compile(r"^(\s*- )\[\d+\] ", re.MULTILINE)
_HEADING = re.compile(r"^## ([^:\n]+)", re.MULTILINE)


def asks_for_edits(instruction: str) -> bool:
    """Return whether an instruction asks for edits instead of whole notes."""
    return _ORDERS.search(instruction) is not None


def without_numbers(memory: str) -> str:
    r"""Return numbered notes without their numbers.

    Example:
        >>> without_numbers("## Rules\n- [1] Rain follows rain.")
        '## Rules\n- Rain follows rain.'
    """
    return _NUMBER.sub(r"\1", memory)


def as_edits(memory: str, new: str, headings: str) -> str:
    """Return what turns the old notes into the new ones; the new ones as they are where they cannot be compared."""
    titles = [title.strip() for title in _HEADING.findall(headings)]
    try:
        specs = tuple(SectionSpec(key=f"s{n}", title=title) for n, title in enumerate(titles))
        layout = MemorySchema(sections=specs)
        return edits_between(layout.parse(memory).memory, layout.parse(new).memory)
    except (MemoryFormatError, ValueError):
        return new
