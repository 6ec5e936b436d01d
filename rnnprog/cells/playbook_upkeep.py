"""Keeping a playbook small and true: what misled goes, twins become one, and the rest fits its budget."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from rnnprog.cells.playbook import Bullet, Playbook
from rnnprog.tokens import Tokenizer

__all__ = ["merge_twins", "prune", "trim"]

_WORD = re.compile(r"\w+")
_ARTICLES = {"a", "an", "the"}


def prune(book: Playbook, margin: int) -> Playbook:
    """Return the playbook without the bullets that misled ``margin`` times more often than they helped."""
    return book.without(bullet.id for bullet in book.bullets if bullet.harmful - bullet.helpful >= margin)


def merge_twins(book: Playbook, alike: float = 1.0) -> Playbook:
    """Return the playbook with bullets of the same words joined into the first, their counts added up.

    Args:
        book: the playbook.
        alike: share of words, in order, that must agree, case and articles aside. Below 1 two bullets may be joined
            that differ in the one word that matters.

    Example:
        >>> book = Playbook().add("clues", "The wind brings rain.").add("others", "Wind brings rain")
        >>> [bullet.id for bullet in merge_twins(book).bullets]
        ['clu-00001']
    """
    kept: list[Bullet] = []
    words: list[list[str]] = []
    for bullet in book.bullets:
        mine = [word for word in _WORD.findall(bullet.text.lower()) if word not in _ARTICLES]
        twin = next((n for n, theirs in enumerate(words) if _alike(mine, theirs, alike)), None)
        if twin is None:
            kept.append(bullet)
            words.append(mine)
        else:
            first = kept[twin]
            counts = {"helpful": first.helpful + bullet.helpful, "harmful": first.harmful + bullet.harmful}
            kept[twin] = first.model_copy(update=counts)
    return book if len(kept) == len(book.bullets) else Playbook(bullets=tuple(kept), last=book.last)


def _alike(one: list[str], other: list[str], share: float) -> bool:
    if one == other:
        return True
    if share >= 1 or 2 * min(len(one), len(other)) < share * (len(one) + len(other)):
        return False
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio() >= share


def trim(book: Playbook, budget: int, tokenizer: Tokenizer, fresh: Collection[str] = ()) -> Playbook:
    """Return the playbook within ``budget`` tokens: whole bullets go, the least useful first, of these the oldest.

    Args:
        book: the playbook.
        budget: most tokens of its text.
        tokenizer: the ruler.
        fresh: ids of bullets that have had no chance yet; they go after all others.
    """
    order = [b.id for b in sorted(book.bullets, key=lambda b: (b.id in fresh, b.helpful - b.harmful, b.number))]
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if tokenizer.count(book.without(order[:middle]).render()) <= budget:
            high = middle
        else:
            low = middle + 1
    return book.without(order[:low])
