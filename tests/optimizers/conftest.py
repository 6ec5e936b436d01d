from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from rnnprog.module import RecurrentModule
from rnnprog.optimizers.planted import planted_lm, planted_program

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def student() -> RecurrentModule:
    program = planted_program(budget=128)
    program.set_lm(planted_lm())
    return program


@pytest.fixture
def python() -> list[str]:
    return [sys.executable]
