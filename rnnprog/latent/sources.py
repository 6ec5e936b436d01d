"""Where training gets its banks from: cached constants, cached outer products, or a walk with gradients."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from rnnprog.latent.bank import Bank
from rnnprog.latent.hebbian import Hebbian
from rnnprog.latent.model import LatentModel
from rnnprog.latent.pieces import in_pieces
from rnnprog.latent.talks import EncodedTalks, final_banks, outer_products

_CHUNK = 256


class BankSource(Protocol):
    """Gives the final bank of each conversation of a batch."""

    def banks(self, owners: Tensor) -> Bank:
        """One bank for each entry of ``owners`` (conversation numbers, repetitions allowed)."""
        ...


class CachedBanks:
    """Frozen writes make the final bank of a conversation a constant: write once, then only look up."""

    def __init__(self, model: LatentModel, talks: EncodedTalks) -> None:
        self.bank = final_banks(model, talks)

    def banks(self, owners: Tensor) -> Bank:
        """The stored banks."""
        return self.bank.select(owners)


class CachedProducts:
    """Unclamped Hebbian writes are linear in cached outer products, so training their projections costs no walk."""

    def __init__(self, model: LatentModel, talks: EncodedTalks) -> None:
        self.rule: Hebbian = model.write_rule
        everyone = torch.arange(len(talks.counts), device=talks.counts.device)

        def work(piece: slice) -> list[Tensor]:
            return list(outer_products(self.rule, talks, everyone[piece]).unbind())

        self.outer = torch.stack(in_pieces(len(everyone), _CHUNK, work, "conversations"))
        self.turns = talks.counts

    def banks(self, owners: Tensor) -> Bank:
        """W_K^T S W_V of each conversation in the batch."""
        distinct, back = owners.unique(return_inverse=True)
        return self.rule.from_outer(self.outer[distinct], self.turns[distinct]).select(back)


class ReplayedWrites:
    """True back-propagation through the writes: every batch walks its conversations again.

    ``window`` cuts the gradient after that many last turns (None: never).
    """

    def __init__(self, model: LatentModel, talks: EncodedTalks, window: int | None = None) -> None:
        self.model = model
        self.talks = talks
        self.window = window

    def banks(self, owners: Tensor) -> Bank:
        """Banks with a graph that reaches back through the turns."""
        distinct, back = owners.unique(return_inverse=True)
        counts = self.talks.counts[distinct]
        bank = self.model.empty(len(distinct))
        for place in range(int(counts.max())):
            latents, mask = self.talks.turn(distinct, place)
            bank = self.model.write(bank, latents, mask)
            if self.window is not None:
                old = (place < counts - self.window)[:, None, None]
                bank = Bank(torch.where(old, bank.rows.detach(), bank.rows), bank.filled, bank.turns, bank.tokens)
        return bank.select(back)


def bank_source(model: LatentModel, talks: EncodedTalks, *, window: int | None = None) -> BankSource:
    """The cheapest source that is exact for this method."""
    write = model.spec.write
    if write is None or not write.trained:
        return CachedBanks(model, talks)
    if write.rule == "hebbian" and not write.clamp and window is None:
        return CachedProducts(model, talks)
    return ReplayedWrites(model, talks, window)
