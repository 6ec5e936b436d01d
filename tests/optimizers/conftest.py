from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from rnnprog.module import RecurrentModule
from rnnprog.optimizers.planted import planted_lm, planted_program

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("tuning_script.py")


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


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Start a search in a process of its own."""

    def begin(**given: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), json.dumps(given)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
        )

    return begin


@pytest.fixture(scope="session")
def finish() -> Callable[[subprocess.Popen[str]], dict[str, Any]]:
    """Wait for a search to end, and return what it printed."""

    def end(process: subprocess.Popen[str]) -> dict[str, Any]:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
        return found

    return end
