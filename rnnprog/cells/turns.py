"""Past items with their lengths, newest kept: how cells hold a budget by whole items."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from rnnprog.cells.base import Learned
from rnnprog.tokens import Tokenizer

__all__ = ["InTurns", "Turn", "Turns", "appended", "joined", "newest", "turn"]


@dataclass(frozen=True)
class Turn:
    """One past step as it stands in the prompt, with its length, so that no text is counted twice.

    Attributes:
        text: the rendered step.
        tokens: its length in tokens.
    """

    text: str
    tokens: int


Turns = tuple[Turn, ...]
GAP = "\n\n"


def turn(text: str, tokenizer: Tokenizer) -> Turn:
    """Return an item with its length; the gap to the next is counted in."""
    return Turn(text, tokenizer.count(text + GAP))


def newest(turns: Turns, room: int) -> Turns:
    """Return the latest items that fit into ``room`` tokens, in order; none is cut.

    An item that is too long by itself is passed over, so that it does not drive out all others.

    Example:
        >>> newest((Turn("a", 3), Turn("b", 2), Turn("c", 2)), 5)
        (Turn(text='b', tokens=2), Turn(text='c', tokens=2))
    """
    turns = tuple(item for item in turns if item.tokens <= room)
    first = len(turns)
    while first and turns[first - 1].tokens <= room:
        first -= 1
        room -= turns[first].tokens
    return turns[first:]


def joined(turns: Turns, room: int, tokenizer: Tokenizer, empty: str) -> str:
    """Return the latest items as one text of at most ``room`` tokens; ``empty`` where there is none.

    The text as a whole is counted once more: a tokenizer may break a joined text in other places than its parts.
    """
    kept = newest(turns, room)
    while kept and tokenizer.count(GAP.join(item.text for item in kept)) > room:
        kept = kept[1:]
    return GAP.join(item.text for item in kept) or empty


def appended(turns: Turns, new: Turn, room: int, section: str) -> Learned:
    """Return the carry with one item more: the latest that fit into ``room`` tokens; what went is told by section."""
    every = (*turns, new)
    kept = newest(every, room)
    dropped = tuple((section, item.text) for item in every if not any(item is one for one in kept))
    carry = turns if kept == turns else kept
    return Learned(carry, "append", dropped=dropped, tokens=sum(item.tokens for item in carry))


class InTurns:
    """Mixin of cells whose carry is items; name it before the cell's base class."""

    def initial(self) -> Turns:
        """Return no items."""
        return ()

    def dump_carry(self, carry: Turns) -> JsonValue:
        """Return the items as JSON."""
        return [[item.text, item.tokens] for item in carry]

    def load_carry(self, dumped: JsonValue) -> Turns:
        """Return the items that :meth:`dump_carry` wrote."""
        assert isinstance(dumped, list)
        return tuple(Turn(*item) for item in dumped)  # type: ignore[misc]
