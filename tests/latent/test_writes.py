"""The write rules against hand computation and their stated limits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnprog.latent.bank import Bank
from rnnprog.latent.errors import BankError, CapacityError, LatentError
from rnnprog.latent.hebbian import Hebbian
from rnnprog.latent.spec import ReadSpec, WriteSpec
from rnnprog.latent.write_rules import AttentionCoupled, SparseSlots, TokenRing, write_rule

RULES = ("attention", "hebbian", "slots", "ring", "addressed")


def make(rule: str, rows: int = 12, **more: object):  # type: ignore[no-untyped-def]
    return write_rule(WriteSpec(rule, rows=rows, top_k=3, **more), width=8, seed=3)  # type: ignore[arg-type]


def turn(users: int = 2, tokens: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    latents = torch.randn(users, tokens, 8, generator=torch.Generator().manual_seed(seed))
    return latents, torch.ones(users, tokens, dtype=torch.bool)


@pytest.mark.parametrize("rule", RULES)
def test_a_frozen_write_leaves_no_graph(rule: str) -> None:
    writer = make(rule)
    latents, mask = turn()
    bank = writer(writer.empty(2), latents.requires_grad_(), mask)
    assert not bank.rows.requires_grad
    assert bank.rows.grad_fn is None


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "ring"])
def test_a_trained_write_passes_gradients_to_every_projection(rule: str) -> None:
    writer = make(rule, trained=True)
    latents, mask = turn()
    bank = writer(writer(writer.empty(2), latents, mask), *turn(seed=1))
    bank.rows.square().sum().backward()
    missing = [
        name for name, weight in writer.named_parameters() if weight.grad is None or not weight.grad.abs().sum() > 0
    ]
    # The choice of the best slots is not differentiable: its address map gets nothing, in the equations too.
    assert missing == (["address.weight"] if rule == "slots" else [])


@pytest.mark.parametrize("rule", RULES)
@given(extra=st.integers(1, 4), seed=st.integers(0, 50))
@settings(max_examples=10, deadline=None)
def test_padding_does_not_change_a_masked_write(rule: str, extra: int, seed: int) -> None:
    writer = make(rule)
    latents, mask = turn(seed=seed)
    noise = 100 * torch.ones(2, extra, 8)
    padded = torch.cat([latents, noise], 1), torch.cat([mask, torch.zeros(2, extra, dtype=torch.bool)], 1)
    start = writer(writer.empty(2), *turn(seed=seed + 1))
    plain, other = writer(start, latents, mask), writer(start, *padded)
    torch.testing.assert_close(plain.rows, other.rows)
    assert torch.equal(plain.filled, other.filled)
    assert torch.equal(plain.tokens, other.tokens)


@pytest.mark.parametrize("rule", RULES)
def test_users_do_not_touch_each_other_and_the_silent_keep_their_bank(rule: str) -> None:
    writer = make(rule)
    latents, mask = turn()
    together = writer(writer.empty(2), latents, mask)
    alone = writer(writer.empty(1), latents[1:], mask[1:])
    torch.testing.assert_close(together.rows[1:], alone.rows)
    silent = torch.stack([mask[0], torch.zeros_like(mask[1])])
    after = writer(together, *(turn(seed=5)[0], silent))
    assert torch.equal(after.rows[1], together.rows[1])
    assert not torch.equal(after.rows[0], together.rows[0])
    assert after.turns.tolist() == [2, 1]


def test_attention_coupled_by_hand() -> None:
    writer = make("attention")
    assert isinstance(writer, AttentionCoupled)
    start = writer.empty(1)
    latents, mask = turn(users=1)
    z, p = latents[0], start.rows[0]
    scores = (z @ writer.query.weight.T) @ (p @ writer.key.weight.T).T / math.sqrt(8)
    weights = scores.softmax(-1)
    torch.testing.assert_close(weights.sum(1), torch.ones(5))
    expected = 0.95 * p + weights.T @ (z @ writer.value.weight.T)
    torch.testing.assert_close(writer(start, latents, mask).rows[0], expected)


def test_attention_coupled_rows_stay_equal_from_a_zero_bank() -> None:
    writer = make("attention")
    bank = writer.empty(2).zeroed()
    for seed in range(5):
        bank = writer(bank, *turn(seed=seed))
    assert bank.rows.abs().max() > 0.1
    torch.testing.assert_close(bank.rows, bank.rows[:, :1].expand_as(bank.rows))


def test_attention_coupled_size_falls_with_capacity() -> None:
    """Tenfold capacity divides the scale of a row by about ten: the published collapse is partly this."""
    sizes = []
    for rows in (8, 80):
        writer = make("attention", rows=rows)
        bank = writer.empty(2)
        for seed in range(60):
            bank = writer(bank, *turn(seed=seed % 7))
        sizes.append(float(bank.rows.pow(2).mean().sqrt()))
    assert sizes[0] > 5 * sizes[1]


@given(seed=st.integers(0, 200), scale=st.floats(0.1, 50.0))
@settings(max_examples=25, deadline=None)
def test_clamped_hebbian_norm_is_at_most_one(seed: int, scale: float) -> None:
    writer = make("hebbian")
    bank = writer.empty(2)
    for step in range(3):
        latents, mask = turn(seed=seed + step)
        bank = writer(bank, scale * latents, mask)
        assert bank.rows.flatten(1).norm(dim=1).max() <= 1.0 + 1e-5


def test_hebbian_by_hand_without_clamp() -> None:
    writer = make("hebbian", clamp=False, decay=0.9)
    first, second = turn(users=1, seed=1), turn(users=1, seed=2)
    bank = writer(writer(writer.empty(1), *first), *second)
    parts = []
    for latents, _ in (first, second):
        z = latents[0]
        parts.append((z @ writer.key.weight.T).T @ (z @ writer.value.weight.T) / 5)
    torch.testing.assert_close(bank.rows[0], 0.9 * parts[0] + parts[1])


@given(turns=st.integers(1, 6), decay=st.floats(0.5, 1.0))
@settings(max_examples=15, deadline=None)
def test_cached_outer_products_equal_the_walk(turns: int, decay: float) -> None:
    writer = make("hebbian", clamp=False, decay=decay, trained=True)
    assert isinstance(writer, Hebbian)
    bank, outer = writer.empty(2), torch.zeros(2, 8, 8)
    for seed in range(turns):
        latents, mask = turn(seed=seed)
        mask[1, 3:] = False
        bank = writer(bank, latents, mask)
        outer = writer.outer_step(outer, latents, mask)
    cached = writer.from_outer(outer, bank.turns)
    torch.testing.assert_close(cached.rows, bank.rows, atol=1e-5, rtol=1e-4)
    walk = torch.autograd.grad(bank.rows.square().sum(), writer.key.weight)[0]
    short = torch.autograd.grad(cached.rows.square().sum(), writer.key.weight)[0]
    torch.testing.assert_close(short, walk, atol=1e-4, rtol=1e-3)


def test_cached_outer_products_refuse_the_clamp() -> None:
    writer = make("hebbian")
    with pytest.raises(LatentError, match="clamp=False"):
        writer.from_outer(torch.zeros(1, 8, 8), torch.ones(1))


def test_sparse_slots_change_at_most_top_k_rows_and_match_the_equation() -> None:
    writer = make("slots")
    assert isinstance(writer, SparseSlots)
    start = writer.empty(1)
    latents, mask = turn(users=1)
    after = writer(start, latents, mask)
    changed = (after.rows[0] != start.rows[0]).any(1)
    assert changed.sum() == 3
    assert torch.equal(changed, after.filled[0])
    scores = (latents[0].mean(0) @ writer.address.weight.T) @ start.rows[0].T / math.sqrt(8)
    assert set(scores.topk(3).indices.tolist()) == set(changed.nonzero().flatten().tolist())
    slot = int(scores.argmax())
    expected = 0.95 * start.rows[0, slot] + 0.05 * (latents[0].mean(0) @ writer.update.weight.T)
    torch.testing.assert_close(after.rows[0, slot], expected)


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_the_ring_holds_exactly_the_last_tokens(sizes: list[int]) -> None:
    writer = make("ring", rows=7, decay=1.0)
    assert isinstance(writer, TokenRing)
    bank, said = writer.empty(1), []
    for seed, size in enumerate(sizes):
        latents, mask = turn(users=1, tokens=size, seed=seed)
        bank = writer(bank, latents, mask)
        said += latents[0].tolist()
    kept = bank.rows[0][bank.filled[0]].tolist()
    assert sorted(kept) == sorted(said[-7:])


def test_a_turn_longer_than_the_ring_is_refused() -> None:
    writer = make("ring", rows=4)
    with pytest.raises(CapacityError, match=r"5 tokens.*4 rows"):
        writer(writer.empty(2), *turn())


def test_addressed_slots_stay_bounded_and_distinct() -> None:
    writer = make("addressed", rows=16, decay=1.0)
    bank = writer.empty(2)
    for seed in range(60):
        bank = writer(bank, *turn(seed=seed))
    assert bank.rows.abs().max() < 6
    spread = bank.rows.std(1).mean() / bank.rows.abs().mean()
    assert spread > 0.3


@pytest.mark.parametrize("rule", RULES)
def test_equal_seeds_give_equal_banks_and_reset_returns_to_the_start(rule: str) -> None:
    one, two = make(rule), make(rule)
    latents, mask = turn()
    assert torch.equal(one(one.empty(2), latents, mask).rows, two(two.empty(2), latents, mask).rows)
    assert torch.equal(one.empty(2).rows, two.empty(2).rows)


@pytest.mark.parametrize("rule", RULES)
def test_bank_size_is_rows_times_width_times_bytes(rule: str) -> None:
    bank = make(rule).empty(3)
    rows, width = bank.rows.shape[1:]
    assert bank.nbytes == 3 * rows * width * 4


def test_misfits_are_named() -> None:
    writer = make("attention")
    latents, mask = turn()
    with pytest.raises(BankError, match="2 turns for 3 users"):
        writer(writer.empty(3), latents, mask)
    with pytest.raises(BankError, match="6 wide"):
        writer(writer.empty(2), latents[..., :6], mask)
    with pytest.raises(BankError, match="bank rows"):
        writer(make("attention", rows=5).empty(2), latents, mask)
    with pytest.raises(BankError, match="users=0"):
        writer.empty(0)


@pytest.mark.parametrize("top_k", [0, -1])
def test_slots_are_written_or_refused(top_k: int) -> None:
    with pytest.raises(CapacityError, match="at least one slot"):
        WriteSpec("slots", top_k=top_k)


def test_unknown_parts_are_refused_by_name() -> None:
    with pytest.raises(LatentError, match="no write rule 'sum': choose among attention"):
        WriteSpec("sum")  # type: ignore[arg-type]
    with pytest.raises(LatentError, match="no read path 'direct': choose among prefix"):
        ReadSpec("direct")  # type: ignore[arg-type]
    with pytest.raises(LatentError, match="no start 'ones': choose among zeros"):
        ReadSpec("gated", initial="ones")  # type: ignore[arg-type]
    with pytest.raises(CapacityError, match="rows=True"):
        WriteSpec("slots", rows=True, top_k=1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"rows": 0}, "rows=0"), ({"decay": 0.0}, "decay=0.0"), ({"decay": 1.1}, "decay=1.1")],
)
def test_bad_specs_are_refused(fields: dict[str, float], words: str) -> None:
    with pytest.raises(LatentError, match=words):
        WriteSpec("attention", **fields)  # type: ignore[arg-type]


def test_a_bank_with_nan_names_its_users() -> None:
    bank = make("attention").empty(3)
    bank.rows[1, 0, 0] = math.nan
    with pytest.raises(BankError, match=r"\[1\]"):
        bank.checked()


def test_join_and_select_round_trip() -> None:
    bank = make("slots").empty(3)
    parts = [bank.select([place]) for place in range(3)]
    assert torch.equal(Bank.joined(parts).rows, bank.rows)
    with pytest.raises(BankError, match="no banks"):
        Bank.joined([])
