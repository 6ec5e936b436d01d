"""When to learn: a gate looks at an experience and opens or stays shut."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field

from rnnprog.cells.base import Experience
from rnnprog.memory import Value

__all__ = ["Always", "EveryN", "Gate", "OnError"]


class Always(Value):
    """Learn from every experience."""

    kind: Literal["always"] = "always"

    def opens(self, experience: Experience) -> bool:
        """Return True."""
        return True


class OnError(Value):
    """Learn where the prediction was wrong, failed, or its correctness is not known."""

    kind: Literal["on_error"] = "on_error"

    def opens(self, experience: Experience) -> bool:
        """Return whether the evidence does not say that the prediction was right."""
        return experience.feedback is None or experience.feedback.correct is not True


class EveryN(Value):
    """Learn from every n-th step.

    Attributes:
        n: period in steps; the steps n-1, 2n-1, ... are learned from.
    """

    kind: Literal["every"] = "every"
    n: int = Field(ge=1)

    def opens(self, experience: Experience) -> bool:
        """Return whether this step's turn has come."""
        return (experience.t + 1) % self.n == 0


Gate = Annotated[Union[Always, OnError, EveryN], Field(discriminator="kind")]
