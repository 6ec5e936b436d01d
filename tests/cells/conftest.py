"""A walk with a model that answers by the field that is asked for, and a record of what it saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

import rnnprog
from rnnprog.cells.base import Cell
from rnnprog.lm.prompts import Prompt
from rnnprog.trace import Trace, Update


@dataclass
class Walked:
    """What a walk gave, and every prompt in order."""

    trace: Trace
    prompts: list[Prompt]
    texts: list[str]
    state: Any = field(default=None)

    def asking(self, output: str) -> list[Prompt]:
        """Return the prompts that ask for a field."""
        return [prompt for prompt in self.prompts if output in {o.name for o in prompt.outputs}]

    def memories(self, output: str = "tomorrow") -> list[str]:
        """Return the memory texts beside the observations."""
        return [prompt.memory or "" for prompt in self.asking(output)]

    @property
    def updates(self) -> list[Update]:
        return list(self.trace.updates)

    @property
    def operations(self) -> list[str]:
        return [update.operation for update in self.trace.updates]

    @property
    def calls(self) -> dict[str, int]:
        return {phase: usage.calls for phase, usage in self.trace.usage.items()}


Walk = Callable[..., Walked]


@pytest.fixture
def walk() -> Walk:
    """Return ``walk(cell, steps, feedback=None, **answers)``; an answer is a value, an exception, or a function."""

    def walking(cell: Cell, steps: list[Any], feedback: Any = None, memory: Any = None, **answers: Any) -> Walked:
        prompts: list[Prompt] = []

        def say(prompt: Prompt) -> Any:
            prompts.append(prompt)
            said: dict[str, Any] = {}
            for output in prompt.outputs:
                value = answers.get(output.name, "This is said.")
                value = value(prompt) if callable(value) else value
                if isinstance(value, Exception):
                    return value
                said[output.name] = value
            return said

        lm = rnnprog.scripted_lm(say)
        program = rnnprog.RecurrentModule(cell, feedback=feedback or rnnprog.Label())
        program.set_lm(lm)
        out = program(steps=steps, memory=memory)
        return Walked(out.trace, prompts, lm.engine.seen, out.state)

    return walking
