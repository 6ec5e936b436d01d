"""Every source of feedback keeps its contract, and broken ones are found out."""

from __future__ import annotations

import random
from typing import Any

import pytest

import rnnprog
from rnnprog.testing import ContractError, check_feedback

TASK = "rain: float -> tomorrow: Literal['sun', 'rain']"
SOURCES: dict[str, Any] = {
    "label": rnnprog.Label,
    "late label": lambda: rnnprog.Label(delay=3),
    "nobody": rnnprog.Nobody,
    "rule": lambda: rnnprog.Rule(lambda inputs, outputs: (outputs["tomorrow"] == "sun", "the rule")),
    "silent rule": lambda: rnnprog.Rule(lambda inputs, outputs: None),
    "judge": lambda: rnnprog.JudgeFeedback(["names the weather"]),
}


@pytest.mark.parametrize("name", list(SOURCES))
def test_every_source_keeps_the_contract(name: str) -> None:
    check_feedback(SOURCES[name], TASK)


class Raises(rnnprog.Label):
    def giving(self, task: Any, step: Any, outputs: Any) -> Any:
        return super().giving(task, step, dict(outputs))


class Guesses(rnnprog.Label):
    def giving(self, task: Any, step: Any, outputs: Any) -> Any:
        said = super().giving(task, step, outputs)
        return said and said.model_copy(update={"text": str(random.random())})


class SaysText(rnnprog.Label):
    def giving(self, task: Any, step: Any, outputs: Any) -> Any:
        return "right"


class Changes(rnnprog.Label):
    def giving(self, task: Any, step: Any, outputs: Any) -> Any:
        step.inputs["rain"] = 99.0
        return super().giving(task, step, outputs)


@pytest.mark.parametrize("broken", [Guesses, SaysText, Changes, Raises])
def test_a_broken_source_is_found_out(broken: Any) -> None:
    with pytest.raises((ContractError, TypeError)):
        check_feedback(broken, TASK)
