"""Where evidence comes from, label, rule, judge or nobody, and when it arrives.

Feedback is evidence from outside. What the model makes of it (the critique) belongs to a cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, Union

import dspy

from rnnprog.attempt import attempt
from rnnprog.effects import Call, Effects, Maybe
from rnnprog.errors import ConfigurationError, DataError
from rnnprog.signatures import Judge, Task, as_text
from rnnprog.state import Moment
from rnnprog.trace import Failure, Feedback, Fields, Step

__all__ = [
    "Delay",
    "DelayUnit",
    "EvidenceForm",
    "FeedbackSource",
    "JudgeFeedback",
    "Label",
    "Nobody",
    "Rule",
    "evidence_text",
    "label_feedback",
    "moment",
]

RULE_PHASE = "rule"
Delay = Union[int, float, timedelta]
EvidenceForm = Literal["full", "outcome", "verdict"]
DelayUnit = Literal["steps", "time"]


def moment(step: Step, t: int) -> Moment:
    """Return when a step happens: its own time (ISO texts as dates), or its index.

    Raises:
        DataError: the step's time is a text that is no ISO 8601 date.
    """
    if step.time is None:
        return t
    if not isinstance(step.time, str):
        return step.time
    try:
        return datetime.fromisoformat(step.time.replace("Z", "+00:00"))
    except ValueError as error:
        raise DataError(f"step {t}: time {step.time!r} is not an ISO 8601 date; write e.g. '2024-05-01'") from error


def label_feedback(task: Task, outputs: Fields | None, target: Fields) -> Feedback:
    """State the true outcome, and whether the prediction equals it, as evidence.

    Numbers are compared for closeness; for them the evidence also says the signed error.
    """
    lines = ["The true outcome was:", as_text({name: target[name] for name in task.outputs if name in target})]
    if outputs is None:
        return Feedback(
            kind="label", target=target, correct=False, text="\n".join([*lines, "No usable answer was given."])
        )
    correct = all(_equal(outputs.get(name), value) for name, value in target.items())
    lines.append("The answer was right." if correct else "The answer was wrong.")
    for name, value in target.items():
        guess = outputs.get(name)
        if isinstance(value, (int, float)) and isinstance(guess, (int, float)) and not isinstance(value, bool):
            lines.append(f"The error of {name} was {guess - value:+.4g} (predicted minus true).")
    return Feedback(kind="label", target=target, correct=correct, text="\n".join(lines))


def evidence_text(feedback: Feedback, form: EvidenceForm) -> str:
    r"""Return evidence in the words that the model is to read.

    Args:
        feedback: the evidence.
        form: ``full`` as the source wrote it; ``outcome`` the true values only; ``verdict`` right or wrong only. Where
            the source does not know the outcome or the verdict, its own words stay.

    Example:
        >>> told = Feedback(kind="label", target={"sky": "sun"}, correct=False, text="The true outcome was: ...")
        >>> evidence_text(told, "outcome"), evidence_text(told, "verdict")
        ('The true outcome was:\nsky: sun', 'The answer was wrong.')
    """
    if form == "outcome" and feedback.target is not None:
        return "The true outcome was:\n" + as_text(feedback.target)
    if form == "verdict" and feedback.correct is not None:
        return f"The answer was {'right' if feedback.correct else 'wrong'}."
    return feedback.text


def _equal(guess: Any, truth: Any) -> bool:
    if isinstance(truth, (int, float)) and not isinstance(truth, bool) and isinstance(guess, (int, float)):
        return math.isclose(guess, truth, rel_tol=1e-9, abs_tol=1e-9)
    return bool(guess == truth)


class FeedbackSource(dspy.Module):
    """Base of feedback sources: :meth:`giving` makes the evidence, ``delay`` says when it arrives.

    Args:
        delay: how long after the prediction the evidence arrives; 0 is at once.
        by: what ``delay`` counts: ``steps``, or the steps' own ``time`` (in its unit where times are numbers, a
            timedelta where they are dates). By default a timedelta counts time and a number counts steps.

    Raises:
        ConfigurationError: a negative delay, or a timedelta that is to count steps.
    """

    def __init__(self, delay: Delay = 0, *, by: DelayUnit | None = None) -> None:
        super().__init__()
        if (delay if not isinstance(delay, timedelta) else delay.total_seconds()) < 0:
            raise ConfigurationError(f"delay {delay!r} is negative: feedback cannot arrive before the prediction")
        if isinstance(delay, timedelta) and by == "steps":
            raise ConfigurationError(f"delay {delay!r} is a time; leave out by='steps' or give a number of steps")
        self.delay = delay
        self.by: DelayUnit = by or ("time" if isinstance(delay, timedelta) else "steps")

    def clock(self, step: Step, t: int) -> Moment:
        """Return when a step happens, in the unit that the delay counts."""
        return t if self.by == "steps" else moment(step, t)

    def giving(self, task: Task, step: Step, outputs: Fields | None) -> Maybe[Feedback | Failure | None]:
        """Return the feedback on a prediction, ``None`` if there is none, a failure if it could not be had.

        A source that needs a model returns a generator of calls, as cells do.
        """
        raise NotImplementedError(f"{type(self).__name__} must define giving(task, step, outputs)")

    def describe(self) -> Fields:
        """Return kind and delay as JSON, for traces."""
        return {"kind": type(self).__name__, "delay": str(self.delay), "by": self.by}


class Nobody(FeedbackSource):
    """No feedback ever; a cell that learns without any still may."""

    def giving(self, task: Task, step: Step, outputs: Fields | None) -> None:
        """Return nothing."""


class Label(FeedbackSource):
    """The true outcome, from the step's ``target``. Steps without one give no feedback.

    Example:
        >>> from rnnprog.signatures import as_task
        >>> task = as_task("rain: float -> tomorrow: Literal['sun', 'rain']")
        >>> step = Step(inputs={"rain": 1.0}, target={"tomorrow": "rain"})
        >>> Label().giving(task, step, {"tomorrow": "sun"}).correct
        False
    """

    def giving(self, task: Task, step: Step, outputs: Fields | None) -> Feedback | None:
        """Return the label as feedback, if the step has one."""
        return None if step.target is None else label_feedback(task, outputs, step.target)


class Rule(FeedbackSource):
    """A check of your own: a unit test, a validator, a formula.

    Args:
        check: called with (inputs, outputs); returns a score in [0, 1], a bool, or (score or bool, text);
            ``None`` for "cannot tell". It does not see the label. Where it raises, or returns something else, there
            is no feedback on that step, and the failure is recorded.
        delay, by: as in :class:`FeedbackSource`.
        threshold: a score of at least this counts as correct.
    """

    def __init__(
        self,
        check: Callable[[Fields, Fields], Any],
        delay: Delay = 0,
        *,
        by: DelayUnit | None = None,
        threshold: float = 1.0,
    ) -> None:
        super().__init__(delay, by=by)
        self.check, self.threshold = check, threshold

    def giving(self, task: Task, step: Step, outputs: Fields | None) -> Feedback | Failure | None:
        """Return what the check says."""
        if outputs is None:
            return Feedback(kind="rule", correct=False, score=0.0, text="No usable answer was given.")
        try:
            said = self.check(step.inputs, outputs)
            return None if said is None else self._read(said)
        except Exception as error:
            return Failure(phase=RULE_PHASE, error=f"{type(error).__name__}: {error}", attempts=1)

    def _read(self, said: Any) -> Feedback:
        verdict, text = said if isinstance(said, tuple) else (said, "")
        score = float(verdict)
        if not 0.0 <= score <= 1.0:
            raise ValueError(f"the check returned the score {score}; return one from 0 to 1, a bool, or None")
        correct = score >= self.threshold
        return Feedback(
            kind="rule",
            correct=correct,
            score=score,
            text=text or f"The check {'passed' if correct else 'failed'} (score {score:g}).",
        )


class JudgeFeedback(FeedbackSource):
    """A model reads the answer against stated criteria; for tasks without labels.

    Args:
        criteria: what a good answer has, one sentence each.
        delay, by: as in :class:`FeedbackSource`.
        retries: further attempts where the judge's answer cannot be read; then there is no feedback, never a guess.
    """

    def __init__(self, criteria: list[str], delay: Delay = 0, *, by: DelayUnit | None = None, retries: int = 1) -> None:
        super().__init__(delay, by=by)
        if not criteria:
            raise ConfigurationError("a judge needs at least one criterion, e.g. criteria=['names the cause']")
        self.criteria, self.retries = list(criteria), retries
        self.judge = dspy.Predict(Judge)

    def giving(self, task: Task, step: Step, outputs: Fields | None) -> Maybe[Feedback | Failure | None]:
        """Ask the judge; the label is not shown to it."""
        if outputs is None:
            return Feedback(kind="judge", correct=False, text="No usable answer was given.")
        asked = {
            "observation": as_text(step.inputs),
            "answer": as_text(outputs),
            "criteria": "\n".join(f"- {criterion}" for criterion in self.criteria),
        }
        return self._ask(asked)

    def _ask(self, asked: dict[str, str]) -> Effects[Feedback | Failure | None]:
        feedback, failure = yield from attempt(Call("judge", self.judge, asked), _read_verdict, self.retries)
        return feedback if failure is None else failure


def _read_verdict(said: dspy.Prediction) -> Feedback:
    if not isinstance(said.acceptable, bool):
        raise ValueError(f"the judge's verdict {said.acceptable!r} is neither true nor false")
    text = f"A judge found the answer {'acceptable' if said.acceptable else 'not acceptable'}: {said.assessment}"
    return Feedback(kind="judge", correct=said.acceptable, text=text)
