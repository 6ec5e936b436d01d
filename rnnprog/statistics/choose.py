"""Which paired test fits the data, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnnprog.statistics.interval import FEWEST_SEQUENCES

__all__ = ["FEWEST_STEPS", "Choice", "choose_test"]

TestName = Literal["mcnemar", "wilcoxon", "paired permutation", "corpus permutation", "diebold-mariano", "none"]

FEWEST_STEPS = 20
"""Below this number of steps no test is made inside a sequence: its variance cannot be judged."""

_TIES = 0.25


@dataclass(frozen=True)
class Choice:
    """A test and the reason for it.

    Attributes:
        test: the test.
        unit: what is paired.
        reason: why this one, in words for a reader.
    """

    test: TestName
    unit: Literal["sequences", "steps"]
    reason: str


def choose_test(differences: list[np.ndarray], shares: bool, corpus: bool = False) -> Choice:
    """Return the test that fits paired differences.

    Args:
        differences: arm minus control for each step that both scored, one array a sequence, in order of time.
        shares: whether both scored every step as right or wrong.
        corpus: whether the metric only exists for many steps together.

    Example:
        >>> choose_test([np.array([1.0]), np.array([0.0])] * 8, shares=True).test
        'mcnemar'
    """
    sequences, steps = len(differences), sum(map(len, differences))
    if sequences >= FEWEST_SEQUENCES:
        if corpus:
            return Choice(
                "corpus permutation", "sequences", "a corpus-level metric: arms are swapped in whole sequences"
            )
        if shares and steps == sequences:
            return Choice("mcnemar", "sequences", "one right-or-wrong answer a sequence, and sequences are independent")
        means = np.array([d.mean() for d in differences])
        ties = 1 - len(np.unique(np.abs(means[means != 0]).round(12))) / sequences
        if ties > _TIES:
            reason = f"{ties:.0%} of the {sequences} sequence differences are zero or tied, so ranks say little"
            return Choice("paired permutation", "sequences", reason)
        return Choice("wilcoxon", "sequences", f"{sequences} independent sequences with differences that can be ranked")
    few = f"{sequences} sequence{'s' if sequences != 1 else ''}, and a test over sequences needs {FEWEST_SEQUENCES}"
    if corpus:
        return Choice("none", "sequences", f"a corpus-level metric over only {few}")
    if steps < FEWEST_STEPS:
        return Choice("none", "steps", f"only {few}; a test over steps needs {FEWEST_STEPS}, there are {steps}")
    return Choice("diebold-mariano", "steps", f"only {few}: steps are the unit, with their dependence in time")
