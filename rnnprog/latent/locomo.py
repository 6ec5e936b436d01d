"""LoCoMo for the latent wing: what the task's reader finds, turn by turn; never bundled, for its licence forbids it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rnnprog.errors import DataError
from rnnprog.latent.conversations import Conversation, Question, Turn
from rnnprog.latent.errors import LatentError
from rnnprog.tasks.locomo_layouts import Dialogue, Utterance, read_dialogues

TEST = ("conv-48", "conv-49", "conv-50")
"""The three conversations that the published tables were tested on (recounted from their bucket sizes)."""

ADVERSARIAL = 5


@dataclass(frozen=True)
class LocomoOptions:
    """What goes into a turn: image ``captions`` and session ``dates`` (the published runs left both out, which makes
    most "when" questions unanswerable); ``no_answer`` is the gold answer of adversarial questions.
    """

    captions: bool = True
    dates: bool = True
    no_answer: str = "not mentioned"


@dataclass(frozen=True)
class LocomoReport:
    """Conversations and what could not be resolved: (conversation, question, evidence id) triples."""

    conversations: tuple[Conversation, ...]
    unresolved: tuple[tuple[str, str, str], ...] = field(default=())


def read_locomo(path: Path | str, options: LocomoOptions | None = None) -> LocomoReport:
    """Read LoCoMo from a file or folder that you have, by :func:`rnnprog.tasks.locomo_layouts.read_dialogues`.

    Raises ``LatentError`` when the path is missing or holds no LoCoMo.

    Source: the files of snap-research/locomo (Maharana et al., ACL 2024; CC BY-NC 4.0).
    """
    chosen = options or LocomoOptions()
    try:
        dialogues = read_dialogues(path)
    except DataError as error:
        raise LatentError(str(error)) from error
    lost = (
        (talk.id, question.text, bad)
        for talk in dialogues
        for question in talk.questions
        for bad in question.unresolved
    )
    return LocomoReport(tuple(_conversation(talk, chosen) for talk in dialogues), tuple(lost))


def published_split(talks: Sequence[Conversation]) -> tuple[list[Conversation], list[Conversation]]:
    """Training and test conversations as in the published runs: the last three are the test."""
    training = [talk for talk in talks if talk.id not in TEST]
    test = [talk for talk in talks if talk.id in TEST]
    if not training or not test:
        raise LatentError(f"no split: the test part is {', '.join(TEST)}; this copy has {[talk.id for talk in talks]}")
    return training, test


def _conversation(talk: Dialogue, options: LocomoOptions) -> Conversation:
    turns: list[Turn] = []
    place: dict[tuple[int, int], int] = {}
    for session in talk.sessions:
        for position, said in enumerate(session.turns, start=1):
            place[session.number, position] = len(turns)
            date = session.date if position == 1 and options.dates else ""
            id = f"D{session.number}:{position}"
            turns.append(Turn(said.speaker, _said(said, date, options), session.number, id))
    return Conversation(talk.id, tuple(turns), tuple(_questions(talk, place, options)))


def _questions(talk: Dialogue, place: Mapping[tuple[int, int], int], options: LocomoOptions) -> list[Question]:
    found = []
    for asked in talk.questions:
        unanswered = asked.answer is None or asked.category == ADVERSARIAL
        answer = options.no_answer if unanswered else str(asked.answer)
        evidence = tuple(sorted(place[at] for at in asked.evidence))
        found.append(Question(asked.text, answer, evidence, asked.category))
    return found


def _said(said: Utterance, date: str, options: LocomoOptions) -> str:
    text = said.text
    if options.captions and said.picture:
        text = f"{text} [image: {said.picture}]".strip()
    return f"[{date}] {text}" if date else text
