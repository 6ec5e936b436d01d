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

from rnnprog.errors import ConfigurationError, StorageError
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
        concurrency: sequences in flight.
        quiet: print one JSON object and nothing else.
        prompts: write every prompt into ``prompts.jsonl``, for the page; needs ``out``.
    """

    def __init__(
        self, task: TaskData, lm: dspy.LM, out: Path | None, concurrency: int, *, quiet: bool, prompts: bool = False
    ) -> None:
        self.task, self.lm, self.out, self.concurrency, self.quiet = task, lm, out, concurrency, quiet
        self.console = Console(stderr=quiet)
        self.metric = get_metric(task.metrics[0], field=task.task.outputs[0])
        if out is not None and out.exists() and not out.is_dir():
            raise ConfigurationError(f"--out {out} is a file; give a folder")
        if prompts and out is None:
            raise ConfigurationError("--prompts needs --out, the folder for them")
        if out is not None:
            tried_folder(out)
        self.unwritten: StorageError | None = None
        self.prompts = out / "prompts.jsonl" if prompts and out is not None else None

    def walk(self, program: RecurrentModule, *, keep: bool) -> Result:
        """Walk over all sequences; with ``keep`` every step goes into ``trace.jsonl`` as it is made."""
        with dspy.context(lm=self.lm):
            if self.out is None or not keep:
                return self._run(program, None)
            with ExitStack() as files:
                trace = files.enter_context(_Needed(self.out / "trace.jsonl"))
                prompts = None if self.prompts is None else files.enter_context(PromptFile(self.prompts))
                result = self._run(program, trace, prompts)
            self.unwritten = trace.full or (None if prompts is None else prompts.full)
            return result

    def _run(self, program: RecurrentModule, file: TraceFile | None, prompts: PromptFile | None = None) -> Result:
        watch = not self.quiet and self.console.is_terminal
        sequences, at_once = self.task.sequences, self.concurrency
        return run(program, sequences, concurrency=at_once, observer=file, progress=watch, listener=prompts)

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
        if not self.quiet:
            self._print(arms, floors, errors, failed_phases, embedded=embedded)
        page, unwritten = None, self.unwritten
        try:  # after the table: the page may find the disk full
            page = None if unwritten else self._page(arms, floors, embedded=embedded)
        except StorageError as error:
            unwritten = error
        if self.quiet:
            files = {"trace": str(self.out / "trace.jsonl"), "page": str(page or "")} if self.out else {}
            told: dict[str, Any] = {"task": self.task.describe(), "model": self.lm.model, "arms": lines}
            told |= {"errors": errors, "failures": [asdict(failed) for failed in failed_phases]}
            told |= {"interrupted": main.interrupted}
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
            note=_STAND_IN if embedded else "",
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
