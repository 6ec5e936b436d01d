"""The protocol of an exam: what is learned from before the scoring starts, and what is scored.

Every step is predicted first and learned from when its label arrives (prequential). With a warm start an arm first
learns from the earliest part of the data: of a single sequence from its first steps, of several from the first
sequences, one after the other, and each sequence that is scored then starts from what was learned.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from rnnprog.errors import ConfigurationError
from rnnprog.evaluate.config import ExamConfig
from rnnprog.tasks import TaskData
from rnnprog.trace import Sequence, Trace, Usage

__all__ = ["Part", "after_warm_up", "data_digest", "part_of"]


@dataclass(frozen=True)
class Part:
    """The data of one seed, divided.

    Attributes:
        warmup: sequences that are only learned from, in order.
        scored: sequences that are walked and scored, each by itself.
        offset: steps at the beginning of each scored sequence that are learned from but not scored.
    """

    warmup: tuple[Sequence, ...]
    scored: tuple[Sequence, ...]
    offset: int = 0

    @property
    def steps(self) -> int:
        """Steps that an arm walks, scored or not."""
        return sum(map(len, (*self.warmup, *self.scored)))


def part_of(data: TaskData, config: ExamConfig) -> Part:
    """Divide data as the configuration says.

    Raises:
        ConfigurationError: nothing would be left to score, or nothing to learn from.
    """
    if config.warm_start == 0:
        return Part((), data.sequences)
    if len(data) == 1:
        offset = round(len(data.sequences[0]) * config.warm_start)
        if not 0 < offset < len(data.sequences[0]):
            raise ConfigurationError(_too_small(config, f"{len(data.sequences[0])} steps"))
        return Part((), data.sequences, offset)
    parts = data.split(config.warm_start, 0.0, by="sequences")
    if not parts.train.sequences or not parts.test.sequences:
        raise ConfigurationError(_too_small(config, f"{len(data)} sequences"))
    return Part(parts.train.sequences, parts.test.sequences)


def after_warm_up(trace: Trace, offset: int) -> tuple[Trace, Usage]:
    """Return the part of a walk that is scored, and what the part before it used."""
    if offset == 0:
        return trace, Usage()
    before, rest = trace.records[:offset], trace.records[offset:]
    digest = next((u.digest for r in reversed(before) for u in reversed(r.updates)), trace.initial_digest)
    try:
        initial = trace.carry_before(offset) if rest and not rest[0].before else _after(trace, offset)
    except KeyError:
        initial = None  # the recording policy left it out
    spent = sum((usage for r in before for usage in r.total_usage.values()), Usage())
    changed = {"records": rest, "initial": initial, "initial_digest": digest}
    return trace.model_copy(update=changed), spent


def data_digest(sequences: tuple[Sequence, ...]) -> str:
    """Return twelve hex digits that name the data."""
    found = hashlib.sha256()
    for sequence in sequences:
        found.update(json.dumps(sequence.model_dump(mode="json"), sort_keys=True).encode())
    return found.hexdigest()[:12]


def _after(trace: Trace, offset: int) -> object:
    """Return the carry after the last step before ``offset``."""
    return trace.model_copy(update={"records": trace.records[:offset], "final": None}).carry_after()


def _too_small(config: ExamConfig, size: str) -> str:
    return f"a warm start from {config.warm_start:.0%} of {size} leaves nothing to learn from or nothing to score"
