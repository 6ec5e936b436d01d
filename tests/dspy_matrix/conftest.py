from __future__ import annotations

from typing import Any

import dspy
import pytest

import rnnprog
from rnnprog.testing.models import pure_lm

TASK = "rain: float, sky: str -> tomorrow: Literal['sun', 'rain']"


@pytest.fixture
def task() -> str:
    return TASK


@pytest.fixture
def lm() -> dspy.LM:
    return pure_lm()


@pytest.fixture
def program(lm: dspy.LM) -> rnnprog.RecurrentModule:
    program = rnnprog.RecurrentModule(TASK, budget=200)
    program.set_lm(lm)
    return program


@pytest.fixture
def steps() -> list[dict[str, Any]]:
    return [{"rain": float(n), "sky": f"sky {n}", "tomorrow": ("sun", "rain")[n % 2]} for n in range(3)]


@pytest.fixture
def examples() -> list[dspy.Example]:
    return [
        dspy.Example(
            steps=[
                {"rain": float(n), "sky": f"sky {k}-{n}", "tomorrow": ("sun", "rain")[(n + k) % 2]} for n in range(3)
            ],
            labels_=["x"],
        ).with_inputs("steps")
        for k in range(4)
    ]
