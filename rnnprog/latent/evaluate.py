"""The exam: every question answered with memory and with every control that tells recall from guessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rnnprog.latent.backbone import Backbone, Prompts
from rnnprog.latent.bank import Bank
from rnnprog.latent.conditioning import Conditioned, Encoded
from rnnprog.latent.conversations import Conversation, spoken
from rnnprog.latent.errors import LatentError
from rnnprog.latent.examination import ADVERSARIAL, Examination
from rnnprog.latent.model import LatentModel
from rnnprog.latent.pieces import in_pieces
from rnnprog.latent.scores import Floats, token_f1
from rnnprog.latent.talks import (
    EncodedQuestions,
    EncodedTalks,
    encode_questions,
    encode_talks,
    final_banks,
)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ExamPaper:
    """Test conversations, encoded once for all methods and seeds."""

    backbone: Backbone
    conversations: tuple[Conversation, ...]
    talks: EncodedTalks
    questions: EncodedQuestions
    prompts: Prompts

    @classmethod
    def of(cls, backbone: Backbone, conversations: Sequence[Conversation], prompts: Prompts | None = None) -> ExamPaper:
        """Encode these conversations and their questions."""
        wording = prompts or Prompts()
        talks = encode_talks(backbone, conversations, wording)
        questions = encode_questions(backbone, conversations, wording)
        return cls(backbone, tuple(conversations), talks, questions, wording)

    @property
    def gold(self) -> list[str]:
        """Gold answers in the order of the questions."""
        return [question.answer for talk in self.conversations for question in talk.questions]

    def score(self, answers: Sequence[str]) -> Floats:
        """Token F1 of each answer."""
        return np.array([token_f1(mine, theirs) for mine, theirs in zip(answers, self.gold, strict=True)])


@dataclass(frozen=True)
class ExamOptions:
    """``seed`` chooses the foreign banks and ``rotations`` how many of them each question meets (the control is their
    mean), ``last`` the turns of the last-k reference, ``batch`` questions at a time; ``text_tokens`` cuts the
    all-turns-as-text reference to its most recent part.
    """

    seed: int = 0
    rotations: int = 3
    last: int = 8
    batch: int = 128
    max_new_tokens: int = 32
    text_tokens: int = 4096


def foreign(count: int, seed: int, rotations: int = 1) -> list[Tensor]:
    """For each conversation another one, by distinct rotations drawn from the seed: nobody keeps the own bank.

    >>> [order.tolist() for order in foreign(2, seed=0, rotations=3)]
    [[1, 0]]
    """
    if count < 2:
        raise LatentError(f"{count} conversation: the shuffled-bank control needs at least two")
    shifts = 1 + np.random.default_rng(seed).permutation(count - 1)[:rotations]
    return [(torch.arange(count) + int(shift)) % count for shift in shifts]


def answers_with(
    model: LatentModel, paper: ExamPaper, banks: Bank, options: ExamOptions, index: Tensor | None = None
) -> list[str]:
    """Greedy answers to all questions (or to ``index``), each read from the bank of its conversation in ``banks``."""

    def view(owner: Tensor, question: Encoded) -> Conditioned:
        with torch.no_grad():
            return model.condition(banks.select(owner), question)

    return _answers(paper, view, options, index)


def _answers(
    paper: ExamPaper,
    view: Callable[[Tensor, Encoded], Conditioned],
    options: ExamOptions,
    index: Tensor | None = None,
) -> list[str]:
    questions = paper.questions
    chosen = torch.arange(len(questions), device=questions.owner.device) if index is None else index

    def work(piece: slice) -> list[str]:
        part = chosen[piece]
        encoded, _ = questions.batch(part)
        return paper.backbone.generate(view(questions.owner[part], encoded), options.max_new_tokens)

    return in_pieces(len(chosen), options.batch, work, "questions")


def references(paper: ExamPaper, options: ExamOptions) -> dict[str, Floats]:
    """What the frozen model reaches without any adapter: stateless, all turns as text or latents, last k turns."""

    def latents(last: int | None) -> Callable[[Tensor, Encoded], Conditioned]:
        def view(owner: Tensor, question: Encoded) -> Conditioned:
            rows, mask = paper.talks.raw(owner, last)
            return Conditioned(torch.cat([question.latents, rows], 1), torch.cat([question.mask, mask], 1))

        return view

    stateless = _answers(paper, lambda _, question: Conditioned(question.latents, question.mask), options)
    return {
        "stateless": paper.score(stateless),
        "text": paper.score(_text_answers(paper, options)),
        "latents": paper.score(_answers(paper, latents(None), options)),
        f"last {options.last}": paper.score(_answers(paper, latents(options.last), options)),
    }


def _text_answers(paper: ExamPaper, options: ExamOptions) -> list[str]:
    """All turns (or the most recent that fit) and the question as one text."""
    backbone, texts = paper.backbone, []

    def sizes(lines: Sequence[str]) -> list[int]:
        return [len(ids) for ids in backbone.tokenizer(list(lines))["input_ids"]]

    for talk in paper.conversations:
        lines = spoken(talk.turns, paper.prompts.turn)
        asked = [paper.prompts.question.format(text=question.text) for question in talk.questions]
        recent = np.cumsum(sizes(lines)[::-1])
        for line, size in zip(asked, sizes(asked) if asked else [], strict=True):
            kept = int(np.searchsorted(recent, options.text_tokens - size, side="right"))
            texts.append(" . ".join([*lines[len(lines) - kept :], line]))

    def work(piece: slice) -> list[str]:
        encoded = backbone.encode(texts[piece], limit=options.text_tokens + len(texts[0]))
        return backbone.generate(Conditioned(encoded.latents, encoded.mask), options.max_new_tokens)

    return in_pieces(len(texts), max(1, options.batch // 4), work, "texts")


def examine(
    model: LatentModel,
    paper: ExamPaper,
    *,
    reference: dict[str, Floats] | None = None,
    options: ExamOptions | None = None,
) -> Examination:
    """Examine one trained model: own bank, another conversation's bank, zeroed bank, and the references.

    Questions are asked at the end and never written. Returns per-question token F1 under every condition.
    """
    chosen = options or ExamOptions()
    known = reference if reference is not None else references(paper, chosen)
    banks = final_banks(model, paper.talks)
    others = [banks.select(order) for order in foreign(banks.users, chosen.seed, chosen.rotations)]
    f1 = {
        "memory": paper.score(answers_with(model, paper, banks, chosen)),
        "shuffled": np.mean([paper.score(answers_with(model, paper, other, chosen)) for other in others], axis=0),
        "zero": paper.score(answers_with(model, paper, banks.zeroed(), chosen)),
        **known,
    }
    asked = [(talk, question) for talk in paper.conversations for question in talk.questions]
    return Examination(
        method=model.spec.name,
        capacity=0 if model.spec.write is None else model.spec.write.rows,
        seed=model.seed,
        parameters=model.trainable_count(),
        backbone=model.backbone.fingerprint,
        owners=tuple(talk.id for talk, _ in asked),
        lags=np.array([talk.lag(question) for talk, question in asked]),
        categories=np.array([question.category for _, question in asked]),
        f1=f1,
        knowledge=tuple(knowledge_curve(model, paper, chosen)),
    )


def knowledge_curve(model: LatentModel, paper: ExamPaper, options: ExamOptions) -> list[float]:
    """K_s: mean F1, after sessions 1..s, over the answerable questions whose evidence lies entirely in them.

    The last entry minus the first is Delta K. Source: arXiv 2603.16413, section 5.
    """
    numbers = sorted({number for talk in paper.conversations for number in talk.sessions})
    curve = []
    for number in numbers:
        upto = [sum(turn.session <= number for turn in talk.turns) for talk in paper.conversations]
        known = [
            all(place < heard for place in question.evidence)
            and bool(question.evidence)
            and question.category != ADVERSARIAL
            for talk, heard in zip(paper.conversations, upto, strict=True)
            for question in talk.questions
        ]
        curve.append(_knowledge(model, paper, torch.tensor(upto), np.array(known), options))
    return curve


def _knowledge(model: LatentModel, paper: ExamPaper, upto: Tensor, known: np.ndarray, options: ExamOptions) -> float:
    if not known.any():
        return float("nan")
    device = paper.talks.counts.device
    banks = final_banks(model, paper.talks, upto=upto.to(device))
    index = torch.from_numpy(np.flatnonzero(known)).to(device)
    gold = [answer for answer, is_known in zip(paper.gold, known, strict=True) if is_known]
    answers = answers_with(model, paper, banks, options, index)
    return float(np.mean([token_f1(mine, theirs) for mine, theirs in zip(answers, gold, strict=True)]))
