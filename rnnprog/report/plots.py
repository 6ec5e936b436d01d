"""Small plots as inline SVG, for pages that run no script."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["Mark", "bars_of_error", "interval_bar", "line_of_best", "scatter", "strips"]

_WIDTH, _HEIGHT = 760, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 20, 40
_ROW = 22


class Mark(NamedTuple):
    """A point: where it is, its style class, and what it says when pointed at."""

    x: float
    y: float
    kind: str
    says: str


def line_of_best(marks: Sequence[Mark]) -> tuple[tuple[float, float], ...]:
    """Return the steps of the best value so far, over the marks that were seen to the end, up to the last mark.

    Example:
        >>> line_of_best([Mark(1, 0.2, "complete", ""), Mark(3, 0.4, "complete", ""), Mark(4, 0.9, "pruned", "")])
        ((1, 0.2), (3, 0.2), (3, 0.4), (4, 0.4))
    """
    points: list[tuple[float, float]] = []
    for mark in marks:
        if mark.kind == "complete" and (not points or mark.y > points[-1][1]):
            if points:
                points.append((mark.x, points[-1][1]))
            points.append((mark.x, mark.y))
    if points and marks[-1].x > points[-1][0]:
        points.append((marks[-1].x, points[-1][1]))
    return tuple(points)


def scatter(marks: Sequence[Mark], x_name: str, y_name: str, line: Sequence[tuple[float, float]]) -> str:
    """Return a scatter plot with an optional line, as SVG with a title for each point.

    Args:
        marks: the points.
        x_name: what the horizontal axis counts.
        y_name: what the vertical axis counts.
        line: corners of a line drawn behind the points.
    """
    xs, ys = [m.x for m in marks], [m.y for m in marks]
    x_low, x_high = _range(xs)
    y_low, y_high = _range(ys)

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low)
        up = (y - y_low) / (y_high - y_low)
        wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return round(_LEFT + across * wide, 1), round(_TOP + (1 - up) * high, 1)

    parts = []
    for tick in _ticks(y_low, y_high):
        _, y = at(x_low, tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:.3g}</text>')
    for tick in _ticks(x_low, x_high):
        x, _ = at(tick, y_low)
        parts.append(f'<text x="{x}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{tick:,.6g}</text>')
    if len(line) > 1:
        corners = " ".join(f"{x},{y}" for x, y in (at(*corner) for corner in line))
        parts.append(f'<polyline class="best" points="{corners}"/>')
    for mark in marks:
        x, y = at(mark.x, mark.y)
        says = html.escape(mark.says)
        parts.append(f'<circle class="{mark.kind}" cx="{x}" cy="{y}" r="4"><title>{says}</title></circle>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{html.escape(x_name)}</text>')
    parts.append(f'<text x="4" y="{_TOP - 2}">{html.escape(y_name)}</text>')
    return _svg(_HEIGHT, f"{y_name} against {x_name}", parts)


def strips(rows: Sequence[tuple[str, Sequence[float]]], name: str) -> str:
    """Return one line of points a row, over a common axis, with the mean as a bar: how did each choice do?

    Args:
        rows: label and values, from above.
        name: what the axis counts.
    """
    low, high = _range([value for _, values in rows for value in values])
    left, right = 250, _WIDTH - _RIGHT
    height = _ROW * len(rows) + _BOTTOM

    def at(value: float) -> float:
        return round(left + (value - low) / (high - low) * (right - left), 1)

    parts = []
    for tick in _ticks(low, high):
        x = at(tick)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="{height - _BOTTOM}"/>')
        parts.append(f'<text x="{x}" y="{height - _BOTTOM + 16}" text-anchor="middle">{tick:.3g}</text>')
    for number, (label, values) in enumerate(rows):
        y = _ROW * number + _ROW / 2
        shown = label if len(label) <= 38 else label[:37] + "…"
        told = html.escape(label)
        parts.append(
            f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{html.escape(shown)}<title>{told}</title></text>'
        )
        mean = at(sum(values) / len(values))
        parts.append(f'<line class="mean" x1="{mean}" x2="{mean}" y1="{y - 7}" y2="{y + 7}"/>')
        for value in values:
            says = html.escape(f"{label}: {value:.4g}")
            parts.append(
                f'<circle class="complete faint" cx="{at(value)}" cy="{y}" r="4"><title>{says}</title></circle>'
            )
    parts.append(f'<text x="{(left + right) / 2}" y="{height - 4}" text-anchor="middle">{html.escape(name)}</text>')
    return _svg(height, f"{name} by choice", parts)


def interval_bar(value: float, low: float, high: float, name: str, outcome: str) -> str:
    """Return a gain with its interval beside the zero line.

    Args:
        value: the gain.
        low: lower end of its interval.
        high: upper end.
        name: what the axis counts.
        outcome: what the test says, ``"gain"``, ``"loss"`` or anything else; the colour follows it, not the interval.
    """
    start, stop = _range([0.0, low, high])
    height = 62

    def at(x: float) -> float:
        return round(_LEFT + (x - start) / (stop - start) * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = []
    for tick in _ticks(start, stop):
        parts.append(f'<text x="{at(tick)}" y="{height - 20}" text-anchor="middle">{tick:+.3g}</text>')
    parts.append(f'<line class="axis" x1="{at(0)}" x2="{at(0)}" y1="0" y2="30"/>')
    kind = outcome if outcome in ("gain", "loss") else "open"
    parts.append(f'<line class="interval {kind}" x1="{at(low)}" x2="{at(high)}" y1="15" y2="15"/>')
    says = f"{value:+.4g}, between {low:+.4g} and {high:+.4g}"
    parts.append(f'<circle class="point {kind}" cx="{at(value)}" cy="15" r="6"><title>{says}</title></circle>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{height - 4}" text-anchor="middle">{html.escape(name)}</text>')
    return _svg(height, f"{name}: {says}", parts)


def _svg(height: float, label: str, parts: Sequence[str]) -> str:
    """Return the plot in a box that scrolls where it is narrow: scaled down, no label could be read."""
    head = f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{html.escape(label)}"'
    return f'<div class="scroll" tabindex="0"><svg class="plot" {head}>{"".join(parts)}</svg></div>'


def bars_of_error(
    series: Mapping[str, Sequence[tuple[float, float, float] | None]], names: Sequence[str], x_name: str, y_name: str
) -> str:
    """Return points with error bars by group, side by side, as SVG with a title for each and a legend below.

    Args:
        series: by name, for each group (value, low, high), or ``None`` where there is nothing.
        names: of the groups.
        x_name: what the groups are.
        y_name: what is measured.
    """
    known = [number for points in series.values() for point in points if point for number in point]
    low, high = _range([*known, 0.0])
    wide, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    step = wide / len(names)

    def y_of(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * tall, 1)

    parts = []
    for tick in _ticks(low, high):
        kind = "axis" if tick == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y_of(tick)}" y2="{y_of(tick)}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y_of(tick) + 4}" text-anchor="end">{tick:.3g}</text>')
    for group, name in enumerate(names):
        middle = _LEFT + (group + 0.5) * step
        parts.append(
            f'<text x="{middle:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{html.escape(name)}</text>'
        )
        for rank, (label, points) in enumerate(series.items()):
            if (point := points[group]) is None:
                continue
            x = round(middle + (rank - (len(series) - 1) / 2) * min(14.0, 0.8 * step / len(series)), 1)
            says = html.escape(f"{label}, {name}: {point[0]:.1f} [{point[1]:.1f}, {point[2]:.1f}]")
            colour = f"var(--arm{rank % 8})"
            parts.append(
                f'<g><title>{says}</title><path d="M{x},{y_of(point[1])}V{y_of(point[2])}" style="stroke:{colour}"/>'
                f'{_shape(rank, x, y_of(point[0]))} style="fill:{colour}"/></g>'
            )
    parts.append(f'<text x="{_LEFT + wide / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{html.escape(x_name)}</text>')
    drawn = _svg(_HEIGHT, f"{y_name} by {x_name}", parts)
    marks = (f'{_shape(rank, 10, 6)} style="fill:var(--arm{rank % 8})"/>' for rank in range(len(series)))
    legend = "".join(
        f'<span><svg viewBox="0 0 20 12">{mark}</svg>{html.escape(name)}</span>'
        for mark, name in zip(marks, series, strict=True)
    )
    return f'<p class="note">{html.escape(y_name)}</p>{drawn}<div class="legend">{legend}</div>'


def _shape(rank: int, x: float, y: float) -> str:
    """Return an open SVG element, a circle or a square, so that sixteen series can be told apart."""
    if rank // 8 % 2:
        return f'<rect x="{x - 4}" y="{y - 4}" width="8" height="8"'
    return f'<circle cx="{x}" cy="{y}" r="4"'


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Return about five round numbers within a range."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= 5.5)
    first = math.ceil(low / step)
    return [round(n * step, 12) for n in range(first, math.floor(high / step) + 1)]
