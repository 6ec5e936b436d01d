"""What the numbers allow one to say, in words, before any chart."""

from __future__ import annotations

from dataclasses import dataclass

from rnnprog.exam_result import ExamResult
from rnnprog.report import numbers
from rnnprog.report.arms import ArmRow
from rnnprog.statistics import Comparison
from rnnprog.statistics.correction import CORRECTIONS

__all__ = ["Statement", "headline", "statements"]


@dataclass(frozen=True)
class Statement:
    """One sentence of the verdict.

    Attributes:
        kind: ``gain``, ``loss``, ``no evidence``, ``not tested``, ``floor`` or ``note``; decides the mark in front.
        text: the sentence.
    """

    kind: str
    text: str


def headline(exam: ExamResult, rows: list[ArmRow]) -> str:
    """Return the verdict in one sentence."""
    if exam.comparisons:
        return _compared(exam)
    ranked = [row for row in rows if row.role != "floor" and row.score.value is not None]
    if not ranked:
        return "Nothing was scored: no step has both a prediction and a known outcome."
    best = (max if exam.metric.higher_is_better else min)(ranked, key=lambda row: row.score.value or 0.0)
    said = f"{best.label}: {exam.metric.name} {numbers.figure(best.score, exam.metric)} over {best.steps:,} steps"
    return said + ("." if len(ranked) == 1 else f", the best of {len(ranked)} arms; nothing was tested.")


def _compared(exam: ExamResult) -> str:
    control, among = exam.comparisons[0].control, exam.comparisons
    gains = [c for c in among if c.outcome == "gain"]
    losses = sum(c.outcome == "loss" for c in among)
    worse = f"; {losses} {'does' if losses == 1 else 'do'} worse" if losses else ""
    if not gains:
        who = among[0].arm if len(among) == 1 else f"any of {len(among)} arms"
        return f"No evidence that {who} beats {control}{worse}."
    best = max(gains, key=lambda c: c.gain or 0.0)
    told = f"{best.arm} beats {control}: {numbers.points(best.gain, exam.metric)} {_interval(best, exam)}".rstrip()
    others = len(among) - len(gains)
    return told + (f". No evidence of a gain for {others} of {len(among)} arms{worse}." if others else ".")


def statements(exam: ExamResult, rows: list[ArmRow]) -> list[Statement]:
    """Return the sentences below the headline: each comparison, then the floors, then the note."""
    said = [Statement(c.outcome, _sentence(c, exam)) for c in exam.comparisons]
    return said + _floors(exam, rows) + ([Statement("note", exam.note)] if exam.note else [])


def _sentence(c: Comparison, exam: ExamResult) -> str:
    if c.outcome == "not tested":
        return f"{c.arm}: not tested against {c.control}: {c.reason}."
    what = {"gain": "a gain over", "loss": "a loss against", "no evidence": "no evidence of a gain over"}[c.outcome]
    text = f"{c.arm}: {what} {c.control}, {numbers.points(c.gain, exam.metric)} {_interval(c, exam)}".rstrip()
    p = numbers.p_value(c.p_corrected)
    text += f", p {p if p.startswith('<') else f'= {p}'}"
    text += f" ({CORRECTIONS[c.correction]})" if c.comparisons > 1 else ""
    text += f", {c.test} over {c.n:,} {c.unit}"
    if c.outcome == "no evidence" and c.detectable is not None:
        small = numbers.points(c.detectable, exam.metric).lstrip("+")
        text += f". A true difference below {small} could well have been missed"
    return text + "."


def _interval(c: Comparison, exam: ExamResult) -> str:
    if c.low is None or c.high is None:
        return ""
    scale, digits = (100, "{:+.1f}") if numbers.is_share(exam.metric) else (1, "{:+.4g}")
    return f"[{digits.format(scale * c.low)}, {digits.format(scale * c.high)}]"


def _floors(exam: ExamResult, rows: list[ArmRow]) -> list[Statement]:
    floors = [row for row in rows if row.role == "floor" and row.score.value is not None]
    if not floors:
        return []
    sign = 1 if exam.metric.higher_is_better else -1
    best = max(floors, key=lambda row: sign * (row.score.value or 0.0))
    level = best.score.value or 0.0
    below = [
        row.label
        for row in rows
        if row.role != "floor" and row.score.value is not None and sign * row.score.value <= sign * level
    ]
    told = f"Best floor, without any model: {best.label}, {numbers.figure(best.score, exam.metric)}"
    told += f"; not above it: {', '.join(below)}." if below else "; every arm is above it."
    return [Statement("floor", told)]
