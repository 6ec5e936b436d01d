"""Phase two: the model reads the evidence about its prediction and says what it teaches."""

from __future__ import annotations

import dspy

__all__ = ["Reflect"]


class Reflect(dspy.Signature):
    """You predicted one step of a series and now learn how it went. Compare `answer` with `evidence`.
    Say what happened, the most likely reason with the values of `observation` that speak for it, and one lesson that
    would help with later steps. A lesson names its condition (when ...) and its consequence (then ...).
    If the answer was right, say which sign it was right to follow. Stay with what is given; invent nothing.
    """

    observation: str = dspy.InputField(desc="what was seen at this step, one field a line")
    answer: str = dspy.InputField(desc="what you predicted, one field a line")
    evidence: str = dspy.InputField(desc="what became known afterwards")
    outcome: str = dspy.OutputField(desc="one sentence: what was predicted, what was true, right or wrong")
    cause: str = dspy.OutputField(desc="one sentence: the likely reason, naming values of the observation")
    lesson: str = dspy.OutputField(desc="one sentence: when ..., then ...")
