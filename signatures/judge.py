"""Feedback without a label: a judge reads the answer against stated criteria."""

from __future__ import annotations

import dspy

__all__ = ["Judge"]


class Judge(dspy.Signature):
    """Judge `answer` as a response to `observation` against `criteria` alone. Go through the criteria one by one and
    quote what in the answer meets or misses each. Do not reward length or confidence. If you cannot tell whether a
    criterion is met, count it as not met. `acceptable` is true only if every criterion is met.
    """

    observation: str = dspy.InputField(desc="what was to be answered, one field a line")
    answer: str = dspy.InputField(desc="the answer, one field a line")
    criteria: str = dspy.InputField(desc="what a good answer has, one criterion a line")
    assessment: str = dspy.OutputField(desc="criterion by criterion: met or missed, and why; then what to do better")
    acceptable: bool = dspy.OutputField(desc="whether every criterion is met")
