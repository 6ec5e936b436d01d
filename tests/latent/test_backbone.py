"""Which encoder-decoders a memory stands on, and how they are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rnnprog.latent.backbone import Backbone
from rnnprog.latent.errors import (
    LatentError,
)
from tests.latent.harness import SAID


def test_wrong_backbones_are_refused(backbone: Backbone, tmp_path: Path) -> None:
    from types import SimpleNamespace

    with pytest.raises(LatentError, match="'gpt2'"):
        Backbone(SimpleNamespace(config=SimpleNamespace(model_type="gpt2")), backbone.tokenizer)
    with pytest.raises(LatentError, match="float16"):
        Backbone.load("any", dtype="float16")
    if not torch.cuda.is_available():
        with pytest.raises(LatentError, match="no CUDA"):
            Backbone.load("any", device="cuda")


def test_a_backbone_loads_from_a_folder_in_both_precisions(backbone: Backbone, tmp_path: Path) -> None:
    backbone.model.save_pretrained(tmp_path)
    backbone.tokenizer.save_pretrained(tmp_path)
    again, half = Backbone.load(tmp_path), Backbone.load(tmp_path, dtype="bfloat16")
    assert again.fingerprint == backbone.fingerprint == half.fingerprint
    assert half.dtype is torch.bfloat16
    assert torch.equal(again.encode(SAID).latents, backbone.encode(SAID).latents)


@pytest.mark.parametrize("settings", [{"batch": 0}, {"max_tokens": 0}, {"max_tokens": -3}])
def test_an_impossible_backbone_is_refused(backbone: Backbone, settings: dict[str, int]) -> None:
    with pytest.raises(LatentError, match="must be at least 1"):
        Backbone(backbone.model, backbone.tokenizer, **settings)
