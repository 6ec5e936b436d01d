"""A comparison as a value that speaks: how much, how sure, by which test, and what could have been seen."""

from __future__ import annotations

from typing import Literal

from rnnprog.memory import Value
from rnnprog.statistics.correction import CORRECTIONS, Correction

__all__ = ["Comparison"]


class Comparison(Value):
    """One arm against the control, on the same steps.

    Attributes:
        arm: name of the arm.
        control: name of the control.
        metric: what was measured.
        better: which way the metric is better.
        arm_score: score of the arm over the paired steps, mean of the units.
        control_score: the same for the control.
        gain: by how much the arm is better; negative if it is worse.
        low: lower end of the interval of the gain.
        high: upper end.
        level: coverage of the interval.
        p: two-sided p-value of the test; ``None`` where the data allow no test.
        p_corrected: p-value corrected for the number of comparisons.
        correction: how it was corrected.
        comparisons: how many comparisons were corrected for.
        test: name of the test.
        reason: why this test.
        unit: what was paired.
        n: number of paired units.
        unpaired: steps that only one of the two scored; they are left out.
        alpha: level of the test.
        detectable: smallest true gain that the data would probably (``power``) have shown; ``None`` where not known.
        power: the probability behind ``detectable``.
        seeds: runs of each arm that were averaged before the test.
    """

    arm: str
    control: str
    metric: str
    better: Literal["higher", "lower"]
    arm_score: float | None
    control_score: float | None
    gain: float | None
    low: float | None
    high: float | None
    level: float
    p: float | None
    p_corrected: float | None
    correction: Correction
    comparisons: int
    test: str
    reason: str
    unit: Literal["sequences", "steps"]
    n: int
    unpaired: int = 0
    alpha: float = 0.05
    detectable: float | None = None
    power: float = 0.8
    seeds: int = 1

    @property
    def outcome(self) -> Literal["gain", "loss", "no evidence", "not tested"]:
        """What the comparison says at its level, after correction."""
        if self.p_corrected is None or self.gain is None:
            return "not tested"
        if self.p_corrected > self.alpha or self.gain == 0:
            return "no evidence"
        return "gain" if self.gain > 0 else "loss"

    @property
    def words(self) -> str:
        """The comparison in one sentence.

        Example:
            >>> found = Comparison(
            ...     arm="reflective", control="empty memory", metric="accuracy", better="higher", arm_score=0.7,
            ...     control_score=0.58, gain=0.12, low=0.05, high=0.19, level=0.95, p=0.001, p_corrected=0.003,
            ...     correction="holm", comparisons=3, test="Wilcoxon", reason="", unit="sequences", n=24,
            ... )
            >>> found.words
            'gain of 0.12 [0.05, 0.19], p = 0.003 (Holm), Wilcoxon over 24 sequences'
        """
        if self.outcome == "not tested":
            return f"not tested: {self.reason}"
        if self.outcome == "no evidence":
            shown = "" if self.detectable is None else f" (the data could have shown {_number(self.detectable)})"
            measured = f"measured {_number(self.gain)}{self._range()}, {self._tested()}"
            return f"no evidence of a gain{shown}; {measured}"
        assert self.gain is not None
        return f"{self.outcome} of {_number(abs(self.gain))}{self._range(flip=self.gain < 0)}, {self._tested()}"

    def _range(self, flip: bool = False) -> str:
        if self.low is None or self.high is None:
            return ""
        low, high = (-self.high, -self.low) if flip else (self.low, self.high)
        return f" [{_number(low)}, {_number(high)}]"

    def _tested(self) -> str:
        assert self.p_corrected is not None
        p = "p < 0.001" if self.p_corrected < 0.001 else f"p = {self.p_corrected:.2g}"
        note = f" ({CORRECTIONS[self.correction]})" if self.comparisons > 1 else ""
        return f"{p}{note}, {self.test} over {self.n} {self.unit}"


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{0.0 if abs(value) < 5e-7 else value:.2g}"
