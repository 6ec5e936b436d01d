"""The page of a search: how it went, what mattered, what was chosen from, and where the prompts came from.

It reads the record that the tuner writes (``tuning.json``) and nothing else; one file, no script, nothing from outside.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnprog.errors import DataError
from rnnprog.report.page import bare_page
from rnnprog.report.plots import Mark, line_of_best, scatter

__all__ = ["build_tuning", "render_tuning"]

FORMAT = 1


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
        page = render_tuning(data)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{record} is not the record of a search: {error!r}") from error
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    return out


def render_tuning(record: Mapping[str, Any]) -> str:
    """Return the page as HTML; every text from the record is escaped."""
    sections = [
        ("How it went", _history(record)),
        ("Score against cost", _front(record)),
        ("What mattered", _importance(record)),
        ("Slices: score by choice", _slices(record)),
        ("The best program", _best(record)),
        ("Where the prompts came from", _lineage(record)),
        ("What it cost", _cost(record)),
        ("Failures", _failures(record)),
    ]
    body = "".join(f"<section><h2>{name}</h2>{content}</section>" for name, content in sections if content)
    return bare_page(f"Tuning: {record['study']}", f"{_headline(record)}{body}")


def _headline(record: Mapping[str, Any]) -> str:
    trials = record["trials"]
    done = [t for t in trials if t["state"] == "complete"]
    pruned = [t for t in done if t["pruned_after"] is not None]
    best = _by_number(record, record["best"])
    start = next((t for t in done if t["number"] == 0), None)
    said = "No candidate was seen to the end."
    if best:
        metric = html.escape(record["objective"]["metric"])
        said = f"Best {metric}: {best['measures']['score']:.4g} (trial {best['number']})"
        if start and start["measures"]:
            said += f", the student as it was: {start['measures']['score']:.4g}"
        said += "."
    calls = sum(row["calls"] for row in record["spent"].values())
    note = (
        f"{len(trials)} trials: {len(done) - len(pruned)} seen to the end, {len(pruned)} ended early, "
        f"{sum(t['state'] == 'fail' for t in trials)} failed; {calls:,} model calls. "
        "These scores chose the winner and flatter it; judge it on sequences held out."
    )
    return f'<section class="verdict"><p class="headline">{said}</p><p class="note">{note}</p></section>'


def _history(record: Mapping[str, Any]) -> str:
    marks, paid = [], 0
    for trial in record["trials"]:
        paid += trial["paid"]["calls"]
        score = _score(trial)
        kind = "fail" if trial["state"] == "fail" else "pruned" if trial["pruned_after"] is not None else "complete"
        if score is not None:
            marks.append(Mark(paid, score, kind, f"trial {trial['number']}: {score:.4g}"))
    if not marks:
        return ""
    note = '<p class="note">Filled: seen to the end. Open: ended early, at its paired estimate. Line: best so far.</p>'
    return scatter(marks, "model calls paid for, in the order of trials", "score", line_of_best(marks)) + note


def _front(record: Mapping[str, Any]) -> str:
    done = [t for t in record["trials"] if t["measures"] and t["pruned_after"] is None and t["state"] == "complete"]
    if len(done) < 2:
        return ""
    chosen = record["front"] or _front_numbers(done)
    marks = [
        Mark(
            t["measures"]["tokens_per_step"],
            t["measures"]["score"],
            "front" if t["number"] in chosen else "complete",
            f"trial {t['number']}",
        )
        for t in done
    ]
    return scatter(marks, "tokens per step", "score", ()) + '<p class="note">Orange: no other is better in both.</p>'


def _front_numbers(done: Sequence[Mapping[str, Any]]) -> list[int]:
    points = {t["number"]: (t["measures"]["score"], -t["measures"]["tokens_per_step"]) for t in done}
    return [n for n, p in points.items() if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in points.values())]


def _importance(record: Mapping[str, Any]) -> str:
    shares = record["importance"]
    if not shares:
        return '<p class="note">Too few trials to tell.</p>'
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{share:.0%}</td>"
        f'<td class="text"><span class="bar" style="width:{round(260 * share)}px"></span></td></tr>'
        for name, share in shares.items()
    )
    told = "Share of the spread between trials that the choice explains by itself; rough for few trials."
    note = f'<p class="note">{told}</p>'
    return f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>{note}'


def _slices(record: Mapping[str, Any]) -> str:
    choices: dict[str, dict[str, list[float]]] = {}
    for trial in record["trials"]:
        score = _score(trial)
        if score is not None and trial["state"] == "complete" and trial["same_as"] is None:
            for name, value in trial["params"].items():
                choices.setdefault(name, {}).setdefault(str(value), []).append(score)
    rows = []
    for name, by_value in choices.items():
        for value, scores in sorted(by_value.items(), key=lambda pair: -max(pair[1])):
            rows.append(
                f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td><td>{len(scores)}</td>"
                f"<td>{max(scores):.4g}</td><td>{sum(scores) / len(scores):.4g}</td></tr>"
            )
    if not rows:
        return ""
    head = "<tr><th>part</th><th>choice</th><th>trials</th><th>best</th><th>mean</th></tr>"
    table = f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<details><summary>{len(rows)} choices</summary><div class="scroll">{table}</div></details>'


def _best(record: Mapping[str, Any]) -> str:
    best = _by_number(record, record["best"])
    if not best:
        return ""
    candidate = best["candidate"]
    parts = [
        f"<h3>{html.escape(phase)}</h3><pre>{html.escape(text)}</pre>"
        for phase, text in candidate.get("instructions", {}).items()
    ]
    for name in ("demos", "start_memory", "settings", "temperatures", "models"):
        if candidate.get(name):
            shown = json.dumps(candidate[name], ensure_ascii=False, indent=1)
            parts.append(f"<details><summary>{name}</summary><pre>{html.escape(shown)}</pre></details>")
    return "".join(parts) or "<p>The student as it was.</p>"


def _lineage(record: Mapping[str, Any]) -> str:
    scores: dict[tuple[str, str], float] = {}
    for trial in record["trials"]:
        score = _score(trial)
        if score is not None and trial["pruned_after"] is None:
            for name, label in trial["params"].items():
                key = (name, str(label))
                scores[key] = max(score, scores.get(key, score))
    by_part: dict[str, list[Mapping[str, Any]]] = {}
    for option in record["options"]:
        by_part.setdefault(option["part"], []).append(option)
    told = []
    for part, options in by_part.items():
        children: dict[str, list[Mapping[str, Any]]] = {}
        for option in options:
            children.setdefault((option["parents"] or ["student"])[0], []).append(option)
        known = {option["label"] for option in options}
        roots = [name for name in children if name not in known]
        tree = "".join(f"<li>{html.escape(root)}{_branch(root, children, part, scores)}</li>" for root in roots)
        told.append(f'<h3>{html.escape(part)}</h3><ul class="tree">{tree}</ul>')
    return "".join(told)


def _branch(name: str, children: Mapping[str, list[Mapping[str, Any]]], part: str, scores: Mapping[Any, float]) -> str:
    items = []
    for option in children.get(name, []):
        best = scores.get((part, option["label"]))
        label = f"{option['label']}, round {option['round']}, " + (
            "not seen to the end" if best is None else f"best {best:.4g}"
        )
        value = (
            option["value"]
            if isinstance(option["value"], str)
            else json.dumps(option["value"], ensure_ascii=False, indent=1)
        )
        why = f'<p class="note">{html.escape(option["why"])}</p>' if option["why"] else ""
        items.append(
            f"<li><details><summary>{html.escape(label)}</summary>{why}<pre>{html.escape(value)}</pre></details>"
            f"{_branch(option['label'], children, part, scores)}</li>"
        )
    return f'<ul class="tree">{"".join(items)}</ul>' if items else ""


def _cost(record: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(kind)}</th><td>{row['entries']:,}</td><td>{row['calls']:,}</td><td>{row['tokens']:,}</td>"
        f"<td>{row['money']:.4g}</td></tr>"
        for kind, row in record["spent"].items()
    )
    head = "<tr><th>for</th><th>entries</th><th>calls</th><th>tokens</th><th>money</th></tr>"
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _failures(record: Mapping[str, Any]) -> str:
    failed = [t for t in record["trials"] if t["error"]]
    return "".join(f"<p>Trial {t['number']}: {html.escape(t['error'])}</p>" for t in failed)


def _score(trial: Mapping[str, Any]) -> float | None:
    if trial["pruned_after"] is not None and trial["values"]:
        return float(trial["values"][0])
    score = trial["measures"].get("score")
    return None if score is None else float(score)


def _by_number(record: Mapping[str, Any], number: int | None) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = next((t for t in record["trials"] if t["number"] == number), None)
    return found
