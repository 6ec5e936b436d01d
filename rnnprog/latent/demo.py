"""The demonstration: train a tiny backbone, show the empty claim, then memories that recall."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rnnprog.folder import tried_folder
from rnnprog.latent.checkpoint import save_adapter
from rnnprog.latent.examination import Examination
from rnnprog.latent.laboratory import Laboratory, Sizes
from rnnprog.latent.plot import forgetting, save
from rnnprog.latent.spec import MethodSpec, method
from rnnprog.latent.synthetic import World
from rnnprog.latent.tiny import TinyRecipe, cached
from rnnprog.latent.train import TrainConfig

Progress = Callable[[str], None]
EDGES = (0, 5, 10, 20)
"""Lag buckets of the 40-turn conversations."""


@dataclass(frozen=True)
class Entry:
    """One line of the demonstration: a method and how long its read is trained."""

    spec: MethodSpec
    steps: int


def entries() -> tuple[Entry, ...]:
    """The published key-value extension, then the two repaired memories at two capacities each."""
    return (
        Entry(method("M.3", rows=80), 300),
        Entry(method("M.4", form="repaired", rows=16), 600),
        Entry(method("M.4", form="repaired", rows=51), 600),
        Entry(method("M.3", form="repaired", rows=60), 100),
        Entry(method("M.3", form="repaired", rows=240), 100),
    )


@dataclass(frozen=True)
class DemoPlan:
    """What the demonstration runs; the defaults take about five minutes on two free cores."""

    world: World = field(default_factory=World)
    recipe: TinyRecipe = field(default_factory=TinyRecipe)
    sizes: Sizes = field(default_factory=Sizes)
    entries: tuple[Entry, ...] = field(default_factory=entries)
    seed: int = 0
    device: str = "cpu"


def demo(folder: Path, plan: DemoPlan | None = None, progress: Progress = lambda line: None) -> list[Examination]:
    """Run the demonstration and store its results in ``folder``: exams, adapters, a picture.

    The backbone is trained at the first call with the same folder and world, then reused.
    """
    chosen, started = plan or DemoPlan(), time.perf_counter()

    def say(line: str) -> None:
        progress(f"[{time.perf_counter() - started:5.0f} s] {line}")

    say(f"backbone: {chosen.recipe.steps} steps on made-up conversations, from scratch (or from {folder})")
    tried_folder(folder)
    backbone = cached(chosen.world, chosen.recipe, folder, say, device=chosen.device)
    say("encoding every turn once, asking the frozen model without memory")
    laboratory = Laboratory.synthetic(backbone, chosen.world, chosen.sizes)
    say(", ".join(f"{name} {100 * values.mean():.1f}" for name, values in laboratory.references.items()))
    exams = []
    for entry in chosen.entries:
        model, _, exam = laboratory.run(entry.spec, TrainConfig(steps=entry.steps, seed=chosen.seed), say)
        name = f"{entry.spec.name.split()[0]}-{(entry.spec.name.count('repaired') and 'repaired') or 'paper'}"
        save_adapter(folder / f"{name}-{exam.capacity}.safetensors", model)
        exam.save(folder / f"{name}-{exam.capacity}-{chosen.seed}.json")
        exams.append(exam)
        own, other = (100 * exam.mean(condition).mean for condition in ("memory", "shuffled"))
        say(f"{exam.method}, {exam.capacity} rows: F1 {own:.1f} with its own bank, {other:.1f} with another's")
    edges = tuple(edge for edge in EDGES if edge < chosen.world.turns)
    save(
        forgetting(exams, edges, title="Forgetting curve and its control (tiny T5, made-up conversations)"),
        folder / "forgetting.png",
    )
    say(f"done: {folder / 'forgetting.png'}")
    return exams
