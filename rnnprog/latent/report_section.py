"""The section on latent memory for the HTML report: tables, curves and the verdict in words, self-contained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from rnnprog.latent.examination import Examination, pooled, verdict
from rnnprog.latent.plot import as_svg, forgetting, knowledge


def report_section(
    exams: Sequence[Examination],
    edges: Sequence[int],
    *,
    title: str = "Latent memory",
    facts: Mapping[str, str] | None = None,
) -> str:
    """An HTML fragment (no script, no outside resource) for a finished set of exams.

    Exams of one method and capacity are pooled over their seeds. ``edges`` are the lag buckets; ``facts`` are further
    lines for the head (data, backbone, settings).
    """
    groups: dict[tuple[str, int], list[Examination]] = {}
    for exam in exams:
        groups.setdefault((exam.method, exam.capacity), []).append(exam)
    whole = [(pooled(group), len(group)) for group in groups.values()]
    shown = [exam.answerable for (exam, _), _ in whole]
    lines = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in (facts or {}).items())
    sentences = "".join(
        f"<li><strong>{escape(exam.method)}, {exam.capacity} rows:</strong> "
        f"{escape(verdict(exam.answerable, between))}</li>"
        for (exam, between), _ in whole
    )
    parts = [
        f'<section class="latent-memory"><h2>{escape(title)}</h2><dl>{lines}</dl>',
        "<p>Recall is claimed only where answers from the own bank beat the same weights with another conversation's "
        "bank by more than two standard errors (bootstrap over conversations, seeds added in quadrature).</p>",
        f"<ul>{sentences}</ul>",
        _means(whole),
        f"<h3>Forgetting</h3>{as_svg(forgetting(shown, edges))}",
        _curves(shown, edges),
    ]
    if any(exam.knowledge for exam in shown):
        parts.append(f"<h3>Knowledge by session</h3>{as_svg(knowledge([exam for exam in shown if exam.knowledge]))}")
    return "".join(parts) + "</section>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _means(whole: Sequence[tuple[tuple[Examination, float], int]]) -> str:
    conditions = list(whole[0][0][0].f1)
    head = ["method", "rows", "seeds", *conditions, "gain over shuffled", "tax", "net benefit", "adversarial F1"]
    rows = []
    for (exam, _), seeds in whole:
        part, apart = exam.answerable, exam.adversarial
        gain, tax, net = part.gain("shuffled"), part.tax, part.net_benefit
        rows.append([
            exam.method, str(exam.capacity), str(seeds),
            *(part.mean(name).percent() for name in conditions),
            f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]",
            f"{100 * tax.mean:+.1f}", f"{100 * net.mean:+.1f}",
            apart.mean("memory").percent() if len(apart.owners) else "none asked",
        ])  # fmt: skip
    return "<h3>F1 in percent, ± one standard error</h3>" + _table(head, rows)


def _curves(exams: Sequence[Examination], edges: Sequence[int]) -> str:
    head = ["method", "rows", "lag", "n", "F1", "shuffled", "gain", "gain fitted", "published rate raw", "rate fitted"]
    rows = []
    for exam in exams:
        curve = exam.curve(edges)
        for place, name in enumerate(curve.names):
            numbers = (
                curve.memory, curve.shuffled, curve.gain_shuffled, curve.gain_fitted, curve.rate, curve.rate_fitted
            )  # fmt: skip
            cells = [f"{100 * series[place]:.1f}" for series in numbers]
            rows.append([exam.method, str(exam.capacity), name, str(curve.counts[place]), *cells])
    return _table(head, rows)
