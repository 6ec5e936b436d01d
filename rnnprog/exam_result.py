"""The outcome of an exam as one frozen value, and its files: a small ``result.json`` and the traces beside it.

The report is drawn from this value alone, so everything that a reader must be told is in here: who took part,
what was scored and how, which comparisons were made, and with which settings and versions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from rnnprog.errors import TraceError
from rnnprog.folder import put_file
from rnnprog.memory import Value
from rnnprog.metrics import MetricLike, get_metric
from rnnprog.statistics import Comparison, Estimate
from rnnprog.trace import Fields, Result
from rnnprog.trace_io import CUT_SHORT, read_traces, write_traces

__all__ = ["Arm", "ArmRun", "ExamResult", "MetricSpec", "read_exam", "write_exam"]

EXAM_FORMAT = 1
_NOT_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class MetricSpec(Value):
    """What a step is scored by, and how the score is written.

    Attributes:
        name: as :func:`rnnprog.metrics.get_metric` reads it, e.g. ``accuracy`` or ``mae[temp_max]``.
        higher_is_better: direction; ``False`` for errors and losses.
        binary: a step scores 1 or 0, so that it makes sense to call it right or wrong; shown in percent.
        unit: unit of the score, e.g. ``°C``; empty for shares and plain numbers.
    """

    name: str = "accuracy"
    higher_is_better: bool = True
    binary: bool = True
    unit: str = ""

    @classmethod
    def of(cls, metric: MetricLike, unit: str = "") -> MetricSpec:
        """Describe a metric by its name.

        Args:
            metric: a metric or its name.
            unit: unit of the scored output.

        Raises:
            ConfigurationError: no such metric.

        Example:
            >>> MetricSpec.of("mae[temp_max]", unit="°C").higher_is_better
            False
        """
        found = get_metric(metric)
        binary = found.unit == "share" and found.step is not None and found.corpus is None
        return cls(name=found.name, higher_is_better=found.better == "higher", binary=binary, unit=unit)


class ArmRun(Value):
    """One arm under one seed.

    Attributes:
        seed: the seed.
        result: traces, timings and seconds.
        scores: score of each step by sequence id, in the order of the records; ``None`` marks a step without a
            score. Left empty, the metric scores the steps when the page is drawn.
        prompts: path of a JSONL file with the prompts sent, relative to ``result.json``; one line
            ``{"id", "phase", "prompt", "completion"}`` a call, ``id`` being that of the prediction.
    """

    seed: int = 0
    result: Result
    scores: dict[str, tuple[float | None, ...]] = Field(default_factory=dict)
    prompts: str | None = None

    @model_validator(mode="after")
    def _one_score_a_step(self) -> ArmRun:
        for trace in self.result.traces if self.scores else ():
            found = len(self.scores.get(trace.sequence, ()))
            if found != len(trace):
                raise ValueError(
                    f"sequence {trace.sequence!r} has {len(trace)} steps but {found} scores; give one a step"
                )
        return self


class Arm(Value):
    """One contender: a cell, or a floor, under one or several seeds.

    Attributes:
        label: unique name, as shown.
        role: ``arm`` for a contender, ``control`` for what the others are compared with, ``floor`` for a rule
            that asks no model.
        runs: one for each seed.
        figures: numbers that the exam worked out, by name; ``score``, ``last``, ``after_wrong`` and ``after_right``
            stand above what the page would work out from the steps.
    """

    label: str
    role: Literal["arm", "control", "floor"] = "arm"
    runs: tuple[ArmRun, ...] = ()
    figures: dict[str, Estimate] = Field(default_factory=dict)


class ExamResult(Value):
    """What an exam gave; write it with :func:`write_exam`, draw it with :func:`rnnprog.report.build`.

    Attributes:
        task: name of the task.
        metric: what a step is scored by.
        arms: contenders, control and floors, in the order in which they are shown.
        comparisons: each arm against the control, as :func:`rnnprog.statistics.compare` gives them.
        config: settings of the exam: budget, model, data set, correction, whatever decides the outcome.
        versions: versions of the packages involved.
        note: a remark that every reader must see, e.g. that a stand-in model was used.
    """

    task: str
    metric: MetricSpec = Field(default_factory=MetricSpec)
    arms: tuple[Arm, ...]
    comparisons: tuple[Comparison, ...] = ()
    config: Fields = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> ExamResult:
        labels = [arm.label for arm in self.arms]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"arm labels must differ, but {twice} stand twice; rename one")
        unknown = sorted({name for c in self.comparisons for name in (c.arm, c.control)} - set(labels))
        if unknown:
            raise ValueError(f"comparisons name {unknown}, which are no arms; the arms are {labels}")
        return self

    @property
    def control(self) -> Arm | None:
        """The arm that the others are compared with, if there is one."""
        return next((arm for arm in self.arms if arm.role == "control"), None)

    @property
    def steps(self) -> int:
        """Recorded steps over all arms and seeds."""
        return sum(len(trace) for arm in self.arms for run in arm.runs for trace in run.result.traces)


def write_exam(exam: ExamResult, folder: str | Path) -> Path:
    """Write ``result.json`` and ``traces/*.jsonl`` into ``folder``; returns the path of ``result.json``.

    The traces go first and ``result.json`` is moved into place last: where it exists, it is complete.

    Raises:
        StorageError: the folder cannot be written, or its disk is full.

    Example:
        >>> import tempfile
        >>> exam = ExamResult(task="rain", arms=(Arm(label="a", runs=(ArmRun(result=Result()),)),))
        >>> read_exam(write_exam(exam, tempfile.mkdtemp())) == exam
        True
    """
    folder = Path(folder)
    head = exam.model_dump(mode="json", exclude={"arms": {"__all__": {"runs": {"__all__": {"result": {"traces"}}}}}})
    for index, (arm, dumped) in enumerate(zip(exam.arms, head["arms"], strict=True)):
        for run, place in zip(arm.runs, dumped["runs"], strict=True):
            name = f"traces/{index:02d}-{_NOT_NAME.sub('-', arm.label)[:80]}-seed{run.seed}.jsonl"
            place["traces"] = name if run.result.traces else None
            place["sequences"] = len(run.result.traces)
            if run.result.traces:
                write_traces(run.result.traces, folder / name)
    return put_file(folder / "result.json", [json.dumps({"format": EXAM_FORMAT, **head}, ensure_ascii=False, indent=1)])


def read_exam(path: str | Path) -> ExamResult:
    """Read what :func:`write_exam` wrote.

    Args:
        path: ``result.json`` or its folder.

    Raises:
        TraceError: no such file, another format version, not a result, or a trace file is missing.
    """
    path = Path(path)
    path = path / "result.json" if path.is_dir() else path
    if not path.is_file():
        raise TraceError(f"no result at {str(path)!r}; give the result.json that an exam wrote, or its folder")
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(head, dict) or "arms" not in head:
            raise TraceError(f"{path} is not the result of an exam: it has no arms")
        if head.pop("format", None) != EXAM_FORMAT:
            raise TraceError(f"{path}: result format is not {EXAM_FORMAT}; read it with the version that wrote it")
        for arm in head["arms"]:
            for run in arm["runs"]:
                run["result"]["traces"] = _traces(run, path.parent)
                _beside(run.get("prompts"), path.parent)
        return ExamResult.model_validate(head)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:  # no JSON, or not of this form
        if isinstance(error, TraceError):
            raise
        raise TraceError(f"{path} is not the result of an exam: {error}") from error


def _traces(run: Mapping[str, object], folder: Path) -> list[object]:
    name, wanted = (run.pop("traces", None), run.pop("sequences", None)) if isinstance(run, dict) else (None, None)
    place = _beside(name, folder)
    if place is None:
        return []
    if not place.is_file():
        raise TraceError(f"{name} is missing beside the result; the command that made it makes it again")
    traces = read_traces(place)
    if cut := next((trace for trace in traces if trace.error == CUT_SHORT), None):
        raise TraceError(
            f"{place} is cut short in sequence {cut.sequence!r}; the command that made it makes it again, from what "
            "is finished"
        )
    if wanted not in (None, len(traces)):
        raise TraceError(
            f"{place} has {len(traces)} sequences of {wanted}: it is cut short; the command that made it makes it again"
        )
    return list(traces)


def _beside(name: object, folder: Path) -> Path | None:
    if name is None:
        return None
    place = (folder / str(name)).resolve()
    if folder.resolve() not in place.parents:
        raise TraceError(f"{name!r} leads out of the result's folder; traces and prompts must lie beside result.json")
    return place
