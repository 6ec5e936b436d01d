"""Which sections a memory has, what belongs in each, and which goes first when space runs out."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from rnnprog.errors import MemoryFormatError
from rnnprog.memory import EMPTY_MARK, Memory, MemorySection, Value

__all__ = ["DEFAULT_SCHEMA", "MemorySchema", "ParsedMemory", "SectionSpec"]

_BULLET = re.compile(r"^\s*(?:[-*•+–]|\d{1,3}[.)])\s+(?P<text>.*\S)\s*$")
_HASHES = re.compile(r"^\s{0,3}#{1,6}\s+(?P<text>.*?)\s*#*\s*$")
_EMPTY = re.compile(r"^[\s\-*•]*[(\[]?\s*(?:empty|none|none yet|nothing yet|n/?a)\s*[)\]]?[.\s]*$", re.IGNORECASE)
_NOT_WORD = re.compile(r"[^a-z0-9]+")


class SectionSpec(Value):
    """One section of a schema.

    Attributes:
        key: short identifier, used in traces and diffs.
        title: the heading that the model sees and writes.
        about: one sentence that tells the model what belongs here.
        priority: when the budget is exceeded, sections of lower priority lose items first.
        pinned: its items may be reworded but the section may not be emptied by a rewrite.
        start: items that the initial memory holds.
    """

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=1, pattern=r"^[^\n#\[\]]+$")
    about: str = ""
    priority: int = 0
    pinned: bool = False
    start: tuple[str, ...] = ()


class ParsedMemory(Value):
    """A memory read from free text, and what did not fit the schema.

    Attributes:
        memory: the memory; sections that the text lacks are empty.
        found: keys of the sections whose heading stands in the text.
        unknown: headings that the schema does not have; their items went to the section before them.
    """

    memory: Memory
    found: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class MemorySchema(Value):
    r"""The headings of a memory. Fixed for a program, so that versions can be compared line by line.

    Example:
        >>> schema = MemorySchema(sections=(SectionSpec(key="rules", title="Rules"),))
        >>> schema.parse("Rules:\n* Rain follows rain.").memory.items
        (('rules', 'Rain follows rain.'),)
    """

    sections: tuple[SectionSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> MemorySchema:
        for what, names in (
            ("keys", [s.key for s in self.sections]),
            ("titles", [_fold(s.title) for s in self.sections]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"section {what} must differ, but {twice} stand twice; rename one")
        return self

    def initial(self) -> Memory:
        """Return the memory before the first step: every heading, and the items of ``start``."""
        return Memory(sections=tuple(MemorySection(key=s.key, title=s.title, items=s.start) for s in self.sections))

    def bare(self) -> Memory:
        """Return the headings alone, without items."""
        return Memory(sections=tuple(MemorySection(key=s.key, title=s.title) for s in self.sections))

    def describe(self) -> str:
        """Return the sections as the rewrite prompt explains them, one line each."""
        return "\n".join(f"## {s.title}" + (f": {s.about}" if s.about else "") for s in self.sections)

    def matches(self, memory: Memory) -> bool:
        """Tell whether ``memory`` has exactly these sections, in this order."""
        return [(s.key, s.title) for s in memory.sections] == [(s.key, s.title) for s in self.sections]

    def parse(self, text: str) -> ParsedMemory:
        """Read free text as a memory, forgiving the ways in which models vary their layout.

        Headings are found with or without ``#``, bold marks and colons, by title or key; entries may be
        bullets, numbered lines or bare lines. Text before the first heading joins the first section.

        Raises:
            MemoryFormatError: no heading of this schema stands in the text.
        """
        reader = _Reader(self)
        for line in text.splitlines():
            reader.feed(line)
        if not reader.found:
            titles = ", ".join(repr(s.title) for s in self.sections)
            raise MemoryFormatError(f"no section heading found in the text; expected {titles}")
        memory = Memory(
            sections=tuple(
                MemorySection(key=s.key, title=s.title, items=tuple(reader.items[s.key])) for s in self.sections
            )
        )
        return ParsedMemory(memory=memory, found=tuple(reader.found), unknown=tuple(reader.unknown))


class _Reader:
    """The state of one parse: which section is open, and whether the next line continues an item."""

    def __init__(self, schema: MemorySchema) -> None:
        self.items: dict[str, list[str]] = {s.key: [] for s in schema.sections}
        self.found: list[str] = []
        self.unknown: list[str] = []
        self._by_name = {_fold(name): s.key for s in schema.sections for name in (s.key, s.title)}
        self._open = schema.sections[0].key
        self._bullet_open = False

    def feed(self, line: str) -> None:
        if not line.strip():
            self._bullet_open = False
            return
        bullet = _BULLET.match(line)
        if bullet is None and self._heading(line):
            return
        text = bullet["text"] if bullet else line.strip()
        if _EMPTY.match(text):
            return
        entries = self.items[self._open]
        if bullet is None and self._bullet_open and entries and line[:1].isspace():
            entries[-1] = f"{entries[-1]} {text}"
        else:
            entries.append(text)
            self._bullet_open = bullet is not None

    def _heading(self, line: str) -> bool:
        hashes = _HASHES.match(line)
        bare = (hashes["text"] if hashes else line.strip()).strip("*_ ")
        name, colon, rest = bare.partition(":")
        key = self._by_name.get(_fold(bare)) or (self._by_name.get(_fold(name)) if colon else None)
        if key is None:
            if hashes:
                self.unknown.append(bare)
            return hashes is not None
        self._open, self._bullet_open = key, False
        if key not in self.found:
            self.found.append(key)
        rest = rest.strip("*_ ")
        if colon and rest and not _EMPTY.match(rest):
            self.items[key].append(rest)
        return True


def _fold(name: str) -> str:
    return _NOT_WORD.sub(" ", name.lower()).strip()


DEFAULT_SCHEMA = MemorySchema(
    sections=(
        SectionSpec(
            key="facts",
            title="Facts and stable patterns",
            about="what has held in this series so far, with counts where you have them",
            priority=2,
        ),
        SectionSpec(
            key="errors",
            title="Recent errors and their causes",
            about="the latest wrong predictions, what was expected, what happened, and why",
            priority=1,
        ),
        SectionSpec(
            key="rules",
            title="Rules to apply next",
            about="short instructions for the next prediction that follow from the above",
            priority=3,
        ),
    )
)
"""The domain-neutral layout: facts, recent errors, rules."""

assert _EMPTY.match(EMPTY_MARK)  # what render() writes for "no items", parse() must read as such
