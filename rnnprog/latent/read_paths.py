"""The four ways into the frozen model: encoder prefix, key-value extension, parallel attention, gated branch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnprog.latent.backbone import Backbone
from rnnprog.latent.conditioning import Conditioned, Encoded, extended
from rnnprog.latent.reading import ReadPath, reader
from rnnprog.latent.spec import ReadSpec


class EncoderPrefix(ReadPath):
    """Projected rows stand before the embedded question and pass the frozen encoder; then they are cut off.

    In the extra-positions form the same rows are appended to the encoder's output, which makes it a key-value
    extension. Source: arXiv 2603.16413, equations 3-6 (U_P is the identity).
    """

    def __init__(self, spec: ReadSpec, row_width: int, backbone: Backbone, seed: int) -> None:
        super().__init__(spec, row_width, backbone, seed)
        self.memory = self.projection(row_width, self.width)

    def condition(self, backbone: Backbone, question: Encoded, rows: Tensor, mask: Tensor) -> Conditioned:
        """[S ; embed(x)] through the encoder."""
        prefix = self.memory(rows)
        if self.spec.as_positions:
            return extended(question, prefix, mask)
        return Conditioned(backbone.encode_embedded(prefix, mask, question), question.mask)


class KeyValueExtension(ReadPath):
    """Projected rows as further key-value positions for every layer's own frozen cross-attention.

    Source: arXiv 2603.16413, equations 11-14.
    """

    def __init__(self, spec: ReadSpec, row_width: int, backbone: Backbone, seed: int) -> None:
        super().__init__(spec, row_width, backbone, seed)
        self.memory = self.projection(row_width, self.width)

    def condition(self, backbone: Backbone, question: Encoded, rows: Tensor, mask: Tensor) -> Conditioned:
        """[Z ; P W]."""
        return extended(question, self.memory(rows), mask)


class ParallelAttention(ReadPath):
    """A trained attention over the bank beside the frozen one in every layer, scaled by one number per layer.

    The four projections are shared by all layers; the scales start at zero, so the start is the baseline exactly.
    Source: arXiv 2603.16413, section 4.2.
    """

    def __init__(self, spec: ReadSpec, row_width: int, backbone: Backbone, seed: int) -> None:
        super().__init__(spec, row_width, backbone, seed)
        self.query = self.projection(self.width, self.width)
        self.key = self.projection(row_width, self.width)
        self.value = self.projection(row_width, self.width)
        self.output = self.projection(self.width, self.width)
        self.scale = nn.Parameter(torch.zeros(self.layers, device="cpu", dtype=torch.float32))

    def condition(self, backbone: Backbone, question: Encoded, rows: Tensor, mask: Tensor) -> Conditioned:
        """s' = s + frozen attention + scale_l attention over the bank."""
        keys, fold = self.key(rows), self.repeats(rows)
        read = reader(self.query, keys, self.value(rows), mask, output=self.output, fold=fold)
        if self.spec.as_positions:
            seen = read(question.latents.to(keys.dtype)) * self.scale.mean()
            return extended(question, seen, _positions(question, mask, self.spec))

        def branch(layer: int, states: Tensor) -> Tensor:
            return self.scale[layer] * read(states.to(keys.dtype))

        return Conditioned(question.latents, question.mask, branch)


class GatedBranch(ReadPath):
    """Attention over the bank without output projection, let in through a trained gate in every layer.

    The gate starts almost shut (bias -2). Source: arXiv 2603.16413, section 4.5.
    """

    def __init__(self, spec: ReadSpec, row_width: int, backbone: Backbone, seed: int) -> None:
        super().__init__(spec, row_width, backbone, seed)
        self.query = self.projection(self.width, self.width)
        self.key = self.projection(row_width, self.width)
        self.value = self.projection(row_width, self.width)
        self.gate = self.projection(2 * self.width, self.width, "default")
        self.bias = nn.Parameter(torch.full((self.width,), -2.0, device="cpu", dtype=torch.float32))

    def condition(self, backbone: Backbone, question: Encoded, rows: Tensor, mask: Tensor) -> Conditioned:
        """s' = s + frozen attention + sigmoid(W_g [s ; c] + b) c."""
        keys = self.key(rows)
        read = reader(self.query, keys, self.value(rows), mask, fold=self.repeats(rows))

        def gated(states: Tensor) -> Tensor:
            content = read(states)
            return torch.sigmoid(self.gate(torch.cat([states, content], -1)) + self.bias) * content

        if self.spec.as_positions:
            seen = gated(question.latents.to(keys.dtype))
            return extended(question, seen, _positions(question, mask, self.spec))
        return Conditioned(question.latents, question.mask, lambda _, states: gated(states.to(keys.dtype)))


def _positions(question: Encoded, mask: Tensor, spec: ReadSpec) -> Tensor:
    """Mask of rows that stand for question tokens: the published form shows even the padded ones."""
    if not spec.masked:
        return torch.ones_like(question.mask)
    return question.mask & mask.any(1, keepdim=True)


_PATHS: dict[str, type[ReadPath]] = {
    "prefix": EncoderPrefix,
    "extension": KeyValueExtension,
    "parallel": ParallelAttention,
    "gated": GatedBranch,
}


def read_path(spec: ReadSpec, row_width: int, backbone: Backbone, seed: int = 0) -> ReadPath:
    """The read path that a spec names, for rows of this width."""
    return _PATHS[spec.path](spec, row_width, backbone, seed)
