"""Square and oblong linear maps with a named start, drawn from an explicit generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rnnprog.latent.spec import Initial


def projection(inputs: int, outputs: int, initial: Initial, generator: torch.Generator) -> nn.Linear:
    """A bias-free linear map: ``zeros``, ``normal`` (deviation 0.02), ``identity`` or torch's own ``default``.

    ``identity`` of an oblong map keeps the leading coordinates.

    >>> projection(2, 2, "identity", torch.Generator().manual_seed(0)).weight.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    # Drawn on the CPU whatever torch's default device is: equal seeds give equal weights on every device.
    layer = nn.Linear(inputs, outputs, bias=False, device="cpu", dtype=torch.float32)
    with torch.no_grad():
        if initial == "zeros":
            layer.weight.zero_()
        elif initial == "normal":
            layer.weight.normal_(0.0, 0.02, generator=generator)
        elif initial == "identity":
            layer.weight.copy_(torch.eye(outputs, inputs, device="cpu"))
        else:
            bound = 1.0 / math.sqrt(inputs)
            layer.weight.uniform_(-bound, bound, generator=generator)
    return layer


def drawn(*shape: int, deviation: float, generator: torch.Generator) -> Tensor:
    """Normal numbers from an explicit generator, on the CPU."""
    return torch.empty(*shape, device="cpu", dtype=torch.float32).normal_(0.0, deviation, generator=generator)


def frozen(layer: nn.Linear) -> nn.Linear:
    """The same map, never trained."""
    layer.weight.requires_grad_(False)
    return layer
