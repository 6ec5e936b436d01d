"""Adapters and training state in safetensors files, written atomically, refused by the wrong backbone or method."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rnnprog.folder import unwritable
from rnnprog.latent.errors import BackboneMismatchError, LatentError
from rnnprog.latent.model import LatentModel
from rnnprog.latent.spec import MethodSpec, ReadSpec, WriteSpec

SCHEMA = "rnnprog-latent/1"


@dataclass(frozen=True)
class Snapshot:
    """Training state beside the adapter's weights: counters, optimiser moments, best weights so far."""

    numbers: Mapping[str, float]
    moments: Mapping[str, Mapping[str, Tensor]]
    best_weights: dict[str, Tensor]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write one safetensors file so that a crash leaves the old file or the new one, never half of one.

    Raises ``StorageError`` when the place cannot be written or the disk is full.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(plain, str(temporary), metadata={"schema": SCHEMA, "about": json.dumps(dict(metadata))})
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise unwritable(error if isinstance(error, OSError) else OSError(str(error)), path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of such a file; raises ``LatentError`` when it is missing, broken or of another kind."""
    if not path.is_file():
        raise LatentError(f"no file {path}: check the path, or save one first")
    try:
        with safe_open(str(path), framework="pt") as file:
            head = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise LatentError(
            f"{path} is not a readable safetensors file ({error}): it may be cut off; save it again"
        ) from error
    if head.get("schema") != SCHEMA:
        raise LatentError(f"{path} has schema {head.get('schema')!r}, this version reads {SCHEMA!r}")
    try:
        return tensors, json.loads(head["about"])
    except (KeyError, ValueError) as error:
        raise LatentError(f"{path} does not say what it holds: its metadata were tampered with") from error


def describe(model: LatentModel) -> dict[str, Any]:
    """What identifies a model's files: method, seed, and fingerprints of backbone and write side."""
    return {
        "spec": asdict(model.spec),
        "seed": model.seed,
        "width": model.backbone.width,
        "backbone": model.backbone.fingerprint,
        "write": model.write_fingerprint,
    }


def refuse_foreign(about: Mapping[str, Any], model: LatentModel, path: Path, *, keys: tuple[str, ...]) -> None:
    """Raise ``BackboneMismatchError`` when the file was made with another backbone or another method."""
    mine = describe(model)
    for key in keys:
        if about.get(key) != mine[key]:
            raise BackboneMismatchError(
                f"{path} was made with another {key} ({about.get(key)}), this model has {mine[key]}: load it with the "
                "backbone, method and adapter that wrote it"
            )


def spec_from(about: Mapping[str, Any]) -> MethodSpec:
    """The method that a file describes."""
    spec = about["spec"]
    write = WriteSpec(**spec["write"]) if spec["write"] else None
    read = ReadSpec(**spec["read"]) if spec["read"] else None
    return MethodSpec(spec["name"], write, read)


def save_adapter(path: Path, model: LatentModel) -> None:
    """Store all adapter weights (trained and frozen) with what identifies them."""
    write_tensors(path, model.state_dict(), describe(model))


def load_adapter(path: Path, model: LatentModel) -> None:
    """Load adapter weights into a model of the same method on the same backbone."""
    tensors, about = read_tensors(path)
    refuse_foreign(about, model, path, keys=("width", "backbone", "spec"))
    if "users" in about:
        raise LatentError(f"{path} holds banks, not an adapter: read it with LatentMemory.load")
    model.adopt({name: tensor for name, tensor in tensors.items() if "/" not in name})


def save_snapshot(path: Path, snapshot: Snapshot, model: LatentModel, settings: Mapping[str, Any]) -> None:
    """Store adapter and training state in one file, with the settings and the data that it belongs to."""
    tensors: dict[str, Tensor] = dict(model.state_dict())
    tensors |= {f"best/{name}": weight for name, weight in snapshot.best_weights.items()}
    for name, moments in snapshot.moments.items():
        tensors |= {f"moment/{name}/{key}": value for key, value in moments.items()}
    about = {**describe(model), "write": None, "config": dict(settings), "numbers": dict(snapshot.numbers)}
    write_tensors(path, tensors, about)


def load_snapshot(path: Path, model: LatentModel, settings: Mapping[str, Any]) -> Snapshot:
    """Load adapter and training state; raises ``LatentError`` when the run had other settings or data."""
    tensors, about = read_tensors(path)
    refuse_foreign(about, model, path, keys=("width", "backbone", "spec"))
    changed = [key for key, value in settings.items() if about["config"].get(key) != value]
    if changed:
        raise LatentError(f"{path} was trained with other settings ({', '.join(changed)}): use them, or another folder")
    model.adopt({name: tensor for name, tensor in tensors.items() if "/" not in name})
    device = model.backbone.device
    best = {
        name.removeprefix("best/"): tensor.to(device) for name, tensor in tensors.items() if name.startswith("best/")
    }
    moments: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("moment/"):
            _, weight, key = name.split("/")
            moments.setdefault(weight, {})[key] = tensor if key == "step" else tensor.to(device)
    return Snapshot(about["numbers"], moments, best)
