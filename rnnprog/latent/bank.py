"""The bank: one dense memory per user, a frozen value that every write replaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rnnprog.latent.errors import BankError


@dataclass(frozen=True)
class Bank:
    """The memories of several users side by side.

    ``rows`` is (users, rows, width); ``filled`` (users, rows) tells which rows were ever written; ``turns`` and
    ``tokens`` (users,) count what went in. Every transform returns a new bank.

    >>> bank = Bank(torch.zeros(2, 4, 3), torch.zeros(2, 4, dtype=torch.bool), torch.zeros(2, dtype=torch.long),
    ...             torch.zeros(2, dtype=torch.long))
    >>> bank.users, bank.nbytes
    (2, 96)
    """

    rows: Tensor
    filled: Tensor
    turns: Tensor
    tokens: Tensor

    @property
    def users(self) -> int:
        """How many memories lie side by side."""
        return int(self.rows.shape[0])

    @property
    def nbytes(self) -> int:
        """Bytes of memory content: users x rows x width x bytes of one number."""
        return int(self.rows.numel() * self.rows.element_size())

    def select(self, users: Tensor | Sequence[int]) -> Bank:
        """The memories of these users, in this order, repetitions allowed."""
        index = torch.as_tensor(users, device=self.rows.device)
        return Bank(self.rows[index], self.filled[index], self.turns[index], self.tokens[index])

    def apart(self) -> list[Bank]:
        """One bank for each user, none of which keeps the others' memory alive."""
        parts = zip(*(whole.split(1) for whole in self.tensors()), strict=True)
        return [Bank(*(part.clone() for part in mine)) for mine in parts]

    def zeroed(self) -> Bank:
        """The same bank with content zero but still counted as written: the published control."""
        return replace(self, rows=torch.zeros_like(self.rows))

    def to(self, device: torch.device | str) -> Bank:
        """The same bank on another device."""
        return Bank(*(part.to(device) for part in self.tensors()))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The four parts, in the order of the constructor."""
        return self.rows, self.filled, self.turns, self.tokens

    def checked(self) -> Bank:
        """The bank itself, or ``BankError`` when a number in it is not finite."""
        healthy = torch.isfinite(self.rows).flatten(1).all(1)
        if not bool(healthy.all()):
            broken = (~healthy).nonzero().flatten().tolist()
            raise BankError(
                f"the bank of user(s) {broken} holds NaN or infinite numbers: reset them or load a good bank"
            )
        return self

    @staticmethod
    def joined(banks: Sequence[Bank]) -> Bank:
        """Several banks as one, users in order."""
        if not banks:
            raise BankError("no banks to join: pass at least one")
        return Bank(*(torch.cat(parts) for parts in zip(*(bank.tensors() for bank in banks), strict=True)))
