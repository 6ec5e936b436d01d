"""Walking on behalf of a command: live progress, files as it goes, and the summary at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import dspy
from rich.console import Console

from rnnprog.cli.costs import GUESSED, amounts, total, warned
from rnnprog.errors import ConfigurationError, StorageError
from rnnprog.evaluate import Gate, Running, check_priced, estimate_walks
from rnnprog.exam_result import Arm, ArmRun, ExamResult, MetricSpec
from rnnprog.floor_runs import sequences_of, usual_floors, walk_floors
from rnnprog.folder import tried_folder
from rnnprog.jobs import Halt
from rnnprog.metrics import get_metric, score_steps, summary
from rnnprog.module import RecurrentModule
from rnnprog.observer import TraceFile
from rnnprog.prompt_file import PromptFile
from rnnprog.report import build
from rnnprog.report.failures import FailureCount, broken_off, failures
from rnnprog.report.terminal import memory_panels, result_table
from rnnprog.running import run
from rnnprog.statistics import Comparison, compare
from rnnprog.tasks import TaskData
from rnnprog.trace import Result, StepRecord, Trace
from rnnprog.trace import Sequence as Series

__all__ = ["CONTROL", "Walker"]

CONTROL = "empty_memory"
Role = Literal["arm", "control", "floor"]

_STAND_IN = "The model is the embedded stand-in: it shows the machinery at work; its scores say nothing about LLMs."


class Walker:
    """Walks programs over one task with one model and tells about them.

    Args:
        task: the data.
        lm: the model of all phases.
        out: folder for ``trace.jsonl`` and ``page.html``; nothing is written without it.
        running: sequences in flight, caps over all programs, and whether to write every prompt into
            ``prompts.jsonl``, for the page; that needs ``out``.
        quiet: print one JSON object and nothing else.
    """

    def __init__(self, task: TaskData, lm: dspy.LM, out: Path | None, running: Running, *, quiet: bool) -> None:
        self.task, self.lm, self.out, self.running, self.quiet = task, lm, out, running, quiet
        self.console = Console(stderr=quiet)
        self.metric = get_metric(task.metrics[0], field=task.task.outputs[0])
        if out is not None and out.exists() and not out.is_dir():
            raise ConfigurationError(f"--out {out} is a file; give a folder")
        if running.prompts and out is None:
            raise ConfigurationError("--prompts needs --out, the folder for them")
        self.unwritten: StorageError | None = None
        self.prompts = out / "prompts.jsonl" if running.prompts and out is not None else None
        self.gate = Gate(running)
        self.due = 0

    def estimate(self, programs: Mapping[str, RecurrentModule]) -> None:
        """Say what walking these programs would cost, and which caps that goes beyond."""
        found = estimate_walks(programs, self.task.sequences, self.lm, self.running.prices)
        needed = total(found)
        if not self.quiet:
            self.console.print(
                f"{self.task.name}: {needed['steps']:,} steps to walk: about {amounts(needed)} {GUESSED}",
                highlight=False,
            )
        over = warned(needed, self.running, None if self.quiet else self.console)
        if self.quiet:
            print(json.dumps({"arms": [asdict(one) for one in found], **needed, "over": over}))

    def walk(self, programs: Mapping[str, RecurrentModule]) -> dict[str, Result]:
        """Walk each program over all sequences, as far as that can be kept and paid for.

        Every step of the first goes into ``trace.jsonl`` as it is made.
        """
        check_priced(self.running, self.lm)
        if self.out is not None:
            tried_folder(self.out)
        self.due = len(programs) * len(self.task.sequences)
        arms: dict[str, Result] = {}
        with dspy.context(lm=self.lm):
            for label, program in programs.items():
                arms[label] = self._run(program, None, None) if arms or self.out is None else self._kept(program)
                if arms[label].interrupted or self.unwritten is not None:
                    break
        return arms

    def incomplete(self, arms: Mapping[str, Result]) -> str:
        """Return in a sentence which cap ended the walks, and what is left; nothing if none did."""
        if self.gate.reached is None or not any(result.interrupted for result in arms.values()):
            return ""
        done = sum(trace.error is None for result in arms.values() for trace in result.traces)
        return (
            f"NOT COMPLETE: {self.gate.reached}; {done} of {self.due} walks are finished. With a higher cap the same "
            "command goes on: answers in dspy's cache or a --record file are not paid for again."
        )

    def _kept(self, program: RecurrentModule) -> Result:
        assert self.out is not None
        with ExitStack() as files:
            trace = files.enter_context(_Needed(self.out / "trace.jsonl"))
            prompts = None if self.prompts is None else files.enter_context(PromptFile(self.prompts))
            result = self._run(program, trace, prompts)
        self.unwritten = trace.full or (None if prompts is None else prompts.full)
        return result

    def _run(self, program: RecurrentModule, file: TraceFile | None, prompts: PromptFile | None) -> Result:
        return run(
            program,
            self.task.sequences,
            concurrency=self.running.concurrency,
            observer=file,
            progress=not self.quiet and self.console.is_terminal,
            # The gate comes last: it counts whom it let pass, and none of the others may refuse after that.
            listener=(self.gate,) if prompts is None else (prompts, self.gate),
            prices=self.running.prices,
        )

    def tell(self, arms: Mapping[str, Result], *, embedded: bool) -> None:
        """Print table, memory before and after, and where the files are; or one JSON object.

        Raises:
            StorageError: the files could not be written; everything else was told before.
        """
        main = next(iter(arms.values()))
        walked = sequences_of(main)  # floors need no model, and see exactly the steps that were walked
        names = usual_floors(self.task.task, self.task.floors)
        floors = walk_floors(self.task.task, walked, names) if walked else {}
        lines = {label: summary(result, self.metric, floors) for label, result in arms.items()}
        errors = broken_off(main.traces)
        failed_phases = failures(main.traces)
        note = self.incomplete(arms)
        if not self.quiet:
            ended = {name: error for name, error in errors.items() if not note or not self._stopped(error)}
            self._print(arms, floors, ended, failed_phases, embedded=embedded)
            if note:
                self.console.print(note, style="yellow", markup=False, highlight=False)
        page, unwritten = None, self.unwritten
        try:  # after the table: the page may find the disk full
            page = None if unwritten else self._page(arms, floors, embedded=embedded)
        except StorageError as error:
            unwritten = error
        if self.quiet:
            files = {"trace": str(self.out / "trace.jsonl"), "page": str(page or "")} if self.out else {}
            told: dict[str, Any] = {"task": self.task.describe(), "model": self.lm.model, "arms": lines}
            told |= {"errors": errors, "failures": [asdict(failed) for failed in failed_phases]}
            told |= {"interrupted": any(result.interrupted for result in arms.values()), "note": note}
            print(json.dumps({**told, "files": files}))
        elif self.out is not None:
            where = f"trace: {self.out / 'trace.jsonl'}" + (f"\npage:  {page}" if page else "")
            self.console.print(where, markup=False, highlight=False)
        if unwritten is not None:
            kept = f"{self.out / 'trace.jsonl'} has the steps until then" if self.out else ""
            raise StorageError(f"{unwritten}; {kept}, and answers in dspy's cache are not paid for again")

    def _print(
        self,
        arms: Mapping[str, Result],
        floors: Mapping[str, Result],
        errors: Mapping[str, str],
        failed_phases: Sequence[FailureCount],
        *,
        embedded: bool,
    ) -> None:
        main = next(iter(arms.values()))
        self.console.print(
            f"[bold]{self.task.name}[/]: {self.task.about}. {self.task.n_steps:,} steps, {self.task.task}"
        )
        if embedded:
            self.console.print(_STAND_IN, style="yellow")
        if main.traces and isinstance(main.traces[0].initial, dict):
            self.console.print(memory_panels(main.traces[0], named=len(main.traces) > 1))
        self.console.print(result_table(arms, self.metric, floors))
        for sequence, error in errors.items():
            self.console.print(f"sequence {sequence} ended early: {error}", style="red", markup=False)
        for failed in failed_phases:
            self.console.print(str(failed), style="red", markup=False)

    def _stopped(self, error: str) -> bool:
        """Return whether a walk broke off because a cap was reached, here or in another walk."""
        return error == "interrupted" or error.startswith(str(self.gate.reached))

    def _page(self, arms: Mapping[str, Result], floors: Mapping[str, Result], *, embedded: bool) -> Path | None:
        walked = {label: result for label, result in arms.items() if any(trace.records for trace in result.traces)}
        if self.out is None or not walked:
            return None
        roles: dict[str, Role] = {label: "control" if label == CONTROL else "arm" for label in walked}
        roles.update(dict.fromkeys(floors, "floor"))
        everything = {**walked, **floors}
        exam = ExamResult(
            task=self.task.name,
            metric=MetricSpec.of(self.metric),
            arms=tuple(self._arm(name, role, everything[name]) for name, role in roles.items()),
            comparisons=self._comparisons(walked),
            note=" ".join(note for note in (_STAND_IN if embedded else "", self.incomplete(arms)) if note),
        )
        return build(exam, self.out / "page.html")

    def _arm(self, label: str, role: Role, result: Result) -> Arm:
        kept = (
            self.prompts is not None and role == "arm"
        )  # prompts are written for the program itself, not for controls
        run = ArmRun(result=result, prompts=str(Path(self.prompts).resolve()) if kept and self.prompts else None)
        return Arm(label=label, role=role, runs=(run,))

    def _comparisons(self, walked: Mapping[str, Result]) -> tuple[Comparison, ...]:
        if CONTROL not in walked or len(walked) < 2:
            return ()
        scores = {label: score_steps(result, self.metric) for label, result in walked.items()}
        control = scores.pop(CONTROL)
        return tuple(compare(control, scores, CONTROL))


class _Needed(TraceFile):
    """A trace file that a command promised: where it cannot be written, the walk ends instead of paying for more."""

    def stepped(self, sequence: Series, record: StepRecord) -> None:
        """Write the step, or end the run."""
        with _halting():
            super().stepped(sequence, record)

    def finished(self, trace: Trace) -> None:
        """Write the end line, or end the run."""
        with _halting():
            super().finished(trace)


@contextmanager
def _halting() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise Halt(str(error)) from error
