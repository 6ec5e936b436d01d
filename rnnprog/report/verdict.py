"""What the numbers allow one to say, in words, before any chart."""

from __future__ import annotations

from dataclasses import dataclass

from rnnprog.exam_result import Arm, ExamResult
from rnnprog.report import numbers
from rnnprog.report.arms import ArmRow
from rnnprog.report.failures import failures, never_answered
from rnnprog.statistics import Comparison
from rnnprog.statistics.correction import CORRECTIONS
from rnnprog.trace import Trace

__all__ = ["Statement", "headline", "statements"]


_ORDER = ("gain", "loss", "no evidence", "not tested")


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
    """Return the verdict in one sentence; before it, what makes it none."""
    silent = [arm.label for arm in exam.arms if arm.role != "floor" and never_answered(_traces(arm))]
    warning = f"The model never answered in {', '.join(silent)}: no result for {_these(silent)}. " if silent else ""
    return warning + _verdict(exam, rows)


def _these(labels: list[str]) -> str:
    return "this arm" if len(labels) == 1 else "these arms"


def _traces(arm: Arm) -> list[Trace]:
    return [trace for run in arm.runs for trace in run.result.traces]


def _verdict(exam: ExamResult, rows: list[ArmRow]) -> str:
    if exam.comparisons:
        return _compared(exam, rows)
    ranked = [row for row in rows if row.role != "floor" and row.score.value is not None]
    if not ranked:
        lacking = "no step has both a prediction and a known outcome"
        if exam.config.get("judge"):
            lacking = "the judge gave no verdict"
        elif exam.metric.name in ("judged", "alignment"):
            lacking = (
                f"{exam.metric.name!r} is what a judge says, and none was asked; name one, walks that are kept stay"
            )
        return f"Nothing was scored: {lacking}."
    best = (max if exam.metric.higher_is_better else min)(ranked, key=lambda row: row.score.value or 0.0)
    said = f"{best.label}: {exam.metric.name} {numbers.figure(best.score, exam.metric)} over {best.steps:,} steps"
    return said + ("." if len(ranked) == 1 else f", the best of {len(ranked)} arms; nothing was tested.")


def _compared(exam: ExamResult, rows: list[ArmRow]) -> str:
    control, among = exam.comparisons[0].control, exam.comparisons
    gains = [c for c in among if c.outcome == "gain"]
    losses = sum(c.outcome == "loss" for c in among)
    worse = f"; {losses} {'does' if losses == 1 else 'do'} worse" if losses else ""
    if not gains:
        who = among[0].arm if len(among) == 1 else f"any of {len(among)} arms"
        return f"No evidence that {who} beats {control}{worse}."
    best = max(gains, key=lambda c: c.gain or 0.0)
    told = f"{best.arm} beats {control}: {numbers.points(best.gain, exam.metric)} {_interval(best, exam)}".rstrip()
    told += _against_floor(best.arm, exam, rows)
    others = len(among) - len(gains)
    return told + (f". No evidence of a gain for {others} of {len(among)} arms{worse}." if others else ".")


def _against_floor(arm: str, exam: ExamResult, rows: list[ArmRow]) -> str:
    """Say so where a rule without a model does as well, as far as the interval of the arm can tell."""
    floor, score = _best_floor(exam, rows), next(row.score for row in rows if row.label == arm)
    if floor is None or score.value is None or floor.score.value is None:
        return ""
    higher = exam.metric.higher_is_better
    nearest = (score.low if higher else score.high) if score.low is not None else score.value
    if nearest is None or (nearest > floor.score.value if higher else nearest < floor.score.value):
        return ""
    return f", but not clearly {floor.label}, a floor without a model ({numbers.score(floor.score.value, exam.metric)})"


def statements(exam: ExamResult, rows: list[ArmRow]) -> list[Statement]:
    """Return the sentences below the headline: gains, losses, the rest; then the floors, what failed, and the note.

    Arms of which the same is to be said share a sentence.
    """
    ranked = sorted(exam.comparisons, key=lambda c: (_ORDER.index(c.outcome), -abs(c.gain or 0.0)))
    alike: dict[tuple[str, str], list[str]] = {}
    for c in ranked:
        alike.setdefault((c.outcome, _sentence(c, exam)), []).append(c.arm)
    said = [Statement(kind, f"{', '.join(arms)}: {text}") for (kind, text), arms in alike.items()]
    return said + _floors(exam, rows) + _failed(exam) + ([Statement("note", exam.note)] if exam.note else [])


def _failed(exam: ExamResult) -> list[Statement]:
    found = [(arm.label, failed) for arm in exam.arms for failed in failures(_traces(arm))]
    return [Statement("note", f"{label}, {failed}") for label, failed in found]


def _sentence(c: Comparison, exam: ExamResult) -> str:
    if c.outcome == "not tested":
        return f"not tested against {c.control}: {c.reason}."
    what = {"gain": "a gain over", "loss": "a loss against", "no evidence": "no evidence of a gain over"}[c.outcome]
    text = f"{what} {c.control}, {numbers.points(c.gain, exam.metric)} {_interval(c, exam)}".rstrip()
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


def _best_floor(exam: ExamResult, rows: list[ArmRow]) -> ArmRow | None:
    floors = [row for row in rows if row.role == "floor" and row.score.value is not None]
    pick = max if exam.metric.higher_is_better else min
    return pick(floors, key=lambda row: row.score.value or 0.0) if floors else None


def _floors(exam: ExamResult, rows: list[ArmRow]) -> list[Statement]:
    best = _best_floor(exam, rows)
    if best is None:
        return []
    sign = 1 if exam.metric.higher_is_better else -1
    level = best.score.value or 0.0
    asked = [row for row in rows if row.role != "floor" and row.score.value is not None]
    behind = [row.label for row in asked if sign * (row.score.value or 0.0) <= sign * level]
    told = f"Best floor, without any model: {best.label}, {numbers.figure(best.score, exam.metric)}"
    if not behind:
        return [Statement("floor", f"{told}; every arm is better.")]
    if len(behind) == len(asked) > 1:
        return [Statement("floor", f"{told}; no arm is better.")]
    return [Statement("floor", f"{told}; not better: {', '.join(behind)}.")]
