"""Floors walked over the same sequences as a program, so that they can be printed next to its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Literal, get_origin

from rnnprog.cells.base import Cell, make_cell
from rnnprog.cells.floors import floors_for
from rnnprog.errors import ConfigurationError
from rnnprog.feedback import FeedbackSource
from rnnprog.module import RecurrentModule
from rnnprog.recording import Recording
from rnnprog.running import run
from rnnprog.signatures import TaskLike, as_task
from rnnprog.trace import Result, Sequence, Step

__all__ = ["FLOOR_NAMES", "floor_of", "sequences_of", "usual_floors", "walk_floors"]

FLOOR_NAMES = ("persistence", "majority", "markov", "running_mean", "predict_zero", "river")
"""Names of the floors; ``river`` is a linear model, ``river:NAME`` any other, see :mod:`rnnprog.cells.river_models`."""

_RIVER = "river"


def usual_floors(task: TaskLike, wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the floors to show beside a result: rules that fit the task, and a linear model where River is installed.

    Args:
        task: a task or a signature string.
        wanted: only these of the rules; all that fit if left out.

    Example:
        >>> [name for name in usual_floors("price: float -> change: float", ["running_mean"]) if name != "river"]
        ['running_mean']
    """
    task, wanted = as_task(task), tuple(wanted)
    names = [floor.name for floor in floors_for(task) if not wanted or floor.name in wanted]
    kinds = [field.annotation for field in task.signature.output_fields.values()]
    plain = len(kinds) == 1 and (kinds[0] in (bool, int, float) or get_origin(kinds[0]) is Literal)
    return (*names, *([_RIVER] if plain and find_spec("river") is not None else []))


def floor_of(name: str, task: TaskLike, sources: Mapping[str, str] | None = None) -> Cell:
    """Return a floor by its name.

    Raises:
        ConfigurationError: an unknown name, or a floor that does not fit the task.
    """
    import rnnprog.cells.river_cell  # noqa: F401  (the cell makes itself known)

    kind, colon, model = name.partition(":")
    if kind not in FLOOR_NAMES or (colon and kind != _RIVER):
        raise ConfigurationError(f"unknown floor {name!r}; there are {', '.join(FLOOR_NAMES)} and {_RIVER}:NAME")
    settings = {"sources": sources} if kind != _RIVER else {"model": model} if colon else {}
    return make_cell(kind, task, **settings)


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
        names: some of :data:`FLOOR_NAMES`; the rules that fit the task if left out.
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
    floors: dict[str, Cell] = (
        {floor.name: floor for floor in floors_for(task, sources)}
        if names is None
        else {name: floor_of(name, task, sources) for name in names}
    )
    programs = {
        name: RecurrentModule(floor, feedback=feedback, recording=Recording(every=0)) for name, floor in floors.items()
    }
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
