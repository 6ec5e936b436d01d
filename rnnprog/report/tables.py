"""The tables of a report, as data."""

from __future__ import annotations

from dataclasses import dataclass

from rnnprog.errors import ConfigurationError
from rnnprog.exam_result import Arm, ExamResult, MetricSpec
from rnnprog.report import numbers
from rnnprog.report.arms import ArmRow
from rnnprog.statistics.correction import CORRECTIONS

__all__ = [
    "Table",
    "cost_table",
    "further_table",
    "memory_table",
    "recovery_table",
    "result_table",
]


_OWN = {"score", "last", "recovery", "after_wrong", "after_right"}  # figures that other tables show, as these do:
_BILLED = (" per step", " per right answer", " of the warm-up")


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        title: what it shows.
        columns: headings; the first column holds names, the others numbers.
        rows: cells, one row an arm.
        kinds: role of each row, so that control and floors can be set apart.
        note: how to read it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    note: str = ""


def result_table(exam: ExamResult, rows: list[ArmRow]) -> Table:
    """Return score, interval, difference from the control, and cost of each arm."""
    said = {c.arm: c for c in exam.comparisons}
    several = any(row.sequences > 1 for row in rows)  # of one sequence, the last step says nothing
    costs = any(row.cost is not None for row in rows)
    per_right = exam.metric.binary and not cost_table(exam).rows  # which says it, too
    cells = []
    for row in rows:
        c = said.get(row.label)
        gap = numbers.points(c.gain, exam.metric) if c else "control" if row.role == "control" else "–"
        p = numbers.p_value(c.p_corrected) if c else "–"
        asked = row.role != "floor"
        line = [row.label, numbers.figure(row.score, exam.metric)]
        line += [numbers.figure(row.last, exam.metric)] if several else []
        line += [gap, p] if exam.comparisons else []
        line += [numbers.count(v) if asked else "–" for v in (row.calls, row.prompt_tokens, row.completion_tokens)]
        line += [numbers.count(row.tokens_per_right) if asked else "–"] if per_right else []
        line += [f"{row.cost:.4g}" if row.cost is not None else "–"] if costs else []
        line += [f"{row.failed:,}", f"{row.steps:,}"]
        cells.append(tuple(line))
    columns = ["arm", f"{exam.metric.name} [95 %]", *(["last step [95 %]"] if several else [])]
    columns += ["gain over control", "p"] if exam.comparisons else []
    columns += ["calls / step", "tokens in / step", "tokens out / step"]
    columns += ["tokens / right answer"] if per_right else []
    columns += ["USD"] if costs else []
    columns += ["failed", "steps"]
    methods = dict.fromkeys(row.score.method for row in rows if row.score.method)
    tests = dict.fromkeys(f"{c.test} ({CORRECTIONS[c.correction]})" for c in exam.comparisons if c.p is not None)
    note = f"Intervals: {'; '.join(methods) or 'none'}."
    note += f" Tests: {', '.join(tests)}." if tests else ""
    if exam.comparisons:
        note += " A positive gain is better, also where lower scores are. Intervals are for each figure alone"
        note += "; p is corrected for all comparisons." if len(exam.comparisons) > 1 else "."
    if not exam.metric.binary and any(row.failed for row in rows):
        note += " A step without an answer is charged what the metric says, by default the worst score of its run."
    if not recovery_table(exam, rows).rows:
        told = (arm.figures["recovery"].method for arm in exam.arms if "recovery" in arm.figures)
        note += "".join(f" Recovery from errors is not given: {why}." for why in list(dict.fromkeys(told))[:1])
    return Table("Results", tuple(columns), tuple(cells), tuple(row.role for row in rows), note)


def further_table(exam: ExamResult) -> Table:
    """Return the metrics that did not decide, with their intervals, for every arm and floor that has them."""
    found = dict.fromkeys(name for arm in exam.arms for name in arm.figures)
    names = [name for name in found if name not in _OWN and not name.endswith(_BILLED)]
    metrics = {name: _described(name) for name in names}
    shown = [arm for arm in exam.arms if any(name in arm.figures for name in names)]
    cells = tuple(
        (arm.label, *(numbers.figure(arm.figures[n], m) if n in arm.figures else "–" for n, m in metrics.items()))
        for arm in shown
    )
    lower = [name for name, metric in metrics.items() if not metric.higher_is_better]
    note = "Nothing was tested by these metrics." + (f" Lower is better: {', '.join(lower)}." if lower else "")
    columns = ("arm", *(f"{name} [95 %]" for name in names))
    return Table("Further metrics", columns, cells, tuple(arm.role for arm in shown), note)


