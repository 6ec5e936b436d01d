"""A keyed store of past cases: the carry of cells that look things up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from rnnprog.tokens import Tokenizer

__all__ = ["Entry", "Store", "dump_store", "fitting", "load_store", "put"]


@dataclass(frozen=True)
class Entry:
    """One stored case.

    Attributes:
        key: what it is looked up by.
        text: what is shown when it is found.
    """

    key: str
    text: str


Store = tuple[Entry, ...]


def put(store: Store, entry: Entry, capacity: int, *, overwrite: bool) -> Store:
    """Return the store with an entry at its end; the oldest go where it would hold more than ``capacity``.

    Args:
        store: the entries so far, oldest first.
        entry: the new one.
        capacity: most entries.
        overwrite: whether an older entry of the same key goes, as in a dictionary.

    Returns:
        The very store that was given, if nothing changed.

    Example:
        >>> put((Entry("a", "1"), Entry("b", "2")), Entry("a", "3"), 5, overwrite=True)
        (Entry(key='b', text='2'), Entry(key='a', text='3'))
    """
    kept = tuple(old for old in store if old.key != entry.key) if overwrite else store
    new = (*kept, entry)[-capacity:]
    return store if new == store else new


def fitting(texts: Iterable[str], room: int, tokenizer: Tokenizer) -> list[str]:
    """Return the first texts that fit into ``room`` tokens together; one that does not fit is passed over whole.

    Example:
        >>> from rnnprog.tokens import get_tokenizer
        >>> fitting(["sun", "rain " * 50, "snow"], 10, get_tokenizer())
        ['sun', 'snow']
    """
    kept: list[str] = []
    for text in texts:
        if tokenizer.count("\n\n".join([*kept, text])) <= room and tokenizer.count("\n\n".join([text, *kept])) <= room:
            kept.append(text)
    return kept


def dump_store(store: Sequence[Entry]) -> JsonValue:
    """Return the store as JSON."""
    return [[entry.key, entry.text] for entry in store]


def load_store(dumped: JsonValue) -> Store:
    """Return the store that :func:`dump_store` wrote."""
    assert isinstance(dumped, list)
    return tuple(Entry(*pair) for pair in dumped)  # type: ignore[misc]
