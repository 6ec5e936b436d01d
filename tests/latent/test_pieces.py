"""A full device: what counts as one, what is let go before the next try, what is never held at once."""

from __future__ import annotations

import gc
import warnings
import weakref
from typing import Any

import pytest
import torch

from rnnprog.latent.backbone import Backbone
from rnnprog.latent.bank import Bank
from rnnprog.latent.conversations import Conversation
from rnnprog.latent.errors import DeviceMemoryError
from rnnprog.latent.evaluate import ExamOptions, ExamPaper, knowledge_curve
from rnnprog.latent.hebbian import Hebbian
from rnnprog.latent.memory import LatentMemory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.pieces import in_pieces
from rnnprog.latent.sources import CachedProducts, bank_source
from rnnprog.latent.testing import awakened, small
from rnnprog.latent.train import Exercise, TrainConfig, train

QUESTION = "what pet does ana have ?"
SAID = {str(user): ["ana: i have a dog at home", "ben: it rains again"][: 1 + user % 2] for user in range(6)}


def memory(backbone: Backbone) -> LatentMemory:
    return LatentMemory(awakened(LatentModel(backbone, small("M.6", "repaired"))))


@pytest.mark.parametrize(
    "words",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_a_full_device_is_known_by_what_it_says(words: str) -> None:
    def work(piece: slice) -> list[int]:
        if piece.stop - piece.start > 2:
            raise RuntimeError(words)
        return list(range(5))[piece]

    with pytest.warns(RuntimeWarning, match="now 2 items"):
        assert in_pieces(5, 4, work, "items") == [0, 1, 2, 3, 4]


def test_any_other_error_is_raised_as_it_is() -> None:
    def work(piece: slice) -> list[int]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError, match="mat1 and mat2"):
            in_pieces(5, 4, work, "items")


def test_users_are_halved_where_halving_the_texts_did_not_help(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The banks of many users leave no room for the encoder; those of half of them do."""
    mem, calm = memory(backbone), memory(backbone)
    calm.write_all(SAID)
    monkeypatch.setattr(backbone, "batch", 4)
    real, held = backbone.encode, [0]

    def together(users: list[str], join: Any = mem._together) -> Bank:
        held[0] = len(users)
        bank: Bank = join(users)
        return bank

    def tight(texts: list[str], **more: Any) -> Any:
        if held[0] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(texts, **more)

    monkeypatch.setattr(mem, "_together", together)
    monkeypatch.setattr(backbone, "encode", tight)
    with pytest.warns(RuntimeWarning, match="now 3 users"):
        mem.write_all(SAID)
    for user in SAID:
        torch.testing.assert_close(mem.bank(user).rows, calm.bank(user).rows, atol=1e-5, rtol=1e-4)


def test_the_banks_of_all_who_ask_never_lie_side_by_side(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    mem = memory(backbone)
    mem.write_all(SAID)
    asked = [(user, QUESTION) for user in SAID]
    calm = mem.answer_all(asked, max_new_tokens=3)
    real, largest = mem._together, [0]

    def tight(users: list[str]) -> Bank:
        if len(users) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        largest[0] = max(largest[0], len(users))
        return real(users)

    monkeypatch.setattr(mem, "_together", tight)
    with pytest.warns(RuntimeWarning, match="questions"):
        assert mem.answer_all(asked, max_new_tokens=3) == calm
    assert largest[0] == 2


def test_the_graph_of_a_step_that_failed_is_gone_before_the_next_try(
    backbone: Backbone, exercise: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device fills up on the way back; the forward pass of the half must not find the old graph there."""

    class Kept:
        def __init__(self, tensor: torch.Tensor) -> None:
            self.tensor = tensor.detach()

    alive: weakref.WeakSet[Kept] = weakref.WeakSet()

    def keep(tensor: torch.Tensor) -> Kept:
        box = Kept(tensor)
        alive.add(box)
        return box

    model = LatentModel(backbone, small("M.3"))
    loss, backward, counts = model.loss, torch.Tensor.backward, []

    def counted(*parts: Any) -> torch.Tensor:
        counts.append(len(alive))
        return loss(*parts)

    def full_once(tensor: torch.Tensor, *rest: Any, **more: Any) -> None:
        if len(counts) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        backward(tensor, *rest, **more)

    monkeypatch.setattr(model, "loss", counted)
    monkeypatch.setattr(torch.Tensor, "backward", full_once)
    gc.disable()  # a cycle would be found at some later time, a full device cannot wait for it
    try:
        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda box: box.tensor),
            pytest.warns(RuntimeWarning, match="questions a piece"),
        ):
            train(model, exercise, TrainConfig(steps=1, batch=8, warmup=1))
    finally:
        gc.enable()
    assert counts[:2] == [0, 0]


def test_a_full_device_halves_the_knowledge_curve_and_the_cached_products(
    backbone: Backbone, talks: list[Conversation], exercise: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = awakened(LatentModel(backbone, small("M.4", "repaired")))
    paper, options = ExamPaper.of(backbone, talks), ExamOptions(batch=16, max_new_tokens=3)
    calm, source = knowledge_curve(model, paper, options), bank_source(model, exercise.talks)
    assert isinstance(source, CachedProducts)
    write, step = model.write, Hebbian.outer_step

    def tight(bank: Bank, *rest: Any) -> Bank:
        if bank.users > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return write(bank, *rest)

    def tight_step(rule: Hebbian, outer: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(outer) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(rule, outer, *rest)

    monkeypatch.setattr(model, "write", tight)
    with pytest.warns(RuntimeWarning, match="conversations"):
        assert knowledge_curve(model, paper, options) == pytest.approx(calm)
    monkeypatch.setattr(Hebbian, "outer_step", tight_step)
    with pytest.warns(RuntimeWarning, match="conversations"):
        tight_source = bank_source(model, exercise.talks)
    assert isinstance(tight_source, CachedProducts)
    torch.testing.assert_close(tight_source.outer, source.outer)


def test_a_backbone_that_does_not_fit_says_so(
    backbone: Backbone, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone.model.save_pretrained(tmp_path)
    backbone.tokenizer.save_pretrained(tmp_path)

    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(type(backbone.model), "to", full)
    with pytest.raises(DeviceMemoryError, match="does not fit into the memory of cpu"):
        Backbone.load(tmp_path)
