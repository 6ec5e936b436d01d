"""Walking a cell by hand, verb by verb, as the checks of its contract do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rnnprog.cells.base import Answer, Cell, Experience
from rnnprog.feedback import label_feedback
from rnnprog.module import RecurrentModule
from rnnprog.state import State
from rnnprog.testing.models import pure_lm
from rnnprog.trace import Step

__all__ = ["MakeCell", "carries_of", "dumped", "experience_of", "ready", "told_by", "walked_by"]

MakeCell = Callable[[], Cell]


def ready(make: MakeCell) -> Cell:
    """Return a fresh cell with a model that answers as it should."""
    cell = make()
    cell.set_lm(pure_lm())
    return cell


def experience_of(cell: Cell, t: int, step: Step, answer: Answer) -> Experience:
    """Return what a cell is told of a step that it answered: the label, where there is one."""
    evidence = None if step.target is None else label_feedback(cell.task, answer.outputs, step.target)
    return Experience(f"0:{t}", t, step.inputs, answer.outputs, evidence, note=answer.note)


def told_by(make: MakeCell, steps: list[Step], *, late: bool, killed: bool) -> list[str]:
    """Ask and tell through a module; ``killed`` saves the state before each learning and goes on with a fresh cell."""

    def told(program: RecurrentModule, state: State, id: str, step: Step) -> State:
        if killed:
            fresh = RecurrentModule(ready(make))
            program, state = fresh, fresh.thaw(program.freeze(state))
        return program.tell(state, id, step.target)

    program = RecurrentModule(ready(make))
    state, waiting, seen = program.initial(), list[tuple[str, Step]](), list[str]()
    for step in steps:
        asked, state = program.ask(state, **step.inputs)
        waiting.append((asked.id, step))
        if not late:
            state = told(program, state, *waiting.pop())
            seen.append(dumped(program.cell, state.carry))
    for id, step in reversed(waiting):
        state = told(program, state, id, step)
        seen.append(dumped(program.cell, state.carry))
    return seen


def dumped(cell: Cell, carry: Any) -> str:
    """Return a carry as JSON text."""
    return json.dumps(cell.dump_carry(carry), sort_keys=True)


def carries_of(cell: Cell, steps: list[Step]) -> list[Any]:
    """Return the carry before the first step and after each."""
    carries = [cell.initial()]
    for t, step in enumerate(steps):
        answer = cell.predict(carries[-1], step.inputs)
        carries.append(cell.learn(carries[-1], experience_of(cell, t, step, answer)).carry)
    return carries


def walked_by(cell: Cell, steps: list[Step]) -> list[Any]:
    """Return what a cell answers to each step, and its carry after it."""
    carry, seen = cell.initial(), []
    for t, step in enumerate(steps):
        answer = cell.predict(carry, step.inputs)
        carry = cell.learn(carry, experience_of(cell, t, step, answer)).carry
        seen.append((answer.outputs, dumped(cell, carry)))
    return seen
