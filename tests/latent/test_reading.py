"""Attention over a bank: what is done once for all decoding steps changes no answer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rnnprog.latent.backbone import Backbone
from rnnprog.latent.conditioning import Conditioned, Encoded, branches
from rnnprog.latent.model import LatentModel
from rnnprog.latent.projections import projection
from rnnprog.latent.reading import attend, reader
from rnnprog.latent.spec import method
from rnnprog.latent.testing import awakened, small

LABELS = torch.tensor([[5, 6, 1], [7, 1, -100]])


def linear(seed: int) -> nn.Linear:
    return projection(6, 6, "default", torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 200), fold=st.booleans(), mapped=st.booleans(), size=st.floats(0.1, 30.0))
@settings(max_examples=30, deadline=None)
def test_reading_in_steps_equals_plain_attention(seed: int, fold: bool, mapped: bool, size: float) -> None:
    random = torch.Generator().manual_seed(seed)
    keys, values = size * torch.randn(3, 5, 6, generator=random), torch.randn(3, 5, 6, generator=random)
    mask = torch.rand(3, 5, generator=random) > 0.4
    mask[2] = False
    states = torch.randn(3, 4, 6, generator=random)
    query, output = linear(seed + 1), linear(seed + 2) if mapped else None
    plain = attend(query(states), keys, values, mask)
    plain = output(plain) if output else plain
    assert torch.equal(reader(query, keys, values, mask, output=output, fold=fold)(states), plain)
    with torch.no_grad():
        read = reader(query, keys, values, mask, output=output, fold=fold)
        torch.testing.assert_close(read(states), plain, atol=1e-4, rtol=1e-4)
        assert not read(states)[2].any()


def test_only_a_bank_read_more_often_than_it_has_rows_is_folded(backbone: Backbone) -> None:
    few, many = (LatentModel(backbone, method("M.2", rows=rows)) for rows in (16 * backbone.layers, 400))
    assert few.read_path.repeats(few.empty().rows)
    assert not many.read_path.repeats(many.empty().rows)
    proxy = LatentModel(backbone, small("M.2", "proxy"))
    assert not proxy.read_path.repeats(proxy.empty().rows)


@pytest.mark.parametrize("rows", [8, 400])
@pytest.mark.parametrize("name", ["M.2", "M.5"])
def test_a_branch_says_the_same_with_and_without_gradients(
    backbone: Backbone, question: Encoded, name: str, rows: int
) -> None:
    model = awakened(LatentModel(backbone, method(name, rows=rows)))
    said = backbone.encode(["ana: i have a dog at home", "ben: i live in paris now"])
    bank = model.write(model.empty(2), said.latents, said.mask)
    taught = backbone.logits(model.condition(bank, question), LABELS)
    assert taught.requires_grad
    with torch.no_grad():
        asked = backbone.logits(model.condition(bank, question), LABELS)
    torch.testing.assert_close(asked, taught, atol=2e-5, rtol=1e-4)
    plain = backbone.logits(Conditioned(question.latents, question.mask), LABELS)
    assert (asked - plain).abs().max() > 1e-3


def test_a_branch_gets_the_normed_states_of_every_layer_and_adds_to_the_residual(
    backbone: Backbone, question: Encoded
) -> None:
    """By hand: the frozen sub-layer's residual stream plus the branch of the states its own norm gives."""
    layer = backbone.model.get_decoder().block[1].layer[1]
    seen: list[tuple[int, torch.Tensor]] = []
    before: list[torch.Tensor] = []

    def branch(index: int, states: torch.Tensor) -> torch.Tensor:
        seen.append((index, states))
        return torch.full_like(states, 0.5)

    handles = [layer.register_forward_hook(lambda _, args, output: before.extend([args[0], output[0]]))]
    follow: list[torch.Tensor] = []
    handles.append(
        backbone.model.get_decoder().block[1].layer[2].register_forward_pre_hook(lambda _, args: follow.append(args[0]))
    )
    with branches(backbone.model, branch):
        backbone.model(
            encoder_outputs=(question.latents,), attention_mask=question.mask.long(), labels=LABELS.clamp(min=0)
        )
    for handle in handles:
        handle.remove()
    assert [index for index, _ in seen] == [0, 1]
    torch.testing.assert_close(seen[1][1], layer.layer_norm(before[0]))
    torch.testing.assert_close(follow[0], before[1] + 0.5)
