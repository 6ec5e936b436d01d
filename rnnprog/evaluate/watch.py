"""One progress display over all arms: a line each, with the running score, and what was paid so far."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from rnnprog.metrics import Metric
from rnnprog.metrics.metric import Case
from rnnprog.trace import StepRecord, Trace

__all__ = ["ExamProgress", "Quiet", "Watcher"]


class Watcher(Protocol):
    """Told of what happens in an exam, from the worker threads."""

    def begin(self, steps: Mapping[str, int], metric: Metric) -> None:
        """Hear how many steps each arm has to walk."""

    def skipped(self, arm: str, steps: int) -> None:
        """Hear of steps that were walked earlier."""

    def stepped(self, arm: str, sequence: str, record: StepRecord) -> None:
        """Hear of one step."""

    def broke_off(self, arm: str, trace: Trace) -> None:
        """Hear of a walk that did not reach the end of its sequence."""

    def end(self) -> None:
        """Hear that the exam is over."""


class Quiet:
    """Shows nothing."""

    def begin(self, steps: Mapping[str, int], metric: Metric) -> None:
        """Show nothing."""

    def skipped(self, arm: str, steps: int) -> None:
        """Show nothing."""

    def stepped(self, arm: str, sequence: str, record: StepRecord) -> None:
        """Show nothing."""

    def broke_off(self, arm: str, trace: Trace) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""


class ExamProgress:
    """A bar for each arm, with the running mean of its step scores.

    Args:
        console: where to draw.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._lock = threading.Lock()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._lines: dict[str, TaskID] = {}
        self._sums: dict[str, tuple[float, int, int]] = {}

    def begin(self, steps: Mapping[str, int], metric: Metric) -> None:
        """Show the bars."""
        self._metric = metric
        for arm, total in steps.items():
            self._lines[arm] = self._bars.add_task(arm, total=total, note="")
            self._sums[arm] = (0.0, 0, 0)
        self._bars.start()

    def skipped(self, arm: str, steps: int) -> None:
        """Move a bar on over steps that were walked earlier."""
        self._bars.update(self._lines[arm], advance=steps)

    def stepped(self, arm: str, sequence: str, record: StepRecord) -> None:
        """Move a bar on by one step."""
        case = Case(sequence, record.t, record.prediction, record.target, None, record.time)
        value = self._metric.of(case) if self._metric.scorable(case) else None
        with self._lock:
            total, count, failed = self._sums[arm]
            total, count = (total, count) if value is None else (total + value, count + 1)
            failed += record.failure is not None
            self._sums[arm] = (total, count, failed)
            note = f"{self._metric.name} {total / count:.3g}" if count else ""
            note += f"  {failed} failed" if failed else ""
            self._bars.update(self._lines[arm], advance=1, note=note)

    def broke_off(self, arm: str, trace: Trace) -> None:
        """Say why a walk did not end."""
        if trace.error != "interrupted":
            self._bars.console.print(f"{arm}, sequence {trace.sequence}: {trace.error}", style="yellow", markup=False)

    def end(self) -> None:
        """Take the bars down."""
        self._bars.stop()
