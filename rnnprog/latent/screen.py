"""Exams on the screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from rnnprog.latent.examination import Examination, verdict


def show(exams: Sequence[Examination], edges: Sequence[int], console: Console | None = None) -> None:
    """Print means with controls, the forgetting curve with signed gains, and each verdict."""
    out = console or Console()
    first = exams[0].answerable
    references = [name for name in first.f1 if name not in ("memory", "shuffled", "zero")]
    head = ", ".join(f"{name} {100 * first.mean(name).mean:.1f}" for name in references)
    out.print(f"\nFrozen model without adapter, F1 percent: {head}")
    table = Table(title="F1 percent with the own bank, another's and a zero bank")
    table.add_column("method, rows", no_wrap=True)
    for name in ("own", "other's", "zero", "signed gain ± se", "K first→last"):
        table.add_column(name, justify="right", no_wrap=True)
    for exam in exams:
        part = exam.answerable
        means = [f"{100 * part.mean(name).mean:.1f}" for name in ("memory", "shuffled", "zero")]
        known = f"{100 * exam.knowledge[0]:.0f} → {100 * exam.knowledge[-1]:.0f}" if exam.knowledge else "-"
        gain = part.gain("shuffled")
        table.add_row(_label(part), *means, f"{100 * gain.mean:+.1f} ± {100 * gain.error:.1f}", known)
    out.print(table)
    out.print(_forgetting([exam.answerable for exam in exams], edges))
    for exam in exams:
        part = exam.answerable
        tax, net = 100 * part.tax.mean, 100 * part.net_benefit.mean
        published = f"published rate {100 * part.curve(edges).rate_mean:.1f}, tax {tax:+.1f}, net benefit {net:+.1f}"
        out.print(f"{exam.method}, {exam.capacity} rows: {verdict(part)}; {published}")
        apart = exam.adversarial
        if apart.owners:
            own, other = (100 * apart.mean(name).mean for name in ("memory", "shuffled"))
            out.print(f"  {len(apart.owners)} questions without an answer, apart: own {own:.1f}, other's {other:.1f}")


def _forgetting(exams: Sequence[Examination], edges: Sequence[int]) -> Table:
    names = exams[0].curve(edges).names
    table = Table(title="Forgetting: own bank / other's bank (signed gain) by lag in turns")
    table.add_column("method, rows", no_wrap=True)
    for name, count in zip(names, exams[0].curve(edges).counts, strict=True):
        table.add_column(f"{name}\n(n={count})", justify="right")
    for exam in exams:
        curve = exam.curve(edges)
        cells = [
            f"{100 * own:.0f}/{100 * other:.0f} ({100 * gain:+.0f})" if count else "-"
            for own, other, gain, count in zip(
                curve.memory, curve.shuffled, curve.gain_shuffled, curve.counts, strict=True
            )
        ]
        table.add_row(_label(exam), *cells)
    return table


def _label(exam: Examination) -> str:
    """Short enough for two tables on a screen of 80 columns."""
    return f"{exam.method.replace('(', '').replace(')', '')}, {exam.capacity}"
