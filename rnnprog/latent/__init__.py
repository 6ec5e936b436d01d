"""The latent wing: a memory of vectors for a frozen encoder-decoder, written at every turn without gradients.

Needs the extra ``latent`` (torch, transformers, safetensors). Nothing here loads when ``rnnprog`` is imported, and this
module itself loads nothing heavy: the public names below arrive on first use.
"""

from importlib import import_module
from typing import Any

from rnnprog.latent.errors import MissingExtraError

_HOMES = {
    "Backbone": "backbone",
    "Bank": "bank",
    "Conversation": "conversations",
    "LatentCell": "cell",
    "LatentEngine": "engine",
    "LatentMemory": "memory",
    "LatentModel": "model",
    "MethodSpec": "spec",
    "Question": "conversations",
    "ReadSpec": "spec",
    "TrainConfig": "train",
    "Turn": "conversations",
    "World": "synthetic",
    "WriteSpec": "spec",
    "examine": "evaluate",
    "method": "spec",
    "read_locomo": "locomo",
    "train": "train",
    "pretrain": "tiny",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnprog.latent' has no attribute {name!r}; it offers {', '.join(__all__)}")
    try:
        return getattr(import_module(f"rnnprog.latent.{_HOMES[name]}"), name)
    except ModuleNotFoundError as missing:
        raise MissingExtraError.because(missing) from missing
