"""Floors for numbers: running mean and predict-zero."""

from __future__ import annotations

from pydantic import JsonValue

from rnnprog.cells.floors.base import Floor, State
from rnnprog.errors import DataError
from rnnprog.trace import Fields

__all__ = ["PredictZero", "RunningMean"]


class RunningMean(Floor):
    """The mean of the outcomes so far; rounded for an output that is an ``int``.

    Example:
        >>> from rnnprog.cells.base import Experience
        >>> from rnnprog.trace import Feedback
        >>> cell = RunningMean("wind: float -> temp: float")
        >>> carry = cell.initial()
        >>> for temp in (10.0, 20.0):
        ...     label = Feedback(kind="label", target={"temp": temp})
        ...     carry = cell.learn(carry, Experience("0", 0, {}, None, label)).carry
        >>> cell.predict(carry, {"wind": 3.0}).outputs
        {'temp': 15.0}
    """

    name = "running_mean"
    numeric_only = True

    def guess(self, output: str, state: State, inputs: Fields) -> JsonValue:
        """Return the mean so far."""
        if not state:
            return None
        whole = self.task.signature.output_fields[output].annotation is int
        return round(state["mean"]) if whole else float(state["mean"])

    def follow(self, output: str, state: State, inputs: Fields, outcome: JsonValue) -> State:
        """Move the mean towards the outcome."""
        n, mean = state.get("n", 0), state.get("mean", 0.0)
        if not isinstance(outcome, (int, float)):
            raise DataError(
                f"running_mean: the outcome of {output!r} is {outcome!r}, not a number; give it as a number"
            )
        return {"n": n + 1, "mean": mean + (outcome - mean) / (n + 1)}


class PredictZero(Floor):
    """Always the plainest answer: zero for a number, false for a ``bool``, the first value of a ``Literal``.

    For returns and other noise around zero this is hard to beat.

    Example:
        >>> cell = PredictZero("volume: float -> change: float")
        >>> cell.predict(cell.initial(), {"volume": 3.0}).outputs
        {'change': 0.0}
    """

    name = "predict_zero"

    def guess(self, output: str, state: State, inputs: Fields) -> JsonValue:
        """Return nothing, so that the first answer stands for ever."""
        return None

    def follow(self, output: str, state: State, inputs: Fields, outcome: JsonValue) -> State:
        """Learn nothing."""
        return state
