"""What a search looks like while it runs: a live table on a terminal, one line a trial elsewhere."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table

from rnnprog.optimizers import Budget, Progress

__all__ = ["Lines", "Watch"]

_BARS = "▁▂▃▄▅▆▇█"
_WIDE = 40  # characters of a bar


class Watch:
    """Draws where a search stands.

    Args:
        budget: limits, of which the display shows what is left.
        title: of the panel.
    """

    def __init__(self, budget: Budget, title: str) -> None:
        self.budget, self.title = budget, title
        self.bests: list[float] = []
        self._trials = -1

    def drawn(self, progress: Progress) -> RenderableType:
        """Return the display for a state of the search."""
        if progress.best is not None and progress.trials != self._trials:
            self._trials = progress.trials
            self.bests.append(progress.best)
        spent, table = progress.spent, Table.grid(padding=(0, 2))
        told = f"{progress.trials} of {progress.wanted}, {progress.pruned} ended early, {progress.failed} failed"
        done = min(progress.trials, progress.wanted)
        table.add_row("trials", Group(told, ProgressBar(total=progress.wanted, completed=done, width=_WIDE)))
        table.add_row("best so far", self._best(progress))
        table.add_row(
            "spent", f"{spent.calls:,} calls, {spent.tokens:,} tokens, {spent.seconds:.0f} s" + _money(spent.money)
        )
        if left := _left(progress, self.budget):
            table.add_row("left", left)
        table.add_row("now", progress.doing)
        return Panel(table, title=self.title, title_align="left", expand=False)

    def _best(self, progress: Progress) -> str:
        if progress.best is None:
            return "nothing seen to the end yet"
        first = self.bests[0] if self.bests else progress.best
        gained = f" ({progress.best - first:+.4f} since the first)" if progress.best != first else ""
        return f"[bold]{progress.best:.4f}[/bold]{gained}  {_spark(self.bests[-_WIDE:])}"


class Lines:
    """Says one line for each finished trial, for logs."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._trials = 0

    def say(self, progress: Progress) -> None:
        """Say how it stands, if a trial has finished since the last time."""
        if progress.trials <= self._trials:
            return
        self._trials = progress.trials
        best = "none yet" if progress.best is None else f"{progress.best:.4f}"
        self.console.print(
            f"trial {progress.trials} of {progress.wanted}: best {best}, {progress.pruned} ended early, "
            f"{progress.failed} failed, {progress.spent.calls:,} calls"
        )


def _spark(values: list[float]) -> str:
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high <= low:
        return ""
    return "".join(_BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] for value in values)


def _money(money: float) -> str:
    return f", {money:.4g} in money" if money else ""


def _left(progress: Progress, budget: Budget) -> str:
    spent = progress.spent
    parts = []
    if budget.calls is not None:
        parts.append(f"{max(0, budget.calls - spent.calls):,} calls")
    if budget.tokens is not None:
        parts.append(f"{max(0, budget.tokens - spent.tokens):,} tokens")
    if budget.money is not None:
        parts.append(f"{max(0.0, budget.money - spent.money):.4g} in money")
    if budget.minutes is not None:
        parts.append(f"{max(0.0, budget.minutes - spent.seconds / 60):.1f} minutes")
    return ", ".join(parts)
