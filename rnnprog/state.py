"""Where a walk stands: a value that is passed in and returned, never kept on a module."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Union

from pydantic import JsonValue

from rnnprog.errors import DataError
from rnnprog.trace import Fields, Step

__all__ = ["Moment", "Pending", "State"]

Moment = Union[int, float, datetime]


@dataclass(frozen=True)
class Pending:
    """A prediction whose feedback has not arrived yet.

    Attributes:
        t: index of the predicted step.
        step: the step as it was given; its target, if it has one, is not looked at before ``due``.
        outputs: what was predicted; ``None`` if the prediction failed.
        due: when the evidence arrives; ``None`` if somebody will tell.
        note: what the cell attached to its answer, for learning from it.
    """

    t: int
    step: Step
    outputs: Fields | None
    due: Moment | None = None
    note: JsonValue = None


@dataclass(frozen=True)
class State:
    """Everything that one sequence needs to go on: cheap to copy, safe to share, saved as JSON by its program.

    Attributes:
        sequence: id of the sequence; the first half of every prediction id.
        t: index of the next step.
        carry: the cell's carry; opaque.
        pending: predictions that wait for feedback, by id, in the order in which they were made.
    """

    sequence: str
    carry: Any
    t: int = 0
    pending: tuple[tuple[str, Pending], ...] = ()

    def id(self) -> str:
        """Return the id of the next prediction."""
        return f"{self.sequence}:{self.t}"

    def waiting(self, id: str) -> Pending | None:
        """Return the pending prediction ``id``; ``None`` if it was told already.

        Raises:
            DataError: this sequence never made such a prediction.
        """
        for name, pending in self.pending:
            if name == id:
                return pending
        sequence, _, t = id.rpartition(":")
        if sequence == self.sequence and t.isdecimal() and str(int(t)) == t and int(t) < self.t:
            return None
        raise DataError(
            f"prediction {id!r} is not one of sequence {self.sequence!r}, which has made {self.t}; "
            "pass the id that ask() returned, and the state of the same sequence"
        )

    def asked(self, id: str, pending: Pending) -> State:
        """Return the state after one more prediction."""
        return replace(self, t=self.t + 1, pending=(*self.pending, (id, pending)))

    def told(self, id: str, carry: Any) -> State:
        """Return the state after the feedback on prediction ``id`` was learned."""
        return replace(self, carry=carry, pending=tuple(pair for pair in self.pending if pair[0] != id))
