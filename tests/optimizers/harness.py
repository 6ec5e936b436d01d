"""A quick search over the planted sequences."""

from __future__ import annotations

from typing import Any

from rnnprog.optimizers import Instructions, OptunaTuner, Schedule, Space
from rnnprog.optimizers.planted import planted_sequences

SEQUENCES = planted_sequences(10, steps=4)
TRAIN, VAL = SEQUENCES[:3], SEQUENCES[3:]
QUICK = Schedule(trials=4, rounds=0, concurrency=2)


def tuner(metric: Any = "accuracy", **given: Any) -> OptunaTuner:
    given = {"storage": "memory", "folder": None, "schedule": QUICK, **given}
    return OptunaTuner(metric, **given)


def texts(**by_phase: tuple[str, ...]) -> Space:
    return Space(parts=tuple(Instructions(phase=p, texts=t, proposals=0) for p, t in by_phase.items()))
