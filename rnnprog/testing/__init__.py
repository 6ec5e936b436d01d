"""Checks that every cell, task and source of feedback must pass; run them on your own, no model needed.

``check_cell(lambda: MyCell("rain: float -> tomorrow"))`` raises a :class:`ContractError` that names the broken promise.
"""

from rnnprog.testing.cells import CELL_CHECKS, check_cell
from rnnprog.testing.contract import ContractError, example_steps
from rnnprog.testing.feedback import check_feedback
from rnnprog.testing.models import HOSTILE, Exchange, PureEngine, hostile_lm, pure_lm
from rnnprog.testing.tasks import check_task

__all__ = [
    "CELL_CHECKS",
    "HOSTILE",
    "ContractError",
    "Exchange",
    "PureEngine",
    "check_cell",
    "check_feedback",
    "check_task",
    "example_steps",
    "hostile_lm",
    "pure_lm",
]
