"""MemPrompt in its original form: feedback on past errors, looked up by likeness and attached to the question."""

from __future__ import annotations

import hashlib

from pydantic import Field

from rnnprog.cells.base import Experience, Learned
from rnnprog.cells.looking_up import LookingUp, LookUpSettings
from rnnprog.cells.remembering import NO_ANSWER, guide, indented
from rnnprog.cells.retrieval import THRESHOLDS, Similarity
from rnnprog.cells.store import Entry, Store, fitting
from rnnprog.signatures import as_text
from rnnprog.trace import Fields

__all__ = ["MemPrompt", "MemPromptSettings"]

NOTHING_LIKE_IT = "(no feedback on a similar step)"
GUIDE = guide(
    "feedback that you got on an earlier step of the same series which looked much like this one",
    "Before you answer, read what you answered then and what was true, and do not make the same error again.",
)


class MemPromptSettings(LookUpSettings):
    """Settings of the MemPrompt cell; saved with the program.

    Attributes:
        similarity: how keys are compared; the original's edit distance by default.
        k: most pieces of feedback shown; the original shows one.
        threshold: only more alike counts; ``None`` takes the default of the similarity: an edit distance below 6,
            a cosine above 0.9, or half of BM25's own score.
        write_probability: chance that an error is written down.
        seed: of that chance; with the prediction's id it decides, so that equal runs write the same.
    """

    similarity: Similarity = "levenshtein"
    k: int = Field(default=1, ge=1)
    write_probability: float = Field(default=0.5, ge=0, le=1)
    seed: int = 0


class MemPrompt(LookingUp):
    """Retrieved feedback (Madaan et al. 2022, arXiv 2201.06009, ``madaan/memprompt``): one call a step.

    After an answer that the evidence calls wrong, and then with ``write_probability``, the feedback is stored under the
    key of the observation; the same key overwrites. Before an answer, the feedback of the most similar key stands in
    the prompt, if it is close enough. No model call learns. Labels are seen in stored feedback only.

    Differences from the original: the key keeps numbers to one digit, since an observation of a series may have nothing
    else (``key='words'`` drops them); no few-shot prefix; correctness is that of the feedback, not whether a type word
    occurs in the answer; the feedback is the evidence with the wrong answer, not a template per question type; its
    trained retriever is replaced by embeddings of your own. Where outputs are numbers, any inexact answer is wrong.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: all settings as one value.
        embed: texts to vectors, for ``similarity='embedding'``.
        key_function: replaces the key function that ``key`` names.
        **changes: single settings by name, e.g. ``write_probability=1.0``.

    Raises:
        ConfigurationError: an unusable task or setting.

    Example:
        >>> cell = MemPrompt("sky -> tomorrow", write_probability=1.0)
        >>> cell.shown((Entry("sky grey", "You answered: sun. Rain came."),), {"sky": "gray"})
        'You answered: sun. Rain came.'
        >>> cell.shown((Entry("sky grey", "You answered: sun. Rain came."),), {"sky": "deep blue"})
        '(no feedback on a similar step)'
    """

    name = "memprompt"
    kind = MemPromptSettings
    about = "feedback on a similar step"
    guidance = GUIDE

    def recalled(self, carry: Store, inputs: Fields) -> list[Entry]:
        """Return the feedback that is close enough to an observation; empty where the memory is of no use to it."""
        settings = self.settings.value
        threshold = THRESHOLDS[settings.similarity] if settings.threshold is None else settings.threshold
        return self.look_up.nearest(carry, inputs, settings.model_copy(update={"threshold": threshold}))

    def shown(self, carry: Store, inputs: Fields) -> str:
        """Return the feedback on the most similar errors, the most alike first."""
        texts = (entry.text for entry in self.recalled(carry, inputs))
        return "\n\n".join(fitting(texts, self.settings.value.budget, self.tokenizer)) or NOTHING_LIKE_IT

    def learning(self, carry: Store, experience: Experience) -> Learned:
        """Store the feedback on an error."""
        settings, feedback = self.settings.value, experience.feedback
        if feedback is None:
            return Learned(carry, "no_feedback")
        if feedback.correct is not False:
            return Learned(carry, "gated")
        if _chance(settings.seed, experience.id) >= settings.write_probability:
            return Learned(carry, "not_drawn")
        answer = as_text(experience.outputs) if experience.outputs is not None else NO_ANSWER
        text = f"You answered:\n{answer}\n{indented(feedback.text)}"
        return Learned(self.stored(carry, experience, text, overwrite=True), "store")


def _chance(seed: int, id: str) -> float:
    """Return a number in [0, 1) that depends on nothing but its arguments."""
    digest = hashlib.sha256(f"{seed}|{id}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