def _described(name: str) -> MetricSpec:
    try:
        return MetricSpec.of(name)
    except ConfigurationError:  # a task's own metric: how it is written is not known from its name
        return MetricSpec(name=name, binary=False)


def cost_table(exam: ExamResult) -> Table:
    """Return what each step and each right answer took of calls, tokens, seconds and money, where the exam says so."""
    shown = [arm for arm in exam.arms if arm.role != "floor" and "calls per step" in arm.figures]
    names = [
        (what, per)
        for per in ("step", "right answer")
        for what in ("calls", "tokens", "seconds", "money")
        if any((f := arm.figures.get(f"{what} per {per}")) is not None and f.value is not None for arm in shown)
    ]
    cells = tuple((arm.label, *(_amount(arm, what, per) for what, per in names)) for arm in shown)
    columns = ("arm", *(f"{'USD' if what == 'money' else what} / {per}" for what, per in names))
    note = "Seconds are those of the calls, whatever ran beside them; answers from a cache cost none."
    judge = exam.config.get("judge")
    if isinstance(judge, dict) and isinstance(bill := judge.get("cost"), dict):
        usd = bill.get("usd")
        money = f" and {usd:.4g} USD" if isinstance(usd, (int, float)) else ""
        tokens = sum(int(str(bill.get(side, 0))) for side in ("prompt_tokens", "completion_tokens"))
        took = f"{bill.get('calls')} calls, {tokens:,} tokens{money}"
        note += f" Apart from that, the judge {judge.get('model')} took {took}."
    return Table("Cost", columns, cells, tuple(arm.role for arm in shown), note)


def _amount(arm: Arm, what: str, per: str) -> str:
    found = arm.figures.get(f"{what} per {per}")
    if found is None or found.value is None:
        return "–"
    return numbers.count(found.value) if what in ("calls", "tokens") else f"{found.value:.3g}"


def recovery_table(exam: ExamResult, rows: list[ArmRow]) -> Table:
    """Return, for every arm, how often a step is right given that the step before it was wrong, or right."""
    shown = [row for row in rows if row.after_wrong.value is not None or row.after_right.value is not None]
    share = exam.metric.model_copy(update={"binary": True, "unit": ""})
    cells = tuple(
        (
            row.label,
            numbers.figure(row.after_wrong, share),
            f"{row.after_wrong.n:,}",
            numbers.figure(row.after_right, share),
            f"{row.after_right.n:,}",
        )
        for row in shown
    )
    note = (
        "Share of steps that are right, given the step before. Compare with the floors: after an error some steps come "
        "right by themselves."
    )
    columns = ("arm", "right after a wrong step [95 %]", "n", "right after a right step [95 %]", "n")
    return Table("Recovery from errors", columns, cells, tuple(row.role for row in shown), note)


def memory_table(rows: list[ArmRow]) -> Table:
    """Return what the memories did: length, changes, what the guard decided, what the budget removed."""
    shown = [row for row in rows if row.length_mean is not None or row.retention is not None or row.verdicts]
    cells = tuple(
        (
            row.label,
            numbers.count(row.length_mean),
            numbers.count(row.length_max),
            f"{row.updates:,}",
            *(f"{row.verdicts.get(decision, 0):,}" for decision in ("repaired", "kept_old")),
            f"{row.dropped:,}",
            *("–" if share is None else f"{100 * share:.1f} %" for share in (row.retention, row.drift)),
        )
        for row in shown
    )
    columns = (
        "arm",
        "mean tokens",
        "most tokens",
        "versions",
        "repaired",
        "old one kept",
        "items dropped",
        "retention",
        "drift",
    )
    note = "Versions: steps after which the memory differed. Repaired and old one kept: decisions of the guard."
    note += " Retention: share of items that a rewrite keeps word for word. Drift: share of those of ten steps earlier"
    note += " that are gone."
    return Table("Memory", columns, cells, tuple(row.role for row in shown), note)
