"""Floors: cells without a language model. They are printed next to every result.

:func:`floors_for` gives those that fit a task.
"""

from __future__ import annotations

from collections.abc import Mapping

from rnnprog.cells.floors.base import Floor, is_number
from rnnprog.cells.floors.labels import Majority, Markov, Persistence
from rnnprog.cells.floors.numbers import PredictZero, RunningMean
from rnnprog.signatures.task import TaskLike, as_task

__all__ = ["Floor", "Majority", "Markov", "Persistence", "PredictZero", "RunningMean", "floors_for"]


def floors_for(task: TaskLike, sources: Mapping[str, str] | None = None) -> list[Floor]:
    """Return the floors that make sense for the outputs of a task.

    Args:
        task: a task or a signature string.
        sources: for each output, the input that holds its present value; outputs without one use their last
            known outcome.

    Example:
        >>> [floor.name for floor in floors_for("sky -> tomorrow: Literal['sun', 'rain']")]
        ['persistence', 'majority', 'markov']
        >>> [floor.name for floor in floors_for("price: float -> change: float")]
        ['persistence', 'running_mean', 'predict_zero']
    """
    task = as_task(task)
    persistence = Persistence(task, sources=sources)
    if all(is_number(task, output) for output in task.outputs):
        return [persistence, RunningMean(task), PredictZero(task)]
    return [persistence, Majority(task), Markov(task, sources=sources)]
