"""Pictures of the exam: forgetting curves with their control, for the screen and the docs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnprog.latent.examination import Examination

_COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#8a5fbf", "#c77d0a", "#4d4d4d", "#12a5b0", "#a0522d")


def forgetting(exams: Sequence[Examination], edges: Sequence[int], *, title: str = "") -> Any:
    """A figure: F1 by lag with the own bank (solid) and another conversation's bank (dashed), one colour a method.

    Bars of two standard errors (bootstrap over conversations) belong to the gain between the two lines.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 4.2), dpi=130, layout="constrained")
    axes = figure.subplots()
    for number, exam in enumerate(exams):
        curve, colour = exam.curve(edges), _COLOURS[number % len(_COLOURS)]
        places = [place + 0.04 * (number - (len(exams) - 1) / 2) for place in range(len(curve.names))]
        own = [100 * value for value in curve.memory]
        bars = [200 * value for value in curve.gain_error]
        label = f"{exam.method}, {exam.capacity} rows"
        axes.errorbar(places, own, yerr=bars, color=colour, marker="o", capsize=3, lw=2, label=label)
        axes.plot(places, [100 * value for value in curve.shuffled], color=colour, ls="--", marker=".", lw=1.2)
    first = exams[0].curve(edges)
    axes.set_xticks(
        range(len(first.names)), [f"{name}\n(n={count})" for name, count in zip(first.names, first.counts, strict=True)]
    )
    axes.set_xlabel("lag: turns between the fact and the question")
    axes.set_ylabel("answer F1, percent")
    axes.set_ylim(0, 100)
    axes.grid(axis="y", alpha=0.3)
    axes.plot([], [], color="black", ls="--", lw=1.2, label="same weights,\nanother conversation's bank")
    figure.legend(fontsize=8, frameon=False, loc="outside right upper")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=10)
    return figure


def save(figure: Any, path: Path) -> Path:
    """Store as PNG (or what the suffix says)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
