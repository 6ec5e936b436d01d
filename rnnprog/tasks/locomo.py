"""LoCoMo as a test of retention: read a long conversation session by session, then answer questions about it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import dspy

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.tasks.base import TaskData, make_task
from rnnprog.tasks.locomo_layouts import Dialogue, Question, Session, read_dialogues
from rnnprog.tasks.registry import register_task
from rnnprog.tasks.token_f1 import token_f1
from rnnprog.trace import Fields, Sequence, Step

__all__ = ["CATEGORIES", "NOTHING_ASKED", "NOTHING_SAID", "UNANSWERABLE", "Recall", "locomo"]

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
"""What the numbers in the file mean; the order in the paper is another."""

NOTHING_ASKED = "(nothing is asked yet: take in what is said)"
NOTHING_SAID = "(nothing more is said)"
UNANSWERABLE = "not mentioned"
"""The true answer of adversarial questions, which ask about something that was never said."""


class Recall(dspy.Signature):
    """Take in a conversation session by session. When a question is asked, answer it in a few words from what was said
    earlier; if it was never said, answer "not mentioned".
    """

    said: str = dspy.InputField(desc="one session of the conversation, with its date")
    question: str = dspy.InputField(desc="a question about earlier sessions, if one is asked")
    answer: str = dspy.OutputField(desc="the answer in a few words")


@register_task("locomo")
def locomo(
    path: str | Path,
    categories: int | Iterable[int] = (1, 2, 3, 4),
    n_questions: int | None = None,
    pictures: bool = True,
    dates: bool = True,
) -> TaskData:
    """Retention questions over conversations of some 600 turns: what does the memory still hold at the end?

    A sequence is one conversation: first its sessions, a step each, without an outcome; then its questions, a step
    each. ``meta["questions"]`` lists for each question step its category, its evidence, and its lag: turns between
    the oldest evidence and the end of the conversation (``None`` without evidence). To score retention alone, give
    no feedback on the question steps.

    Where to get it: ``data/locomo10.json`` or the older ``data/locomo10.zip`` of ``snap-research/locomo`` (Maharana et
    al., ACL 2024). Licence: CC BY-NC 4.0, so it is not shipped; you read your own copy. What is checked: that the
    file is one of the two layouts, turns and questions are complete, evidence points to turns that exist (what does
    not is listed in ``meta["unresolved"]``).

    Args:
        path: the file or folder.
        categories: 1 multi-hop, 2 temporal, 3 open-domain, 4 single-hop, 5 adversarial. Score 5 apart: the file
            mostly has no answer for it, and a system that always says "not mentioned" gets it right.
        n_questions: the first so many of each conversation; ``None`` for all.
        pictures: include what shared pictures show.
        dates: include the date of each session; without it most temporal questions cannot be answered.

    Raises:
        DataError: naming the file and the place in it.
        ConfigurationError: an unknown category or number.
    """
    wanted = (categories,) if isinstance(categories, int) else tuple(categories)
    if not wanted or any(category not in CATEGORIES for category in wanted):
        raise ConfigurationError(f"locomo: categories={wanted}; choose among {CATEGORIES}")
    if n_questions is not None and n_questions < 1:
        raise ConfigurationError(f"locomo: n_questions={n_questions}; give at least 1, or None for all")
    sequences = [_sequence(talk, wanted, n_questions, pictures, dates) for talk in read_dialogues(path)]
    if not any(step.target for sequence in sequences for step in sequence.steps):
        raise DataError(f"{path}: no question of the categories {wanted} with an answer")
    data = make_task("locomo", Recall, sequences, about="LoCoMo, local copy")
    return data.with_metrics(token_f1("answer"), "accuracy").with_floors("majority")


def _sequence(
    talk: Dialogue, categories: tuple[int, ...], n_questions: int | None, pictures: bool, dates: bool
) -> Sequence:
    asked = [q for q in talk.questions if q.category in categories and _answer(q) is not None][:n_questions]
    heard = [Step(inputs={"said": _text(s, pictures, dates), "question": NOTHING_ASKED}) for s in talk.sessions]
    answered = [Step(inputs={"said": NOTHING_SAID, "question": q.text}, target={"answer": _answer(q)}) for q in asked]
    told: list[Fields] = [
        {
            "step": len(heard) + at,
            "category": question.category,
            "lag": _lag(talk, question),
            "evidence": [f"D{session}:{turn}" for session, turn in question.evidence],
        }
        for at, question in enumerate(asked)
    ]
    lost = [{"question": q.text, "evidence": [*q.unresolved]} for q in asked if q.unresolved]
    return Sequence(id=talk.id, steps=(*heard, *answered), meta={"questions": [*told], "unresolved": [*lost]})


def _answer(question: Question) -> str | None:
    """The file leaves out the answer of all adversarial questions but two; they are treated alike here."""
    return UNANSWERABLE if question.category == 5 else question.answer


def _text(session: Session, pictures: bool, dates: bool) -> str:
    lines = [f"[{session.date}]"] if dates and session.date else []
    for turn in session.turns:
        picture = f" [shares a picture: {turn.picture}]" if pictures and turn.picture else ""
        lines.append(f"{turn.speaker}: {turn.text}{picture}")
    return "\n".join(lines)


def _lag(talk: Dialogue, question: Question) -> int | None:
    if not question.evidence:
        return None
    before: dict[int, int] = {}
    total = 0
    for session in talk.sessions:
        before[session.number] = total
        total += len(session.turns)
    return total - 1 - min(before[session] + turn - 1 for session, turn in question.evidence)
