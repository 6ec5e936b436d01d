"""The promises that every task's data makes."""

from __future__ import annotations

from rnnprog.cells.zero_shot import ZeroShot
from rnnprog.errors import RnnprogError
from rnnprog.feedback import moment
from rnnprog.tasks import TaskData
from rnnprog.testing.contract import ensure
from rnnprog.trace import Sequence

__all__ = ["check_task"]


def check_task(data: TaskData) -> None:
    """Check that data can be walked: typed steps, order in time, splits that do not leak, a task that cells can use.

    Args:
        data: e.g. ``rnnprog.tasks.load_task("weather")``.

    Raises:
        ContractError: naming the promise that is broken, the sequence and the step.

    Example:
        >>> from rnnprog.tasks import load_task
        >>> check_task(load_task("regimes", n_steps=20))
    """
    ensure(bool(data.sequences), "not empty", f"task {data.name!r} has no sequences")
    try:
        data.check()
        ZeroShot(data.task)
    except RnnprogError as error:
        ensure(False, "typed", str(error))
    ensure(bool(data.metrics), "scored", f"task {data.name!r} names no metric")
    ensure(any(step.target for s in data for step in s.steps), "labelled", f"task {data.name!r} has no label at all")
    for sequence in data:
        _in_order(data, sequence)
        read = Sequence.model_validate_json(sequence.model_dump_json())
        ensure(read == sequence, "json", f"sequence {sequence.id!r} does not survive JSON")
    _splits(data)


def _in_order(data: TaskData, sequence: Sequence) -> None:
    timed = [step.time is not None for step in sequence.steps]
    ensure(all(timed) or not any(timed), "times", f"sequence {sequence.id!r}: some steps have a time and some do not")
    try:
        times = [moment(step, t) for t, step in enumerate(sequence.steps)]
        backwards = next((t for t in range(1, len(times)) if times[t] < times[t - 1]), None)  # type: ignore[operator]
    except (RnnprogError, TypeError) as error:
        ensure(False, "times", f"sequence {sequence.id!r}: {error}")
    ensure(backwards is None, "times", f"{data.name}: sequence {sequence.id!r} goes back in time at step {backwards}")


def _splits(data: TaskData) -> None:
    parts = data.split()
    kept = sum(part.n_steps for part in parts)
    ensure(kept == data.n_steps, "splits", f"the splits hold {kept} of {data.n_steps} steps")
    if len(data.sequences) > 1:
        return
    joined = [step for part in parts for sequence in part for step in sequence.steps]
    ensure(
        joined == list(data.sequences[0].steps), "splits", "the parts, put together, are not the series in its order"
    )
