"""From names on the command line to a bench: backbone, data split, adapters, exams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnprog.folder import tried_folder
from rnnprog.latent.backbone import Backbone
from rnnprog.latent.checkpoint import load_adapter, read_tensors, save_adapter, spec_from
from rnnprog.latent.demo import EDGES
from rnnprog.latent.evaluate import ExamOptions, examine
from rnnprog.latent.examination import Examination
from rnnprog.latent.laboratory import Laboratory
from rnnprog.latent.locomo import published_split, read_locomo
from rnnprog.latent.model import LatentModel
from rnnprog.latent.plot import forgetting, save
from rnnprog.latent.scores import PAPER_EDGES
from rnnprog.latent.spec import MethodSpec, method
from rnnprog.latent.synthetic import World
from rnnprog.latent.tiny import TinyRecipe, cached
from rnnprog.latent.train import TrainConfig, train

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where results lie and where the backbone runs."""

    folder: Path
    device: str = "cpu"
    dtype: str = "float32"


@dataclass(frozen=True)
class Bench:
    """A laboratory with the lag buckets of its data."""

    laboratory: Laboratory
    edges: tuple[int, ...]


def bench(backbone: str, data: str, place: Place, progress: Progress = lambda line: None) -> Bench:
    """A bench from two names: ``tiny`` or a checkpoint, ``synthetic`` or a LoCoMo copy.

    LoCoMo is split as published: the last three conversations are the test; of the others the last validates.

    Raises ``StorageError`` when nothing can be written into the folder, before anything is computed.
    """
    tried_folder(place.folder)
    talks = None if data == "synthetic" else published_split(read_locomo(data).conversations)
    if backbone == "tiny":
        model = cached(World(), TinyRecipe(), place.folder, progress, device=place.device, dtype=place.dtype)
    else:
        model = Backbone.load(backbone, device=place.device, dtype=place.dtype)
    if talks is None:
        return Bench(Laboratory.synthetic(model, World()), EDGES)
    training, test = talks
    split = (training[:-1], training[-1:], test)
    return Bench(Laboratory.of(model, split, ExamOptions(batch=16)), PAPER_EDGES)


def chosen_method(name: str, form: str, rows: int) -> MethodSpec:
    """A method from command-line values (0 rows: the paper's 1x)."""
    return method(name, form=form, rows=rows or None)  # type: ignore[arg-type]


def train_adapter(
    where: Bench, spec: MethodSpec, config: TrainConfig, folder: Path, progress: Progress = lambda line: None
) -> Path:
    """Train (or resume) one adapter and store it; returns its file."""
    label = spec.name.replace(" ", "-").replace("(", "").replace(")", "")
    rows = 0 if spec.write is None else spec.write.rows
    run = folder / f"{label}-{rows}-seed{config.seed}"
    model = LatentModel(where.laboratory.backbone, spec, seed=config.seed)
    laboratory = where.laboratory
    train(model, laboratory.training, config, validation=laboratory.validation, folder=run, progress=progress)
    save_adapter(run / "adapter.safetensors", model)
    return run / "adapter.safetensors"


def examine_adapters(where: Bench, adapters: Sequence[Path], folder: Path) -> list[Examination]:
    """Examine stored adapters; writes one JSON for each and one picture."""
    laboratory, exams = where.laboratory, []
    for path in adapters:
        _, about = read_tensors(path)
        model = LatentModel(laboratory.backbone, spec_from(about), seed=int(about["seed"]))
        load_adapter(path, model)
        exam = examine(model, laboratory.paper, reference=laboratory.references, options=laboratory.options)
        exam.save(path.with_suffix(".exam.json"))
        exams.append(exam)
    folder.mkdir(parents=True, exist_ok=True)
    save(forgetting([exam.answerable for exam in exams], where.edges), folder / "forgetting.png")
    return exams
