"""The path of another device, without one: tensors on ``meta`` refuse a stray CPU tensor and every wait for a value."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from rnnprog.latent.backbone import Backbone
from rnnprog.latent.bank import Bank
from rnnprog.latent.conditioning import Encoded
from rnnprog.latent.conversations import Conversation
from rnnprog.latent.evaluate import ExamOptions, ExamPaper, examine, references
from rnnprog.latent.model import LatentModel
from rnnprog.latent.spec import Form
from rnnprog.latent.talks import final_banks
from rnnprog.latent.testing import FORMS, NAMED, awakened, small
from rnnprog.latent.train import Exercise, TrainConfig, train

SAID = ["ana: i have a dog at home", "ben: how are you"]


@pytest.fixture(scope="module")
def elsewhere(backbone: Backbone) -> Backbone:
    return Backbone(copy.deepcopy(backbone.model).to("meta", torch.bfloat16), backbone.tokenizer)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMED)
def test_a_turn_is_written_and_read_on_another_device_without_waiting(
    elsewhere: Backbone, name: str, form: Form
) -> None:
    model = LatentModel(elsewhere, small(name, form))
    ids, mask = elsewhere.tokens(SAID)
    encoded = Encoded(ids, mask, torch.zeros(*ids.shape, elsewhere.width, dtype=elsewhere.dtype, device="meta"))
    bank = model.write(model.empty(2), encoded.latents, encoded.mask)
    assert bank.rows.device.type == "meta"
    assert bank.rows.dtype is torch.float32
    if name == "M.1" and form != "proxy":
        return  # the true prefix runs the library's encoder, which itself asks for a value of its mask
    conditioned = model.condition(bank.select([1, 0]), encoded)
    assert conditioned.latents.device.type == conditioned.mask.device.type == "meta"
    if conditioned.branch is not None:
        states = torch.zeros(2, 3, elsewhere.width, dtype=torch.bfloat16, device="meta")
        assert conditioned.branch(0, states).shape == states.shape


def full(work: Any, *, above: int) -> Any:
    """``work``, but the device is full whenever its first argument has more than ``above`` rows."""

    def tight(first: Any, *more: Any, **named: Any) -> Any:
        if len(getattr(first, "latents", first)) > above:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return work(first, *more, **named)

    return tight


def test_a_full_device_halves_every_part_of_an_exam(
    backbone: Backbone, talks: list[Conversation], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = awakened(LatentModel(backbone, small("M.4", "repaired")))
    paper, options = ExamPaper.of(backbone, talks), ExamOptions(batch=16, max_new_tokens=3)
    calm = examine(model, paper, options=options)
    monkeypatch.setattr(backbone, "generate", full(backbone.generate, above=3))
    with pytest.warns(RuntimeWarning, match="batch is now 2 questions"):
        tight = examine(model, paper, reference=calm.f1, options=options)
    for condition in ("memory", "shuffled", "zero"):
        assert np.array_equal(tight.f1[condition], calm.f1[condition])
    assert tight.knowledge == calm.knowledge
    with pytest.warns(RuntimeWarning, match="batch is now 2 texts"):
        assert np.array_equal(references(paper, options)["text"], calm.f1["text"])


def test_a_full_device_halves_the_validation(
    backbone: Backbone, exercise: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(steps=2, batch=4, warmup=1, check_every=1, seed=5)
    one, two = (LatentModel(backbone, small("M.6", "repaired")) for _ in range(2))
    calm = train(one, exercise, config, validation=exercise)
    real = two.loss

    def tight_loss(bank: Bank, *rest: Any) -> torch.Tensor:
        if bank.users > 12:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return real(bank, *rest)

    monkeypatch.setattr(two, "loss", tight_loss)
    with pytest.warns(RuntimeWarning, match="validation questions"):
        tight = train(two, exercise, config, validation=exercise)
    assert tight.best == pytest.approx(calm.best, rel=1e-4)


def test_a_full_device_halves_the_writing_of_final_banks(
    backbone: Backbone, exercise: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LatentModel(backbone, small("M.6", "repaired"))
    calm, write = final_banks(model, exercise.talks), model.write

    def tight(bank: Bank, *rest: Any) -> Bank:
        if bank.users > 4:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return write(bank, *rest)

    monkeypatch.setattr(model, "write", tight)
    with pytest.warns(RuntimeWarning, match="batch is now 4 conversations"):
        small_parts = final_banks(model, exercise.talks)
    torch.testing.assert_close(small_parts.rows, calm.rows)
    assert torch.equal(small_parts.turns, calm.turns)
