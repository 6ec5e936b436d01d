"""The write rules that keep rows: attention-coupled, sparse slots, addressed slots, token ring."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rnnprog.latent.bank import Bank
from rnnprog.latent.errors import CapacityError, LatentError
from rnnprog.latent.hebbian import Hebbian
from rnnprog.latent.projections import drawn
from rnnprog.latent.spec import WriteSpec
from rnnprog.latent.writing import WriteRule


class AttentionCoupled(WriteRule):
    """Every token spreads its value over the rows by softmax; rows are a decayed running sum.

    The weight of a row grows like tokens / (rows (1 - decay)): the sum is unbounded by design (see the docs).
    Source: arXiv 2603.16413, equations 7, 10, 15, 23.
    """

    def __init__(self, spec: WriteSpec, width: int, seed: int) -> None:
        super().__init__(spec, width, seed)
        self.query = self.projection(width, width)
        self.key = self.projection(width, width)
        self.value = self.projection(width, width)
        self.draw_start()

    def turn(self, bank: Bank, latents: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """P = decay P + A^T (Z W_V), A = softmax over rows of (Z W_Q)(P W_K)^T / sqrt(width)."""
        scale, decay = 1.0 / math.sqrt(self.width), self.spec.decay
        # Products are associative: the square maps go to whichever is shorter, the turn or the bank. Rows come first,
        # since a softmax over a short last dimension is slow. Padded latents are zero and bring nothing without a mask.
        if bank.rows.shape[1] < latents.shape[1]:
            keys = self.key(bank.rows) @ (self.query.weight * scale)
            brought = (keys @ latents.transpose(1, 2)).softmax(1) @ latents
            return torch.add(self.value(brought), bank.rows, alpha=decay), torch.ones_like(bank.filled)
        queries = self.query(latents) @ (self.key.weight * scale)
        weights = (bank.rows @ queries.transpose(1, 2)).softmax(1)
        rows = torch.baddbmm(bank.rows, weights, self.value(latents), beta=decay)
        return rows, torch.ones_like(bank.filled)


class SparseSlots(WriteRule):
    """The mean of a turn goes to its ``top_k`` best slots; the others do not even decay.

    Source: arXiv 2603.16413, equations 24-28.
    """

    def __init__(self, spec: WriteSpec, width: int, seed: int) -> None:
        super().__init__(spec, width, seed)
        self.address = self.projection(width, width)
        self.update = self.projection(width, width)
        self.draw_start()

    def turn(self, bank: Bank, latents: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """P[s] = decay P[s] + (1 - decay) mean(Z) W_u for the top_k slots."""
        mean = latents.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        scores = (self.address(mean).unsqueeze(1) @ bank.rows.transpose(1, 2)).squeeze(1) / math.sqrt(self.width)
        chosen = torch.zeros_like(bank.filled).scatter(1, scores.topk(self.spec.top_k, dim=1).indices, True)
        decay = self.spec.decay
        fresh = decay * bank.rows + (1.0 - decay) * self.update(mean).unsqueeze(1)
        return torch.where(chosen.unsqueeze(-1), fresh, bank.rows), chosen


class AddressedSlots(WriteRule):
    """Repaired slots: fixed random unit keys as addresses, sharp token addressing, convex overwriting.

    Distinct addresses keep rows from becoming copies of each other; overwriting keeps their scale bounded.
    """

    def __init__(self, spec: WriteSpec, width: int, seed: int) -> None:
        super().__init__(spec, width, seed)
        keys = drawn(spec.rows, width, deviation=1.0, generator=self.generator)
        self.register_buffer("keys", torch.nn.functional.normalize(keys, dim=-1))
        self.query = self.projection(width, width, "identity")
        self.value = self.projection(width, width, "identity")
        self.start_empty()

    def turn(self, bank: Bank, latents: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """P[s] = (1 - w_s) P[s] + w_s mean of the values sent to s, w_s = their total weight, at most 1."""
        queries = torch.nn.functional.normalize(self.query(latents), dim=-1)
        weights = (self.spec.sharpness * queries @ self.keys.T).softmax(-1) * mask.unsqueeze(-1)
        total = weights.sum(1)
        incoming = weights.transpose(1, 2) @ self.value(latents) / total.clamp(min=1e-6).unsqueeze(-1)
        share = total.clamp(max=1.0).unsqueeze(-1)
        return self.spec.decay * (1.0 - share) * bank.rows + share * incoming, total > 0.01


class TokenRing(WriteRule):
    """The raw latents of the last tokens, oldest overwritten first.

    The honest reference for every compressing bank: it forgets only by running out of rows.
    """

    def __init__(self, spec: WriteSpec, width: int, seed: int) -> None:
        super().__init__(spec, width, seed)
        if spec.trained:
            raise LatentError("the token ring has no write parameters: drop trained=True")
        self.start_empty()

    def turn(self, bank: Bank, latents: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Real tokens go to the rows after the last one written, around the end."""
        capacity = self.spec.rows
        if mask.shape[1] > capacity and (longest := int(mask.sum(1).max())) > capacity:
            raise CapacityError(
                f"a turn of {longest} tokens does not fit into a ring of {capacity} rows: raise rows to at least that"
            )
        order = bank.tokens[:, None] + mask.cumsum(1) - 1
        # Padding goes to one spare row behind the ring, which is cut off again.
        target = torch.where(mask, order % capacity, torch.full_like(order, capacity))
        spare = torch.zeros_like(bank.rows[:, :1])
        rows = torch.cat([self.spec.decay * bank.rows, spare], 1)
        rows = rows.scatter(1, target.unsqueeze(-1).expand_as(latents), latents)
        touched = torch.zeros(*rows.shape[:2], dtype=torch.bool, device=rows.device).scatter(1, target, True)
        return rows[:, :-1], touched[:, :-1]


_RULES: dict[str, type[WriteRule]] = {
    "attention": AttentionCoupled,
    "hebbian": Hebbian,
    "slots": SparseSlots,
    "addressed": AddressedSlots,
    "ring": TokenRing,
}


def write_rule(spec: WriteSpec, width: int, seed: int = 0) -> WriteRule:
    """The write rule that a spec names, for latents of this width."""
    return _RULES[spec.rule](spec, width, seed)
