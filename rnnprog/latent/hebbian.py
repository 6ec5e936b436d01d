"""The Hebbian write: one matrix per user that sums outer products of keys and values."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnprog.latent.bank import Bank
from rnnprog.latent.errors import LatentError
from rnnprog.latent.spec import WriteSpec
from rnnprog.latent.writing import WriteRule, exactly


class Hebbian(WriteRule):
    """M = decay M + (1/n) (Z W_K)^T (Z W_V), divided by its Frobenius norm above 1 if ``clamp``.

    The clamp wipes the past (retention per turn becomes decay / norm); without it the matrix is linear in the turns,
    and training can start from cached outer products (``outer_step``, ``from_outer``).
    Source: arXiv 2603.16413, equation 16 and section 4.4.
    """

    def __init__(self, spec: WriteSpec, width: int, seed: int) -> None:
        super().__init__(spec, width, seed)
        self.key = self.projection(width, spec.rows)
        self.value = self.projection(width, spec.rows)
        if spec.clamp:
            self.draw_start()
        else:
            # The unclamped sum must be a function of the turns alone, or the cached products would miss the start.
            self.start_empty()

    @property
    def row_width(self) -> int:
        """The matrix is square."""
        return self.spec.rows

    def turn(self, bank: Bank, latents: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """One outer-product step."""
        count = mask.sum(1).clamp(min=1)[:, None, None]
        keys, values = self.key(latents), self.value(latents) / count
        matrix = torch.baddbmm(bank.rows, keys.transpose(1, 2), values, beta=self.spec.decay)
        if self.spec.clamp:
            shrink = matrix.flatten(1).norm(dim=1).clamp(min=1.0).reciprocal()[:, None, None]
            # The matrix is fresh: without a graph it can be scaled where it lies, which saves a pass over it.
            matrix = matrix * shrink if matrix.requires_grad else matrix.mul_(shrink)
        return matrix, torch.ones_like(bank.filled)

    def outer_step(self, outer: Tensor, latents: Tensor, mask: Tensor) -> Tensor:
        """S = decay S + Z^T Z / n for users who speak; (users, width, width), no parameter involved."""
        present = mask.bool()
        with exactly(outer.device):
            values = latents.to(outer.dtype) * present.unsqueeze(-1)
            fresh = values.transpose(1, 2) @ values / present.sum(1).clamp(min=1)[:, None, None]
            return torch.where(present.any(1)[:, None, None], self.spec.decay * outer + fresh, outer)

    def from_outer(self, outer: Tensor, turns: Tensor) -> Bank:
        """The bank that writing the same turns would give: W_K^T S W_V, with gradients to both projections."""
        if self.spec.clamp:
            raise LatentError("cached outer products need clamp=False: the clamp makes each write depend on the last")
        with exactly(outer.device):
            rows = self.key.weight @ outer.to(self.key.weight.dtype) @ self.value.weight.T
        filled = (turns > 0)[:, None].expand(-1, self.spec.rows)
        return Bank(rows, filled, turns, turns)
