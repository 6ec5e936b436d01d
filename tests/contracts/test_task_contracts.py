"""Every named task keeps its contract, and broken data is found out."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import rnnprog
from rnnprog.tasks import load_task, make_task, task_names
from rnnprog.testing import ContractError, check_task

BUILT_IN = {"weather", "sp500", "regimes"}


@pytest.mark.parametrize("name", task_names())
def test_every_task_keeps_the_contract(name: str) -> None:
    try:
        data = load_task(name)
    except (rnnprog.ConfigurationError, rnnprog.DataError) as error:
        if name in BUILT_IN and not (name == "sp500" and sys.version_info < (3, 11)):
            raise
        pytest.skip(f"NOT TESTED: {error}")
    check_task(data.limit(n_steps=120))


def data(*steps: dict[str, Any], **more: Any) -> Any:
    made = tuple(rnnprog.Step(**step) for step in steps)
    task = "rain: float -> tomorrow: Literal['sun', 'rain']"
    return make_task("broken", task, [rnnprog.Sequence(id="a", steps=made)], **more)


GOOD: dict[str, Any] = {"inputs": {"rain": 1.0}, "target": {"tomorrow": "sun"}}


@pytest.mark.parametrize(
    ("steps", "promise"),
    [
        ([{**GOOD, "time": 2}, {**GOOD, "time": 1}], "back in time"),
        ([{**GOOD, "time": 2}, GOOD], "some steps have a time"),
        ([{"inputs": {"rain": 1.0}}], "no label"),
        ([GOOD, {"inputs": {"snow": 1.0}}], "unknown|missing"),
        ([{**GOOD, "target": {"tomorrow": "hail"}}], "hail"),
    ],
)
def test_broken_data_is_found_out(steps: list[dict[str, Any]], promise: str) -> None:
    with pytest.raises((ContractError, rnnprog.DataError), match=promise):
        check_task(data(*steps))
