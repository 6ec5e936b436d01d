"""Helpers for checks of the latent wing: small methods, and adapters that are audible without training."""

from __future__ import annotations

import torch

from rnnprog.latent.model import LatentModel
from rnnprog.latent.spec import METHODS, Form, MethodSpec, method

NAMED = tuple(name for name in METHODS if name != "M.0")
FORMS: tuple[Form, ...] = ("paper", "proxy", "repaired")


def small(name: str, form: Form = "paper") -> MethodSpec:
    """A method at a size for tests: 24 rows (a ring of them holds any short turn), a Hebbian matrix of 12.

    >>> small("M.4").write.rows
    12
    """
    return method(name, form=form, rows=12 if name == "M.4" else 24, top_k=2)


def awakened(model: LatentModel, scale: float = 0.3, seed: int = 9) -> LatentModel:
    """The same model, every trained weight moved away from its start, so that its memory matters without training."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.trainable().values():
            weight.add_(scale * torch.randn(weight.shape, generator=generator).to(weight))
    return model
