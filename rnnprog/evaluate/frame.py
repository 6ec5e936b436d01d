"""What an exam stands on, put together before the first call: data by seed, who takes part, what is scored."""

from __future__ import annotations

from dataclasses import dataclass

import dspy

from rnnprog.errors import ConfigurationError
from rnnprog.evaluate.config import ExamConfig
from rnnprog.evaluate.entrants import Entrant, entrants_of
from rnnprog.evaluate.protocol import Part, data_digest, part_of
from rnnprog.evaluate.seeds import Seeds, load_data, seeds_of
from rnnprog.metrics import Case, Metric, get_metric
from rnnprog.tasks import TaskData
from rnnprog.trace import Fields

__all__ = ["Frame", "frame_of"]


@dataclass(frozen=True)
class Frame:
    """What all walks of an exam have in common.

    Attributes:
        config: as given.
        lm: the model; ``None`` only where no arm asks one.
        seeds: what they vary.
        data: the data of the first seed.
        parts: the data by seed, divided into warm-up and scored part.
        entrants: who takes part.
        metrics: what is scored; the first decides.
    """

    config: ExamConfig
    lm: dspy.LM | None
    seeds: Seeds
    data: TaskData
    parts: dict[int, Part]
    entrants: list[Entrant]
    metrics: list[Metric]

    @property
    def asked(self) -> list[Entrant]:
        """Those who ask a model: arms and control."""
        return [entrant for entrant in self.entrants if entrant.role != "floor"]

    @property
    def steps(self) -> int:
        """Steps that each arm walks, scored or not, over all seeds."""
        return sum(part.steps for part in self.parts.values())

    def made(self) -> dict[str, Fields]:
        """Return what the walks are made with, by part: to be equal whenever they are mixed."""
        arms: dict[str, Fields] = {entrant.label: entrant.program.describe() for entrant in self.asked}
        walks = {seed: (*part.warmup, *part.scored) for seed, part in self.parts.items()}
        return {**arms, **{f"data of seed {s}": {"sha256": data_digest(found)} for s, found in walks.items()}}


def frame_of(config: ExamConfig, lm: dspy.LM | None = None, data: TaskData | None = None) -> Frame:
    """Load the data and build the programs.

    Args:
        config: arms, data, protocol.
        lm: the model; by default the one that dspy is configured with.
        data: sequences to use instead of loading those of ``config.data``.

    Raises:
        ConfigurationError: arms or data that cannot be used.
        DataError: the data do not fit.
    """
    lm = lm if lm is not None else dspy.settings.lm
    seeds = seeds_of(config, lm, own_data=data is not None)
    sets = {seed: data if data is not None else load_data(config.data, seed, seeds) for seed in seeds.numbers}
    first = sets[seeds.numbers[0]]
    parts = {seed: part_of(found, config) for seed, found in sets.items()}
    return Frame(config, lm, seeds, first, parts, entrants_of(config, first), _metrics(first, config))


def _metrics(data: TaskData, config: ExamConfig) -> list[Metric]:
    known = list(data.scoring())
    if config.metric is None:
        return known
    own = {metric.name: metric for metric in known}
    chosen = own.get(config.metric) or _tried(get_metric(config.metric, field=data.task.outputs[0]), data)
    return [chosen, *(metric for metric in known if metric.name != chosen.name)]


def _tried(metric: Metric, data: TaskData) -> Metric:
    """Refuse a metric that cannot score these outcomes, before a call is paid for."""
    truths = ((s.id, t, step.target) for s in data for t, step in enumerate(s.steps) if step.target is not None)
    known = [Case(name, t, target, target) for name, t, target in truths]
    first = next((case for case in known if metric.scorable(case)), None)
    if first is not None:
        metric.of(first)
    elif known and metric.name not in ("judged", "alignment"):  # these need a verdict, which comes later
        raise ConfigurationError(
            f"the metric {metric.name} has nothing to score in {data.name}: its outputs are {list(data.task.outputs)}"
        )
    return metric
