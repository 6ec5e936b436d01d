"""Cutting sequences into train, validation and test by time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rnnprog.errors import ConfigurationError
from rnnprog.trace import Sequence

__all__ = ["Parts", "SplitBy", "cut"]

SplitBy = Literal["auto", "steps", "sequences", "time"]
Parts = tuple[tuple[Sequence, ...], tuple[Sequence, ...], tuple[Sequence, ...]]


def cut(sequences: tuple[Sequence, ...], train: float, validation: float, by: SplitBy) -> Parts:
    """Cut ``sequences`` after the shares ``train`` and ``train + validation``; see :meth:`TaskData.split`."""
    if by == "auto":
        by = "steps" if len(sequences) == 1 else "sequences"
    if by == "steps":
        return _by_bounds(sequences, [_shares(len(s), train, validation) for s in sequences])
    if by == "sequences":
        first, second = _shares(len(sequences), train, validation)
        ordered = _by_start(sequences)
        return ordered[:first], ordered[first:second], ordered[second:]
    if by == "time":
        return _by_bounds(sequences, _moments(sequences, train, validation))
    raise ConfigurationError(f"split by={by!r}: choose 'auto', 'steps', 'sequences' or 'time'")


def _shares(n: int, train: float, validation: float) -> tuple[int, int]:
    return round(n * train), round(n * min(1.0, train + validation))


def _by_bounds(sequences: tuple[Sequence, ...], bounds: Iterable[tuple[int, int]]) -> Parts:
    parts: tuple[list[Sequence], list[Sequence], list[Sequence]] = ([], [], [])
    for sequence, (first, second) in zip(sequences, bounds, strict=True):
        for part, start, stop in zip(parts, (0, first, second), (first, second, len(sequence)), strict=True):
            if stop > start:
                part.append(_piece(sequence, start, stop))
    return tuple(parts[0]), tuple(parts[1]), tuple(parts[2])


def _piece(sequence: Sequence, start: int, stop: int) -> Sequence:
    if (start, stop) == (0, len(sequence)):
        return sequence
    before = sequence.meta.get("offset", 0)
    offset = start + (before if isinstance(before, int) else 0)
    return Sequence(id=sequence.id, steps=sequence.steps[start:stop], meta={**sequence.meta, "offset": offset})


def _by_start(sequences: tuple[Sequence, ...]) -> tuple[Sequence, ...]:
    """Order by the time of the first step where all have one and they compare; else keep the order given."""
    starts = {type(s.steps[0].time) if s.steps else type(None) for s in sequences}
    if starts == {str} or (starts and starts <= {int, float}):
        return tuple(sorted(sequences, key=lambda s: s.steps[0].time))  # type: ignore[arg-type, return-value]
    return sequences


def _moments(sequences: tuple[Sequence, ...], train: float, validation: float) -> list[tuple[int, int]]:
    times = [step.time for sequence in sequences for step in sequence.steps]
    kinds = {type(time) for time in times}
    if not (kinds == {str} or kinds <= {int, float}):
        raise ConfigurationError(
            "split by='time' needs a time on every step, all numbers or all ISO 8601 texts; "
            "name the column with order_by=, or use by='steps' or by='sequences'"
        )
    ordered = sorted(times)  # type: ignore[type-var]
    limits = [ordered[n] if n < len(ordered) else None for n in _shares(len(ordered), train, validation)]
    bounds = []
    for sequence in sequences:
        # A step at the very moment of the cut belongs to the later part, in every sequence alike.
        first, second = (
            len(sequence) if limit is None else sum(step.time < limit for step in sequence.steps)  # type: ignore[operator]
            for limit in limits
        )
        bounds.append((first, second))
    return bounds
