"""What the decoder is given: encoder rows, their mask and, for the branch methods, an addition in every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Branch = Callable[[int, Tensor], Tensor]
"""Layer index and normed decoder states (batch, steps, width) to what is added to the residual stream."""


@dataclass(frozen=True)
class Encoded:
    """Texts after the encoder: ``ids`` and ``mask`` (batch, tokens), ``latents`` (batch, tokens, width)."""

    ids: Tensor
    mask: Tensor
    latents: Tensor

    def select(self, index: Tensor) -> Encoded:
        """These rows of the batch."""
        return Encoded(self.ids[index], self.mask[index], self.latents[index])


@dataclass(frozen=True)
class Conditioned:
    """The decoder's view of a question: ``latents`` (batch, positions, width) where ``mask`` is true."""

    latents: Tensor
    mask: Tensor
    branch: Branch | None = None


def extended(question: Encoded, rows: Tensor, mask: Tensor) -> Conditioned:
    """Memory rows as further positions behind the question's."""
    return Conditioned(
        torch.cat([question.latents, rows.to(question.latents.dtype)], 1), torch.cat([question.mask, mask], 1)
    )


@contextmanager
def branches(model: Any, branch: Branch | None) -> Iterator[None]:
    """Add ``branch`` behind the frozen cross-attention of every decoder layer while the context lasts."""
    handles = []
    if branch is not None:
        for index, block in enumerate(model.get_decoder().block):
            handles += _addition(block.layer[1], branch, index)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _addition(layer: Any, branch: Branch, index: int) -> list[Any]:
    """Hooks on a cross-attention layer: its own norm gives the branch its states, so none is computed twice."""
    normed: list[Tensor] = []

    def keep(norm: Any, args: tuple[Any, ...], output: Tensor) -> None:
        normed[:] = [output]

    def add(layer: Any, args: tuple[Any, ...], output: tuple[Any, ...]) -> tuple[Any, ...]:
        return (output[0] + branch(index, normed.pop()).to(output[0].dtype), *output[1:])

    return [layer.layer_norm.register_forward_hook(keep), layer.register_forward_hook(add)]


def as_mask(lengths: Tensor, longest: int) -> Tensor:
    """True on the first ``lengths[i]`` of ``longest`` positions.

    >>> as_mask(torch.tensor([1, 3]), 3).tolist()
    [[True, False, False], [True, True, True]]
    """
    return torch.arange(longest, device=lengths.device)[None, :] < lengths[:, None]
