"""Checking answers against a task: numbers must be finite at any depth."""

from __future__ import annotations

from typing import Any, Optional

import dspy
import pydantic
import pytest

import rnnprog
from rnnprog.signatures import as_task
from rnnprog.testing.models import pure_lm

NAN, INF = float("nan"), float("inf")


class Range(pydantic.BaseModel):
    low: float
    more: dict[str, float] = {}


class Outlook(dspy.Signature):
    """Look ahead."""

    x: float = dspy.InputField()
    span: Range = dspy.OutputField()
    levels: list[float] = dspy.OutputField()
    pair: tuple[float, int] = dspy.OutputField()
    maybe: Optional[float] = dspy.OutputField()


GOOD: dict[str, Any] = {"span": {"low": 1.0, "more": {"a": 2.0}}, "levels": [1.0], "pair": [1.0, 2], "maybe": None}


def test_finite_numbers_pass_as_they_are() -> None:
    assert as_task(Outlook).validate(GOOD) == GOOD


@pytest.mark.parametrize(
    "bad",
    [
        {"span": {"low": NAN}},
        {"span": Range(low=NAN)},
        {"span": {"low": 1.0, "more": {"a": INF}}},
        {"levels": [1.0, NAN]},
        {"levels": ["nan"]},
        {"levels": [-INF]},
        {"pair": (NAN, 1)},
        {"pair": (1.0, 10**400)},
        {"maybe": NAN},
    ],
)
def test_a_number_that_is_none_is_refused_at_any_depth(bad: dict[str, Any]) -> None:
    name = next(iter(bad))
    with pytest.raises(ValueError, match=rf"output '{name}' = .*not a finite number"):
        as_task(Outlook).validate({**GOOD, **bad})


def test_an_outcome_with_one_names_the_step() -> None:
    program = rnnprog.RecurrentModule("x: float -> levels: list[float]")
    program.set_lm(pure_lm())
    with pytest.raises(rnnprog.DataError, match="step 1: the outcome does not fit the task: output 'levels'"):
        program(steps=[{"x": 1.0, "levels": [1.0]}, {"x": 1.0, "levels": [NAN]}])
