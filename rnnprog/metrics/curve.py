"""The learning curve: the score over the step index."""

from __future__ import annotations

from dataclasses import dataclass

from rnnprog.errors import ConfigurationError
from rnnprog.metrics.score import Scores

__all__ = ["CurvePoint", "learning_curve"]


@dataclass(frozen=True)
class CurvePoint:
    """The score around one step index.

    Attributes:
        t: the step index.
        value: mean score of the steps in the window that ends here, over all sequences.
        count: number of scored steps behind it.
    """

    t: int
    value: float
    count: int


def learning_curve(scores: Scores, window: int = 1) -> list[CurvePoint]:
    """Return the mean score by step index over all sequences, smoothed over a window that looks back.

    Args:
        scores: what :func:`score_steps` gave.
        window: number of step indices averaged, at least 1; take more for few or single long sequences.

    Raises:
        ConfigurationError: ``window`` is below 1.
    """
    if window < 1:
        raise ConfigurationError(f"window = {window} steps is below 1; use 1 for no smoothing")
    sums: dict[int, list[float]] = {}
    for case, value in zip(scores.cases, scores.values, strict=True):
        total = sums.setdefault(case.t, [0.0, 0])
        total[0] += float(value)
        total[1] += 1
    points = []
    for t in sorted(sums):
        near = [sums[u] for u in range(t - window + 1, t + 1) if u in sums]
        count = int(sum(n for _, n in near))
        points.append(CurvePoint(t, sum(total for total, _ in near) / count, count))
    return points
