"""MemPrompt as running summaries: each past step in a few words of the model's, all of them in the prompt."""

from __future__ import annotations

from typing import Any

import dspy
from pydantic import Field

from rnnprog.attempt import attempt
from rnnprog.cells.base import Experience, Learned
from rnnprog.cells.remembering import MemorySettings, Remembering, guide, one_line
from rnnprog.cells.turns import InTurns, Turns, appended, joined, turn
from rnnprog.effects import Call, Effects
from rnnprog.signatures import TaskLike, as_text
from rnnprog.trace import Fields

__all__ = ["RunningSummaries", "RunningSummariesSettings", "Summarise"]

NOTHING_YET = "(no earlier steps)"
GUIDE = guide(
    "summaries of the earlier steps of the same series, oldest first, with what you answered and what became known",
    "Use them to answer.",
)


class Summarise(dspy.Signature):
    """Summarise one step of a series for somebody who has to predict later steps: what was seen, what was answered,
    what turned out to be true. Keep names and numbers. Use at most `most_words` words, in plain sentences without
    headings. Stay with what is given; invent nothing.
    """

    observation: str = dspy.InputField(desc="what was seen at this step, one field a line")
    answer: str = dspy.InputField(desc="what was predicted, one field a line")
    evidence: str = dspy.InputField(desc="what became known afterwards")
    most_words: int = dspy.InputField(desc="the most words that the summary may have")
    step_summary: str = dspy.OutputField(desc="the summary")


class RunningSummariesSettings(MemorySettings):
    """Settings of the running-summaries cell; saved with the program.

    Attributes:
        budget: most tokens of summaries beside an observation; by default that of the context, so that only
            ``context_budget`` binds, as in the paper.
        words: most words of one summary; a longer one is cut there.
    """

    budget: int = Field(default=16384, ge=1)
    words: int = Field(default=100, ge=1)


class RunningSummaries(InTurns, Remembering):
    """What the LLM-as-RNN paper (arXiv 2601.13352) runs as "MemPrompt": two calls a step, one to predict, one to learn.

    Each step is summarised once, after its outcome is known, and never again; the summaries stand in the prompt of full
    history, oldest dropped first where the context budget ends. Labels are seen once their evidence has arrived; a step
    without evidence is summarised without. It shares its name with the retrieval method of Madaan et al., which is
    the cell ``memprompt``, and nothing else.

    Differences from the paper, as far as its setting is known: the summary sees the own answer too, as full history
    does here; all calls decode alike (there, summaries at temperature 0.3 and 256 tokens); observations are not cut; a
    summary over its words is cut by code.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: all settings as one value.
        **changes: single settings by name, e.g. ``context_budget=4096``.

    Raises:
        ConfigurationError: an unusable task or setting.

    Example:
        >>> cell = RunningSummaries("rain: float -> tomorrow")
        >>> [name for name, _ in cell.named_predictors()]
        ['predictor', 'summariser']
    """

    name = "running_summaries"
    kind = RunningSummariesSettings
    about = "summaries of earlier steps, oldest first"
    guidance = GUIDE

    def __init__(self, task: TaskLike, **settings: Any) -> None:
        super().__init__(task, **settings)
        self.summariser = dspy.Predict(Summarise)

    def room(self, carry: Turns) -> int:
        """Return the whole context budget: summaries take what the observation leaves."""
        return int(self.settings.value.context_budget)

    def shown(self, carry: Turns, inputs: Fields) -> str:
        """Return the latest summaries that fit beside the observation."""
        settings = self.settings.value
        room = min(settings.budget, settings.context_budget - self.tokenizer.count(as_text(inputs)))
        return joined(carry, room, self.tokenizer, NOTHING_YET)

    def learning(self, carry: Turns, experience: Experience) -> Effects[Learned]:
        """Summarise the step and append the summary."""
        settings = self.settings.value
        asked = {**self.seen(carry, experience, evidence=True), "most_words": settings.words}

        def accept(said: dspy.Prediction) -> str:
            words = one_line(str(said.step_summary or "")).split(" ")
            if not words[0]:
                raise ValueError("the summariser returned nothing")
            return (
                " ".join(words) if len(words) <= settings.words else f"{' '.join(words[: settings.words])} (cut short)"
            )

        summary, failure = yield from attempt(Call("summariser", self.summariser, asked), accept, settings.retries)
        if summary is None:
            return Learned(carry, "failed", failure=failure)
        room = min(settings.budget, settings.context_budget)
        return appended(carry, turn(f"Step {experience.t + 1}: {summary}", self.tokenizer), room, "summaries")
