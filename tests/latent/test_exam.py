"""Data, exam and tables end to end on an untrained backbone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from rnnprog.latent.backbone import Backbone, Prompts
from rnnprog.latent.conversations import Conversation, Question
from rnnprog.latent.errors import EmptyConversationError, LatentError
from rnnprog.latent.evaluate import ExamOptions, ExamPaper, examine, foreign, references
from rnnprog.latent.examination import Examination
from rnnprog.latent.laboratory import Laboratory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.plot import forgetting, save
from rnnprog.latent.screen import show
from rnnprog.latent.spec import method
from rnnprog.latent.synthetic import World
from rnnprog.latent.talks import encode_talks, final_banks, pack
from rnnprog.latent.testing import awakened, small

OPTIONS = ExamOptions(max_new_tokens=3, last=3)


@pytest.fixture(scope="session")
def paper(backbone: Backbone, talks: list[Conversation]) -> ExamPaper:
    return ExamPaper.of(backbone, talks)


@pytest.fixture(scope="session")
def exam(backbone: Backbone, paper: ExamPaper) -> Examination:
    return examine(awakened(LatentModel(backbone, small("M.3"))), paper, options=OPTIONS)


def test_generated_conversations_are_seeded_and_well_formed(world: World) -> None:
    full = World()
    seen: Counter[int] = Counter()
    for talk in full.conversations(200, 4):
        assert len(talk.turns) == 40
        assert len({turn.speaker for turn in talk.turns}) <= 2
        for question in talk.questions:
            evidence = talk.turns[question.evidence[0]]
            assert question.answer in evidence.text.split()
            assert evidence.speaker in question.text.split()
            seen[talk.lag(question)] += 1
    assert set(seen) == set(range(40))
    assert full.conversations(3, 4) == full.conversations(3, 4)
    assert full.conversations(3, 4) != full.conversations(3, 5)
    words = set(full.vocabulary())
    for talk in full.conversations(20, 1):
        for turn in talk.turns:
            assert set(f"{turn.speaker} : {turn.text}".split()) <= words
    assert full.chance == pytest.approx(1 / 12)


@pytest.mark.parametrize("fields", [{"names": 1}, {"values": 13}, {"facts": 13}, {"sessions": 99}])
def test_impossible_worlds_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(LatentError, match=next(iter(fields))):
        World(**fields)


def test_empty_conversations_are_refused(backbone: Backbone) -> None:
    with pytest.raises(EmptyConversationError, match="'x' has no turns"):
        Conversation("x", ())
    with pytest.raises(EmptyConversationError, match="no conversations"):
        encode_talks(backbone, [], Prompts())
    with pytest.raises(EmptyConversationError, match="no texts"):
        pack(backbone, [])


def test_packed_texts_equal_direct_encoding(backbone: Backbone) -> None:
    texts = ["ana: i have a dog at home", "ben: it rains again", "ana: no way really so funny again"]
    packed = pack(backbone, texts)
    latents, mask = packed.gather(torch.tensor([2, -1, 0]))
    assert mask.sum(1).tolist()[1] == 0
    for row, text in ((0, texts[2]), (2, texts[0])):
        alone = backbone.encode([text]).latents[0]
        torch.testing.assert_close(latents[row, mask[row]], alone, atol=1e-5, rtol=1e-4)


def test_raw_latents_are_all_turns_in_order(backbone: Backbone, paper: ExamPaper) -> None:
    chosen = torch.tensor([1, 4])
    whole, mask = paper.talks.raw(chosen)
    parts = [paper.talks.turn(chosen, place) for place in range(10)]
    for row in range(2):
        expected = torch.cat([latents[row, present[row]] for latents, present in parts])
        torch.testing.assert_close(whole[row, mask[row]], expected)
        last, last_mask = paper.talks.raw(chosen, 2)
        torch.testing.assert_close(last[row, last_mask[row]], expected[-int(last_mask[row].sum()) :])


def test_foreign_banks_are_never_the_own() -> None:
    for seed in range(30):
        for order in foreign(7, seed, 3):
            assert not (order == torch.arange(7)).any()
            assert sorted(order.tolist()) == list(range(7))
    assert len(foreign(7, 0, 99)) == 6
    with pytest.raises(LatentError, match="at least two"):
        foreign(1, 0)


def test_exam_holds_every_condition(exam: Examination, talks: list[Conversation]) -> None:
    count = sum(len(talk.questions) for talk in talks)
    assert set(exam.f1) == {"memory", "shuffled", "zero", "stateless", "text", "latents", "last 3"}
    assert all(values.shape == (count,) for values in exam.f1.values())
    assert len(exam.knowledge) == 2
    assert exam.lags.max() <= 9


def test_stateless_method_scores_the_stateless_reference(backbone: Backbone, paper: ExamPaper) -> None:
    plain = examine(LatentModel(backbone, method("M.0")), paper, options=OPTIONS)
    for name in ("memory", "shuffled", "zero"):
        assert np.array_equal(plain.f1[name], plain.f1["stateless"])
    assert plain.parameters == 0


def test_a_full_ring_read_by_the_identity_equals_all_raw_latents(backbone: Backbone, paper: ExamPaper) -> None:
    """Without training, the repaired read of a ring that holds everything is the raw-latents reference."""
    model = LatentModel(backbone, method("M.3", form="repaired", rows=200))
    result = examine(model, paper, options=OPTIONS)
    assert np.array_equal(result.f1["memory"], result.f1["latents"])


def test_knowledge_at_the_end_is_the_mean_over_all_questions(exam: Examination) -> None:
    assert exam.knowledge[-1] == pytest.approx(exam.f1["memory"].mean())


def test_a_bank_that_is_not_finite_stops_the_exam(backbone: Backbone, paper: ExamPaper) -> None:
    model = LatentModel(backbone, small("M.3"))
    with torch.no_grad():
        model.write_rule.value.weight[0, 0] = float("inf")
    with pytest.raises(LatentError, match="NaN or infinite"):
        final_banks(model, paper.talks)


def test_references_are_reused(backbone: Backbone, paper: ExamPaper) -> None:
    known = references(paper, OPTIONS)
    again = examine(LatentModel(backbone, small("M.6")), paper, reference=known, options=OPTIONS)
    assert again.f1["text"] is known["text"]


def test_overlapping_splits_are_refused(backbone: Backbone, talks: list[Conversation]) -> None:
    with pytest.raises(LatentError, match="share conversations"):
        Laboratory.of(backbone, (talks[:3], talks[3:5], talks[2:]), OPTIONS)


def test_the_picture_is_drawn(exam: Examination, tmp_path: Path) -> None:
    assert save(forgetting([exam], (0, 3, 6)), tmp_path / "f.png").stat().st_size > 5000


def test_questions_without_an_answer_stand_apart(
    backbone: Backbone, talks: list[Conversation], exam: Examination
) -> None:
    """Category 5 of LoCoMo moves neither the scores nor the knowledge curve, and is told in a line of its own."""
    trap = Question("what car does leo have ?", "not mentioned", (0,), 5)
    trapped = [replace(talk, questions=(*talk.questions, trap)) for talk in talks]
    model = awakened(LatentModel(backbone, small("M.3")))
    again = examine(model, ExamPaper.of(backbone, trapped), options=OPTIONS)
    assert len(again.adversarial.owners) == len(talks)
    assert again.answerable.mean("memory").mean == pytest.approx(exam.mean("memory").mean)
    assert again.knowledge == pytest.approx(exam.knowledge)
    console = Console(record=True, width=100, file=StringIO())
    show([again], (0, 5), console)
    assert f"{len(talks)} questions without an answer, apart: own " in console.export_text()
