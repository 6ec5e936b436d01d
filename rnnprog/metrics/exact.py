"""Right or wrong: accuracy over all outputs or one, ranked answers, macro F1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import JsonValue

from rnnprog.errors import ConfigurationError
from rnnprog.metrics.metric import Case, Corpus, Metric, added_up

__all__ = ["acc_at", "accuracy", "macro_f1", "right", "same"]


def same(answer: JsonValue, truth: JsonValue) -> bool:
    """Whether two JSON values are equal; texts without surrounding space, and ``true`` is not 1.

    Where the answer is a ranked list and the truth a single value, the first entry counts.

    Example:
        >>> same(" sun", "sun"), same(1, 1.0), same(True, 1), same(["flu", "cold"], "flu")
        (True, True, False, True)
    """
    if isinstance(answer, list) and not isinstance(truth, list):
        return bool(answer) and same(answer[0], truth)
    if isinstance(answer, bool) != isinstance(truth, bool):
        return False
    if isinstance(answer, str) and isinstance(truth, str):
        return answer.strip() == truth.strip()
    if isinstance(answer, list) and isinstance(truth, list):
        return len(answer) == len(truth) and all(map(same, answer, truth))
    return answer == truth


def right(case: Case, field: str | None = None) -> bool | None:
    """Whether a step was right in ``field``, or in every output with a known target; ``None`` if none is known."""
    known = _known(case, field)
    if not known:
        return None
    return case.prediction is not None and all(same(case.answered(name), case.known(name)) for name in known)


def accuracy(field: str | None = None) -> Metric:
    """Share of steps that were right: in every output whose target is known, or in one output.

    Args:
        field: the output to look at; all of them if left out.

    Example:
        >>> accuracy("tomorrow").name
        'accuracy[tomorrow]'
    """
    return Metric(
        name="accuracy" if field is None else f"accuracy[{field}]",
        better="higher",
        unit="share",
        scorable=lambda case: bool(_known(case, field)),
        step=lambda case: float(bool(right(case, field))),
    )


def acc_at(k: int, field: str) -> Metric:
    """Share of steps where one of the first ``k`` entries of a ranked answer is true.

    The target is one value or a list of values that all count as true.

    Args:
        k: how many entries count, at least 1.
        field: the ranked output.

    Raises:
        ConfigurationError: ``k`` is below 1.
    """
    if k < 1:
        raise ConfigurationError(f"acc@{k}: the number of ranked answers must be at least 1; write e.g. acc@5[{field}]")

    def step(case: Case) -> float:
        answer, truth = case.answered(field), case.known(field)
        ranked = answer if isinstance(answer, list) else [answer]
        accepted = truth if isinstance(truth, list) else [truth]
        return float(any(same(a, b) for a in ranked[:k] for b in accepted))

    return Metric(
        name=f"acc@{k}[{field}]",
        better="higher",
        unit="share",
        scorable=lambda case: case.known(field) is not None,
        step=step,
    )


def macro_f1(field: str) -> Metric:
    """F1 of each class, averaged over the classes that occur as answer or truth; a corpus-level metric.

    A failed step is a miss of its true class. Classes count the same however rare they are. One step alone is
    right or wrong.

    Args:
        field: the classified output.
    """

    def kind(case: Case) -> tuple[str, bool, str]:
        answered = case.prediction is not None
        return _label(case.known(field)), answered, _label(case.answered(field)) if answered else ""

    def figure(kinds: Sequence[tuple[str, bool, str]], counts: np.ndarray) -> np.ndarray:
        classes = sorted({label for truth, answered, answer in kinds for label in (truth, *([answer] * answered))})
        place = {label: index for index, label in enumerate(classes)}
        places = [place[truth] for truth, _, _ in kinds]
        answers = [(k, place[answer]) for k, (_, answered, answer) in enumerate(kinds) if answered]
        hits = [(k, place[truth]) for k, (truth, answered, answer) in enumerate(kinds) if answered and answer == truth]
        either = added_up(counts, places, len(classes)) + _columns(counts, answers, len(classes))
        twice = 2 * _columns(counts, hits, len(classes))
        scores = np.divide(twice, either, out=np.zeros_like(either), where=either > 0)
        occurring = (either > 0).sum(axis=1)
        return np.where(occurring > 0, scores.sum(axis=1) / np.maximum(occurring, 1), np.nan)

    return Metric(
        name=f"macro_f1[{field}]",
        better="higher",
        unit="share",
        scorable=lambda case: case.known(field) is not None,
        step=lambda case: float(same(case.answered(field), case.known(field))),
        corpus=Corpus(kind, figure),
    )


def _known(case: Case, field: str | None) -> list[str]:
    names = list(case.target or ()) if field is None else [field]
    return [name for name in names if case.known(name) is not None]


def _columns(counts: np.ndarray, chosen: list[tuple[int, int]], size: int) -> np.ndarray:
    """Add up some of the columns, each given with the sum that it goes into."""
    return added_up(counts[:, [k for k, _ in chosen]], [target for _, target in chosen], size)


def _label(value: JsonValue) -> str:
    value = value[0] if isinstance(value, list) and value else value
    return value.strip() if isinstance(value, str) else repr(value)
