"""What a judge said, where no label exists: share accepted, and alignment in percent.

The judge's verdicts are read from the recorded feedback. A verdict that could not be read is no verdict: the step is
not scored, and the number of such steps is reported; nothing is guessed.
"""

from __future__ import annotations

from rnnprog.errors import ConfigurationError
from rnnprog.metrics.metric import Case, Metric

__all__ = ["alignment", "judged"]


def judged() -> Metric:
    """Share of the judged steps that the judge accepted; a failed step is not acceptable."""
    return Metric(
        name="judged",
        better="higher",
        unit="share",
        scorable=lambda case: case.prediction is None or _verdict(case) is not None,
        step=lambda case: float(bool(_verdict(case))),
    )


def alignment() -> Metric:
    """Mean of the scores that the judge gave, in percent; a failed step counts 0.

    Raises:
        ConfigurationError: while scoring: a score outside 0 to 1.
    """

    def step(case: Case) -> float:
        value = _score(case)
        if value is None or not 0 <= value <= 1:
            raise ConfigurationError(f"alignment: the judge's score {value} of step {case.t} is not between 0 and 1")
        return 100 * value

    return Metric(
        name="alignment",
        better="higher",
        unit="percent",
        scorable=lambda case: case.prediction is None or _score(case) is not None,
        step=step,
    )


def _verdict(case: Case) -> bool | None:
    return case.feedback.correct if case.feedback is not None and case.feedback.kind == "judge" else None


def _score(case: Case) -> float | None:
    return case.feedback.score if case.feedback is not None and case.feedback.kind == "judge" else None
