"""The two controls without a memory: the bare task, and the same prompt with the memory held empty."""

from __future__ import annotations

from functools import partial

import dspy

from rnnprog.cells.base import Answer, Cell, Experience, Learned
from rnnprog.cells.observing import PromptSettings, check_observation, predict_call, settled
from rnnprog.cells.parameters import SettingsBox
from rnnprog.cells.reflective import Reflective, ReflectiveSettings
from rnnprog.effects import Maybe
from rnnprog.lm.adapter import placed
from rnnprog.signatures import TaskLike, as_task, derive_predict
from rnnprog.tokens import DEFAULT_TOKENIZER, get_tokenizer
from rnnprog.trace import Fields

__all__ = ["EmptyMemory", "ZeroShot"]


class ZeroShotSettings(PromptSettings):
    """Settings of the zero-shot cell; saved with the program."""


class ZeroShot(Cell):
    """Every step by itself, with the task's own prompt: one call a step, nothing carried.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        context_budget: most tokens that an observation may take.
        tokenizer: name of the ruler.
        retries: further attempts where the answer is not usable.
    """

    name = "zero_shot"

    def __init__(
        self, task: TaskLike, *, context_budget: int = 16384, tokenizer: str = DEFAULT_TOKENIZER, retries: int = 1
    ) -> None:
        super().__init__(as_task(task))
        given = {"context_budget": context_budget, "tokenizer": tokenizer, "retries": retries}
        self.settings = SettingsBox(settled(ZeroShotSettings, None, given))
        self.predictor = dspy.Predict(self.task.signature)

    def initial(self) -> None:
        """Return nothing: there is no carry."""

    def predicting(self, carry: None, inputs: Fields) -> Maybe[Answer]:
        """Ask the predictor."""
        settings = self.settings.value
        failure = check_observation(self.task, inputs, settings.context_budget, get_tokenizer(settings.tokenizer))
        return (
            Answer(None, failure) if failure else predict_call(self.task, self.predictor, {}, inputs, settings.retries)
        )

    def learning(self, carry: None, experience: Experience) -> Learned:
        """Learn nothing."""
        return Learned(carry, "none")

    def describe(self) -> Fields:
        """Return task and settings."""
        return {**super().describe(), "settings": self.settings.value.model_dump(mode="json")}


class EmptyMemory(Cell):
    """The control: the reflective cell's prompt, word for word, with a memory that stays empty.

    What this scores is owed to the prompt; only what the reflective cell scores above it is owed to memory.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: those of the reflective cell that it controls for.
    """

    name = "empty_memory"

    def __init__(self, task: TaskLike, *, settings: ReflectiveSettings | None = None) -> None:
        super().__init__(as_task(task))
        self.settings = SettingsBox(settings or ReflectiveSettings())
        self.predictor = dspy.Predict(derive_predict(self.task))

    @classmethod
    def of(cls, cell: Reflective) -> EmptyMemory:
        """Return the control for a given reflective cell, with that cell's own (perhaps tuned) predictor."""
        control = cls(cell.task, settings=cell.settings.value)
        control.predictor = cell.predictor.deepcopy()
        return control

    def initial(self) -> None:
        """Return nothing: the memory is always empty."""

    def predicting(self, carry: None, inputs: Fields) -> Maybe[Answer]:
        """Ask the predictor with the layout's bare headings as memory."""
        settings = self.settings.value
        room = settings.context_budget - settings.budget
        failure = check_observation(self.task, inputs, room, get_tokenizer(settings.tokenizer))
        if failure is not None:
            return Answer(None, failure)
        empty = {"memory": settings.layout.bare().render()}
        return predict_call(
            self.task, self.predictor, empty, inputs, settings.retries, partial(placed, settings.placement)
        )

    def learning(self, carry: None, experience: Experience) -> Learned:
        """Learn nothing."""
        return Learned(carry, "none")

    def describe(self) -> Fields:
        """Return task and settings."""
        return {**super().describe(), "settings": self.settings.value.model_dump(mode="json")}
