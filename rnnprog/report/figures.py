"""Figures for papers: learning curve, cost against score, memory length. Needs matplotlib, the extra ``exam``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnprog.errors import ConfigurationError
from rnnprog.exam_result import ExamResult
from rnnprog.report import numbers
from rnnprog.report.arms import ArmRow, arm_rows
from rnnprog.report.columns import columns_of
from rnnprog.report.curves import Curve, learning_curves, length_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "save_figures"]

FIGURES = ("learning", "cost", "memory")
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0568a", "#8a6d00", "#2f9fd8", "#6a51a3", "#444b54")
_MARKERS = "os^Dv<>p"


def save_figures(exam: ExamResult, folder: str | Path, formats: tuple[str, ...] = ("svg", "png")) -> list[Path]:
    """Draw the figures of an exam and save them, one file for each figure and format.

    Args:
        exam: the result.
        folder: where to; it is created.
        formats: file endings that matplotlib knows: ``svg``, ``png``, ``pdf``.

    Returns:
        The paths written. A figure for which the exam has no data is left out.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure as New
    except ImportError as error:
        raise ConfigurationError("figures need matplotlib; install it with: pip install 'rnnprog[exam]'") from error
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    columns = columns_of(exam)
    rows = arm_rows(exam, columns)
    learning, lengths = learning_curves(columns, len(rows)), length_curves(columns, len(rows))
    paths = []
    with rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "rnnprog"}):
        for name in FIGURES:
            figure = New(figsize=(5.2, 3.2), layout="constrained")
            axes = figure.subplots()
            if name == "cost":
                drawn = _cost(axes, exam, rows)
            else:
                drawn = _curves(
                    axes, exam, rows, learning if name == "learning" else lengths, scored=name == "learning"
                )
            if len(rows) > 1:
                figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
            paths += [_save(figure, folder / f"{name}.{ending}") for ending in formats] if drawn else []
    return paths


def _curves(axes: Axes, exam: ExamResult, rows: list[ArmRow], curves: list[Curve], scored: bool) -> bool:
    shown = _together([curve for curve in curves if rows[curve.arm].role != "floor"], rows)
    scale = 100 if scored and numbers.is_share(exam.metric) else 1
    for curve, name in shown:
        look = _look(rows, curve.arm)
        axes.plot(curve.x, [scale * y for y in curve.y], label=name, linewidth=1.6, **look)
        band = [
            (x, lo, hi)
            for x, lo, hi in zip(curve.x, curve.low, curve.high, strict=True)
            if lo is not None and hi is not None
        ]
        if band:
            x, low, high = zip(*band, strict=True)
            if scale == 100:  # of a share there is nothing below none and above all
                low, high = tuple(max(v, 0.0) for v in low), tuple(min(v, 1.0) for v in high)
            axes.fill_between(
                x, [scale * v for v in low], [scale * v for v in high], color=look["color"], alpha=0.12, linewidth=0
            )
    if scored:
        _floor_lines(axes, rows, scale)
    axes.set_xlabel("step of the sequence")
    axes.set_ylabel(_score_name(exam) if scored else "memory length (tokens)")
    return bool(shown)


def _together(curves: list[Curve], rows: list[ArmRow]) -> list[tuple[Curve, str]]:
    """Return each different line once, with its name; bands laid over each other would darken into another colour."""
    groups: dict[tuple[Any, ...], list[Curve]] = {}
    for curve in curves:
        groups.setdefault((*curve.x, *curve.y, *curve.low, *curve.high), []).append(curve)
    found = []
    for group in groups.values():
        first = next((curve for curve in group if rows[curve.arm].role == "control"), group[0])
        more = f" and {len(group) - 1} more" if len(group) > 1 else ""
        found.append((first, rows[first.arm].label + more))
    return found


def _floor_lines(axes: Axes, rows: list[ArmRow], scale: int) -> None:
    """Draw the floors as dotted lines; their names stand at the right, pushed apart so that none covers another."""
    floors = sorted(
        (scale * row.score.value, row.label) for row in rows if row.role == "floor" and row.score.value is not None
    )
    for value, _ in floors:
        axes.axhline(value, color="#8b929c", linestyle=":", linewidth=1, zorder=0)
    low, high = axes.get_ylim()
    least = low
    for value, label in floors:
        at = max(value, least)
        place = {"xycoords": ("axes fraction", "data"), "va": "center", "color": "#666", "fontsize": 8}
        axes.annotate(label, (1.01, at), annotation_clip=False, **place)
        least = at + 0.07 * (high - low)


def _cost(axes: Axes, exam: ExamResult, rows: list[ArmRow]) -> bool:
    scale = 100 if numbers.is_share(exam.metric) else 1
    from matplotlib.ticker import LogLocator

    points = [(index, row) for index, row in enumerate(rows) if row.tokens > 0 and row.score.value is not None]
    for index, row in points:
        look, score = _look(rows, index), row.score
        value = scale * (score.value or 0.0)
        ends = (
            None
            if score.low is None or score.high is None
            else [[value - scale * score.low], [scale * score.high - value]]
        )
        rank = sum(one.role == "arm" for one in rows[:index])
        marker = "o" if row.role == "control" else _MARKERS[(rank + rank // len(_COLOURS)) % len(_MARKERS)]
        axes.errorbar(
            [row.tokens],
            [value],
            yerr=ends,
            marker=marker,
            color=look["color"],
            capsize=2,
            linestyle="none",
            label=row.label,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter("")
    axes.margins(x=0.15, y=0.1)
    if points:
        _floor_lines(axes, rows, scale)
    axes.set_xlabel("tokens per step")
    axes.set_ylabel(_score_name(exam))
    return bool(points)


def _look(rows: list[ArmRow], index: int) -> dict[str, Any]:
    if rows[index].role == "control":
        return {"color": "#6b7280", "linestyle": "--"}
    rank = sum(row.role == "arm" for row in rows[:index])
    return {"color": _COLOURS[rank % len(_COLOURS)], "linestyle": ("-", "-.", ":")[rank // len(_COLOURS) % 3]}


def _score_name(exam: ExamResult) -> str:
    unit = "%" if numbers.is_share(exam.metric) else exam.metric.unit
    return exam.metric.name + (f" ({unit})" if unit else "")


def _save(figure: Figure, path: Path) -> Path:
    # Without a date, equal results give equal files.
    figure.savefig(path, dpi=200, metadata={"Date": None} if path.suffix == ".svg" else None)
    return path
