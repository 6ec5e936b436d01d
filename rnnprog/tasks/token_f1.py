"""Overlap of words between a short answer and the true one."""

from __future__ import annotations

import re
import string
from collections import Counter

from rnnprog.metrics import Metric

__all__ = ["overlap", "token_f1"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def overlap(answer: str, truth: str) -> float:
    """Return the F1 of the words that two texts share, each word as often as it stands in both.

    Case, punctuation and articles do not count. Two texts without a word are equal; one without a word shares nothing.

    Source: the scoring of SQuAD (Rajpurkar et al., 2016).

    Example:
        >>> overlap("The dog, Rex", "a dog"), overlap("cat", "dog")
        (0.666..., 0.0)
    """
    said, true = _words(answer), _words(truth)
    if not said or not true:
        return float(said == true)
    shared = sum((Counter(said) & Counter(true)).values())
    return 2 * shared / (len(said) + len(true))


def token_f1(field: str) -> Metric:
    """Mean over the steps of the word overlap between answer and truth.

    Args:
        field: the answered output, a text.

    Example:
        >>> token_f1("answer").name
        'token_f1[answer]'
    """
    return Metric(
        name=f"token_f1[{field}]",
        better="higher",
        unit="share",
        scorable=lambda case: case.known(field) is not None,
        step=lambda case: overlap(str(case.answered(field)), str(case.known(field))),
    )


def _words(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()
