"""A carry that is a memory in words: how it is shown, named, and turned into JSON and back."""

from __future__ import annotations

from pydantic import JsonValue

from rnnprog.memory import Memory
from rnnprog.trace import Fields

__all__ = ["InWords"]


class InWords:
    """Mixin of cells whose carry is a :class:`~rnnprog.Memory`; name it before the cell's base class."""

    def shown(self, carry: Memory, inputs: Fields) -> str:
        """Return the memory as it stands in a prompt, whole."""
        return carry.render()

    def dump_carry(self, carry: Memory) -> JsonValue:
        """Return the memory as JSON."""
        return carry.model_dump(mode="json")

    def load_carry(self, dumped: JsonValue) -> Memory:
        """Return the memory that :meth:`dump_carry` wrote."""
        return Memory.model_validate(dumped)

    def digest(self, carry: Memory) -> str:
        """Return the memory's own digest."""
        return carry.digest
