"""How good the probabilities are: Brier score, calibration error, area under the ROC curve."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from rnnprog.errors import ConfigurationError
from rnnprog.metrics.exact import same
from rnnprog.metrics.metric import Case, Corpus, Metric, Source, added_up, cases
from rnnprog.metrics.numeric import finite

__all__ = ["CalibrationBin", "brier", "calibration", "ece", "roc_auc"]

_SLACK = 0.02


def brier(field: str, confidence: str | None = None) -> Metric:
    """Brier score: squared distance between what was believed and what came, between 0 and 1.

    Over several classes the squares are summed and halved, so that two classes score as one probability does.

    Args:
        field: an object from label to probability, with the true label as target, or the object that gives it 1; or
            a probability of true, where the target is a ``bool``; or a label, with ``confidence``.
        confidence: the output that holds the probability that the label in ``field`` is right.
    """

    def step(case: Case) -> float | None:
        beliefs = _beliefs(case, field, confidence)
        if beliefs is None:
            return None
        squares = sum((p - hit) ** 2 for p, hit in beliefs)
        return squares / 2 if isinstance(case.answered(field), dict) else squares

    return Metric(_name("brier", field, confidence), "lower", "squared probability", _has(field), step, failure=1.0)


def ece(field: str, confidence: str | None = None, bins: int = 10) -> Metric:
    """Expected calibration error: mean distance between stated probability and share that came true; corpus-level.

    Over several classes the most probable one counts. Failed steps have no stated probability and are left out. One
    step alone scores the distance between its probability and what came.

    Args:
        field: as for :func:`brier`.
        confidence: as for :func:`brier`.
        bins: number of bins of equal width.
    """

    def kind(case: Case) -> tuple[float, bool] | tuple[()]:
        return _top(case, field, confidence) or ()

    def figure(kinds: Sequence[tuple[float, bool] | tuple[()]], counts: np.ndarray) -> np.ndarray:
        stated = [(k, *top) for k, top in enumerate(kinds) if top]
        counted = counts[:, [k for k, _, _ in stated]]
        gaps = counted * np.array([p - hit for _, p, hit in stated])
        total = counted.sum(axis=1)
        distance = np.abs(added_up(gaps, [_bin(p, bins) for _, p, _ in stated], bins)).sum(axis=1)
        return np.where(total > 0, distance / np.maximum(total, 1), np.nan)

    def step(case: Case) -> float | None:
        top = _top(case, field, confidence)
        return None if top is None else abs(top[0] - top[1])

    name = _name("ece", field, confidence)
    return Metric(name, "lower", "probability", _has(field), step, Corpus(kind, figure), failure=None)


def roc_auc(field: str, positive: str | None = None) -> Metric:
    """Area under the ROC curve, exact, ties counting half; corpus-level.

    A failed step ranks as badly as it can. One step alone scores the probability given to what came. NaN where only
    one of the two outcomes occurred.

    Args:
        field: a probability of true, where the target is a ``bool``; or an object from label to probability.
        positive: the label to tell from the others, for an object.
    """
    name = _name("roc_auc", field, positive)

    def belief(case: Case) -> float | None:
        answer = case.answered(field)
        return _probability(answer.get(positive or "true", 0.0) if isinstance(answer, dict) else answer)

    def outcome(case: Case) -> bool:
        truth = _truth(case, field)
        if positive is None and not isinstance(truth, bool):
            raise ConfigurationError(f"{name}: the target {truth!r} is not true or false; write roc_auc[{field}:LABEL]")
        return bool(truth) if positive is None else _text(truth) == positive

    def kind(case: Case) -> tuple[bool, float]:
        came, p = outcome(case), belief(case)
        return came, p if p is not None else (-math.inf if came else math.inf)

    def figure(kinds: Sequence[tuple[bool, float]], counts: np.ndarray) -> np.ndarray:
        place = {value: index for index, value in enumerate(sorted({value for _, value in kinds}))}
        went = np.array([came for came, _ in kinds], dtype=bool)
        places = np.array([place[value] for _, value in kinds], dtype=np.intp)
        ups = added_up(counts[:, went], places[went], len(place))
        downs = added_up(counts[:, ~went], places[~went], len(place))
        pairs = ups.sum(axis=1) * downs.sum(axis=1)
        won = (ups * (np.cumsum(downs, axis=1) - downs / 2)).sum(axis=1)
        return np.where(pairs > 0, won / np.maximum(pairs, 1), np.nan)

    def step(case: Case) -> float | None:
        p = belief(case)
        return None if p is None else (p if outcome(case) else 1 - p)

    return Metric(name, "higher", "probability", _has(field), step, Corpus(kind, figure))


@dataclass(frozen=True)
class CalibrationBin:
    """Steps whose stated probability fell into one bin.

    Attributes:
        low: lower edge of the bin.
        high: upper edge.
        stated: mean stated probability.
        true: share that came true.
        count: number of steps.
    """

    low: float
    high: float
    stated: float
    true: float
    count: int


def calibration(source: Source, field: str, confidence: str | None = None, bins: int = 10) -> list[CalibrationBin]:
    """Return the reliability table behind :func:`ece`; empty bins are left out."""
    has = _has(field)
    return _table([case for case in cases(source) if has(case)], field, confidence, bins)


def _table(some: Sequence[Case], field: str, confidence: str | None, bins: int) -> list[CalibrationBin]:
    pairs = [top for top in (_top(case, field, confidence) for case in some) if top is not None]
    rows: dict[int, list[tuple[float, bool]]] = {}
    for p, hit in pairs:
        rows.setdefault(_bin(p, bins), []).append((p, hit))
    return [
        CalibrationBin(b / bins, (b + 1) / bins, _mean([p for p, _ in row]), _mean([hit for _, hit in row]), len(row))
        for b, row in sorted(rows.items())
    ]


def _bin(p: float, bins: int) -> int:
    return min(int(p * bins), bins - 1)


def _top(case: Case, field: str, confidence: str | None) -> tuple[float, bool] | None:
    beliefs = _beliefs(case, field, confidence)
    return max(beliefs) if beliefs else None


def _beliefs(case: Case, field: str, confidence: str | None) -> list[tuple[float, bool]] | None:
    """Return each stated probability with whether its event came; ``None`` if they are no probabilities."""
    answer, truth = case.answered(field), _truth(case, field)
    if confidence is not None:
        p = _probability(case.answered(confidence))
        return None if p is None else [(p, same(answer, truth))]
    if isinstance(answer, dict):
        label = _text(truth)
        chances = {name: _probability(value) for name, value in answer.items()}
        usable = [(p, same(name, label)) for name, p in chances.items() if p is not None]
        if len(usable) < len(chances) or abs(sum(p for p, _ in usable) - 1) > _SLACK:
            return None
        return usable if any(hit for _, hit in usable) else [*usable, (0.0, True)]
    if not isinstance(truth, bool):
        raise ConfigurationError(
            f"the target {truth!r} of {field!r} is not true or false and the answer is no object from label to "
            f"probability; name the output that holds the confidence: brier[{field}:CONFIDENCE]"
        )
    p = _probability(answer)
    return None if p is None else [(p, truth)]


def _truth(case: Case, field: str) -> JsonValue:
    """Return the true label, also where the target is the distribution that puts 1 on it."""
    truth = case.known(field)
    if not isinstance(truth, dict) or not truth:
        return truth
    label = max(truth, key=lambda name: finite(truth[name]) or 0.0)
    return {"true": True, "false": False}.get(label, label)


def _text(label: JsonValue) -> str:
    return label.strip() if isinstance(label, str) else json.dumps(label)


def _probability(value: object) -> float | None:
    p = finite(value)  # type: ignore[arg-type]
    return p if p is not None and 0 <= p <= 1 else None


def _has(field: str) -> Callable[[Case], bool]:
    return lambda case: case.known(field) is not None


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _name(kind: str, field: str, confidence: str | None) -> str:
    return f"{kind}[{field}]" if confidence is None else f"{kind}[{field}:{confidence}]"
