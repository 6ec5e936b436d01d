"""Many comparisons at once: p-values corrected for the number of looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rnnprog.errors import ConfigurationError

__all__ = ["CORRECTIONS", "Correction", "corrected"]

Correction = Literal["holm", "benjamini-hochberg", "none"]
CORRECTIONS: dict[str, str] = {"holm": "Holm", "benjamini-hochberg": "Benjamini-Hochberg", "none": "uncorrected"}
"""Corrections by name, with the words for a reader."""


def corrected(p_values: Sequence[float], method: Correction = "holm") -> list[float]:
    """Return p-values corrected for their number, in the same order.

    Args:
        p_values: one a comparison; NaN stands for no test, stays NaN and does not count.
        method: ``holm`` keeps the chance of any false finding at the level; ``benjamini-hochberg`` keeps the expected
            share of false ones among the findings there; ``none`` does nothing.

    Raises:
        ConfigurationError: unknown method.

    Example:
        >>> corrected([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    if method not in CORRECTIONS:
        raise ConfigurationError(f"unknown correction {method!r}; there are {', '.join(CORRECTIONS)}")
    tested = [p for p in p_values if not math.isnan(p)]
    if method == "none" or not tested:
        return list(p_values)
    new = iter(_holm(np.array(tested)) if method == "holm" else stats.false_discovery_control(tested))
    return [p if math.isnan(p) else float(next(new)) for p in p_values]


def _holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    # Not statsmodels' multipletests, which collects garbage at every call: seconds in a process with much in memory.
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
