"""What a search found, in words: the best program as a diff, where its prompts came from, the test on data held out."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from typing import Any

from rnnprog.report.plots import interval_bar
from rnnprog.report.tuning_charts import score_of
from rnnprog.statistics import Comparison

__all__ = ["best_program", "diff", "held_out", "lineage", "trial_numbered"]


def held_out(record: Mapping[str, Any], compared: Mapping[str, Any] | None) -> str:
    """Return before and after on sequences that no choice was made on, with interval and test."""
    if compared is None:
        told = "Not measured. <code>rnnprog tune</code> measures it; in Python, <code>before_after</code> does."
        return f'<p class="note">{told}</p>'
    found = compared["held_out"]
    if compared.get("trial") != record["best"]:
        return '<p class="note">The search went on since the last comparison; run it to its end again.</p>'
    rows = "".join(
        f"<tr><th>{name}</th><td>{'–' if found[key] is None else format(found[key], '.4g')}</td></tr>"
        for name, key in (("before: the student", "control_score"), ("after: the tuned program", "arm_score"))
    )
    told = html.escape(compared.get("words", ""))
    lead = f"<p>{told[:1].upper() + told[1:]}.</p>" if told else ""
    bar = ""
    if found["gain"] is not None and found["low"] is not None and found["high"] is not None:
        outcome = Comparison.model_validate(found).outcome
        bar = interval_bar(found["gain"], found["low"], found["high"], f"gain in {found['metric']}", outcome)
    note = f"{found['n']} {found['unit']}, walked by both; neither prompts nor choices saw any of them."
    table = f'<table class="narrow"><tbody>{rows}</tbody></table>'
    return f'{lead}<div class="scroll">{table}</div>{bar}<p class="note">{note}</p>'


def best_program(record: Mapping[str, Any], compared: Mapping[str, Any] | None) -> str:
    """Return what the best program changes in the student, part by part; whole texts behind a click."""
    best = trial_numbered(record, record["best"])
    if not best:
        return ""
    candidate = best["candidate"]
    current = compared is not None and compared.get("trial") == record["best"]
    told = []
    if current and compared is not None:
        for part, lines in compared["changes"].items():
            name, shown = html.escape(part), diff(lines)
            if part.endswith(".demos"):
                count = sum(line.startswith("+example ") for line in lines)
                told.append(f"<details><summary>{name}: {count} worked examples added</summary>{shown}</details>")
            else:
                told.append(f"<h3>{name}</h3>{shown}")
    for phase, text in candidate.get("instructions", {}).items():
        if current:
            told.append(_folded(f"{phase}: the whole instruction", text))
        else:
            told.append(f"<h3>{html.escape(phase)}</h3><pre>{html.escape(text)}</pre>")
    for name in ("demos", "start_memory", "settings", "temperatures", "models"):
        if candidate.get(name):
            told.append(_folded(f"{name}, as JSON", json.dumps(candidate[name], ensure_ascii=False, indent=1)))
    return "".join(told) or "<p>The student as it was: nothing better was found.</p>"


def lineage(record: Mapping[str, Any]) -> str:
    """Return, for each part, which text was written from which, why, with what change, and how it did."""
    scores: dict[tuple[str, str], float] = {}
    for trial in record["trials"]:
        score = score_of(trial)
        if score is not None and trial["pruned_after"] is None:
            for name, label in trial["params"].items():
                key = (name, str(label))
                scores[key] = max(score, scores.get(key, score))
    best = trial_numbered(record, record["best"]) or {"params": {}}
    by_part: dict[str, list[Mapping[str, Any]]] = {}
    for option in record["options"]:
        by_part.setdefault(option["part"], []).append(option)
    told = []
    for part, options in by_part.items():
        children: dict[str, list[Mapping[str, Any]]] = {}
        for option in options:
            children.setdefault((option["parents"] or ["student"])[0], []).append(option)
        known = {option["label"] for option in options}
        chosen = best["params"].get(part)
        tree = "".join(
            f"<li>{_named(root, scores.get((part, root)), chosen)}{_branch(root, children, part, scores, chosen)}</li>"
            for root in children
            if root not in known
        )
        told.append(f'<div><h3>{html.escape(part)}</h3><ul class="tree">{tree}</ul></div>')
    return f'<div class="pair">{"".join(told)}</div>' if told else ""


def _branch(
    name: str,
    children: Mapping[str, list[Mapping[str, Any]]],
    part: str,
    scores: Mapping[Any, float],
    chosen: Any,
) -> str:
    items = []
    for option in children.get(name, []):
        head = _named(option["label"], scores.get((part, option["label"])), chosen, option["round"])
        why = f'<p class="note">Why: {html.escape(option["why"])}</p>' if option["why"] else ""
        changed = diff(option["diff"]) if option.get("diff") else f"<pre>{html.escape(_text(option['value']))}</pre>"
        below = _branch(option["label"], children, part, scores, chosen)
        items.append(f"<li><details><summary>{head}</summary>{why}{changed}</details>{below}</li>")
    return f'<ul class="tree">{"".join(items)}</ul>' if items else ""


def _named(label: str, best: float | None, chosen: Any, round_: int | None = None) -> str:
    found = "not seen to the end" if best is None else f"best {best:.4g}"
    told = html.escape(label if round_ is None or label.startswith("user-") else f"{label}, round {round_}")
    return f"{told}, {found}" + (' <span class="badge">chosen</span>' if label == chosen else "")


def diff(lines: Iterable[str]) -> str:
    """Return the lines of a diff, coloured by what they do."""
    kinds = {"+": "added", "-": "removed"}
    rows = (f'<div class="{kinds.get(line[:1], "same")}">{html.escape(line)}</div>' for line in lines)
    return f'<div class="diff">{"".join(rows)}</div>'


def _folded(name: str, text: str) -> str:
    return f"<details><summary>{html.escape(name)}</summary><pre>{html.escape(text)}</pre></details>"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


def trial_numbered(record: Mapping[str, Any], number: int | None) -> Mapping[str, Any] | None:
    """Return the trial of that number; ``None`` if there is none."""
    found: Mapping[str, Any] | None = next((t for t in record["trials"] if t["number"] == number), None)
    return found
