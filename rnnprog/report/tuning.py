"""The page of a search: how it went, what mattered, what was chosen from, and where the prompts came from.

It reads the record that the tuner writes (``tuning.json``), and the comparison on data held out where there is one
beside it (``compared.json``); one file, no script, nothing from outside.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnprog.errors import DataError
from rnnprog.report.page import bare_page
from rnnprog.report.tuning_charts import front, history, importance, slices
from rnnprog.report.tuning_words import best_program, held_out, lineage, trial_numbered

__all__ = ["build_tuning", "render_tuning"]

FORMAT = 2
COMPARED = "compared.json"
_TURNED = "Lower is better in this metric: its sign is turned, so that a higher score is better. "


def build_tuning(record: str | Path, out: str | Path) -> Path:
    """Write the page of a search.

    Args:
        record: the ``tuning.json`` that the tuner wrote.
        out: path of the page; its folder is created.

    Raises:
        DataError: no such record, or of another format.
    """
    path = Path(record)
    if not path.is_file():
        raise DataError(f"no record of a search at {str(record)!r}; a search with a folder writes tuning.json there")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.get("format") != FORMAT:
            raise DataError(f"{record}: record format {data.get('format')!r}, this version reads {FORMAT}")
        beside = path.with_name(COMPARED)
        compared = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else None
        page = render_tuning(data, compared)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{record} is not the record of a search: {error!r}") from error
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    return out


def render_tuning(record: Mapping[str, Any], compared: Mapping[str, Any] | None = None) -> str:
    """Return the page as HTML; every text from the record is escaped.

    Args:
        record: what the tuner wrote.
        compared: before and after on data held out, as ``rnnprog tune`` writes it.
    """
    sections = [
        ("Before and after, on sequences held out", held_out(record, compared)),
        ("What changed", best_program(record, compared)),
        ("How it went", history(record)),
        ("Score against cost", front(record)),
        ("What mattered", importance(record)),
        ("Slices: score by choice", slices(record)),
        ("Where the prompts came from", lineage(record)),
        ("What it cost", _cost(record)),
        ("Failures", _failures(record)),
    ]
    body = "".join(f"<section><h2>{name}</h2>{content}</section>" for name, content in sections if content)
    return bare_page(f"Tuning: {record['study']}", f"{_headline(record)}{body}")


def _headline(record: Mapping[str, Any]) -> str:
    trials = record["trials"]
    tally = record["tally"]
    best = trial_numbered(record, record["best"])
    start = next((t for t in trials if t["state"] == "complete" and _is_student(t)), None)
    said = "No candidate was seen to the end."
    limits = record["objective"]["constraints"]
    if limits and tally["seen"]:
        kept = ", ".join(f"{name} ≤ {limit:g}" for name, limit in limits.items())
        said = f"No candidate keeps the limits: {html.escape(kept)}."
    if best:
        metric = html.escape(record["objective"]["metric"])
        said = f"Best {metric}: {best['measures']['score']:.4g} (trial {best['number']})"
        if start and start["measures"]:
            said += f", the student as it was: {start['measures']['score']:.4g}"
        said += "."
    calls = sum(row["calls"] for row in record["spent"].values())
    again = f" ({tally['continued']} of them after a second chance)" if tally["continued"] else ""
    taken_up = f"; {tally['broken']} trials were broken off and taken up again" if tally["broken"] else ""
    note = (
        f"{tally['tried']} candidates: {tally['seen']} seen to the end{again}, {tally['ended']} ended early, "
        f"{tally['failed']} failed{taken_up}; {calls:,} model calls. "
        f"{_TURNED if record.get('turned') else ''}"
        "These scores chose the winner and flatter it; what it is worth shows on sequences held out."
    )
    return f'<section class="verdict"><p class="headline">{said}</p><p class="note">{note}</p></section>'


def _is_student(trial: Mapping[str, Any]) -> bool:
    """Return whether a trial walked the student as it was: the first one, or its repetition after a kill."""
    return not any(value for name, value in trial["candidate"].items() if name != "options")


def _cost(record: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(kind)}</th><td>{row['entries']:,}</td><td>{row['calls']:,}</td><td>{row['tokens']:,}</td>"
        f"<td>{row['money']:.4g}</td></tr>"
        for kind, row in record["spent"].items()
    )
    head = "<tr><th>for</th><th>entries</th><th>calls</th><th>tokens</th><th>money</th></tr>"
    return f'<div class="scroll"><table class="narrow"><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _failures(record: Mapping[str, Any]) -> str:
    failed = [t for t in record["trials"] if t["error"]]
    told = [f"Trial {t['number']}: {t['error']}" for t in failed]
    told += [f"A proposal was refused. {why}" for why in record.get("rejected", ())]
    return "".join(f"<p>{html.escape(line)}</p>" for line in told)
