"""Corpus-level figures of many resamples at once: how often each kind of step occurs, in place of the steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from rnnprog.metrics.metric import Case, Corpus

__all__ = ["Tallies", "draws", "portions", "tallied"]

_MOST_NUMBERS = 4_000_000  # in a table of resamples by kinds


@dataclass(frozen=True)
class Tallies:
    """The steps of several groups as kinds; make it with :func:`tallied`.

    Attributes:
        corpus: the figure.
        kinds: the kinds of step that occur.
        codes: kind of each step as an index, group after group.
        groups: group of each step as an index.
        size: number of groups.
    """

    corpus: Corpus
    kinds: Sequence[Any]
    codes: np.ndarray
    groups: np.ndarray
    size: int

    @cached_property
    def _table(self) -> Any:
        ones = np.ones(len(self.codes))
        return sparse.csr_array((ones, (self.groups, self.codes)), shape=(self.size, len(self.kinds)))

    @property
    def portion(self) -> int:
        """The number of resamples that should be counted at once."""
        return max(1, _MOST_NUMBERS // max(len(self.codes), 2 * self.size))

    def of_groups(self, weights: np.ndarray) -> np.ndarray:
        """Return the figure of each resample of whole groups.

        Args:
            weights: resamples x groups: how often each group was drawn.
        """
        return self.corpus.figure(self.kinds, weights @ self._table)

    def of_steps(self, rows: np.ndarray) -> np.ndarray:
        """Return the figure of each resample of steps.

        Args:
            rows: resamples x steps: the steps drawn, by their place group after group.
        """
        counts = np.array([np.bincount(self.codes[row], minlength=len(self.kinds)) for row in rows], dtype=float)
        return self.corpus.figure(self.kinds, counts)


def tallied(corpus: Corpus, groups: Sequence[Sequence[Case]]) -> Tallies:
    """Return the steps of groups as kinds.

    Args:
        corpus: the figure that says which steps are of a kind.
        groups: the steps of each sequence.
    """
    found = [corpus.kind(case) for group in groups for case in group]
    kinds = sorted(set(found))
    index = {kind: code for code, kind in enumerate(kinds)}
    codes = np.array([index[kind] for kind in found], dtype=np.intp)
    return Tallies(corpus, kinds, codes, np.repeat(np.arange(len(groups)), [len(g) for g in groups]), len(groups))


def draws(resamples: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each of ``n`` units was drawn in each resample, as numbers of n draws with replacement."""
    picked = rng.integers(0, n, size=(resamples, n))
    return np.array([np.bincount(row, minlength=n) for row in picked], dtype=float)


def portions(resamples: int, most: int) -> Iterator[int]:
    """Yield numbers of resamples that are to be made at once, ``most`` of them and at last the rest.

    Example:
        >>> list(portions(7, 3))
        [3, 3, 1]
    """
    for start in range(0, resamples, most):
        yield min(most, resamples - start)
