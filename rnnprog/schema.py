"""Which sections a memory has, what belongs in each, and which goes first when space runs out."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field, model_validator

from rnnprog.errors import MemoryFormatError
from rnnprog.memory import EMPTY_MARK, Memory, MemorySection, Value
from rnnprog.reader import Reader, fold, is_empty_mark

__all__ = ["DEFAULT_SCHEMA", "MemorySchema", "ParsedMemory", "SectionSpec"]


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
    title: str = Field(min_length=1, pattern=r"^[^\s#\[\]](?:[^\x00-\x1f\x7f-\x9f\u2028\u2029#\[\]]*[^\s#\[\]])?$")
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
        owners: dict[str, str] = {}
        for spec in self.sections:
            for name in (spec.key, spec.title):
                if not fold(name):
                    raise ValueError(f"section title {name!r} has no letter or digit; give it a word")
                owner = owners.setdefault(fold(name), spec.key)
                if owner != spec.key:
                    raise ValueError(
                        f"sections {owner!r} and {spec.key!r} cannot be told apart: both go by {name!r} as a key or a "
                        "title; rename one"
                    )
        keys = [spec.key for spec in self.sections]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"section keys must differ, but {twice} stand twice; rename one")
        return self

    @cached_property
    def _names(self) -> dict[str, str]:
        return {fold(name): s.key for s in self.sections for name in (s.key, s.title)}

    @cached_property
    def _abouts(self) -> dict[str, str]:
        return {s.key: s.about for s in self.sections}

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

        Headings are found with or without ``#``, numbers, bold marks and colons, by title or key; entries may be
        bullets, numbered lines or bare lines. A fence or a JSON string around the whole is undone. Bullets before
        the first heading join the first section; other text there is a remark to the reader and is left out.
        A bullet is never a heading, so no item of a rendered memory can pose as one.

        Raises:
            MemoryFormatError: no heading of this schema stands in the text.
        """
        reader = Reader(self._names, self._abouts)
        reader.read(text)
        if not reader.found:
            titles = ", ".join(repr(s.title) for s in self.sections)
            raise MemoryFormatError(f"no section heading found in the text; expected {titles}")
        memory = Memory(
            sections=tuple(MemorySection(key=s.key, title=s.title, items=reader.items(s.key)) for s in self.sections)
        )
        return ParsedMemory(memory=memory, found=tuple(reader.found), unknown=tuple(reader.unknown))


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

assert is_empty_mark(EMPTY_MARK)  # what render() writes for "no items", parse() must read as such
