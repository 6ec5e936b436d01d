"""Small plots as inline SVG, for pages that run no script."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Mark", "interval_bar", "line_of_best", "scatter", "strips"]

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
    """Return the steps of the best value so far, over the marks that were seen to the end.

    Example:
        >>> line_of_best([Mark(1, 0.2, "complete", ""), Mark(2, 0.9, "pruned", ""), Mark(3, 0.4, "complete", "")])
        ((1, 0.2), (3, 0.2), (3, 0.4))
    """
    points: list[tuple[float, float]] = []
    for mark in marks:
        if mark.kind == "complete" and (not points or mark.y > points[-1][1]):
            if points:
                points.append((mark.x, points[-1][1]))
            points.append((mark.x, mark.y))
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


def interval_bar(value: float, low: float, high: float, name: str) -> str:
    """Return a gain with its interval beside the zero line.

    Args:
        value: the gain.
        low: lower end of its interval.
        high: upper end.
        name: what the axis counts.
    """
    start, stop = _range([0.0, low, high])
    height = 62

    def at(x: float) -> float:
        return round(_LEFT + (x - start) / (stop - start) * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = []
    for tick in _ticks(start, stop):
        parts.append(f'<text x="{at(tick)}" y="{height - 20}" text-anchor="middle">{tick:+.3g}</text>')
    parts.append(f'<line class="axis" x1="{at(0)}" x2="{at(0)}" y1="0" y2="30"/>')
    kind = "gain" if low > 0 else "loss" if high < 0 else "open"
    parts.append(f'<line class="interval {kind}" x1="{at(low)}" x2="{at(high)}" y1="15" y2="15"/>')
    says = f"{value:+.4g}, between {low:+.4g} and {high:+.4g}"
    parts.append(f'<circle class="point {kind}" cx="{at(value)}" cy="15" r="6"><title>{says}</title></circle>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{height - 4}" text-anchor="middle">{html.escape(name)}</text>')
    return _svg(height, f"{name}: {says}", parts)


def _svg(height: float, label: str, parts: Sequence[str]) -> str:
    head = f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{html.escape(label)}"'
    return f'<svg class="plot" {head}>{"".join(parts)}</svg>'


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
