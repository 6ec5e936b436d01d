"""The runs of one arm under several seeds: cut to the steps that all of them scored, sequence by sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, Union

import numpy as np

from rnnprog.errors import ConfigurationError
from rnnprog.metrics.score import Scores

__all__ = ["Arm", "Where", "aligned", "grouped", "runs_of"]

Arm = Union[Scores, Sequence[Scores]]
"""The scores of one run, or of several runs of the same arm with different seeds."""

Where = Literal["all", "last"]


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


def aligned(runs: Sequence[Scores]) -> list[Scores]:
    """Return the runs with nothing but the steps that every one of them scored, in the order of the first."""
    if len(runs) == 1:
        return list(runs)
    places = [{(case.sequence, case.t): index for index, case in enumerate(run.cases)} for run in runs]
    common = [key for key in places[0] if all(key in place for place in places)]
    return [_only(run, [place[key] for key in common]) for run, place in zip(runs, places, strict=True)]


def grouped(scores: Scores, where: Where) -> list[np.ndarray]:
    """Return where the steps of each sequence stand among the cases; of its ``"last"`` one alone, if so wanted."""
    groups: dict[str, list[int]] = {}
    for index, case in enumerate(scores.cases):
        groups.setdefault(case.sequence, []).append(index)
    return [np.array(index[-1:] if where == "last" else index) for index in groups.values()]


def _only(run: Scores, index: list[int]) -> Scores:
    cases = tuple(run.cases[i] for i in index)
    return replace(run, cases=cases, values=run.values[index], failed=run.failed[index])
