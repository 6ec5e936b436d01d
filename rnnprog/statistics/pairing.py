"""Steps that two arms both scored, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnprog.errors import ConfigurationError
from rnnprog.metrics.metric import Case, Metric
from rnnprog.metrics.score import Scores
from rnnprog.statistics.runs import Where, aligned, grouped

__all__ = ["Pair", "pair_up"]

Cases = list[list[Case]]


@dataclass(frozen=True)
class Pair:
    """A control and an arm on the same steps.

    Attributes:
        metric: what was measured.
        old: scores of the control, one array a sequence, in order of time; means over the runs.
        new: the same for the arm.
        runs: the steps behind them, one list a sequence: for each seed those of the control and those of the arm.
        unpaired: steps that only one of the two scored.
    """

    metric: Metric
    old: list[np.ndarray]
    new: list[np.ndarray]
    runs: list[tuple[Cases, Cases]]
    unpaired: int

    @property
    def seeds(self) -> int:
        """Runs of each that are averaged."""
        return len(self.runs)

    @property
    def differences(self) -> list[np.ndarray]:
        """By how much the arm is better at each step, one array a sequence."""
        return [self.metric.sign * (b - a) for a, b in zip(self.old, self.new, strict=True)]


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
    mine, theirs = aligned(control), aligned(arm)
    both = aligned([*mine, *theirs])
    old, new = both[: len(mine)], both[len(mine) :]
    groups = grouped(both[0], where)

    def means(runs: list[Scores]) -> list[np.ndarray]:
        values = np.mean([run.values for run in runs], axis=0)
        return [values[index] for index in groups]

    def cases(run: Scores) -> Cases:
        return [[run.cases[i] for i in index] for index in groups]

    runs = [(cases(a), cases(b)) for a, b in zip(old, new, strict=False)]
    return Pair(metric, means(old), means(new), runs, len(mine[0]) + len(theirs[0]) - 2 * len(both[0]))
