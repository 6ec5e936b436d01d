"""Number types: banks stay what they are under autocast, losses are float32, and torch's defaults change nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from rnnprog.cells.base import Experience
from rnnprog.latent.backbone import Backbone
from rnnprog.latent.bank import Bank
from rnnprog.latent.cell import LatentCell
from rnnprog.latent.conditioning import Conditioned, Encoded
from rnnprog.latent.errors import BankError
from rnnprog.latent.hebbian import Hebbian
from rnnprog.latent.memory import LatentMemory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.spec import Form, method
from rnnprog.latent.synthetic import World
from rnnprog.latent.testing import FORMS, NAMED, small
from rnnprog.latent.train import Exercise, TrainConfig, train

SAID = ["ana: i have a dog at home", "ben: it rains again"]
QUESTION = "what pet does ana have ?"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMED)
def test_autocast_changes_neither_the_type_nor_the_digits_of_a_bank(backbone: Backbone, name: str, form: Form) -> None:
    model = LatentModel(backbone, small(name, form))
    encoded = backbone.encode(SAID)
    plain = model.write(model.empty(2), encoded.latents, encoded.mask)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        cast = model.write(model.empty(2), encoded.latents, encoded.mask)
    assert cast.rows.dtype is torch.float32
    assert torch.equal(cast.rows, plain.rows)


def test_autocast_does_not_round_cached_products(backbone: Backbone, exercise: Exercise) -> None:
    rule = LatentModel(backbone, small("M.4", "repaired")).write_rule
    assert isinstance(rule, Hebbian)
    turn, zeros = exercise.talks.turn(torch.arange(3), 0), torch.zeros(3, rule.width, rule.width)
    outer = rule.outer_step(zeros, *turn)
    bank = rule.from_outer(outer, torch.ones(3, dtype=torch.long))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(rule.outer_step(zeros, *turn), outer)
        assert torch.equal(rule.from_outer(outer, torch.ones(3, dtype=torch.long)).rows, bank.rows)


@pytest.mark.parametrize("name", NAMED)
def test_training_and_answering_work_under_autocast(backbone: Backbone, exercise: Exercise, name: str) -> None:
    model = LatentModel(backbone, small(name, "repaired"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        report = train(model, exercise, TrainConfig(steps=2, batch=8, warmup=1), validation=exercise)
        mem = LatentMemory(model)
        mem.write(SAID)
        assert isinstance(mem.answer(QUESTION, max_new_tokens=3), str)
    assert report.loss > 0
    assert all(weight.dtype is torch.float32 for weight in model.parameters())


def test_the_loss_of_a_half_precision_backbone_has_all_its_digits(backbone: Backbone, question: Encoded) -> None:
    """A mean in bfloat16 has three digits: early stopping would not see what changed."""
    half = Backbone(copy.deepcopy(backbone.model).to(torch.bfloat16), backbone.tokenizer)
    labels = torch.tensor([[5, 6, 1], [7, 1, -100]])
    view = Conditioned(question.latents.bfloat16(), question.mask)
    logits = half.logits(view, labels).double()
    chances = logits.log_softmax(-1)
    by_hand = -(chances[0, 0, 5] + chances[0, 1, 6] + chances[0, 2, 1] + chances[1, 0, 7] + chances[1, 1, 1]) / 5
    loss = half.loss(view, labels)
    assert loss.dtype is torch.float32
    assert float(loss) == pytest.approx(float(by_hand), rel=1e-6)


def test_a_bank_of_another_precision_is_read_in_the_models_own(backbone: Backbone, tmp_path: Path) -> None:
    half = LatentMemory(LatentModel(backbone, small("M.3", "repaired")).to(torch.bfloat16))
    half.write(SAID)
    half.save(tmp_path / "bank.safetensors")
    full = LatentMemory(LatentModel(backbone, small("M.3", "repaired")))
    full.load(tmp_path / "bank.safetensors")
    assert full.bank().rows.dtype is torch.float32
    assert isinstance(full.answer(QUESTION, max_new_tokens=3), str)
    cell = LatentCell("said, question -> answer", half)
    carry = cell.learn(cell.initial(), Experience("0", 0, {"said": SAID[0], "question": QUESTION}, None)).carry
    again = cell.load_carry(cell.dump_carry(carry))
    assert again.rows.dtype is torch.bfloat16
    assert torch.equal(again.rows, carry.rows)
    assert cell.predict(again, {"question": QUESTION}).failure is None


def test_a_stored_bank_whose_parts_do_not_fit_is_refused(backbone: Backbone) -> None:
    model = LatentModel(backbone, small("M.6"))
    good = model.empty(2)
    assert torch.equal(model.settled(good).rows, good.rows)
    for wrong in (
        Bank(good.rows[:, :-1], good.filled, good.turns, good.tokens),
        Bank(good.rows, good.filled[:, :-1], good.turns, good.tokens),
        Bank(good.rows, good.filled, good.turns[:1], good.tokens),
    ):
        with pytest.raises(BankError, match="stored bank"):
            model.settled(wrong)


@contextmanager
def default_dtype(kind: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMED)
def test_torchs_defaults_change_no_adapter(backbone: Backbone, name: str, form: Form) -> None:
    """Equal seeds give equal weights, whatever default type or device a program has set."""
    plain = LatentModel(backbone, small(name, form)).state_dict()
    with default_dtype(torch.bfloat16):
        typed = LatentModel(backbone, small(name, form)).state_dict()
    with torch.device("meta"):
        placed = LatentModel(backbone, small(name, form)).state_dict()
    for key, weight in plain.items():
        assert torch.equal(typed[key], weight)
        assert torch.equal(placed[key], weight)


def test_padding_on_the_left_is_not_asked_for(world: World, backbone: Backbone) -> None:
    """A tokenizer that pads on the left: questions are cut on the right."""
    turned = copy.deepcopy(backbone.tokenizer)
    turned.padding_side = "left"
    other = Backbone(backbone.model, turned)
    texts = ["ana: hello", "ben: i live in paris now"]
    assert torch.equal(other.encode(texts).mask, backbone.encode(texts).mask)
    assert torch.equal(other.labels(["dog", "a dog at home"]), backbone.labels(["dog", "a dog at home"]))
    assert method("M.1").read is not None
