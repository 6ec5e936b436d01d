"""Evidence appended as it came, newest kept: what a memory holds that nobody rewrites."""

from __future__ import annotations

from rnnprog.cells.base import Experience, Learned
from rnnprog.cells.remembering import NO_ANSWER, MemorySettings, Remembering, guide, indented
from rnnprog.cells.turns import InTurns, Turns, appended, joined, turn
from rnnprog.signatures import as_text
from rnnprog.trace import Fields

__all__ = ["RawFeedback", "RawFeedbackSettings"]

NOTHING_YET = "(no feedback so far)"
GUIDE = guide(
    "what became known about your answers to the latest steps of the same series, oldest first",
    "Before you answer, look there for what was true in steps like this one.",
)


class RawFeedbackSettings(MemorySettings):
    """Settings of the raw-feedback cell; saved with the program."""


class RawFeedback(InTurns, Remembering):
    """Feedback appended raw, nothing rewritten: one call a step, none to learn.

    The ablation that takes reflecting and rewriting out of LLM-as-RNN (arXiv 2601.13352): observation, answer and
    evidence, which there go into the rewrite, stand in the memory as they are. The budget is the memory's, not the
    context's as in full history; whole items go, oldest first. Labels are seen once their evidence has arrived; a
    step without evidence leaves nothing.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: all settings as one value.
        **changes: single settings by name, e.g. ``budget=256``.

    Raises:
        ConfigurationError: an unusable task or setting.

    Example:
        >>> RawFeedback("rain: float -> tomorrow", budget=256).shown((), {"rain": 1.0})
        '(no feedback so far)'
    """

    name = "raw_feedback"
    kind = RawFeedbackSettings
    about = "feedback so far, oldest first"
    guidance = GUIDE

    def shown(self, carry: Turns, inputs: Fields) -> str:
        """Return the latest items that the budget holds."""
        return joined(carry, self.settings.value.budget, self.tokenizer, NOTHING_YET)

    def learning(self, carry: Turns, experience: Experience) -> Learned:
        """Append the evidence."""
        if experience.feedback is None:
            return Learned(carry, "no_feedback")
        answer = as_text(experience.outputs) if experience.outputs is not None else NO_ANSWER
        evidence = indented(experience.feedback.text)
        text = f"Step {experience.t + 1}\n{as_text(experience.inputs)}\nYour answer:\n{answer}\n{evidence}"
        return appended(carry, turn(text, self.tokenizer), self.settings.value.budget, "feedback")
