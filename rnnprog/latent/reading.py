"""The contract of every read path: rows of memory and a question go in, the decoder's view comes out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rnnprog.latent.backbone import Backbone
from rnnprog.latent.bank import Bank
from rnnprog.latent.conditioning import Conditioned, Encoded
from rnnprog.latent.projections import projection
from rnnprog.latent.spec import Initial, ReadSpec


class ReadPath(nn.Module):
    """Base of the read paths. ``rows`` are (batch, rows, row width) and ``mask`` (batch, rows) says which exist."""

    def __init__(self, spec: ReadSpec, row_width: int, backbone: Backbone, seed: int) -> None:
        super().__init__()
        self.spec = spec
        self.row_width = row_width
        self.width = backbone.width
        self.layers = backbone.layers
        self._generator = torch.Generator().manual_seed(seed)

    def projection(self, inputs: int, outputs: int, initial: Initial | None = None) -> nn.Linear:
        """A trained map with the spec's start unless another is named."""
        return projection(inputs, outputs, initial or self.spec.initial, self._generator)

    def forward(self, backbone: Backbone, question: Encoded, rows: Tensor, mask: Tensor) -> Conditioned:
        """What the decoder is given for this question."""
        if self.spec.normalised:
            rows = rows / rows.pow(2).mean(-1, keepdim=True).add(1e-6).sqrt()
        if not self.spec.masked:
            mask = torch.ones_like(mask)
        return self.condition(backbone, question, rows, mask)

    def repeats(self, rows: Tensor) -> bool:
        """Whether decoding reads these rows so often that a product for each row pays: in every layer and step."""
        return not self.spec.as_positions and rows.shape[1] <= 16 * self.layers

    def condition(self, backbone: Backbone, question: Encoded, rows: Tensor, mask: Tensor) -> Conditioned:
        """Inject the rows."""
        raise NotImplementedError


class Lookup(nn.Module):
    """Whole-bank read: every row of the bank is handed on."""

    def forward(self, bank: Bank, question: Encoded, masked: bool) -> tuple[Tensor, Tensor]:
        """Rows and mask of the bank as they are."""
        return bank.rows, bank.filled


class HebbianLookup(nn.Module):
    """Query read of a Hebbian matrix: R = (Z W_Q) M, one row for each token of the question.

    Source: arXiv 2603.16413, section 4.4.
    """

    def __init__(self, width: int, side: int, seed: int) -> None:
        super().__init__()
        self.query = projection(width, side, "normal", torch.Generator().manual_seed(seed))

    def forward(self, bank: Bank, question: Encoded, masked: bool) -> tuple[Tensor, Tensor]:
        """Retrieved rows; padded question positions are hidden only in the masked form."""
        rows = self.query(question.latents.to(bank.rows.dtype)) @ bank.rows
        return rows, question.mask & bank.filled.any(1, keepdim=True)


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Scaled softmax attention over the rows that exist; zero where none does.

    ``queries`` (batch, steps, width), ``keys``/``values`` (batch, rows, width), ``mask`` (batch, rows).
    """
    scores = queries @ keys.transpose(1, 2) / keys.shape[-1] ** 0.5
    scores = scores.masked_fill(~mask[:, None, :], torch.finfo(scores.dtype).min)
    exists = mask.any(1)[:, None, None]
    return (scores.softmax(-1) @ values) * exists


def reader(
    query: nn.Linear, keys: Tensor, values: Tensor, mask: Tensor, *, output: nn.Linear | None = None, fold: bool = False
) -> Callable[[Tensor], Tensor]:
    """``output(attend(query(states), keys, values, mask))`` as a function of the states, for many calls on one bank.

    Without a gradient, what all calls share is done once; with ``fold`` the two maps too: products are associative, so
    they go into the keys and the values.
    """
    last = output or nn.Identity()
    if torch.is_grad_enabled():
        return lambda states: last(attend(query(states), keys, values, mask))
    known = (keys @ query.weight if fold else keys).transpose(1, 2) / keys.shape[-1] ** 0.5
    held = (last(values) if fold else values) * mask.any(1)[:, None, None]
    hidden = torch.zeros_like(mask, dtype=keys.dtype).masked_fill(~mask, torch.finfo(keys.dtype).min)[:, None, :]

    def read(states: Tensor) -> Tensor:
        found = torch.baddbmm(hidden, states if fold else query(states), known).softmax(-1) @ held
        return found if fold else last(found)

    return read
