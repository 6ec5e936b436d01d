"""Who takes part: the arms, the control, and the floors, each with its program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rnnprog.cells.base import make_cell
from rnnprog.cells.floors import floors_for
from rnnprog.errors import ConfigurationError
from rnnprog.evaluate.arms import feedback_of, program_of
from rnnprog.evaluate.config import ExamConfig
from rnnprog.floor_runs import FLOOR_NAMES
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
    if config.floors is not None:
        if unknown := [name for name in config.floors if name not in FLOOR_NAMES]:
            raise ConfigurationError(f"unknown floors {unknown}; there are {', '.join(FLOOR_NAMES)}")
        cells = [make_cell(name, data.task) for name in config.floors]
    else:
        cells = [floor for floor in floors_for(data.task) if not data.floors or floor.name in data.floors]
    programs = {}
    for cell in cells:
        # A floor's carry can grow with every step, and nobody looks at it.
        programs[cell.name] = RecurrentModule(cell, feedback=feedback_of(config), recording=Recording(every=0))
    return programs
