"""Settings and verbs that the cells share which look up past cases like the present one."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from rnnprog.cells.remembering import MemorySettings
from rnnprog.cells.retrieval import Embed, KeyKind, Retriever, Similarity, key_of_inputs
from rnnprog.cells.store import Entry, Store
from rnnprog.errors import ConfigurationError
from rnnprog.trace import Fields

__all__ = ["KeyFunction", "LookUp", "LookUpSettings"]

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
