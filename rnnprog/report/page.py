"""One HTML file that needs nothing else: markup, style, script and data, put together from the parts in ``page/``."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import numpy as np

from rnnprog.exam_result import ExamResult
from rnnprog.report import blocks, numbers, tables, verdict
from rnnprog.report.arms import ArmRow, arm_rows
from rnnprog.report.columns import FLAGS, Columns
from rnnprog.report.curves import learning_curves, length_curves
from rnnprog.report.dress import to_html
from rnnprog.report.prompts import Prompts

__all__ = ["SCRIPTS", "bare_page", "head_of", "render"]

SCRIPTS = (
    *("dom", "theme", "inflate", "data", "numbers", "scale", "legend"),
    *("chart", "curves", "cost", "walk", "values", "timeline"),
    *("filter", "list", "diff", "prompts", "detail", "keys", "main"),
)
"""The script's parts in the order in which they are joined; each is one idea."""

_DARK = re.compile(r':root\[data-theme="dark"\] \{(.*?)\}', re.DOTALL)
_SLOT = re.compile(r"\{\{(\w+)\}\}")
_COLUMNS = ("score", "length", "prompt_tokens", "completion_tokens", "said", "true", "flags", "calls")


def render(
    exam: ExamResult, columns: Columns, prompts: Mapping[tuple[int, int], Prompts], latent: str = ""
) -> Iterator[str]:
    """Yield the page in pieces; ``latent`` is a finished section to be shown before the settings.

    A content security policy allows the page's own script, by its hash, and nothing from anywhere else: text from
    the data could not run or load anything even if it got into the markup, which it never does.
    """
    rows = arm_rows(exam, columns)
    script = _script()
    yield _fill(_part("page.html"), {**_slots(exam, rows, columns, script), "latent": latent})
    yield from _data("head", blocks.pack_json(head_of(exam, rows, columns, bool(prompts))))
    yield from _data("columns", blocks.pack(_binary(columns)))
    for number, packed in enumerate(blocks.detail_blocks(columns)):
        yield from _data(f"steps-{number}", packed)
    if prompts:
        for number, packed in enumerate(blocks.prompt_blocks(columns, prompts)):
            yield from _data(f"prompts-{number}", packed)
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def bare_page(title: str, body: str) -> str:
    """Return a page without script around sections that are finished; dark where the reader's system is."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    style = _part("page.css") + _part("tuning.css")
    if dark := _DARK.search(style):
        style += f"@media screen and (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {dark[1]} }} }}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width"><style>{style}</style></head>'
        f"<body><header><h1>{html.escape(title)}</h1></header><main>{body}</main></body></html>\n"
    )


def head_of(exam: ExamResult, rows: list[ArmRow], columns: Columns, prompts: bool = False) -> dict[str, Any]:
    """Return what the page needs before it opens any step: arms, curves, walks and the texts of the list."""
    metric = exam.metric
    arms = [
        {
            "label": row.label,
            "role": row.role,
            "score": row.score.value,
            "lo": row.score.low,
            "hi": row.score.high,
            "tokens": row.tokens,
            "calls": row.calls,
            "budget": _budget(exam, index),
        }
        for index, row in enumerate(rows)
    ]
    walks = [
        [w.arm, w.seed, w.trace.sequence, w.offset, len(w), w.trace.records[0].t if len(w) else 0, w.trace.error]
        for w in columns.walks
    ]
    share = numbers.is_share(metric)
    return {
        "task": exam.task,
        "metric": {
            "name": metric.name,
            "share": share,
            "unit": metric.unit,
            "binary": metric.binary,
            "higher": metric.higher_is_better,
        },
        "arms": arms,
        "learning": [curve.json() for curve in learning_curves(columns, len(arms))],
        "lengths": [curve.json() for curve in length_curves(columns, len(arms))],
        "walks": walks,
        "flags": FLAGS,
        "steps": len(columns),
        "block": blocks.BLOCK,
        "prompts": prompts,
        "texts": columns.texts,
    }


def _slots(exam: ExamResult, rows: list[ArmRow], columns: Columns, script: str) -> dict[str, str]:
    said = verdict.statements(exam, rows)
    items = "".join(f'<li class="{s.kind.replace(" ", "-")}">{html.escape(s.text)}</li>' for s in said)
    recovery = tables.recovery_table(exam, rows)
    memory = tables.memory_table(rows)
    bill = tables.cost_table(exam)
    further = tables.further_table(exam)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "title": html.escape(exam.task),
        "policy": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:",
        "style": _part("page.css"),
        "facts": html.escape(_facts(exam, columns)),
        "headline": html.escape(verdict.headline(exam, rows)),
        "statements": items,
        "results": to_html(tables.result_table(exam, rows)),
        "further": to_html(further),
        "further_hidden": "" if further.rows else " hidden",
        "recovery": to_html(recovery),
        "recovery_hidden": "" if recovery.rows else " hidden",
        "bill": to_html(bill),
        "bill_hidden": "" if bill.rows else " hidden",
        "memory": to_html(memory),
        "memory_hidden": "" if memory.rows else " hidden",
        "settings": _definitions(exam),
    }


def _facts(exam: ExamResult, columns: Columns) -> str:
    sequences = len({walk.trace.sequence for walk in columns.walks})
    seeds = len({walk.seed for walk in columns.walks})
    better = "higher" if exam.metric.higher_is_better else "lower"
    told = [f"{len(exam.arms)} arms" * (len(exam.arms) > 1), f"{sequences:,} sequence{'s' * (sequences != 1)}"]
    told += [
        f"{seeds} seeds" * (seeds > 1),
        f"{len(columns):,} recorded steps",
        f"metric: {exam.metric.name}, {better} is better",
    ]
    return " · ".join(part for part in told if part)


def _definitions(exam: ExamResult) -> str:
    rows: dict[str, object] = dict(exam.config)
    for arm in exam.arms:
        programs = {json.dumps(run.result.program, sort_keys=True, ensure_ascii=False) for run in arm.runs}
        rows |= {f"program of {arm.label}": text for text in sorted(programs) if text != "{}"}
    rows |= {f"version of {name}": version for name, version in exam.versions.items()}
    told = (
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in rows.items()
    )
    return "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in told)


def _budget(exam: ExamResult, index: int) -> int | None:
    """Return the memory budget that the program states, itself or among its settings."""
    for run in exam.arms[index].runs:
        settings = run.result.program.get("settings")
        for stated in (run.result.program, settings if isinstance(settings, dict) else {}):
            value = stated.get("budget", stated.get("memory_budget"))
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    return None


def _binary(columns: Columns) -> bytes:
    arrays = (getattr(columns, name) for name in _COLUMNS)
    return b"".join(np.ascontiguousarray(a, a.dtype.newbyteorder("<")).tobytes() for a in arrays)


def _script() -> str:
    parts = "\n".join(_part(f"{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();'


def _part(name: str) -> str:
    return files("rnnprog.report").joinpath("page", name).read_text(encoding="utf-8")


def _data(name: str, packed: str) -> Iterator[str]:
    yield f'<script type="text/plain" id="data-{name}">'
    yield packed
    yield "</script>\n"


def _fill(template: str, slots: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda match: slots[match[1]], template)
