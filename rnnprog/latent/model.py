"""A frozen backbone with one memory method: write turns, answer questions, and the loss that trains the adapter."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from rnnprog.latent.backbone import Backbone
from rnnprog.latent.bank import Bank
from rnnprog.latent.conditioning import Conditioned, Encoded
from rnnprog.latent.errors import BackboneMismatchError, BankError
from rnnprog.latent.read_paths import read_path
from rnnprog.latent.reading import HebbianLookup, Lookup
from rnnprog.latent.spec import MethodSpec
from rnnprog.latent.write_rules import write_rule


class LatentModel(nn.Module):
    """A method of memory around a frozen backbone.

    Only the adapter is in ``parameters()`` and ``state_dict()``; the backbone is a collaborator. Numbers of the adapter
    and of the bank are float32 unless ``.to`` says otherwise; rows are cast at the door of the backbone.
    """

    def __init__(self, backbone: Backbone, spec: MethodSpec, *, seed: int = 0) -> None:
        super().__init__()
        # A plain list keeps torch from registering the backbone's weights as the adapter's.
        self._backbone = [backbone]
        self.spec = spec
        self.seed = seed
        if spec.write is not None and spec.read is not None:
            self.write_rule = write_rule(spec.write, backbone.width, seed)
            row_width = self.write_rule.row_width
            hebbian = spec.write.rule == "hebbian"
            self.lookup = HebbianLookup(backbone.width, row_width, seed + 1) if hebbian else Lookup()
            self.read_path = read_path(spec.read, row_width, backbone, seed + 2)
        self.to(backbone.device)

    @property
    def backbone(self) -> Backbone:
        """The frozen model."""
        return self._backbone[0]

    @property
    def write_fingerprint(self) -> str:
        """A short name of everything that shapes a bank: the write spec and the write side's weights."""
        digest = hashlib.sha256(repr(self.spec.write).encode())
        if not self.spec.stateless:
            for name, weight in sorted(self.write_rule.state_dict().items()):
                digest.update(name.encode())
                digest.update(weight.detach().float().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def trainable(self) -> dict[str, nn.Parameter]:
        """The adapter's trained parameters by name."""
        return {name: weight for name, weight in self.named_parameters() if weight.requires_grad}

    def trainable_count(self) -> int:
        """How many numbers are trained."""
        return sum(weight.numel() for weight in self.trainable().values())

    def empty(self, users: int = 1) -> Bank:
        """Memories of users who have said nothing yet."""
        if self.spec.stateless:
            nothing = torch.zeros(users, dtype=torch.long, device=self.backbone.device)
            rows = torch.zeros(users, 0, self.backbone.width, device=self.backbone.device)
            return Bank(rows, rows.new_zeros(users, 0, dtype=torch.bool), nothing, nothing.clone())
        return self.write_rule.empty(users)

    def settled(self, stored: Bank) -> Bank:
        """A bank from a file on this model's device and in its precision.

        Raises ``BankError`` when its parts are not those of a bank of this method, or not finite.
        """
        fresh = self.empty(1)
        for name, part, mine in zip(
            ("rows", "filled", "turns", "tokens"), stored.tensors(), fresh.tensors(), strict=True
        ):
            if part.shape[1:] != mine.shape[1:] or part.shape[:1] != stored.rows.shape[:1]:
                raise BankError(
                    f"{name} of the stored bank are {tuple(part.shape)}, {self.spec.name} here has {tuple(mine.shape)} "
                    "for each user: it was tampered with, or another method wrote it"
                )
        pairs = zip(stored.tensors(), fresh.tensors(), strict=True)
        return Bank(*(part.to(mine.device, mine.dtype) for part, mine in pairs)).checked()

    def write(self, bank: Bank, latents: Tensor, mask: Tensor) -> Bank:
        """One turn of each user: ``latents`` (users, tokens, width), ``mask`` (users, tokens)."""
        if self.spec.stateless:
            speaks = mask.bool().any(1)
            return Bank(bank.rows, bank.filled, bank.turns + speaks, bank.tokens + mask.sum(1))
        written: Bank = self.write_rule(bank, latents, mask)
        return written

    def condition(self, bank: Bank, question: Encoded) -> Conditioned:
        """The decoder's view of each question with its own bank (one bank for each question)."""
        if self.spec.stateless or self.spec.read is None:
            return Conditioned(question.latents, question.mask)
        if bank.users != question.latents.shape[0]:
            raise BankError(f"{bank.users} banks for {question.latents.shape[0]} questions: select one bank for each")
        if bank.rows.shape[1:] != self.write_rule.start().shape:
            raise BankError(
                f"bank rows are {tuple(bank.rows.shape[1:])}, {self.spec.name} here reads "
                f"{tuple(self.write_rule.start().shape)}: load the bank with the method and backbone that wrote it"
            )
        rows, mask = self.lookup(bank, question, self.spec.read.masked)
        conditioned: Conditioned = self.read_path(self.backbone, question, rows, mask)
        return conditioned

    def loss(self, bank: Bank, question: Encoded, labels: Tensor) -> Tensor:
        """Cross-entropy of the gold answers only."""
        return self.backbone.loss(self.condition(bank, question), labels)

    def generate(self, bank: Bank, question: Encoded, max_new_tokens: int = 32) -> list[str]:
        """Greedy answers."""
        with torch.no_grad():
            return self.backbone.generate(self.condition(bank, question), max_new_tokens)

    def adopt(self, weights: Mapping[str, Tensor], names: Sequence[str] | None = None) -> None:
        """Take over saved adapter weights; raises ``BackboneMismatchError`` when their shapes do not fit."""
        try:
            self.load_state_dict(dict(weights), strict=names is None)
        except RuntimeError as error:
            raise BackboneMismatchError(
                f"adapter weights do not fit {self.spec.name} on a backbone of width {self.backbone.width}: {error}"
            ) from error
