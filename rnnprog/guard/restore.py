"""Comparing items: which of an older memory are gone from a newer one, and not just reworded."""

from __future__ import annotations

import re

from rnnprog.memory import Memory

__all__ = ["in_fence", "missing_items", "same_words"]

_WORDS = re.compile(r"[^\W\d_]+")
_PLAIN = re.compile(r"[\W_]+")
_REVISED = 0.8  # share of common words from which an added item counts as the new wording of an old one


def same_words(text: str) -> str:
    """Return the text as it is compared: no case, no punctuation."""
    return _PLAIN.sub(" ", text.casefold()).strip()


def in_fence(items: tuple[str, ...]) -> frozenset[int]:
    """Return the indices of items that are lines of fenced code, the fences included; they are kept as they stand."""
    inside, found = False, set()
    for index, item in enumerate(items):
        fence = item.startswith(("```", "~~~"))
        if inside or fence:
            found.add(index)
        inside ^= fence
    return frozenset(found)


def missing_items(old: Memory, key: str, items: tuple[str, ...]) -> tuple[str, ...]:
    """Return the old items of section ``key`` that ``items`` lacks, in their order.

    An old item whose words (numbers aside) an added item shares was revised, and is not missing.

    Args:
        old: the older memory; one without that section has nothing missing.
        key: the section.
        items: the section's items in the newer memory.
    """
    before = next((section.items for section in old.sections if section.key == key), ())
    if not before:
        return ()
    here = {same_words(item) for item in items}
    stood = {same_words(item) for item in before}
    added = [_words(item) for item in items if same_words(item) not in stood]
    return tuple(
        item for item in before if same_words(item) not in here and not any(_alike(_words(item), a) for a in added)
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORDS.findall(text.casefold()))


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(one) and len(one & other) >= _REVISED * len(one | other)
