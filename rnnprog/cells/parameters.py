"""What a cell saves besides its prompts: its settings, and a learned initial memory.

dspy saves parameters and forgets plain attributes, so both live in ``dspy.predict.parameter.Parameter`` boxes: they
join the state of any program that the cell is part of, at any depth.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from dspy.predict.parameter import Parameter
from pydantic import ValidationError

from rnnprog.errors import ConfigurationError
from rnnprog.memory import Memory, Value
from rnnprog.schema import MemorySchema

__all__ = ["VERSION", "InitialMemory", "SettingsBox"]

VERSION = 1
V = TypeVar("V", bound=Value)


class SettingsBox(Parameter, Generic[V]):
    """Holds the settings of a cell as one frozen value; set ``value`` to change them.

    Settings are what a program *is*, not what it learned, so :meth:`reset` leaves them alone.
    """

    def __init__(self, value: V) -> None:
        self.value = value

    def reset(self) -> None:
        """Keep the settings: resetting a program forgets what it learned, not how it was built."""

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """Return the settings as JSON, with the version of their layout."""
        return {"version": VERSION, "kind": type(self.value).__name__, "value": self.value.model_dump(mode="json")}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over saved settings.

        Raises:
            ConfigurationError: they are of another kind of cell or of a newer layout, or do not validate.
        """
        kind = type(self.value).__name__
        if state.get("kind") != kind:
            raise ConfigurationError(
                f"the saved settings are {state.get('kind')!r}, this cell has {kind!r}; build the same cell"
            )
        version = state.get("version")
        if not isinstance(version, int) or version > VERSION:
            raise ConfigurationError(
                f"the saved settings have layout version {version!r}, this rnnprog reads up to {VERSION}; upgrade it"
            )
        try:
            self.value = type(self.value).model_validate(state.get("value"))
        except ValidationError as error:
            raise ConfigurationError(f"the saved settings do not validate: {error}") from error


class InitialMemory(Parameter):
    """The memory before the first step: the schema's own, or one that was learned or given.

    An optimizer sets ``learned``; ``reset`` (and so ``program.reset_copy()``) forgets it.
    """

    def __init__(self, given: Memory | None = None) -> None:
        self.given = given
        self.learned: Memory | None = None

    def value(self, schema: MemorySchema) -> Memory:
        """Return the memory to start from."""
        return self.learned or self.given or schema.initial()

    def reset(self) -> None:
        """Forget the learned memory; one given at construction stays."""
        self.learned = None

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """Return the learned and the given memory as JSON."""
        return {
            "learned": self.learned.model_dump(mode="json") if self.learned else None,
            "given": self.given.model_dump(mode="json") if self.given else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the saved memories.

        Raises:
            ConfigurationError: one of them is not a memory.
        """
        try:
            learned, given = (
                None if state.get(which) is None else Memory.model_validate(state[which])
                for which in ("learned", "given")
            )
        except ValidationError as error:
            raise ConfigurationError(f"the saved initial memory does not validate: {error}") from error
        self.learned, self.given = learned, given
