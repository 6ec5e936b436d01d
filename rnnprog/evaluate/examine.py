"""The exam: cells x sequences x seeds, walked once, scored alike, told with what the data can bear."""

from __future__ import annotations

from pathlib import Path

import dspy

from rnnprog.evaluate.caps import Gate
from rnnprog.evaluate.config import ExamConfig, Running
from rnnprog.evaluate.entrants import entrants_of
from rnnprog.evaluate.prompt_files import write_prompts
from rnnprog.evaluate.protocol import Part, data_digest, part_of
from rnnprog.evaluate.seeds import Seeds, load_data, model_of, seeds_of
from rnnprog.evaluate.store import Store
from rnnprog.evaluate.telling import Frame, told_of, versions
from rnnprog.evaluate.walking import Walker
from rnnprog.evaluate.watch import Quiet, Watcher
from rnnprog.exam_result import ExamResult
from rnnprog.metrics import Metric, get_metric
from rnnprog.tasks import TaskData
from rnnprog.trace import Fields

__all__ = ["examine"]


def examine(
    config: ExamConfig,
    lm: dspy.LM | None = None,
    *,
    out: str | Path | None = None,
    data: TaskData | None = None,
    running: Running | None = None,
    watcher: Watcher | None = None,
) -> ExamResult:
    """Walk all arms over the same data and say what may be said about them.

    All arms share the model, the data, the budget and the prompt frame. With ``out`` every finished walk is on disk
    before the next begins, and calling this again with the same configuration goes on where it was broken off.
    Arms whose prompts are equal share the answers that dspy's cache holds, where the model's cache is on.

    Args:
        config: arms, data, protocol.
        lm: the model of all phases; by default the one that dspy is configured with.
        out: folder for finished walks; without it nothing is kept.
        data: sequences to use instead of loading those of ``config.data``.
        running: walks in flight, caps, prompts.
        watcher: is told of the progress.

    Returns:
        The result; after Ctrl-C or when a cap was reached over what was finished, with ``config["complete"]`` false
        and a note. Write it with :func:`rnnprog.exam_result.write_exam`.

    Raises:
        ConfigurationError: arms or data that cannot be used, or ``out`` holds walks of another configuration.
        LMUnavailableError: no model, or not one usable answer.

    Example:
        >>> import rnnprog
        >>> config = ExamConfig.of(task="regimes", options={"n_steps": 12}, cells=["zero_shot"])
        >>> result = examine(config, rnnprog.embedded_lm())
        >>> [(arm.label, arm.role) for arm in result.arms][:2]
        [('zero_shot', 'arm'), ('empty_memory', 'control')]
    """
    running, watcher = running or Running(), watcher or Quiet()
    lm = lm if lm is not None else dspy.settings.lm
    seeds = seeds_of(config, lm, own_data=data is not None)
    sets = {seed: data if data is not None else load_data(config.data, seed, seeds) for seed in seeds.numbers}
    parts = {seed: part_of(found, config) for seed, found in sets.items()}
    first = sets[seeds.numbers[0]]
    metrics = _metrics(first, config)
    entrants = entrants_of(config, first)
    store = None if out is None else Store(out)
    if store is not None:
        made = {e.label: e.program.describe() for e in entrants if e.role != "floor"}
        digests: dict[str, Fields] = {f"data of seed {s}": {"sha256": data_digest(d.sequences)} for s, d in sets.items()}
        store.claim({**config.shared(), "rnnprog": versions()["rnnprog"]}, {**made, **digests})
    watcher.begin({e.label: _steps(seeds, parts) for e in entrants if e.role != "floor"}, metrics[0])
    models = {seed: model_of(lm, seed, seeds) if lm is not None else None for seed in seeds.numbers}
    walker = Walker(running, store, watcher, Gate(running))
    try:
        walked = walker.walk(entrants, parts, models)
    finally:
        watcher.end()
    told = told_of(config, walked, Frame(entrants, parts, seeds, first, metrics, lm))
    return write_prompts(told, walked, out) if out is not None and running.prompts else told


def _metrics(data: TaskData, config: ExamConfig) -> list[Metric]:
    """Return what is scored, what decides first."""
    known = list(data.scoring())
    if config.metric is None:
        return known
    own = {metric.name: metric for metric in known}
    chosen = own.get(config.metric) or get_metric(config.metric, field=data.task.outputs[0])
    return [chosen, *(metric for metric in known if metric.name != chosen.name)]


def _steps(seeds: Seeds, parts: dict[int, Part]) -> int:
    return sum(parts[seed].steps for seed in seeds.numbers)
