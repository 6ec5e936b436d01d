"""Floors walked over the same sequences as a program, so that they can be printed next to its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rnnprog.cells.base import make_cell
from rnnprog.cells.floors import Floor, floors_for
from rnnprog.errors import ConfigurationError
from rnnprog.feedback import FeedbackSource
from rnnprog.module import RecurrentModule
from rnnprog.recording import Recording
from rnnprog.run import run
from rnnprog.signatures import TaskLike, as_task
from rnnprog.trace import Result, Sequence, Step

__all__ = ["FLOOR_NAMES", "sequences_of", "walk_floors"]

FLOOR_NAMES = ("persistence", "majority", "markov", "running_mean", "predict_zero")
"""Names of the floors, as ``--floors`` and a task's ``floors`` take them."""


def walk_floors(
    task: TaskLike,
    sequences: Iterable[Sequence],
    names: Iterable[str] | None = None,
    *,
    sources: Mapping[str, str] | None = None,
    feedback: FeedbackSource | None = None,
) -> dict[str, Result]:
    """Walk floors over sequences, without any model, and return their results by name.

    They predict, then learn, in the same loop as every cell, and get their labels when the program gets them.

    Args:
        task: a task or a signature string.
        sequences: what to walk; for the steps that a program has walked, :func:`sequences_of` its result.
        names: some of :data:`FLOOR_NAMES`; those that fit the task if left out.
        sources: for each output, the input that holds its present value, where there is one.
        feedback: the program's own source, for its delay; labels at once if left out. Floors learn from labels only.

    Raises:
        ConfigurationError: an unknown name, or a floor that does not fit the task.

    Example:
        >>> from rnnprog.metrics import summary
        >>> steps = [Step(inputs={"sky": s}, target={"next": n}) for s, n in zip("abab", "baba")]
        >>> runs = walk_floors("sky -> next: Literal['a', 'b']", [Sequence(id="s", steps=tuple(steps))])
        >>> summary(runs["majority"], "accuracy", runs)["floors"]
        {'persistence': 0.0, 'majority': 0.0, 'markov': 0.25}
    """
    task = as_task(task)
    sequences = list(sequences)
    floors: list[Floor] = (
        floors_for(task, sources) if names is None else [_named(name, task, sources) for name in names]
    )
    programs = {floor.name: RecurrentModule(floor, feedback=feedback, recording=Recording(every=0)) for floor in floors}
    return {name: run(program, sequences, concurrency=1) for name, program in programs.items()}


def sequences_of(result: Result) -> list[Sequence]:
    """Return the steps that were walked, as sequences: inputs, targets and times, without what was predicted."""
    return [
        Sequence(
            id=trace.sequence, steps=tuple(Step(inputs=r.inputs, target=r.target, time=r.time) for r in trace.records)
        )
        for trace in result.traces
        if trace.records
    ]


def _named(name: str, task: TaskLike, sources: Mapping[str, str] | None) -> Floor:
    if name not in FLOOR_NAMES:
        raise ConfigurationError(f"unknown floor {name!r}; there are {', '.join(FLOOR_NAMES)}")
    floor = make_cell(name, task, sources=sources)
    assert isinstance(floor, Floor)
    return floor
