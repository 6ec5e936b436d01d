"""Conversations with questions about them: the data that a memory is trained and examined on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rnnprog.latent.errors import EmptyConversationError, LatentError


@dataclass(frozen=True)
class Turn:
    """One thing said by one speaker, in a numbered session."""

    speaker: str
    text: str
    session: int = 1
    id: str = ""


Said = str | Turn
"""A turn as users give it: the text itself, or a value that the prompts put into words."""


@dataclass(frozen=True)
class Question:
    """A question with its gold answer; ``evidence`` are 0-based turn numbers, ``category`` is the data set's own."""

    text: str
    answer: str
    evidence: tuple[int, ...] = ()
    category: int = 0


@dataclass(frozen=True)
class Conversation:
    """Turns in order and the questions asked at the end.

    >>> talk = Conversation("c", (Turn("ana", "i have a dog"), Turn("ben", "nice")), (Question("pet?", "dog", (0,)),))
    >>> talk.lag(talk.questions[0])
    1
    """

    id: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.turns:
            raise EmptyConversationError(f"conversation {self.id!r} has no turns: leave it out or give it at least one")

    def lag(self, question: Question) -> int:
        """Turns between the oldest evidence and the end of the conversation; without evidence, all of them.

        Source: arXiv 2603.16413 defines T - min(evidence); its code counts from the last turn, as here.
        """
        known = [index for index in question.evidence if 0 <= index < len(self.turns)]
        return max(0, len(self.turns) - 1 - min(known)) if known else len(self.turns)

    @property
    def sessions(self) -> tuple[int, ...]:
        """Numbers of the sessions, ascending."""
        return tuple(sorted({turn.session for turn in self.turns}))


def spoken(turns: Sequence[Turn], template: str = "{speaker}: {text}") -> list[str]:
    """The text of each turn as the encoder gets it.

    >>> spoken([Turn("ana", "hello")])
    ['ana: hello']
    """
    return [template.format(speaker=turn.speaker, text=turn.text) for turn in turns]


def texts_said(user: str, turns: Said | Sequence[Said], template: str = "{speaker}: {text}") -> list[str]:
    """The turns of a user, one or several, as texts.

    Raises ``EmptyConversationError`` for no turn or one without words, ``LatentError`` for one that is no text.

    >>> texts_said("u", Turn("ana", "hello")), texts_said("u", ["ana: hello", Turn("ben", "hi")])
    (['ana: hello'], ['ana: hello', 'ben: hi'])
    """
    several = list(turns) if isinstance(turns, Sequence) and not isinstance(turns, str) else [turns]
    if not several:
        raise EmptyConversationError(f"user {user!r} has no turns: leave the user out or pass at least one turn")
    for turn in several:
        if not isinstance(turn, str | Turn):
            raise LatentError(f"user {user!r} said {turn!r}, which is no text: write a str or a Turn")
        if not (turn if isinstance(turn, str) else turn.text).strip():
            raise EmptyConversationError(f"user {user!r} has a turn without words: leave it out")
    return [turn if isinstance(turn, str) else spoken([turn], template)[0] for turn in several]
