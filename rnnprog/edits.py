"""Edits of a memory, as a model writes them: notes are numbered, and each line adds, updates or removes one."""

from __future__ import annotations

import re
from collections import Counter

from rnnprog.memory import Memory, MemorySection, neutralise

__all__ = ["NO_EDIT", "edited", "edits_between", "numbered"]

NO_EDIT = "NONE"
_EDIT = re.compile(r"^[\s>*-]*(ADD|UPDATE|REMOVE)\b[\s:]*(.*)$", re.IGNORECASE)
_NUMBER = re.compile(r"^\[?(\d+)\]?\s*[:.)-]?\s*(.*)$")


def numbered(memory: Memory) -> str:
    """Return the text of a memory with a number before each note, for edits to name.

    Example:
        >>> memory = Memory(sections=(MemorySection(key="rules", title="Rules", items=("Rain follows rain.",)),))
        >>> print(numbered(memory))
        ## Rules
        - [1] Rain follows rain.
    """
    number, sections = 0, []
    for section in memory.sections:
        items = []
        for item in section.items:
            number += 1
            items.append(f"[{number}] {item}")
        sections.append(MemorySection(key=section.key, title=section.title, items=tuple(items)).render())
    return neutralise("\n".join(sections))


def edited(memory: Memory, text: str) -> Memory | None:
    r"""Return a memory after the edits in a text; ``None`` if there are none in it.

    New notes stand first in their section, under an unknown heading in the first one. Edits of notes that do not exist
    are passed over, and so is all text that is no edit.

    Args:
        memory: the memory whose numbers the edits use.
        text: what the model answered.

    Example:
        >>> memory = Memory(sections=(MemorySection(key="rules", title="Rules", items=("Rain.", "Sun.")),))
        >>> edited(memory, "UPDATE 1: Rain follows rain.\nREMOVE 2\nADD Rules: Fog lifts.").items
        (('rules', 'Fog lifts.'), ('rules', 'Rain follows rain.'))
    """
    items: dict[int, str] = dict(enumerate((text for _, text in memory.items), start=1))
    added: dict[str, list[str]] = {section.key: [] for section in memory.sections}
    found = text.strip().strip("`*. ").upper() == NO_EDIT
    for line in text.splitlines():
        if not (edit := _EDIT.match(line)):
            continue
        found = True
        kind, rest = edit[1].upper(), edit[2].strip()
        if kind == "ADD":
            key, note = _placed(memory, rest)
            added[key].insert(0, note)
        elif (named := _NUMBER.match(rest)) and int(named[1]) in items:
            note = "" if kind == "REMOVE" else named[2] or items[int(named[1])]
            items[int(named[1])] = note
    if not found:
        return None
    number, sections = 0, []
    for section in memory.sections:
        kept = [items[number + n + 1] for n in range(len(section.items))]
        number += len(section.items)
        notes = tuple(note for note in (*added[section.key], *kept) if note)
        sections.append(MemorySection(key=section.key, title=section.title, items=notes))
    return Memory(sections=tuple(sections))


def edits_between(old: Memory, new: Memory) -> str:
    """Return edits that turn one memory into another of the same sections, but for the order of the notes.

    Example:
        >>> old = Memory(sections=(MemorySection(key="rules", title="Rules", items=("Rain.", "Sun.")),))
        >>> print(edits_between(old, old.with_items("rules", ("Rain follows rain.", "Sun."))))
        UPDATE 1: Rain follows rain.
    """
    number, lines = 0, []
    for before, after in zip(old.sections, new.sections, strict=True):
        more, gone = Counter(after.items), []
        for n, item in enumerate(before.items, start=number + 1):
            if more[item]:
                more[item] -= 1
            else:
                gone.append(n)
        fresh = list(more.elements())
        lines += [f"UPDATE {n}: {item}" for n, item in zip(gone, fresh, strict=False)]
        lines += [f"REMOVE {n}" for n in gone[len(fresh) :]]
        lines += [f"ADD {before.title}: {item}" for item in reversed(fresh[len(gone) :])]
        number += len(before.items)
    return "\n".join(lines) or NO_EDIT


def _placed(memory: Memory, rest: str) -> tuple[str, str]:
    """Return the section that a new note goes to, and the note."""
    by_length = sorted(memory.sections, key=lambda section: -len(section.title))
    for section in by_length:
        for name in (section.title, section.key):
            if rest.lower().startswith(name.lower()) and rest[len(name) :].lstrip("*`\"' ").startswith(":"):
                return section.key, rest[len(name) :].lstrip("*`\"' ")[1:].strip()
    return memory.sections[0].key, rest
