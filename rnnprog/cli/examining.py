"""An exam on behalf of a command: settings from file and flags, estimate, progress, files, and the verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from rnnprog.cli.costs import AMOUNTS, EXIT_INCOMPLETE, GUESSED, amounts, priced, total, usd_of, warned
from rnnprog.cli.judging import JUDGEMENTS, Counted, Judge, judge_of
from rnnprog.cli.models import model
from rnnprog.cli.own import in_flags
from rnnprog.cli.telling import print_exam, summary_of
from rnnprog.errors import ConfigurationError, StorageError
from rnnprog.evaluate import (
    ExamProgress,
    Frame,
    Gate,
    Quiet,
    Running,
    all_cells,
    check_priced,
    claimed,
    estimate,
    estimate_judge,
    frame_of,
    judge_exam,
    preset,
    read_toml,
    sit,
    split_settings,
)
from rnnprog.exam_result import ExamResult, write_exam
from rnnprog.folder import tried_folder
from rnnprog.report.build import build
from rnnprog.report.failures import never_answered

__all__ = ["Sitting", "by_cell", "examine", "swept"]

EXIT_NO_MODEL = 3
EXIT_INTERRUPTED = 130
_EXITS = {"interrupted": EXIT_INTERRUPTED, "no model": EXIT_NO_MODEL}
_APART = ("judge", "preset")  # flags that are not settings of the exam by themselves
_COLUMNS = ("target", "order_by", "sequence_by")  # flags that are options of a table of one's own
_FILE_NAMES = {"lm": "model", "lm_options": "model_options"}  # as a file may call them, after the flags


class Sitting:
    """One exam, sat.

    Args:
        flags: settings from the command line; ``None`` where not given.
        config: a TOML file with further settings.
        out: folder; by default one under ``runs`` that is named after task and configuration.
        quiet: print one JSON object and nothing else.
    """

    def __init__(
        self,
        flags: Mapping[str, Any],
        config: Path | None,
        out: Path | None,
        *,
        quiet: bool,
    ) -> None:
        given: dict[str, Any] = (
            {} if config is None else {_FILE_NAMES.get(n, n): v for n, v in read_toml(config).items()}
        )
        columns = {name: given.pop(name) for name in _COLUMNS if name in given}
        if columns:
            given["options"] = {**given.get("options", {}), **columns}
        if (name := flags.get("preset") or given.pop("preset", None)) is not None:
            given = {**preset(name), **{known: value for known, value in given.items() if known != "preset"}}
        judge = {**_settings(given.pop("judge", {})), **_settings(flags.get("judge") or {})}
        given.update({name: value for name, value in flags.items() if value is not None and name not in _APART})
        if "task" not in given:
            raise ConfigurationError("name a task: on the command line, or as task = ... in the --config file")
        if isinstance(given.get("cells"), list) and "all" in given["cells"]:
            given["cells"] = [one for name in given["cells"] for one in (all_cells() if name == "all" else [name])]
        budgets = given.pop("memory_budgets", None)
        self.config, self.running = split_settings(given if budgets is None else swept(given, budgets))
        self.console = Console(stderr=quiet)
        self.quiet, self.judge = quiet, judge_of(judge)
        self.out = out or Path("runs") / f"{Path(self.config.data.task).stem}-{self.config.digest()[:8]}"
        self.lm = model(self.config.model, [f"{n}={json.dumps(v)}" for n, v in self.config.model_options.items()])
        self.running = self._priced(flags.get("prices") or {}, judge.get("lm"))

    def _priced(self, flags: Mapping[str, Any], judge: object) -> Running:
        used = {self.config.model: self.lm.model, self.lm.model: self.lm.model}
        if self.judge is not None:
            used |= {str(judge): self.judge.lm.model, self.judge.lm.model: self.judge.lm.model}
        return priced(self.running, flags, used)

    @cached_property
    def frame(self) -> Frame:
        """What the exam stands on; loading it loads the data."""
        with in_flags():
            return frame_of(self.config, self.lm)

    def estimate(self, *, look_only: bool) -> dict[str, Any]:
        """Say what the exam will cost; returns it as JSON.

        The folder is looked into first: what it holds decides what is still to be paid, and whether there is an exam.

        Args:
            look_only: do not try whether the folder can be written.
        """
        frame = self.frame
        store = claimed(frame, self.out, look_only=True)
        if not look_only:
            tried_folder(self.out)
        found = estimate(frame, store, self.running.prices)
        needed = total(found)
        if not self.quiet and not needed["steps"]:
            self.console.print(f"{frame.data.name}: every walk of these {len(found)} arms is finished already")
        elif not self.quiet:
            self.console.print(
                f"{frame.data.name}: {len(found)} arms, {needed['steps']:,} steps to walk: "
                f"about {amounts(needed)} {GUESSED}",
                highlight=False,
            )
        told = {"arms": [asdict(arm) for arm in found], **needed}
        told = told if self.judge is None else self._with_judge(told, self.judge)
        return {
            **told,
            "over": warned(told.get("with judge", told), self.running, None if self.quiet else self.console),
        }

    def _with_judge(self, told: dict[str, Any], judge: Judge) -> dict[str, Any]:
        found = asdict(estimate_judge(self.frame, judge.lm, judge.rubric, judge.known(self.out), self.running.prices))
        if not self.quiet:
            self.console.print(
                f"then the judge {judge.lm.model} over {found['steps']:,} answers of all arms and floors: at most "
                f"about {amounts(found)}; equal questions are asked once",
                highlight=False,
            )
        both = {name: told[name] + found[name] for name in AMOUNTS if name != "steps"}
        return {**told, "judge": found, "with judge": {**both, "usd": usd_of([told["usd"], found["usd"]])}}

    def walk(self) -> int:
        """Sit the exam, write and print its result; returns the exit code."""
        watch = not self.quiet and self.console.is_terminal
        watcher = ExamProgress(self.console) if watch else Quiet()
        gate = Gate(self.running)
        check_priced(self.running, self.lm, None if self.judge is None else self.judge.lm)
        exam = sit(self.frame, out=self.out, running=self.running, watcher=watcher, gate=gate)
        if self.judge is not None and exam.steps:
            exam = self._judged(exam, self.judge, gate, watch)
        if not self.quiet:
            print_exam(exam, self.console)  # before the files: these may find the disk full
        try:
            path = write_exam(exam, self.out)
            page = build(_page_source(exam, path), self.out / "page.html") if exam.steps else None
        except StorageError as error:
            if self.quiet:
                print(json.dumps({**summary_of(exam), "files": {}}))
            raise StorageError(
                f"{error}; walks that are kept stay so, and the same command goes on from them"
            ) from error
        if self.quiet:
            print(json.dumps({**summary_of(exam), "files": {"result": str(path), "page": str(page or "")}}))
        else:
            self.console.print(f"result: {path}\npage:   {page}", markup=False, highlight=False, soft_wrap=True)
        if (by := exam.config.get("stopped by")) in _EXITS:
            return _EXITS[by]
        if not exam.config.get("complete"):
            return EXIT_INCOMPLETE
        return EXIT_NO_MODEL if _silent(exam) else 0

    def _judged(self, exam: ExamResult, judge: Judge, gate: Gate, watch: bool) -> ExamResult:
        with self.console.status(f"judging with {judge.lm.model}") if watch else nullcontext() as status:
            return judge_exam(
                exam,
                judge.lm,
                judge.rubric,
                store=self.out / JUDGEMENTS,
                running=self.running,
                gate=gate,
                listeners=[] if status is None else [Counted(status, judge.lm.model)],
            )


def examine(
    flags: Mapping[str, Any], config: Path | None, out: Path | None, *, only_estimate: bool, as_json: bool
) -> int:
    """Say what an exam will cost and, unless only that is wanted, sit it; returns the exit code."""
    sitting = Sitting(flags, config, out, quiet=as_json)
    told = sitting.estimate(look_only=only_estimate)
    if not only_estimate:
        return sitting.walk()
    if as_json:
        print(json.dumps(told))
    return 0


def _silent(exam: ExamResult) -> bool:
    """Return whether the model never answered in one of the arms."""
    asked = (arm for arm in exam.arms if arm.role != "floor")
    return any(never_answered(trace for run in arm.runs for trace in run.result.traces) for arm in asked)


def _settings(given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f'judge = {given!r}: give a table [judge] with kind = "match" and lm = "..."')
    return {name: value for name, value in given.items() if value is not None}


def _page_source(exam: ExamResult, path: Path) -> ExamResult | Path:
    """Return what the page is built from: the file where there are prompts beside it, else the value at hand."""
    return path if any(run.prompts for arm in exam.arms for run in arm.runs) else exam


def by_cell(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Sort settings such as ``memprompt.k`` by cell.

    Raises:
        ConfigurationError: a name without a cell.

    Example:
        >>> by_cell({"memprompt.k": 3})
        {'memprompt': {'k': 3}}
    """
    found: dict[str, dict[str, Any]] = {}
    for name, value in given.items():
        cell, dot, setting = name.partition(".")
        if not dot or not cell or not setting:
            raise ConfigurationError(f"--cell-option {name}=...: say of which cell, e.g. reflective.{name}=...")
        found.setdefault(cell, {})[setting] = value
    return found


def swept(given: Mapping[str, Any], budgets: Sequence[int]) -> dict[str, Any]:
    """Return settings in which every cell stands once for each memory budget.

    Example:
        >>> [arm["label"] for arm in swept({"cells": ["reflective"]}, [128, 256])["arms"]]
        ['reflective 128', 'reflective 256']
    """
    rest = {name: value for name, value in given.items() if name not in ("cells", "arms")}
    cells = [name for name in given.get("cells") or ("reflective",) if name != given.get("control", "empty_memory")]
    arms = [{"label": f"{c} {b}", "cell": c, "settings": {"budget": b}} for c in cells for b in budgets]
    return {**rest, "arms": arms}
