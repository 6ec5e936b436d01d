"""Checkpoints of the T5 family: device and precision, whether the weights are whole, the tokenizer beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from rnnprog.latent.errors import LatentError

FAMILY = ("t5", "mt5", "umt5")
"""Model types that transformers calls encoder-decoders of this family."""


def usable(device: str, dtype: str) -> torch.dtype:
    """The precision of this name; raises ``LatentError`` for another one, and for a device that is not here.

    >>> usable("cpu", "bfloat16")
    torch.bfloat16
    """
    precision = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(dtype)
    if precision is None:
        raise LatentError(f"dtype={dtype!r}: choose float32 or bfloat16 (float16 overflows in T5)")
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or not (number or "0").isdecimal():
        raise LatentError(f"device={device!r}: choose cpu, cuda or cuda:0")
    if kind == "cuda" and not torch.cuda.is_available():
        raise LatentError(f"device={device!r} but this torch sees no CUDA device: use device='cpu'")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise LatentError(f"device={device!r}: there are {torch.cuda.device_count()} here, counted from cuda:0")
    return precision


def family_model(name: str, dtype: torch.dtype) -> Any:
    """The model of a checkpoint; raises ``LatentError`` when it is of another family, or not whole."""
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    config = AutoConfig.from_pretrained(name)
    if config.model_type not in FAMILY:
        raise LatentError(f"{name}: model type {config.model_type!r} is not of the T5 family ({', '.join(FAMILY)})")
    model, found = AutoModelForSeq2SeqLM.from_pretrained(name, dtype=dtype, output_loading_info=True)
    missing = sorted(found["missing_keys"])
    if missing:  # transformers draws them at random and goes on: answers without sense, other ones at every load
        raise LatentError(
            f"{name} has no weights for {len(missing)} parts of a {config.model_type} with encoder and decoder "
            f"({missing[0]}, ...): pass a whole checkpoint"
        )
    return model


def tokenizer_of(name: str) -> Any:
    """The tokenizer beside a checkpoint; raises ``LatentError`` when there is none, or none that can be read here."""
    if Path(name).is_dir():
        files = {file.name for file in Path(name).iterdir()}
        # Without any of them transformers makes a tokenizer that knows no word.
        if not files & {"tokenizer.json", "tokenizer_config.json", "spiece.model"}:
            raise LatentError(f"{name} has no tokenizer: save the one that the model was trained with beside it")
    try:
        return AutoTokenizer.from_pretrained(name)
    except (ValueError, ImportError) as error:
        raise LatentError(f"the tokenizer of {name} cannot be read: {error}") from error
