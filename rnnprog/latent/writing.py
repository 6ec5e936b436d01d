"""The contract of every write rule: one turn per user goes in, a new bank comes out."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn

from rnnprog.latent.bank import Bank
from rnnprog.latent.errors import BankError
from rnnprog.latent.projections import drawn, frozen, projection
from rnnprog.latent.spec import Initial, WriteSpec


def exactly(device: torch.device) -> AbstractContextManager[Any]:
    """Without autocast, if the caller has one on: a memory must not be rounded anew, or change type, at each turn."""
    if torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type):
        return cast(AbstractContextManager[Any], torch.autocast(device.type, enabled=False))
    return nullcontext()


class WriteRule(nn.Module):
    """Base of the write rules. Sub-classes say what one turn does to the rows (``turn``).

    A user whose mask is empty in this turn keeps the old memory untouched, so users with conversations of different
    length can be written together. Unless the rule is trained, nothing here leaves a graph behind.
    """

    def __init__(self, spec: WriteSpec, width: int, seed: int) -> None:
        super().__init__()
        self.spec = spec
        self.width = width
        self.generator = torch.Generator().manual_seed(seed)

    @property
    def row_width(self) -> int:
        """Numbers per row of the bank."""
        return self.width

    def projection(self, inputs: int, outputs: int, initial: Initial = "default") -> nn.Linear:
        """A map of this rule: trained only if the rule is."""
        layer = projection(inputs, outputs, initial, self.generator)
        return layer if self.spec.trained else frozen(layer)

    def start(self) -> Tensor:
        """The content of a memory before its first turn, (rows, row width)."""
        return cast(Tensor, self.initial)

    def draw_start(self) -> None:
        """Draw the start N(0, 0.02^2) once; every reset returns to it, so that equal seeds give equal banks."""
        self.register_buffer("initial", drawn(self.spec.rows, self.row_width, deviation=0.02, generator=self.generator))

    def start_empty(self) -> None:
        """Start from zeros, which are written over or added to."""
        self.register_buffer("initial", torch.zeros(self.spec.rows, self.row_width, device="cpu", dtype=torch.float32))

    def empty(self, users: int) -> Bank:
        """A bank for ``users`` users who have said nothing yet."""
        if users < 1:
            raise BankError(f"users={users}: a bank serves at least one user")
        start = self.start()
        counts = torch.zeros(users, dtype=torch.long, device=start.device)
        filled = torch.zeros(users, self.spec.rows, dtype=torch.bool, device=start.device)
        return Bank(start.unsqueeze(0).repeat(users, 1, 1), filled, counts, counts.clone())

    def check(self, bank: Bank, latents: Tensor) -> None:
        """Raise ``BankError`` when bank and turn do not fit this rule."""
        expected = (self.spec.rows, self.row_width)
        if tuple(bank.rows.shape[1:]) != expected:
            raise BankError(f"bank rows are {tuple(bank.rows.shape[1:])}, this write rule keeps {expected}")
        if latents.shape[-1] != self.width:
            raise BankError(f"turn latents are {latents.shape[-1]} wide, this write rule takes {self.width}")
        if latents.shape[0] != bank.users:
            raise BankError(f"{latents.shape[0]} turns for {bank.users} users: pass one turn for each user")

    def forward(self, bank: Bank, latents: Tensor, mask: Tensor) -> Bank:
        """Write one turn of each user.

        ``latents`` (users, tokens, width) are encoder outputs and ``mask`` (users, tokens) is true on real tokens.
        """
        self.check(bank, latents)
        with exactly(bank.rows.device), torch.set_grad_enabled(self.spec.trained and torch.is_grad_enabled()):
            present = mask.bool()
            speaks = present.any(1)
            values = latents.to(bank.rows.dtype) * present.unsqueeze(-1)
            rows, touched = self.turn(bank, values, present)
            # Asking a device whether all speak would wait for it; on the CPU it saves a pass over the bank.
            if rows.device.type != "cpu" or not bool(speaks.all()):
                rows = torch.where(speaks[:, None, None], rows, bank.rows)
            filled = bank.filled | (touched & speaks[:, None])
            return Bank(rows, filled, bank.turns + speaks, bank.tokens + present.sum(1))

    def turn(self, bank: Bank, latents: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """New rows and the rows that this turn touched; padded latents come in as zeros."""
        raise NotImplementedError
