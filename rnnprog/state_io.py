"""States as JSON text, so that a sequence outlives its process; and its pending predictions with it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from rnnprog.cells.base import Cell
from rnnprog.errors import DataError
from rnnprog.state import Moment, Pending, State
from rnnprog.trace import Step

__all__ = ["freeze_state", "thaw_state"]


def freeze_state(cell: Cell, state: State) -> str:
    """Return a state as JSON text; the cell writes the carry."""
    pending = [
        {
            "id": id,
            "t": p.t,
            "step": p.step.model_dump(mode="json"),
            "outputs": p.outputs,
            "due": _dump_due(p.due),
            "note": p.note,
        }
        for id, p in state.pending
    ]
    carry = cell.dump_carry(state.carry)
    return json.dumps(
        {"sequence": state.sequence, "t": state.t, "carry": carry, "pending": pending}, ensure_ascii=False
    )


def thaw_state(cell: Cell, frozen: str) -> State:
    """Return the state that :func:`freeze_state` wrote.

    Raises:
        DataError: the text is not a frozen state.
    """
    try:
        data = json.loads(frozen)
        pending = tuple(
            (p["id"], Pending(p["t"], Step.model_validate(p["step"]), p["outputs"], _load_due(p["due"]), p.get("note")))
            for p in data["pending"]
        )
        return State(data["sequence"], cell.load_carry(data["carry"]), data["t"], pending)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a frozen state: {error!r}; give the text that freeze() returned") from error


def _dump_due(due: Moment | None) -> JsonValue:
    return {"date": due.isoformat()} if isinstance(due, datetime) else due


def _load_due(due: Any) -> Moment | None:
    return datetime.fromisoformat(due["date"]) if isinstance(due, dict) else due
