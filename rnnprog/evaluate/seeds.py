"""What a seed varies: the data where they are generated, the model's sampling where it samples, else nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import dspy

from rnnprog.errors import ConfigurationError
from rnnprog.evaluate.config import DataSpec, ExamConfig
from rnnprog.lm.embedded import EMBEDDED_MODEL
from rnnprog.lm.replay import ReplayEngine
from rnnprog.tasks import TaskData, from_options, load_task, task_names
from rnnprog.tasks.registry import task_parameters

__all__ = ["Seeds", "deterministic", "load_data", "model_of", "seeds_of"]


@dataclass(frozen=True)
class Seeds:
    """The repetitions of an exam.

    Attributes:
        numbers: the seeds that are walked.
        data: whether each has data of its own; their sequences are then more data, not repetitions.
        model: whether each samples anew from the model.
        note: what a reader must know; empty for a single seed.
    """

    numbers: tuple[int, ...]
    data: bool
    model: bool
    note: str = ""


def seeds_of(config: ExamConfig, lm: dspy.LM | None, own_data: bool = False) -> Seeds:
    """Decide what the seeds of an exam vary, and walk only one where they would vary nothing.

    Args:
        config: how many seeds are asked for, and of which task.
        lm: the model; ``None`` counts as one that always answers alike.
        own_data: the data were handed over, so that no seed can make others.
    """
    asked = config.seeds
    data = not own_data and "seed" in _options(config.data)
    model = lm is not None and not deterministic(lm)
    if asked == 1:
        return Seeds((0,), data, model)
    if not data and not model:
        note = f"One walk of each sequence, not {asked}: the model answers alike every time and the data are fixed, so "
        return Seeds((0,), False, False, note + "more seeds would repeat the same figures.")
    varied = [name for name, on in (("the generated data", data), ("the model's sampling", model)) if on]
    return Seeds(tuple(range(asked)), data, model, f"{asked} seeds; they vary {' and '.join(varied)}.")


def deterministic(lm: dspy.LM) -> bool:
    """Tell whether a model is known to give equal answers to equal prompts."""
    engine = getattr(lm, "_engine_spec", None)
    known = lm.model == EMBEDDED_MODEL or isinstance(engine, ReplayEngine)
    return known or getattr(engine, "deterministic", False) or lm.kwargs.get("temperature") == 0


def model_of(lm: dspy.LM, seed: int, seeds: Seeds) -> dspy.LM:
    """Return the model of one seed: seed 0 is the model as given, others miss its cached answers."""
    return lm.copy(rollout_id=seed) if seeds.model and seed else lm


def load_data(spec: DataSpec, seed: int, seeds: Seeds) -> TaskData:
    """Return the data of one seed; where seeds vary the data, sequence ids of seeds above 0 say which they are of.

    Raises:
        ConfigurationError: no such task or option; a file without a signature.
        DataError: the data do not fit.
    """
    options = dict(spec.options)
    if spec.signature is not None:
        return from_options(spec.task, spec.signature, options, spec.limit)
    if spec.task not in task_names() and Path(spec.task).suffix:
        raise ConfigurationError(
            f"{spec.task!r} is a file, so say what to predict: signature = \"rain: float -> tomorrow: Literal['sun', "
            '\'rain\']", and where the outcome is: target = "next:COLUMN"'
        )
    if seeds.data:
        first = options.get("seed", 0)
        options["seed"] = (first if isinstance(first, int) else 0) + seed
    data = load_task(spec.task, **options)
    data = data.limit(n_steps=spec.limit) if spec.limit is not None else data
    if seeds.data and seed:
        renamed = (s.model_copy(update={"id": f"{s.id}~{seed}"}) for s in data.sequences)
        data = replace(data, sequences=tuple(renamed))
    return data


def _options(spec: DataSpec) -> tuple[str, ...]:
    return task_parameters(spec.task) if spec.signature is None and spec.task in task_names() else ()
