"""A small memory, and something to tell and to ask it."""

from __future__ import annotations

from typing import Any

import torch

from rnnprog.latent.backbone import Backbone
from rnnprog.latent.memory import LatentMemory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.spec import Form
from rnnprog.latent.testing import awakened, small

SAID = ["ana: i have a dog at home", "ben: how are you today", "ana: i live in paris now"]
QUESTION = "what pet does ana have ?"


def memory(backbone: Backbone, name: str = "M.6", form: Form = "repaired", **more: Any) -> LatentMemory:
    return LatentMemory(awakened(LatentModel(backbone, small(name, form))), **more)


def logits(mem: LatentMemory, user: str = "user") -> torch.Tensor:
    encoded = mem.model.backbone.encode([f"question: {QUESTION}"])
    conditioned = mem.model.condition(mem.bank(user), encoded)
    return mem.model.backbone.logits(conditioned, torch.tensor([[5, 1]])).detach()
