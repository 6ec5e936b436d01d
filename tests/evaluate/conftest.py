"""A cell that is a coin of known skill."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from rnnprog.cells import base
from rnnprog.cells.base import Answer, Cell, Experience, Learned
from rnnprog.signatures import TaskLike, as_task
from rnnprog.trace import Fields
from tests.evaluate.harness import LABELS


@pytest.fixture
def coin() -> Iterator[str]:
    """Name of a cell that reads the hint and is right with a given probability, by a hash of what it sees."""

    class Coin(Cell):
        name = "coin-for-tests"

        def __init__(self, task: TaskLike, *, skill: float = 0.5, salt: str = "") -> None:
            super().__init__(as_task(task))
            self.skill, self.salt = skill, salt

        def initial(self) -> None:
            return None

        def predicting(self, carry: None, inputs: Fields) -> Answer:
            dice = int(hashlib.sha256(f"{self.salt}|{inputs['n']}".encode()).hexdigest()[:12], 16) / 16**12
            hint = str(inputs["hint"])
            return Answer({"turn": hint if dice < self.skill else LABELS[hint == LABELS[0]]})

        def learning(self, carry: None, experience: Experience) -> Learned:
            return Learned(carry, "none")

        def describe(self) -> Fields:
            return {**super().describe(), "skill": self.skill, "salt": self.salt}

    yield Coin.name
    base._CELLS.pop(Coin.name)
