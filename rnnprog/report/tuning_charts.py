"""How a search went, in pictures: its history, score against cost, what mattered, how each choice did."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from rnnprog.report.plots import Mark, line_of_best, scatter, strips

__all__ = ["front", "history", "importance", "score_of", "slices"]

_FEW = 6  # different numbers that are shown as choices; more are a range


def history(record: Mapping[str, Any]) -> str:
    """Return every trial by what had been paid when it ended, and the best so far."""
    marks, paid = [], 0
    for trial in record["trials"]:
        paid += trial["paid"]["calls"]
        score = score_of(trial)
        kind = "fail" if trial["state"] == "fail" else "pruned" if trial["pruned_after"] is not None else "complete"
        if score is not None:
            marks.append(Mark(paid, score, kind, f"trial {trial['number']}: {score:.4g}"))
    if not marks:
        return ""
    note = '<p class="note">Filled: seen to the end. Open: ended early, at its paired estimate. Line: best so far.</p>'
    return scatter(marks, "model calls paid for, in the order of trials", "score", line_of_best(marks)) + note


def front(record: Mapping[str, Any]) -> str:
    """Return score against cost, and the trials that no other beats in both.

    The cost is the search's own second objective; where it had none, tokens for each step.
    """
    done = [t for t in record["trials"] if t["measures"] and t["pruned_after"] is None and t["state"] == "complete"]
    done = [t for t in done if t["same_as"] is None]
    if len(done) < 2:
        return ""
    cost = next((name for name in record["objective"]["objectives"] if name != "score"), "tokens_per_step")
    chosen, unit = record["front"] or _undominated(done), cost.replace("_", " ")
    marks = [
        Mark(
            t["measures"][cost],
            t["measures"]["score"],
            "front" if t["number"] in chosen else "complete",
            f"trial {t['number']}: {t['measures']['score']:.4g}, {t['measures'][cost]:,.4g} {unit}",
        )
        for t in sorted(done, key=lambda t: t["number"] in chosen)  # drawn last, on top of equals
    ]
    best = sorted((t for t in done if t["number"] in chosen), key=lambda t: t["measures"][cost])
    rows = "".join(
        f"<tr><th>trial {t['number']}</th><td>{t['measures']['score']:.4g}</td>"
        f"<td>{_plain(t['measures'][cost])}</td><td>{t['measures']['calls_per_step']:.2f}</td></tr>"
        for t in best
    )
    head = f"<tr><th>to choose from</th><th>score</th><th>{unit}</th><th>calls per step</th></tr>"
    table = f'<div class="scroll"><table class="narrow"><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    note = '<p class="note">Orange: no other trial has both a better score and a lower cost.</p>'
    return scatter(marks, unit, "score", ()) + note + table


def importance(record: Mapping[str, Any]) -> str:
    """Return how much of the spread between trials each part explains."""
    shares = record["importance"]
    if not shares:
        return '<p class="note">Too few trials to tell, or all of them scored alike.</p>'
    rows = "".join(
        f'<tr><th>{html.escape(name)}</th><td class="share">{share:.0%}</td>'
        f'<td class="text"><span class="bar" style="width:{round(100 * share)}%"></span></td></tr>'
        for name, share in shares.items()
    )
    told = (
        "Share of the spread between trials that the choice explains by itself, less what chance alone would; parts "
        "overlap; rough for few trials."
    )
    return f'<table class="shares"><tbody>{rows}</tbody></table><p class="note">{told}</p>'


def slices(record: Mapping[str, Any]) -> str:
    """Return the scores of all trials, choice by choice, one plot for each part."""
    choices: dict[str, dict[Any, list[float]]] = {}
    for trial in record["trials"]:
        score = score_of(trial)
        if score is not None and trial["state"] == "complete" and trial["same_as"] is None:
            for name, value in trial["params"].items():
                choices.setdefault(name, {}).setdefault(value, []).append(score)
    drawn = []
    for name, by_value in choices.items():
        if len(by_value) < 2:
            continue
        drawn.append(f"<div><h3>{html.escape(name)}</h3>{_slice(name, by_value)}</div>")
    if not drawn:
        return ""
    note = '<p class="note">A point is a trial, the bar the mean; trials that were ended early at their estimate.</p>'
    return f'<div class="pair">{"".join(drawn)}</div>{note}'


def _slice(name: str, by_value: Mapping[Any, Sequence[float]]) -> str:
    """Return the scores of each choice as a row, those of a range over its numbers."""
    if len(by_value) > _FEW and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in by_value):
        marks = [Mark(v, s, "complete faint", f"{v:.6g}: {s:.4g}") for v, scores in by_value.items() for s in scores]
        return scatter(marks, name, "score", ())
    rows = sorted(by_value.items(), key=lambda pair: -sum(pair[1]) / len(pair[1]))
    return strips([(str(value), scores) for value, scores in rows], "score")


def score_of(trial: Mapping[str, Any]) -> float | None:
    """Return a trial's score; for one that was ended early its paired estimate."""
    if trial["pruned_after"] is not None and trial["values"]:
        return float(trial["values"][0])
    score = trial["measures"].get("score")
    return None if score is None else float(score)


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


def _undominated(done: Sequence[Mapping[str, Any]]) -> list[int]:
    points = {t["number"]: (t["measures"]["score"], -t["measures"]["tokens_per_step"]) for t in done}
    return [n for n, p in points.items() if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in points.values())]
