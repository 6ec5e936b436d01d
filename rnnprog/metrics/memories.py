"""How the memory fares over time: its length, what each rewrite keeps, and how far it has moved."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import JsonValue, ValidationError

from rnnprog.errors import ConfigurationError
from rnnprog.memory import Memory
from rnnprog.trace import Trace

__all__ = ["MemoryPoint", "memory_curve", "memory_of"]


@dataclass(frozen=True)
class MemoryPoint:
    """The memory after one step. A figure that the trace does not tell is NaN.

    Attributes:
        t: index of the step.
        tokens: length of the memory.
        items: number of items.
        retention: share of the items before this step's updates that are still there word for word.
        drift: share of the items ``lag`` steps ago that are gone by now; a reworded item is gone.
        age: mean number of steps for which the present items have been in the memory.
        dropped: number of items that the budget removed in this step.
    """

    t: int
    tokens: float
    items: float
    retention: float
    drift: float
    age: float
    dropped: int


Item = tuple[str, str]


def memory_curve(trace: Trace, lag: int = 10) -> list[MemoryPoint]:
    """Return the state of the memory after each step of a trace.

    Items are compared by section and wording; those of a playbook are its bullets, whatever their counts. Any other
    carry has a length only.

    Args:
        trace: one walk; updates whose carry was not recorded make the figures NaN until the next recorded one.
        lag: over how many steps drift is measured, at least 1.

    Raises:
        ConfigurationError: ``lag`` is below 1.
    """
    if lag < 1:
        raise ConfigurationError(f"lag = {lag} steps is below 1; drift needs two different moments")
    points: list[MemoryPoint] = []
    items = _items(trace.initial)
    born: dict[Item, int] = dict.fromkeys(items or (), -1)
    history: list[frozenset[Item] | None] = []
    tokens, digest = math.nan, trace.initial_digest
    for record in trace.records:
        before, dropped = items, 0
        for update in record.updates:
            dropped += len(update.dropped)
            tokens = tokens if update.tokens is None else float(update.tokens)
            if update.digest != digest:
                items, digest = _items(update.carry), update.digest
        for item in items or ():
            born.setdefault(item, record.t)
        born = {item: t for item, t in born.items() if items is None or item in items}
        history.append(items)
        earlier = history[-1 - lag] if len(history) > lag else None
        ages = [record.t - born[item] for item in items or ()]
        points.append(
            MemoryPoint(
                t=record.t,
                tokens=tokens,
                items=math.nan if items is None else float(len(items)),
                retention=_kept(before, items),
                drift=1 - _kept(earlier, items),
                age=sum(ages) / len(ages) if ages else math.nan,
                dropped=dropped,
            )
        )
    return points


def memory_of(carry: JsonValue) -> Memory | None:
    """Return the memory that a recorded carry is or holds under ``memory``; ``None`` if there is none."""
    for candidate in (carry, carry.get("memory") if isinstance(carry, dict) else None):
        if isinstance(candidate, dict) and "sections" in candidate:
            try:
                return Memory.model_validate(candidate)
            except ValidationError:
                continue
    return None


def _items(carry: JsonValue) -> frozenset[Item] | None:
    memory = memory_of(carry)
    if memory is None and isinstance(carry, dict) and isinstance(bullets := carry.get("bullets"), list):
        return frozenset((str(b.get("section")), str(b.get("text"))) for b in bullets if isinstance(b, dict))
    return None if memory is None else frozenset(memory.items)


def _kept(before: frozenset[Item] | None, after: frozenset[Item] | None) -> float:
    if before is None or after is None:
        return math.nan
    return len(before & after) / len(before) if before else 1.0
