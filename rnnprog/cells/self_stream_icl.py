"""Self-StreamICL: what was answered rightly is kept, and the most similar of it are shown as examples."""

from __future__ import annotations

from pydantic import Field

from rnnprog.cells.base import Experience, Learned
from rnnprog.cells.looking_up import LookingUp, LookUpSettings
from rnnprog.cells.remembering import guide
from rnnprog.cells.store import Store, fitting
from rnnprog.signatures import as_text
from rnnprog.trace import Fields

__all__ = ["SelfStreamICL", "SelfStreamSettings"]

NO_CASES = "(no right answers so far)"
GUIDE = guide(
    "earlier steps of the same series that you answered rightly, the one most like this step last",
    "Use them as worked examples.",
)


class SelfStreamSettings(LookUpSettings):
    """Settings of the Self-StreamICL cell; saved with the program.

    Attributes:
        k: most examples shown; StreamBench uses 16.
    """

    k: int = Field(default=16, ge=1)


class SelfStreamICL(LookingUp):
    r"""Own right answers as examples (StreamBench, arXiv 2406.08747): one call a step, none to learn.

    A step is stored, observation and answer, if the evidence says that the answer was right; before an answer the ``k``
    most similar stand in the prompt, nearest last, as many as the budget holds. Labels are seen only where the own
    answer equalled them. A wrong step teaches nothing.

    Differences from the original: BM25 or embeddings of your own in place of a fixed embedding model; examples stand in
    the common memory field and are bounded by ``budget``, not by ``k`` alone. Where outputs are numbers an answer is
    hardly ever exactly right, so that next to nothing is stored; give feedback by a rule with a tolerance there.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: all settings as one value.
        embed: texts to vectors, for ``similarity='embedding'``.
        key_function: replaces the key function that ``key`` names.
        **changes: single settings by name, e.g. ``k=4``.

    Raises:
        ConfigurationError: an unusable task or setting.

    Example:
        >>> from rnnprog.cells.store import Entry
        >>> cell = SelfStreamICL("sky -> tomorrow", similarity="levenshtein")
        >>> print(cell.shown((Entry("sky grey", "sky: grey\ntomorrow: rain"),), {"sky": "gray"}))
        sky: grey
        tomorrow: rain
    """

    name = "self_stream_icl"
    kind = SelfStreamSettings
    about = "steps that you answered rightly"
    guidance = GUIDE

    def shown(self, carry: Store, inputs: Fields) -> str:
        """Return the most similar right steps, the most alike last."""
        settings = self.settings.value
        texts = [entry.text for entry in self.look_up.nearest(carry, inputs, settings)]
        return "\n\n".join(reversed(fitting(texts, settings.budget, self.tokenizer))) or NO_CASES

    def learning(self, carry: Store, experience: Experience) -> Learned:
        """Store a right step."""
        feedback = experience.feedback
        if feedback is None:
            return Learned(carry, "no_feedback")
        if feedback.correct is not True or experience.outputs is None:
            return Learned(carry, "gated")
        text = f"{as_text(experience.inputs)}\n{as_text(experience.outputs)}"
        return Learned(self.stored(carry, experience, text), "store")
