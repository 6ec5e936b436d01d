"""Floors for labels, and for anything that can be counted: persistence, majority, first-order Markov."""

from __future__ import annotations

from typing import Any, get_origin

from pydantic import JsonValue

from rnnprog.cells.floors.base import Floor, State, key_of, value_of
from rnnprog.trace import Fields

__all__ = ["Majority", "Markov", "Persistence"]

RANKED = 5


class Persistence(Floor):
    """Tomorrow is like today: repeat the present value of each output.

    The present value is the input named in ``sources``; without one it is the last outcome that became known.

    Example:
        >>> cell = Persistence("rain: float, sky -> tomorrow: str", sources={"tomorrow": "sky"})
        >>> cell.predict(cell.initial(), {"rain": 0.0, "sky": "sun"}).outputs
        {'tomorrow': 'sun'}
    """

    name = "persistence"

    def guess(self, output: str, state: State, inputs: Fields) -> JsonValue:
        """Return the present value."""
        source = self.sources.get(output)
        return state.get("last") if source is None else inputs.get(source)

    def follow(self, output: str, state: State, inputs: Fields, outcome: JsonValue) -> State:
        """Keep the outcome, where no input holds the present value."""
        return state if output in self.sources else {"last": outcome}


class Majority(Floor):
    """Always the most frequent outcome so far; for a ranked list the five most frequent, most frequent first.

    Ties go to the value that sorts first, so that the order of arrival does not matter.

    Example:
        >>> from rnnprog.cells.base import Experience
        >>> from rnnprog.trace import Feedback
        >>> cell = Majority("rain: float -> tomorrow: Literal['sun', 'rain']")
        >>> seen = Experience("0", 0, {"rain": 1.0}, None, Feedback(kind="label", target={"tomorrow": "rain"}))
        >>> cell.predict(cell.learn(cell.initial(), seen).carry, {"rain": 0.0}).outputs
        {'tomorrow': 'rain'}
    """

    name = "majority"

    def guess(self, output: str, state: State, inputs: Fields) -> JsonValue:
        """Return the most frequent outcome."""
        return _most_frequent(state, _is_list(self, output))

    def follow(self, output: str, state: State, inputs: Fields, outcome: JsonValue) -> State:
        """Count the outcome."""
        return _counted(state, outcome, _is_list(self, output))


class Markov(Floor):
    """The outcome that most often followed the present value; a first-order Markov chain.

    The present value is the input named in ``sources``; without one it is the last outcome that became known. For
    a value that was never seen before the majority decides.
    """

    name = "markov"

    def guess(self, output: str, state: State, inputs: Fields) -> JsonValue:
        """Return what followed the present value most often."""
        row = state.get("after", {}).get(self._present(output, state, inputs), {})
        listed = _is_list(self, output)
        return _most_frequent(row, listed) if row else _most_frequent(state.get("all", {}), listed)

    def follow(self, output: str, state: State, inputs: Fields, outcome: JsonValue) -> State:
        """Count the transition."""
        listed = _is_list(self, output)
        after, present = state.get("after", {}), self._present(output, state, inputs)
        return {
            "all": _counted(state.get("all", {}), outcome, listed),
            "after": {**after, present: _counted(after.get(present, {}), outcome, listed)},
            "last": key_of(outcome),
        }

    def _present(self, output: str, state: State, inputs: Fields) -> str:
        source = self.sources.get(output)
        return str(state.get("last", "")) if source is None else key_of(inputs.get(source))


def _is_list(cell: Floor, output: str) -> bool:
    kind: Any = cell.task.signature.output_fields[output].annotation
    return kind is list or get_origin(kind) is list


def _counted(counts: State, outcome: JsonValue, listed: bool) -> State:
    for value in outcome if listed and isinstance(outcome, list) else [outcome]:
        counts = {**counts, key_of(value): counts.get(key_of(value), 0) + 1}
    return counts


def _most_frequent(counts: State, listed: bool) -> JsonValue:
    ranked = sorted(counts, key=lambda key: (-counts[key], key))
    if listed:
        return [value_of(key) for key in ranked[:RANKED]] or None
    return value_of(ranked[0]) if ranked else None
