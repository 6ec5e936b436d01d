"""A search on behalf of a command: live display, then before and after on data held out."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dspy
import optuna
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rnnprog.cli.searching import Lines, Watch
from rnnprog.errors import ConfigurationError
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Candidate, OptunaTuner, before_after, changes
from rnnprog.optimizers.ranking import front
from rnnprog.optimizers.space import phases_of
from rnnprog.statistics import Comparison
from rnnprog.tasks import TaskData

__all__ = ["Tuning"]

_STAND_IN = "The model is the embedded stand-in: it shows the machinery at work; its scores say nothing about LLMs."
_EVERY = 4  # redraws a second
_LONG = 12  # lines of a diff on the terminal


class Tuning:
    """One search over one task.

    Args:
        tuner: the search.
        task: the data; cut by time into sequences to write prompts from, to judge them on, and held out.
        lm: the model of all phases.
        shares: of the first two parts.
        prompts: instructions to start from, by phase; the package's own where none is given.
        quiet: print one JSON object and nothing else.
        embedded: whether the model is the stand-in.
    """

    def __init__(
        self,
        tuner: OptunaTuner,
        task: TaskData,
        lm: dspy.LM,
        shares: tuple[float, float],
        prompts: Mapping[str, str] | None = None,
        *,
        quiet: bool,
        embedded: bool,
    ) -> None:
        self.tuner, self.task, self.quiet, self.embedded = tuner, task, quiet, embedded
        self.student = RecurrentModule(task.task)
        self.student.set_lm(lm)
        self.drafts = tuple(prompts or ())
        _instruct(self.student, prompts or {})
        self.train, self.val, self.test = task.split(*shares, by="sequences")
        if not (len(self.train) and len(self.val) and len(self.test)):
            raise ConfigurationError(
                f"{len(task)} sequences are too few to write prompts from some, judge on others and hold out the rest; "
                "use a smaller --window or more steps"
            )
        self.program: Any = None
        self.console = Console(stderr=quiet)
        self._warned: list[str] = []
        self._start = time.monotonic()
        optuna.logging.set_verbosity(optuna.logging.WARNING)

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped the search."""
        return self.program is None or self.program.stopped == "interrupted"

    def tell_estimate(self) -> None:
        """Print what the search would cost at most."""
        told = self.tuner.estimate(self.student, trainset=self.train, valset=self.val)
        if self.quiet:
            print(told.model_dump_json())
            return
        calls = 2 * sum(len(sequence) for sequence in self.test.sequences) * len(phases_of(self.student))
        self.console.print(
            f"At most {told.trials} trials, {told.walks:,} walks, {told.calls:,} calls, about {told.tokens:,} tokens "
            f"({told.calls_per_walk:g} calls a walk); pruning usually makes it less. Before and after on the "
            f"{len(self.test)} sequences held out come on top: {calls:,} calls at most."
        )

    def search(self) -> None:
        """Search, with a live display where there is a terminal."""
        with self._keeping_warnings():
            if self.quiet:
                self._compile()
            elif not self.console.is_terminal:
                self.tuner.on_progress = Lines(self.console).say
                self._compile()
            else:
                watch = Watch(self.tuner.budget, f"tuning {self.tuner.study_name}")
                with Live(console=self.console, refresh_per_second=_EVERY) as live:
                    self.tuner.on_progress = lambda progress: live.update(watch.drawn(progress))
                    self._compile()

    def gather(self) -> None:
        """Take in what other workers have finished since, and finish what dead ones have left behind."""
        minutes = self.tuner.budget.minutes
        if minutes is not None:
            left = max(1e-6, minutes - (time.monotonic() - self._start) / 60)
            self.tuner.budget = self.tuner.budget.model_copy(update={"minutes": left})
        with self._keeping_warnings():
            self._compile()

    @contextmanager
    def _keeping_warnings(self) -> Iterator[None]:
        """Keep what is warned of for the end, where it tears no display apart; failed trials are told there anyway."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            yield
        self._warned = [str(w.message) for w in caught if w.category is UserWarning]
        self._warned = [told for told in self._warned if not told.startswith("trial ")]

    def _compile(self) -> None:
        self.program = self.tuner.compile(self.student, trainset=self.train, valset=self.val)

    def tell(self) -> None:
        """Print before and after on the sequences held out, and every changed prompt; write ``compared.json``.

        After Ctrl-C nothing more is walked: the program is saved, and the command goes on when it is called again.
        """
        if self.interrupted:
            self._tell_interrupted()
            return
        metric = self.tuner.objective.metric
        compared = before_after(self.student, self.program, self.test.sequences, metric)  # type: ignore[arg-type]
        summary = self._summary(compared)
        if self.tuner.folder is not None:
            path = Path(self.tuner.folder, "compared.json")
            path.write_text(json.dumps(summary, ensure_ascii=False, indent=1), encoding="utf-8")
        if self.quiet:
            print(json.dumps(summary, ensure_ascii=False))
        else:
            self._tell(summary, compared)

    def _summary(self, compared: Comparison | None) -> dict[str, Any]:
        best = self.program.candidate_programs
        return {
            "stopped": self.program.stopped,
            "trials": self.program.tally.tried,
            "tally": self.program.tally.model_dump(),
            "trial": best[0]["trial"] if best else None,
            "spent": self.program.ledger.spent.model_dump(),
            "score_while_searching": self.program.score,
            "held_out": None if compared is None else compared.model_dump(),
            "words": "" if compared is None else compared.words,
            "changes": changes(self.student, self.program),
            "program": None if self.tuner.folder is None else str(self.tuner.folder / "program.json"),
        }

    def _tell_interrupted(self) -> None:
        if self.quiet:
            print(json.dumps(self._summary(None), ensure_ascii=False))
            return
        score = "" if self.program.score is None else f" Best so far: {self.program.score:.4g}."
        kept = "" if self.tuner.folder is None else f" The program is in {self.tuner.folder / 'program.json'}."
        self.console.print(Text(f"Interrupted.{score}{kept} The same command goes on where it stopped."))

    def _tell(self, summary: dict[str, Any], compared: Comparison) -> None:
        say = self.console.print
        tally = self.program.tally
        again = f", {tally.continued} given a second chance" if tally.continued else ""
        errors = [log["error"] for log in self.program.trial_logs.values() if "error" in log]
        spent = self.program.ledger.spent
        rows = self.program.candidate_programs
        start = next((row["score"] for row in rows if row["candidate"].digest == Candidate().digest), None)
        say(
            f"\n{tally.tried} candidates ({tally.ended} ended early{again}, {tally.failed} failed), "
            f"{spent.calls:,} calls, {spent.tokens:,} tokens: {summary['stopped']}."
        )
        for told in dict.fromkeys(self._warned):
            say(Text(f"{told[:1].upper()}{told[1:]}.", style="red"))
        if errors:
            say(Text(f"The first failure: {errors[0]}", style="red"))
        sign = getattr(self.tuner.objective.metric, "sign", 1)
        if start is not None and self.program.score is not None:
            say(
                f"While searching: {compared.metric} {_figure(sign * start)} → {_figure(sign * self.program.score)} "
                "(these scores chose the winner and flatter it)."
            )
        self._tell_front()
        say(
            f"Held out, {len(self.test)} sequences: {compared.metric} {_figure(compared.control_score)} → "
            f"{_figure(compared.arm_score)}."
        )
        if self.drafts:
            say(
                f"Before is the program with your text for the {' and '.join(self.drafts)}, not with the package's own."
            )
        say(Text(compared.words[:1].upper() + compared.words[1:] + ".", style="bold"))
        for part, lines in summary["changes"].items():
            say(Text(f"\n{part}", style="bold"))
            for line in lines[:_LONG]:
                say(Text(line, style={"+": "green", "-": "red"}.get(line[:1], "dim")))
            if len(lines) > _LONG:
                say(Text(f"... {len(lines) - _LONG} more lines; all of it is on the page", style="dim"))
        if not summary["changes"]:
            say("Nothing was found that is better than the student as it is.")
        if self.tuner.folder is not None:
            say(f"\nProgram: {summary['program']}   Page: {Path(self.tuner.folder, 'tuning.html')}")
        if self.embedded:
            say(Text(_STAND_IN, style="dim"))

    def _tell_front(self) -> None:
        """Print what there is to choose from where there are several objectives, with a program each."""
        names = self.tuner.objective.objectives
        if len(names) < 2 or self.tuner.folder is None:
            return
        table = Table(
            "trial",
            *names,
            "program",
            title="To choose from: no other is better in one and as good in the rest",
            title_justify="left",
        )
        chosen = {trial.number for trial in front(self.program.study, self.tuner.objective)}
        for row in self.program.candidate_programs:
            if row["trial"] in chosen:
                path = self.tuner.folder / f"program-{row['trial']}.json"
                row["program"].save(str(path))
                table.add_row(str(row["trial"]), *(f"{row['measures'][name]:.6g}" for name in names), str(path))
        self.console.print(table)


def _instruct(student: RecurrentModule, prompts: Mapping[str, str]) -> None:
    phases = phases_of(student)
    for phase, text in prompts.items():
        if phase not in phases:
            raise ConfigurationError(f"--prompt {phase}=...: there is no such phase; there are {', '.join(phases)}")
        phases[phase].signature = phases[phase].signature.with_instructions(str(text))


def _figure(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}"
