"""The result of an exam on a terminal, or as one JSON object."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from rnnprog.exam_result import ExamResult
from rnnprog.report import numbers
from rnnprog.report.arms import ArmRow, arm_rows
from rnnprog.report.columns import columns_of
from rnnprog.report.tables import Table, recovery_table
from rnnprog.report.verdict import headline, statements

__all__ = ["print_exam", "summary_of"]

_STYLES = {"gain": "green", "loss": "red", "no evidence": "", "floor": "dim", "note": "yellow"}


def print_exam(exam: ExamResult, console: Console) -> None:
    """Print verdict, results and recovery of an exam."""
    rows = arm_rows(exam, columns_of(exam))
    console.print(Text(headline(exam, rows), style="bold"))
    for said in statements(exam, rows):
        console.print(Text(f"- {said.text}", style=_STYLES.get(said.kind, "")))
    console.print(_results(exam, rows))
    recovered = recovery_table(exam, rows)
    if recovered.rows:
        console.print(_rich(recovered))


def summary_of(exam: ExamResult) -> dict[str, Any]:
    """Return the result of an exam as one small JSON object, without the walks."""
    dumped = exam.model_dump(mode="json", exclude={"arms": {"__all__": {"runs"}}})
    for c, told in zip(exam.comparisons, dumped["comparisons"], strict=True):
        told.update(outcome=c.outcome, words=c.words)
    return {"task": dumped["task"], "complete": exam.config.get("complete"), **dumped}


def _results(exam: ExamResult, rows: list[ArmRow]) -> RichTable:
    """Return the results in as few columns as a terminal has room for; the page has them all."""
    said = {c.arm: c for c in exam.comparisons}
    drawn = RichTable(title="Results", title_justify="left", box=None, pad_edge=False, header_style="dim")
    drawn.add_column("arm", no_wrap=True)
    failed = any(row.failed for row in rows)
    names = [f"{exam.metric.name} [95 %]", "gain", "p", "calls", "tokens", *(["failed"] if failed else [])]
    for name in names:
        drawn.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        c = said.get(row.label)
        asked = row.role != "floor"
        cells = [
            numbers.figure(row.score, exam.metric),
            numbers.points(c.gain, exam.metric).removesuffix(" points")
            if c
            else "control"
            if row.role == "control"
            else "",
            numbers.p_value(c.p_corrected) if c else "",
            numbers.count(row.calls) if asked else "",
            numbers.count(row.tokens) if asked else "",
            *([f"{row.failed:,}"] if failed else []),
        ]
        style = {"floor": "dim", "control": "italic"}.get(row.role, "")
        drawn.add_row(Text(row.label), *(Text(cell) for cell in cells), style=style)
    drawn.caption, drawn.caption_justify = "Gain over the control; calls and tokens for each step.", "left"
    return drawn


def _rich(table: Table) -> RichTable:
    drawn = RichTable(title=table.title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    drawn.caption, drawn.caption_justify = table.note, "left"
    for index, name in enumerate(table.columns):
        drawn.add_column(Text(name), justify="left" if index == 0 else "right", overflow="fold")
    for row, kind in zip(table.rows, table.kinds, strict=True):
        style = {"floor": "dim", "control": "italic"}.get(kind, "")
        drawn.add_row(*(Text(cell) for cell in row), style=style)
    return drawn
