"""What the cells share which look up past cases like the present one: settings, verbs, and a store as carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field, JsonValue

from rnnprog.cells.base import Experience
from rnnprog.cells.remembering import MemorySettings, Remembering
from rnnprog.cells.retrieval import Embed, KeyKind, Retriever, Similarity, key_of_inputs
from rnnprog.cells.store import Entry, Store, dump_store, load_store, put
from rnnprog.errors import ConfigurationError
from rnnprog.signatures import TaskLike
from rnnprog.trace import Fields

__all__ = ["KeyFunction", "LookUp", "LookUpSettings", "LookingUp"]

KeyFunction = Callable[[Fields], str]


class LookUpSettings(MemorySettings):
    """What a cell that looks up past cases can be told besides; saved with the program.

    Attributes:
        similarity: how keys are compared; ``bm25`` needs ``rnnprog[exam]``, ``embedding`` a function ``embed``.
        key: what of an observation is its key, see :func:`~rnnprog.cells.retrieval.key_of_inputs`.
        k: most cases shown at once.
        threshold: only cases more alike than this are shown; ``None`` shows the nearest however far.
        capacity: most cases stored; the oldest go. The store itself is in no prompt.
    """

    similarity: Similarity = "bm25"
    key: KeyKind = "rounded"
    k: int = Field(default=3, ge=1)
    threshold: float | None = None
    capacity: int = Field(default=1000, ge=1)


class LookUp:
    """Looks up cases by the settings of a cell.

    Args:
        settings: how.
        embed: texts to vectors, for ``similarity='embedding'``.
        key: replaces the key function that the settings name; a pure function, not saved with the program.

    Raises:
        ConfigurationError: similarity and hook do not go together.
    """

    def __init__(self, settings: LookUpSettings, embed: Embed | None, key: KeyFunction | None) -> None:
        self.embed, self.key_function = embed, key
        self.retriever(settings)

    def retriever(self, settings: LookUpSettings) -> Retriever:
        """Return the retriever for these settings; the one made last where they name the same similarity."""
        known: Retriever | None = getattr(self, "_retriever", None)
        if known is None or known.similarity != settings.similarity:
            known = self._retriever = Retriever(settings.similarity, self.embed)
        return known

    def key(self, inputs: Fields, settings: LookUpSettings) -> str:
        """Return the key of an observation."""
        if self.key_function is None:
            return key_of_inputs(inputs, settings.key)
        key = self.key_function(inputs)
        if not isinstance(key, str):
            raise ConfigurationError(f"the key function returned a {type(key).__name__}; it must return a text")
        return key

    def describe(self) -> Fields:
        """Return the names of the functions given, for traces."""
        given = {"embed": self.embed, "key_function": self.key_function}
        return {name: getattr(hook, "__qualname__", type(hook).__name__) for name, hook in given.items() if hook}

    def nearest(self, store: Store, inputs: Fields, settings: LookUpSettings) -> list[Entry]:
        """Return the stored cases most like an observation, the most alike first."""
        keys = [entry.key for entry in store]
        best = self.retriever(settings).best(self.key(inputs, settings), keys, settings.k, settings.threshold)
        return [store[index] for index, _ in best]


class LookingUp(Remembering):
    """Base of the cells that look up past cases; by default the carry is the store of these cases.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: all settings as one value.
        embed: texts to vectors, for ``similarity='embedding'``.
        key_function: replaces the key function that ``key`` names.
        **changes: single settings by name.

    Raises:
        ConfigurationError: an unusable task or setting.
    """

    def __init__(
        self,
        task: TaskLike,
        *,
        settings: LookUpSettings | None = None,
        embed: Embed | None = None,
        key_function: KeyFunction | None = None,
        **changes: Any,
    ) -> None:
        super().__init__(task, settings=settings, **changes)
        self.look_up = LookUp(self.settings.value, embed, key_function)

    def initial(self) -> Any:
        """Return an empty store."""
        return ()

    def stored(self, store: Store, experience: Experience, text: str, *, overwrite: bool = False) -> Store:
        """Return the store with one more case under the key of its observation."""
        settings = self.settings.value
        entry = Entry(self.look_up.key(experience.inputs, settings), text)
        return put(store, entry, settings.capacity, overwrite=overwrite)

    def describe(self) -> Fields:
        """Return task, settings and the functions given."""
        return {**super().describe(), **self.look_up.describe()}

    def dump_carry(self, carry: Any) -> JsonValue:
        """Return the store as JSON."""
        return dump_store(carry)

    def load_carry(self, dumped: JsonValue) -> Any:
        """Return the store that :meth:`dump_carry` wrote."""
        return load_store(dumped)
