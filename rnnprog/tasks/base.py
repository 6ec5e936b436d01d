"""A task's data: sequences, what is to be predicted from them, and how that is scored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args, get_origin

import dspy

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.metrics import Metric, MetricLike, get_metric
from rnnprog.signatures import Task, TaskLike, as_task
from rnnprog.tasks.splitting import SplitBy, cut
from rnnprog.trace import Sequence

__all__ = ["Splits", "TaskData", "default_floors", "default_metrics", "make_task"]


class Splits(NamedTuple):
    """The three parts of a task's data, earliest first; a part may be empty."""

    train: TaskData
    validation: TaskData
    test: TaskData


@dataclass(frozen=True)
class TaskData:
    """Sequences with the task that they pose; make one with :func:`load_task`, :func:`from_file` or :func:`make_task`.

    Attributes:
        name: what tables and reports call it.
        task: the checked signature.
        sequences: in the order in which they are walked.
        metrics: names of the scores worth reporting, the main one first.
        floors: names of the trivial predictors that a score is to be compared with.
        own_metrics: scores of this task that :func:`rnnprog.metrics.get_metric` does not know by name.
        about: one sentence on source and unit.

    Raises:
        DataError: two sequences of one id, a step whose inputs or target do not fit the task.

    Example:
        >>> from rnnprog.trace import Step
        >>> data = make_task("demo", "rain: float -> tomorrow: Literal['sun', 'rain']", [
        ...     Sequence(id="a", steps=(Step(inputs={"rain": 0.0}, target={"tomorrow": "sun"}),))])
        >>> data.metrics, data.n_steps
        (('accuracy', 'macro_f1[tomorrow]'), 1)
    """

    name: str
    task: Task
    sequences: tuple[Sequence, ...]
    metrics: tuple[str, ...] = ()
    floors: tuple[str, ...] = ()
    about: str = field(default="", compare=False)
    own_metrics: tuple[Metric, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for sequence in self.sequences:
            if sequence.id in seen:
                raise DataError(f"{self.name}: two sequences are called {sequence.id!r}; ids must be unique")
            seen.add(sequence.id)

    @property
    def instructions(self) -> str:
        """What the model is told to do."""
        return str(self.task.signature.instructions)

    @property
    def n_steps(self) -> int:
        """Steps in all sequences together."""
        return sum(len(sequence) for sequence in self.sequences)

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[Sequence]:
        return iter(self.sequences)

    def check(self) -> TaskData:
        """Return the data unchanged if every step fits the task.

        Raises:
            DataError: naming the sequence, the step and what does not fit.
        """
        for sequence in self.sequences:
            if not sequence.steps:
                raise DataError(f"{self.name}: sequence {sequence.id!r} is empty; leave it out")
            for t, step in enumerate(sequence.steps):
                try:
                    self.task.check_inputs(step.inputs)
                    if odd := [n for n, v in step.inputs.items() if isinstance(v, float) and not math.isfinite(v)]:
                        raise ValueError(f"inputs {odd} are not finite numbers; leave the step out or use None")
                    if step.target is not None and self.task.validate(step.target) != step.target:
                        raise ValueError(f"target {step.target!r} is not typed as the task says")
                except ValueError as error:
                    raise DataError(f"{self.name}: sequence {sequence.id!r}, step {t}: {error}") from error
        return self

    def split(self, train: float = 0.6, validation: float = 0.2, by: SplitBy = "auto") -> Splits:
        """Cut the data by time into train, validation and test; nothing is shuffled.

        Args:
            train: share of the earliest part, between 0 and 1.
            validation: share of the part after it; the rest is test.
            by: ``"steps"`` cuts every sequence at these shares of its own length; ``"sequences"`` keeps sequences
                whole and orders them by their first step; ``"time"`` cuts all of them at the same two moments;
                ``"auto"`` is ``"steps"`` for a single sequence, else ``"sequences"``.

        Returns:
            Three :class:`TaskData`. A cut sequence keeps its id; ``meta["offset"]`` says how many steps precede it.

        Raises:
            ConfigurationError: shares that are not shares, or ``by="time"`` without comparable times.

        Example:
            >>> from rnnprog.tasks import load_task
            >>> [part.n_steps for part in load_task("regimes", n_steps=10).split(0.6, 0.2)]
            [6, 2, 2]
        """
        if not (0 <= train <= 1 and 0 <= validation <= 1 and train + validation <= 1 + 1e-9):
            raise ConfigurationError(
                f"split({train}, {validation}): shares must lie in 0..1 and add up to at most 1, e.g. split(0.6, 0.2)"
            )
        parts = cut(self.sequences, train, validation, by)
        return Splits(*(replace(self, sequences=part) for part in parts))

    def limit(self, n_steps: int | None = None, n_sequences: int | None = None) -> TaskData:
        """Return the first steps: whole sequences in order, the last one cut where the limit falls.

        Args:
            n_steps: steps over all sequences together; ``None`` for no limit.
            n_sequences: sequences; ``None`` for no limit.
        """
        for name, value in (("n_steps", n_steps), ("n_sequences", n_sequences)):
            if value is not None and value < 1:
                raise ConfigurationError(f"limit({name}={value}): give a number of at least 1, or None for all")
        kept: list[Sequence] = []
        left = self.n_steps if n_steps is None else n_steps
        for sequence in self.sequences[:n_sequences]:
            if left <= 0:
                break
            steps = sequence.steps[:left]
            kept.append(sequence if len(steps) == len(sequence) else sequence.model_copy(update={"steps": steps}))
            left -= len(steps)
        return replace(self, sequences=tuple(kept))

    def scoring(self) -> tuple[Metric, ...]:
        """Return the scores worth reporting, ready to use, the main one first.

        Raises:
            ConfigurationError: :attr:`metrics` holds a name that is no metric.

        Example:
            >>> from rnnprog.tasks import load_task
            >>> [metric.better for metric in load_task("regimes", n_steps=8).scoring()]
            ['higher', 'higher']
        """
        own = {metric.name: metric for metric in self.own_metrics}
        return tuple(own[name] if name in own else get_metric(name) for name in self.metrics)

    def with_metrics(self, *metrics: MetricLike) -> TaskData:
        """Return the data with these scores to be reported, by name or as they are, the main one first."""
        names = tuple(metric.name if isinstance(metric, Metric) else metric for metric in metrics)
        own = tuple(metric for metric in metrics if isinstance(metric, Metric))
        changed = replace(self, metrics=names, own_metrics=own)
        changed.scoring()
        return changed

    def with_floors(self, *names: str) -> TaskData:
        """Return the data with these trivial predictors to be compared with."""
        return replace(self, floors=names)

    def examples(self) -> list[dspy.Example]:
        """Return one ``dspy.Example`` a sequence, for ``dspy.Evaluate`` and dspy's optimizers.

        Its input is ``steps``, which a recurrent module takes; ``sequence`` is the id. Mark both as inputs,
        ``example.with_inputs("steps", "sequence")``, and the traces of ``dspy.Evaluate`` and ``batch`` bear it too.
        """
        return [dspy.Example(sequence=s.id, steps=s.steps).with_inputs("steps") for s in self.sequences]

    def describe(self) -> dict[str, Any]:
        """Return name, signature, sizes and scores as JSON, for traces and reports."""
        return {
            "name": self.name,
            "task": str(self.task),
            "about": self.about,
            "sequences": len(self),
            "steps": self.n_steps,
            "metrics": list(self.metrics),
            "floors": list(self.floors),
        }


def make_task(
    name: str, task: TaskLike, sequences: Iterable[Sequence], *, instructions: str | None = None, about: str = ""
) -> TaskData:
    """Put sequences and a signature together, with the scores and floors that fit the output's type, and check them.

    Args:
        name: what tables and reports call it.
        task: the task signature.
        sequences: in the order in which they are walked.
        instructions: replaces the signature's own.
        about: one sentence on source and unit.

    Raises:
        DataError: a step does not fit the task.
        ConfigurationError: the signature is unusable.
    """
    checked = as_task(task, instructions)
    data = TaskData(name, checked, tuple(sequences), default_metrics(checked), default_floors(checked), about)
    return data.check()


def default_metrics(task: Task) -> tuple[str, ...]:
    """Return the scores that fit the type of the task's first output, as :mod:`rnnprog.metrics` names them.

    Example:
        >>> default_metrics(as_task("x -> y: float"))
        ('mae[y]', 'mse[y]')
    """
    names = {"number": ("mae", "mse"), "ranking": ("acc@1", "acc@5"), "class": ("accuracy", "macro_f1")}
    first = task.outputs[0]
    chosen = names.get(_kind(task), ("accuracy",))
    return tuple(name if name == "accuracy" else f"{name}[{first}]" for name in chosen)


def default_floors(task: Task) -> tuple[str, ...]:
    """Return the trivial predictors that fit the type of the task's first output."""
    kind = _kind(task)
    return {
        "number": ("persistence", "running_mean"),
        "class": ("persistence", "majority", "markov"),
        "ranking": ("persistence", "majority"),
    }.get(kind, ("persistence", "majority"))


def _kind(task: Task) -> str:
    annotation = task.signature.output_fields[task.outputs[0]].annotation
    if annotation in (int, float):
        return "number"
    if annotation is bool or get_origin(annotation) is Literal:
        return "class"
    if get_origin(annotation) in (list, tuple) and str in get_args(annotation):
        return "ranking"
    return "text"
