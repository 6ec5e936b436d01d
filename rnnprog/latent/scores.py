"""Numbers of the exam: token F1, recall rate, lag buckets, isotonic fit, bootstrap over conversations."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from rnnprog.latent.errors import LatentError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PAPER_EDGES = (0, 32, 64, 128, 256)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def words_of(text: str) -> list[str]:
    """Lower-case words without articles and punctuation.

    >>> words_of("The Dog, a cat!")
    ['dog', 'cat']
    """
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def token_f1(answer: str, gold: str) -> float:
    """Overlap of two bags of words, 0 to 1; an empty gold answer is matched only by an empty answer.

    >>> token_f1("a black dog", "the dog")
    0.6666666666666666
    >>> token_f1("", ""), token_f1("dog", "")
    (1.0, 0.0)

    Source: the SQuAD scorer, as in the code of arXiv 2603.16413.
    """
    mine, theirs = words_of(answer), words_of(gold)
    if not mine or not theirs:
        return float(mine == theirs)
    common = sum((Counter(mine) & Counter(theirs)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(mine), common / len(theirs)
    return 2.0 * precision * recall / (precision + recall)


def recall_rate(with_memory: Floats, with_zeros: Floats, eps: float = 1e-6) -> Floats:
    """The published rate of each question: max(0, gain) / max(1 - F1 with a zero bank, eps).

    It cannot be negative, so any change of the answers scores above zero: report the signed gain beside it.

    >>> recall_rate(np.array([0.5, 0.0]), np.array([0.0, 0.4])).tolist()
    [0.5, 0.0]

    Source: arXiv 2603.16413, section 5 (its eps is not stated).
    """
    gain = np.maximum(0.0, with_memory - with_zeros)
    return np.asarray(gain / np.maximum(1.0 - with_zeros, eps), dtype=np.float64)


def falling_fit(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The weighted least-squares fit that never rises (pool adjacent violators); empty buckets are passed over.

    >>> falling_fit([1.0, 3.0, 2.0], [1, 1, 2])
    [2.0, 2.0, 2.0]
    >>> falling_fit([5.0, 1.0], [1, 9])
    [5.0, 1.0]
    """
    array, weight = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    known = (weight > 0) & np.isfinite(array)
    fitted = np.full(len(array), np.nan)
    if known.any():
        fitted[known] = isotonic_regression(array[known], weights=weight[known], increasing=False).x
    return [float(value) for value in fitted]


def buckets(lags: Ints, edges: Sequence[int]) -> Ints:
    """Bucket number of each lag; ``edges`` are the lower bounds, the last bucket is open.

    >>> buckets(np.array([0, 31, 32, 900]), PAPER_EDGES).tolist()
    [0, 0, 1, 4]
    """
    if list(edges) != sorted(set(edges)) or edges[0] != 0:
        raise LatentError(f"edges={tuple(edges)}: lower bounds must start at 0 and rise")
    return np.searchsorted(np.asarray(edges), lags, side="right") - 1


def bucket_names(edges: Sequence[int]) -> list[str]:
    """How buckets are written.

    >>> bucket_names((0, 5, 10))
    ['0-4', '5-9', '10+']
    """
    return [f"{low}-{high - 1}" for low, high in pairwise(edges)] + [f"{edges[-1]}+"]


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error and a 95 % interval, all in the unit of the data."""

    mean: float
    error: float
    low: float
    high: float


def clustered(values: Floats, clusters: Sequence[Any], *, draws: int = 1000, seed: int = 0) -> Estimate:
    """Mean over questions with a bootstrap that draws whole conversations (questions of one are not independent).

    ``values`` are per question, ``clusters`` the conversation of each.

    >>> clustered(np.array([1.0, 1.0, 1.0]), ["a", "a", "b"]).mean
    1.0
    """
    if len(values) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), float("nan"))
    _, owner = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(owner, weights=values)
    counts = np.bincount(owner).astype(np.float64)
    picks = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    means = sums[picks].sum(1) / counts[picks].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(means.std(ddof=1)), float(low), float(high))
