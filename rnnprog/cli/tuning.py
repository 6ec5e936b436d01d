"""A search on behalf of a command: live display, then before and after on data held out."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import dspy
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rnnprog.errors import ConfigurationError
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Budget, OptunaTuner, Progress, before_after, changes
from rnnprog.statistics import Comparison
from rnnprog.tasks import TaskData

__all__ = ["Tuning"]

_STAND_IN = "The model is the embedded stand-in: it shows the machinery at work; its scores say nothing about LLMs."
_EVERY = 4  # redraws a second


class Tuning:
    """One search over one task.

    Args:
        tuner: the search.
        task: the data; cut by time into sequences to write prompts from, to judge them on, and held out.
        lm: the model of all phases.
        shares: of the first two parts.
        quiet: print one JSON object and nothing else.
        embedded: whether the model is the stand-in.
    """

    def __init__(
        self,
        tuner: OptunaTuner,
        task: TaskData,
        lm: dspy.LM,
        shares: tuple[float, float],
        *,
        quiet: bool,
        embedded: bool,
    ) -> None:
        self.tuner, self.task, self.quiet, self.embedded = tuner, task, quiet, embedded
        self.student = RecurrentModule(task.task)
        self.student.set_lm(lm)
        self.train, self.val, self.test = task.split(*shares, by="sequences")
        if not (len(self.train) and len(self.val) and len(self.test)):
            raise ConfigurationError(
                f"{len(task)} sequences are too few to write prompts from some, judge on others and hold out the rest; "
                "use a smaller --window or more steps"
            )
        self.program: Any = None
        self.console = Console(stderr=quiet)

    def tell_estimate(self) -> None:
        """Print what the search would cost at most."""
        told = self.tuner.estimate(self.student, trainset=self.train, valset=self.val)
        if self.quiet:
            print(told.model_dump_json())
            return
        self.console.print(
            f"At most {told.trials} trials, {told.walks:,} walks, {told.calls:,} calls, about {told.tokens:,} tokens "
            f"({told.calls_per_walk:g} calls a walk); pruning usually makes it less."
        )

    def search(self) -> None:
        """Search, with a live display where there is a terminal."""
        watch = not self.quiet and self.console.is_terminal
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            if not watch:
                self.program = self.tuner.compile(self.student, trainset=self.train, valset=self.val)
                return
            with Live(console=self.console, refresh_per_second=_EVERY) as live:
                self.tuner.on_progress = lambda progress: live.update(_table(progress, self.tuner.budget))
                self.program = self.tuner.compile(self.student, trainset=self.train, valset=self.val)

    def tell(self) -> None:
        """Print before and after on the sequences held out, and every changed prompt; write ``compared.json``."""
        metric = self.tuner.objective.metric
        compared = before_after(self.student, self.program, self.test.sequences, metric)  # type: ignore[arg-type]
        differing = changes(self.student, self.program)
        summary = {
            "stopped": self.program.stopped,
            "trials": len(self.program.trial_logs),
            "spent": self.program.ledger.spent.model_dump(),
            "score_while_searching": self.program.score,
            "held_out": compared.model_dump(),
            "changes": differing,
            "program": None if self.tuner.folder is None else str(self.tuner.folder / "program.json"),
        }
        if self.tuner.folder is not None:
            path = Path(self.tuner.folder, "compared.json")
            path.write_text(json.dumps(summary, ensure_ascii=False, indent=1), encoding="utf-8")
        if self.quiet:
            print(json.dumps(summary, ensure_ascii=False))
            return
        self._tell(summary, compared, differing)

    def _tell(self, summary: dict[str, Any], compared: Comparison, differing: dict[str, list[str]]) -> None:
        say = self.console.print
        spent = self.program.ledger.spent
        say(f"\n{summary['trials']} trials, {spent.calls:,} calls, {spent.tokens:,} tokens: {summary['stopped']}.")
        say(
            f"Held out ({len(self.test)} sequences): {compared.metric} before {_figure(compared.control_score)}, "
            f"after {_figure(compared.arm_score)}."
        )
        say(Text(compared.words))
        for part, lines in differing.items():
            say(Text(f"\n{part}", style="bold"))
            for line in lines:
                say(Text(line, style={"+": "green", "-": "red"}.get(line[:1], "dim")))
        if not differing:
            say("Nothing was found that is better than the student as it is.")
        if self.tuner.folder is not None:
            say(f"\nProgram: {summary['program']}   Page: {Path(self.tuner.folder, 'tuning.html')}")
        if self.embedded:
            say(Text(_STAND_IN, style="dim"))


def _figure(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}"


def _table(progress: Progress, budget: Budget) -> Table:
    table = Table.grid(padding=(0, 2))
    best = "-" if progress.best is None else f"{progress.best:.4f}"
    spent = progress.spent
    table.add_row("best so far", best)
    table.add_row(
        "trials", f"{progress.trials} of {progress.wanted}, {progress.pruned} pruned, {progress.failed} failed"
    )
    table.add_row("spent", f"{spent.calls:,} calls, {spent.tokens:,} tokens, {spent.seconds:.0f} s")
    if left := _left(progress, budget):
        table.add_row("left", left)
    table.add_row("now", progress.doing)
    return table


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
