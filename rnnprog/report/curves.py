"""Score and memory length by step index, as points with a band."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnprog.report.columns import Columns, Walk
from rnnprog.report.intervals import band

__all__ = ["Curve", "learning_curves", "length_curves"]

_POINTS = 60
_STEPS_A_POINT = 60
_FEWEST = 10


@dataclass(frozen=True)
class Curve:
    """A line with a band; all lists have the same length.

    Attributes:
        arm: index of the arm.
        x: middle of each bin, in steps from 0.
        y: mean in the bin over sequences and seeds.
        low: lower end of the 95 % band; ``None`` where there are fewer than two sequences.
        high: upper end of the band.
        n: number of steps in the bin.
        width: steps in a bin; 1 if every step index has its own point.
    """

    arm: int
    x: list[float]
    y: list[float]
    low: list[float | None]
    high: list[float | None]
    n: list[int]
    width: int

    def json(self) -> dict[str, Any]:
        """Return what the page draws, rounded to what can be seen."""
        low, high = ([None if v is None else round(v, 5) for v in side] for side in (self.low, self.high))
        rounded = [round(v, 5) for v in self.y]
        return {"arm": self.arm, "x": self.x, "y": rounded, "lo": low, "hi": high, "n": self.n, "w": self.width}


def learning_curves(columns: Columns, arms: int) -> list[Curve]:
    """Return the mean score by step index of each arm that has scores.

    The band is Student's 95 % interval over the means of sequences in the bin (a sequence under several seeds is
    one unit), so it says how sure the mean is, not how far single steps scatter.
    """
    return _curves(columns, columns.score.astype(np.float64), arms, _STEPS_A_POINT)


def length_curves(columns: Columns, arms: int) -> list[Curve]:
    """Return the mean memory length by step index of each arm that recorded lengths."""
    length = columns.length.astype(np.float64)
    length[length < 0] = np.nan
    return _curves(columns, length, arms, 1)


def _curves(columns: Columns, values: NDArray[np.float64], arms: int, wanted: int) -> list[Curve]:
    longest = max((len(walk) for walk in columns.walks), default=0)
    together = max((sum(w.arm == a for w in columns.walks) for a in range(arms)), default=1)
    # A mean of few 0s and 1s is noise: bins are widened until one holds enough steps, but not into a single dot.
    width = max(
        math.ceil(longest / _POINTS), min(math.ceil(wanted / max(together, 1)), math.ceil(longest / _FEWEST)), 1
    )
    made = (_curve(a, [w for w in columns.walks if w.arm == a], values, longest, width) for a in range(arms))
    return [curve for curve in made if curve.x]


def _curve(arm: int, walks: list[Walk], values: NDArray[np.float64], longest: int, width: int) -> Curve:
    names = {name: i for i, name in enumerate(dict.fromkeys(walk.trace.sequence for walk in walks))}
    bins = math.ceil(longest / width)
    sums, counts = np.zeros((len(names), bins)), np.zeros((len(names), bins))
    for walk in walks:
        part = values[walk.offset : walk.offset + len(walk)]
        known = np.isfinite(part)
        place = np.arange(len(walk)) // width
        row = names[walk.trace.sequence]
        sums[row] += np.bincount(place[known], weights=part[known], minlength=bins)
        counts[row] += np.bincount(place[known], minlength=bins)
    curve = Curve(arm=arm, x=[], y=[], low=[], high=[], n=[], width=width)
    for k in range(bins):
        seen = counts[:, k] > 0
        if not seen.any():
            continue
        mean, low, high = band(sums[seen, k] / counts[seen, k])
        curve.x.append(k * width + (min(width, longest - k * width) - 1) / 2)
        curve.y.append(mean)
        curve.low.append(None if math.isnan(low) else low)
        curve.high.append(None if math.isnan(high) else high)
        curve.n.append(int(counts[:, k].sum()))
    return curve
