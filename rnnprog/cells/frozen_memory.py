"""A memory that is given and stays: what the notes one starts with are worth."""

from __future__ import annotations

from typing import Any

import dspy

from rnnprog.budget import memory_tokens
from rnnprog.cells.base import Experience, Learned
from rnnprog.cells.in_words import InWords
from rnnprog.cells.parameters import InitialMemory
from rnnprog.cells.remembering import MemorySettings, Remembering
from rnnprog.errors import ConfigurationError
from rnnprog.memory import Memory
from rnnprog.schema import DEFAULT_SCHEMA, MemorySchema
from rnnprog.signatures import TaskLike, derive_predict

__all__ = ["FrozenMemory", "FrozenMemorySettings"]


class FrozenMemorySettings(MemorySettings):
    """Settings of the frozen-memory cell; saved with the program.

    Attributes:
        layout: the sections of the memory.
    """

    layout: MemorySchema = DEFAULT_SCHEMA


class FrozenMemory(InWords, Remembering):
    r"""The reflective cell's prompt, word for word, beside a memory that never changes: one call a step.

    The ablation that takes learning out of LLM-as-RNN (arXiv 2601.13352). With the empty default it asks what
    ``empty_memory`` asks; with notes given, or learned by an optimizer, it shows what those are worth before anything
    is learned in the series. No label is ever seen.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        memory: the memory; by default the empty headings of the layout.
        settings: all settings as one value.
        **changes: single settings by name, e.g. ``budget=256``.

    Raises:
        ConfigurationError: an unusable task or setting, a memory of another layout or over the budget.

    Example:
        >>> notes = "## Rules to apply next\n- Rain follows rain."
        >>> FrozenMemory("rain: float -> tomorrow", memory=notes).initial().items
        (('rules', 'Rain follows rain.'),)
    """

    name = "frozen_memory"
    kind = FrozenMemorySettings

    def __init__(self, task: TaskLike, *, memory: Memory | str | None = None, **settings: Any) -> None:
        super().__init__(task, **settings)
        self.predictor = dspy.Predict(derive_predict(self.task))
        self.initial_memory = InitialMemory(self._read(memory))
        self.initial()

    def start(self, memory: Memory | str | None = None) -> Memory:
        """Return the memory that will be kept; a text is read by the layout."""
        return self._checked(self._read(memory)) if memory is not None else self.initial()

    def initial(self) -> Memory:
        """Return the learned memory, else the given one, else the layout's own."""
        return self._checked(self.initial_memory.value(self.settings.value.layout))

    def learning(self, carry: Memory, experience: Experience) -> Learned:
        """Learn nothing."""
        return Learned(carry, "frozen")

    def _read(self, memory: Memory | str | None) -> Any:
        return self.settings.value.layout.parse(memory).memory if isinstance(memory, str) else memory

    def _checked(self, memory: Memory) -> Memory:
        settings = self.settings.value
        if not settings.layout.matches(memory):
            raise ConfigurationError(
                f"the memory has the sections {[s.key for s in memory.sections]}, the layout "
                f"{[s.key for s in settings.layout.sections]}; make it with layout.parse(text)"
            )
        if (tokens := memory_tokens(memory, self.tokenizer)) > settings.budget:
            raise ConfigurationError(
                f"the memory takes {tokens} tokens, over the budget of {settings.budget}; shorten it or raise that"
            )
        return memory
