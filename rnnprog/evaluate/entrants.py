"""Who takes part: the arms, the control, and the floors, each with its program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rnnprog.evaluate.arms import feedback_of, program_of
from rnnprog.evaluate.config import ExamConfig
from rnnprog.floor_runs import floor_of, usual_floors
from rnnprog.module import RecurrentModule
from rnnprog.recording import Recording
from rnnprog.tasks import TaskData

__all__ = ["Entrant", "entrants_of"]


@dataclass(frozen=True)
class Entrant:
    """One who takes part.

    Attributes:
        label: unique name.
        role: arm, control or floor.
        program: what walks.
    """

    label: str
    role: Literal["arm", "control", "floor"]
    program: RecurrentModule


def entrants_of(config: ExamConfig, data: TaskData) -> list[Entrant]:
    """Return all who take part, in the order in which they are shown: arms as given, then the floors.

    A floor that does not fit the task is an error if the configuration names it, and left out if the task does.

    Raises:
        ConfigurationError: no such cell or floor, or settings that it does not take.
    """
    found = [
        Entrant(spec.label, "control" if spec.label == config.control else "arm", program_of(spec, data.task, config))
        for spec in config.arms
    ]
    taken = {entrant.label for entrant in found}
    return found + [
        Entrant(name if name not in taken else f"{name} (floor)", "floor", program)
        for name, program in _floors(config, data).items()
    ]


def _floors(config: ExamConfig, data: TaskData) -> dict[str, RecurrentModule]:
    names = config.floors if config.floors is not None else usual_floors(data.task, data.floors)
    # A floor's carry can grow with every step, and nobody looks at it.
    return {
        name: RecurrentModule(floor_of(name, data.task), feedback=feedback_of(config), recording=Recording(every=0))
        for name in names
    }
