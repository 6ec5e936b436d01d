"""Small plots as inline SVG, for pages that run no script."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Mark", "line_of_best", "scatter"]

_WIDTH, _HEIGHT = 760, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 40


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
    label = html.escape(f"{y_name} against {x_name}")
    return f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


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
