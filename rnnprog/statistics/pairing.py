"""Steps that two arms both scored, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

import numpy as np

from rnnprog.errors import ConfigurationError
from rnnprog.metrics.metric import Case, Metric
from rnnprog.metrics.score import Scores
from rnnprog.statistics.interval import Where

__all__ = ["Arm", "Pair", "pair_up", "runs_of"]

Arm = Union[Scores, Sequence[Scores]]
"""The scores of one run, or of several runs of the same arm with different seeds."""

Key = tuple[str, int]


@dataclass(frozen=True)
class Pair:
    """A control and an arm on the same steps.

    Attributes:
        metric: what was measured.
        old: scores of the control, one array a sequence, in order of time; means over the runs.
        new: the same for the arm.
        cases: the steps behind them, of the first run of each.
        unpaired: steps that only one of the two scored.
        seeds: runs that were averaged; 1 for a corpus-level metric, of which only the first run counts.
    """

    metric: Metric
    old: list[np.ndarray]
    new: list[np.ndarray]
    cases: list[list[tuple[Case, Case]]]
    unpaired: int
    seeds: int

    @property
    def differences(self) -> list[np.ndarray]:
        """By how much the arm is better at each step, one array a sequence."""
        return [self.metric.sign * (b - a) for a, b in zip(self.old, self.new, strict=True)]


def runs_of(arm: Arm, name: str) -> list[Scores]:
    """Return the runs of an arm.

    Raises:
        ConfigurationError: there is none, or they are scored by different metrics.
    """
    runs = [arm] if isinstance(arm, Scores) else list(arm)
    if not runs:
        raise ConfigurationError(f"{name!r} has no run to compare")
    if len({run.metric.name for run in runs}) > 1:
        raise ConfigurationError(
            f"the runs of {name!r} are scored by different metrics: {[r.metric.name for r in runs]}"
        )
    return runs


def pair_up(control: list[Scores], arm: list[Scores], where: Where) -> Pair:
    """Put the steps side by side that every run of both scored.

    Args:
        control: runs of the control.
        arm: runs of the arm.
        where: ``"all"`` of these steps, or the ``"last"`` of each sequence.

    Raises:
        ConfigurationError: they are scored by different metrics.
    """
    metric = control[0].metric
    if metric.name != arm[0].metric.name:
        raise ConfigurationError(f"cannot compare {arm[0].metric.name} with {metric.name}; score both by one metric")
    old, new = _means(control), _means(arm)
    both = [key for key in old if key in new]
    sequences: dict[str, list[Key]] = {}
    for key in both:
        sequences.setdefault(key[0], []).append(key)
    chosen = [keys[-1:] if where == "last" else keys for keys in sequences.values()]
    cases = [dict(zip(_keys(runs[0]), runs[0].cases, strict=True)) for runs in (control, arm)]
    return Pair(
        metric,
        [np.array([old[key] for key in keys]) for keys in chosen],
        [np.array([new[key] for key in keys]) for keys in chosen],
        [[(cases[0][key], cases[1][key]) for key in keys] for keys in chosen],
        len(old) + len(new) - 2 * len(both),
        1 if metric.corpus is not None else min(len(control), len(arm)),
    )


def _keys(scores: Scores) -> list[Key]:
    return [(case.sequence, case.t) for case in scores.cases]


def _means(runs: list[Scores]) -> dict[Key, float]:
    """Return the mean over runs of each step that every run scored, in order of sequence and time."""
    tables = [dict(zip(_keys(run), run.values, strict=True)) for run in runs]
    return {
        key: sum(float(table[key]) for table in tables) / len(tables)
        for key in tables[0]
        if all(key in table for table in tables)
    }
