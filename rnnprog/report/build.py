"""From a result to its page: the entry of the gallery."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Union

from rnnprog.collector import no_collection
from rnnprog.errors import TraceError
from rnnprog.exam_result import Arm, ArmRun, ExamResult, MetricSpec, read_exam
from rnnprog.folder import put_file
from rnnprog.metrics import default_metric
from rnnprog.report.columns import columns_of
from rnnprog.report.latent import find_latent, latent_section, read_latent
from rnnprog.report.page import bare_page, render
from rnnprog.report.prompts import Prompts, read_prompts
from rnnprog.trace import Result, Trace
from rnnprog.trace_io import read_traces

__all__ = ["build", "build_walk", "load"]

Source = Union[ExamResult, str, Path]


def build(source: Source, out: str | Path) -> Path:
    """Write one HTML page that shows a whole exam and needs no network.

    Args:
        source: the result, or the path of ``result.json``, its folder, or a ``trace.jsonl``. Where a table of the
            latent wing lies in that folder (see :data:`rnnprog.report.latent.PLACES`), it becomes a section; where
            there is nothing else, the page.
        out: path of the page; its folder is created, an existing file is replaced in one move.

    Returns:
        The path of the page.

    Raises:
        TraceError: the path holds neither a result nor a trace, or there is no recorded step.
        StorageError: the page cannot be written.

    Example:
        >>> import tempfile
        >>> from rnnprog.report.sample import sample_exam
        >>> page = build(sample_exam(sequences=2, steps=5, seeds=1), tempfile.mkdtemp() + "/page.html")
        >>> page.name
        'page.html'
    """
    with no_collection():
        folder = None if isinstance(source, ExamResult) else _folder(source)
        found = None if folder is None else find_latent(folder)
        latent = "" if found is None else latent_section(read_latent(found))
        if found is not None and not isinstance(source, ExamResult) and _only_latent(Path(source), found):
            return put_file(out, [bare_page("Latent memory", latent)], errors="replace")
        exam = source if isinstance(source, ExamResult) else load(source)
        return _write(exam, folder, Path(out), latent)


def _only_latent(source: Path, found: Path) -> bool:
    return source == found or (source.is_dir() and not (source / "result.json").is_file())


def _write(exam: ExamResult, folder: Path | None, out: Path, latent: str = "") -> Path:
    if not exam.steps:
        raise TraceError("nothing to show: the result holds no recorded step")
    prompts = _prompts(exam, folder)
    columns = columns_of(exam, {key: frozenset(found) for key, found in prompts.items()})
    return put_file(out, render(exam, columns, prompts, latent), errors="replace")


def build_walk(
    walk: Union[Result, Iterable[Trace], str, Path],
    out: str | Path,
    *,
    label: str = "",
    metric: MetricSpec | None = None,
    floors: Iterable[Arm] = (),
    task: str = "",
    prompts: str | Path | None = None,
) -> Path:
    """Write the page of a single run: the same page with one arm and nothing compared.

    Args:
        walk: the result of a run, its traces, or the path of a ``trace.jsonl``.
        out: path of the page.
        label: name of the arm; by default that of the cell.
        metric: what a step is scored by; by default right or wrong, or the absolute error where targets are numbers.
        floors: arms of the role ``floor`` to show beside it.
        task: title of the page.
        prompts: a file of prompts, see :func:`rnnprog.report.prompts.read_prompts`.
    """
    if isinstance(walk, (str, Path)):
        walk = read_traces(walk)
    result = walk if isinstance(walk, Result) else _as_result(tuple(walk))
    exam = exam_of(result, label=label, metric=metric, floors=floors, task=task)
    if prompts is not None:
        run = ArmRun(result=result, prompts=str(Path(prompts).resolve()))
        exam = exam.model_copy(update={"arms": (exam.arms[0].model_copy(update={"runs": (run,)}), *exam.arms[1:])})
    return build(exam, out)


def exam_of(
    result: Result, *, label: str = "", metric: MetricSpec | None = None, floors: Iterable[Arm] = (), task: str = ""
) -> ExamResult:
    """Return a single run in the form of an exam with one arm."""
    name = label or str(result.program.get("cell", "walk"))
    arm = Arm(label=name, runs=(ArmRun(result=result),))
    title = task or str(result.program.get("task_name", f"A walk of {name}"))
    return ExamResult(task=title, metric=metric or _metric(result), arms=(arm, *floors))


def load(path: str | Path) -> ExamResult:
    """Read a result or a trace, whichever the path holds."""
    path = Path(path)
    with no_collection():
        return exam_of(_as_result(tuple(read_traces(path)))) if path.suffix == ".jsonl" else read_exam(path)


def _as_result(traces: tuple[Trace, ...]) -> Result:
    return Result(program=traces[0].program if traces else {}, traces=traces)


def _metric(result: Result) -> MetricSpec:
    target = next((record.target for record in result.records if record.target), None)
    if target is None:
        judges = any(u.feedback is not None and u.feedback.kind == "judge" for t in result.traces for u in t.updates)
        return MetricSpec.of("judged" if judges else "accuracy")
    return MetricSpec.of(default_metric({name: type(value) for name, value in target.items()}))


def _folder(path: str | Path) -> Path:
    path = Path(path)
    return path if path.is_dir() else path.parent


def _prompts(exam: ExamResult, folder: Path | None) -> dict[tuple[int, int], Prompts]:
    found: dict[tuple[int, int], Prompts] = {}
    for a, arm in enumerate(exam.arms):
        for r, run in enumerate(arm.runs):
            if run.prompts is not None:
                found[a, r] = read_prompts((folder or Path()) / run.prompts)
    return found
