"""What a terminal shows: the walk step by step, what a rewrite changed, and the table of results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

from rich.columns import Columns as SideBySide
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rnnprog.exam_result import Arm, ArmRun, ExamResult, MetricSpec
from rnnprog.metrics import MetricLike, cases, right, summary
from rnnprog.metrics.metric import Source, traces_of
from rnnprog.report.arms import arm_rows
from rnnprog.report.carry import HEADING, carry_lines
from rnnprog.report.columns import columns_of, short
from rnnprog.trace import Result, StepRecord, Trace, Update

__all__ = ["memory_panels", "result_table", "step_panel", "walk_table"]

_NOTHING = "-(empty)"
_MARKS = {"repaired": ("guard repaired", "yellow"), "kept_old": ("guard kept the old memory", "red")}


def walk_table(trace: Trace, first: int = 0, last: int | None = None) -> Table:
    """Return one line for each step: said, true, memory length, and what happened to the memory.

    Args:
        trace: the walk.
        first: index of the first step shown.
        last: index of the last step shown; the end of the walk if left out.
    """
    table = Table(
        title=Text(f"walk {trace.sequence}"), title_justify="left", box=None, pad_edge=False, header_style="dim"
    )
    for name in ("step", "", "said", "true", "memory", ""):
        table.add_column(name, justify="right" if name in ("step", "memory") else "left", overflow="fold")
    length: int | None = None
    for record in trace.records:
        for update in record.updates:
            length = length if update.tokens is None else update.tokens
        if record.t < first or (last is not None and record.t > last):
            continue
        mark, style = _mark(record)
        said = Text(short(record.prediction) or "no answer", style=style)
        size = "" if length is None else f"{length} tokens"
        table.add_row(str(record.t), Text(mark, style=style), said, Text(short(record.target)), size, _events(record))
    return table


def step_panel(trace: Trace, t: int) -> Panel:
    """Return everything about one step: observation, answer, truth, each update and the change of memory.

    Raises:
        KeyError: there is no step ``t``.
    """
    record = next((r for r in trace.records if r.t == t), None)
    if record is None:
        raise KeyError(f"trace {trace.sequence!r} has no step {t}; it has {len(trace.records)} steps")
    parts: list[RenderableType] = []
    carry = _lines_until(trace, t)
    for update in record.before:
        parts.append(_update(update, carry, record))
        carry = _after(update, carry)
    parts += [
        _pairs("observation", record.inputs),
        _pairs("prediction", record.prediction or {}),
        _pairs("truth", record.target or {}),
    ]
    if record.failure is not None:
        parts.append(Text(f"failed ({record.failure.phase}): {record.failure.error}", style="red"))
    if carry and not record.updates:
        parts.append(Panel(diff_text(carry, carry), title="memory", title_align="left"))
    for update in record.after:
        parts.append(_update(update, carry, record))
        carry = _after(update, carry)
    usage = record.total_usage
    spent = ", ".join(
        f"{phase} {u.calls} calls {u.prompt_tokens}+{u.completion_tokens} tokens" for phase, u in usage.items()
    )
    parts.append(Text(spent, style="dim"))
    return Panel(Group(*parts), title=Text(f"{trace.sequence}, step {t}"), title_align="left")


def memory_panels(trace: Trace, *, named: bool = False) -> RenderableType:
    """Return the memory before the first step and after the last, side by side; new is green, gone is red.

    Args:
        trace: the walk.
        named: say which sequence it is; for a walk that is one of several.
    """
    before, after = carry_lines(trace.initial), carry_lines(trace.carry_after())
    of = f" of {trace.sequence}" if named else ""
    panels = [
        Panel(diff_text(before, lines), title=Text(f"memory{of} {when}"), title_align="left")
        for when, lines in (("before", before), ("after", after))
    ]
    return SideBySide(panels, equal=True, expand=True)


def result_table(runs: Mapping[str, Source], metric: MetricLike, floors: Mapping[str, Source] | None = None) -> Table:
    """Return score, calls and tokens of each run, with the floors below.

    Args:
        runs: results or traces by label.
        metric: a metric or its name.
        floors: results or traces of the floors by label.
    """
    lines = {label: summary(run, metric) for label, run in runs.items()}
    below = {label: summary(run, metric) for label, run in (floors or {}).items()}
    name = next(iter(lines.values()))["metric"] if lines else "score"
    table = Table(title_justify="left", box=None, pad_edge=False, header_style="dim")
    table.add_column("", overflow="fold")
    # Short enough for a row on one line of 80 columns.
    for heading in (str(name), "95 %", "steps", "failed", "calls", "tokens", "tokens\nper step"):
        table.add_column(heading, justify="right", no_wrap=True)
    sources = {**runs, **(floors or {})}
    for label, line in {**lines, **below}.items():
        style = "dim" if label in below else ""
        cells = [_number(line["score"]), _interval(sources[label], metric), f"{line['steps']:,}", f"{line['failed']:,}"]
        asked = [f"{line['calls']:,}", f"{line['tokens']:,}", _number(line["tokens_per_step"], 1)]
        table.add_row(Text(label), *cells, *(["–"] * 3 if label in below else asked), style=style)
    return table


def diff_text(before: Sequence[str], after: Sequence[str]) -> Text:
    r"""Return two versions of a carry as one text: new lines green after ``+``, lines that are gone red after ``-``.

    A heading that has nothing below it in either version is followed by "(empty)".

    Example:
        >>> diff_text(["#Rules", "-old"], ["#Rules", "-new"]).plain
        'Rules\n- old\n+ new'
        >>> diff_text(["#Facts", "#Rules"], ["#Facts", "#Rules", "-new"]).plain
        'Facts\n  (empty)\nRules\n+ new'
    """
    told = Text()
    bare = _bare(before) & _bare(after)
    before, after = _marked(before, bare), _marked(after, bare)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for _, start, end, begin, stop in matcher.get_opcodes():
        same = before[start:end] == after[begin:stop]
        if not same:
            _append(told, before[start:end], "- ", "red")
        _append(told, after[begin:stop], "  " if same else "+ ", "" if same else "green")
    told.rstrip()
    return told if told.plain else Text("(empty)", style="dim")


def _bare(lines: Sequence[str]) -> set[str]:
    """Return the headings with nothing below them."""
    following = [*lines[1:], HEADING]
    return {line for line, after in zip(lines, following, strict=False) if _heading(line) and _heading(after)}


def _marked(lines: Sequence[str], bare: set[str]) -> list[str]:
    return [shown for line in lines for shown in ([line, _NOTHING] if line in bare else [line])]


def _heading(line: str) -> bool:
    return line.startswith(HEADING)


def _append(told: Text, lines: Sequence[str], mark: str, style: str) -> None:
    for line in lines:
        heading = _heading(line)
        text = (mark.strip() and mark) + line[1:] if heading else mark + line[1:]
        told.append(f"{text}\n", style=f"{style} bold".strip() if heading else "dim" if line is _NOTHING else style)


def _mark(record: StepRecord) -> tuple[str, str]:
    hit = next((right(case) for case in cases(Trace(sequence="", records=(record,)))), None)
    if record.prediction is None:
        return "failed", "red"
    return ("", "") if hit is None else ("right", "green") if hit else ("wrong", "red")


def _events(record: StepRecord) -> Text:
    told: list[Text] = []
    for update in record.updates:
        told += [Text(*_MARKS[v.decision]) for v in update.verdicts if v.decision in _MARKS]
        if update.dropped:
            told.append(Text(f"{len(update.dropped)} dropped", style="magenta"))
        if update.failure is not None:
            told.append(Text(f"{update.failure.phase} failed", style="red"))
        if update.of != record.id:
            told.append(Text("late feedback", style="cyan"))
    return Text(", ").join(told)


def _update(update: Update, carry: Sequence[str], record: StepRecord) -> Group:
    about = "" if update.of == record.id else f", about {update.of}, which came late"
    parts: list[RenderableType] = [Text(f"\nlearning: {update.operation}{about}", style="bold")]
    if update.feedback is not None:
        parts.append(_pairs("feedback", {update.feedback.kind: update.feedback.text or update.feedback.correct}))
    if update.critique:
        parts.append(_pairs("critique", update.critique))
    for verdict in update.verdicts:
        _, style = _MARKS.get(verdict.decision, ("", "green"))
        said = verdict.decision.replace("_", " ") + (f": {verdict.reason}" if verdict.reason else "")
        parts.append(Text(f"guard, {verdict.check}: {said}", style=style))
    parts += [Text(f"dropped for the budget: {section}: {text}", style="magenta") for section, text in update.dropped]
    if update.failure is not None:
        parts.append(Text(f"failed ({update.failure.phase}): {update.failure.error}", style="red"))
    size = "" if update.tokens is None else f", {update.tokens} tokens"
    after = _after(update, carry)
    title = f"memory{size}" + ("" if list(after) != list(carry) else ", unchanged")
    return Group(*parts, Panel(diff_text(carry, after), title=Text(title), title_align="left"))


def _after(update: Update, carry: Sequence[str]) -> list[str]:
    return list(carry) if update.carry is None else carry_lines(update.carry)


def _lines_until(trace: Trace, t: int) -> list[str]:
    """Return the lines of the carry as it was when step ``t`` began."""
    lines = carry_lines(trace.initial)
    for record in trace.records:
        if record.t >= t:
            break
        for update in record.updates:
            lines = _after(update, lines)
    return lines


def _pairs(title: str, values: Mapping[str, object]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in values.items() or (("", "none"),):
        table.add_row(
            Text(f"{title}: {name}" if name else title), Text(value if isinstance(value, str) else json.dumps(value))
        )
    return table


def _number(value: float | None, digits: int = 4) -> str:
    return (
        "–"
        if value is None
        else f"{value:,.{digits}f}".rstrip("0").rstrip(".")
        if digits == 1
        else f"{value:.{digits}g}"
    )


def _interval(source: Source, metric: MetricLike) -> str:
    run = ArmRun(result=source if isinstance(source, Result) else Result(traces=tuple(traces_of(source))))
    spec = MetricSpec.of(metric)
    row = arm_rows((exam := ExamResult(task="", metric=spec, arms=(Arm(label="a", runs=(run,)),))), columns_of(exam))[0]
    low, high = row.score.low, row.score.high
    return "–" if low is None or high is None else f"{low:.3g} to {high:.3g}"
