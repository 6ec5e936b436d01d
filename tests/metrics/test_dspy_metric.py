"""The metric in dspy's own hands: Evaluate, GEPA's checks, SIMBA's wrapper, bootstrapping."""

from __future__ import annotations

import inspect
from typing import Any

import dspy
import pytest
from dspy.teleprompt import GEPA
from dspy.teleprompt.simba_utils import wrap_program

from rnnprog.errors import ConfigurationError
from rnnprog.metrics import DspyMetric
from rnnprog.trace import Failure, Step, StepRecord, Trace, Update, Verdict


class Walks(dspy.Module):
    """Answers ``a`` at every step and returns the trace of it, as a walk does."""

    def forward(self, steps: Any) -> dspy.Prediction:
        records = [
            StepRecord(t=t, id=str(t), inputs=step.inputs, prediction={"y": "a"}, target=step.target)
            for t, step in enumerate(steps)
        ]
        return dspy.Prediction(y="a", trace=Trace(sequence="s", records=tuple(records)))


def example(*truths: str | None) -> dspy.Example:
    steps = [Step(inputs={"x": t}, target=None if y is None else {"y": y}) for t, y in enumerate(truths)]
    return dspy.Example(steps=steps).with_inputs("steps")


def test_evaluate_gives_the_mean_over_sequences() -> None:
    data = [example("a", "a"), example("a", "b"), example("b", "b", "b", "a")]
    found = dspy.Evaluate(devset=data, metric=DspyMetric("accuracy"), num_threads=2)(Walks())
    assert found.score == pytest.approx(100 * (1 + 0.5 + 0.25) / 3, abs=0.01)


def test_gepa_accepts_it_and_gets_words() -> None:
    metric = DspyMetric("accuracy")
    GEPA(metric=metric, max_metric_calls=1, reflection_lm=dspy.utils.DummyLM([]))
    inspect.signature(metric).bind(None, None, None, None, None)
    gold = example("a", "b")
    pred = Walks()(steps=gold.steps)
    assert metric(gold, pred) == 0.5
    told = metric(gold, pred, [], "cell.predictor", [(None, {"memory": "", "x": 1}, pred)])
    assert told.score == 0.5
    assert "belongs to step 1" in told.feedback
    assert "'y': 'b'" in told.feedback


def test_simba_takes_score_and_a_crash_scores_nothing() -> None:
    wrapped = wrap_program(Walks(), DspyMetric("accuracy"))
    assert wrapped(example("a", "b"))["score"] == 0.5
    assert DspyMetric("accuracy")(example("a"), None) == 0.0


def test_a_loss_becomes_a_score_that_no_crash_can_beat() -> None:
    record = StepRecord(t=0, id="0", inputs={}, prediction={"y": 3.0}, target={"y": 0.0})
    pred = dspy.Prediction(trace=Trace(sequence="s", records=(record,)))
    assert DspyMetric("mae[y]", scale=3.0)(example("a"), pred) == 0.5
    assert DspyMetric("mae[y]")(example("a"), pred) == 0.25


def test_bootstrapping_gets_a_truth_value_only_with_a_bar() -> None:
    gold = example("a", "b")
    pred = Walks()(steps=gold.steps)
    assert DspyMetric("accuracy")(gold, pred, []) == 0.5
    assert DspyMetric("accuracy", bar=0.5)(gold, pred, []) is True
    assert DspyMetric("accuracy", bar=0.6)(gold, pred, []) is False


def test_last_step_burn_in_and_targets_from_the_example() -> None:
    gold = example("b", "a", "a", "b")
    blind = example(None, None, None, None)
    pred = Walks()(steps=blind.steps)
    assert DspyMetric("accuracy")(gold, pred) == 0.5
    assert DspyMetric("accuracy", where="last")(gold, pred) == 0.0
    assert DspyMetric("accuracy", burn_in=1)(gold, pred) == pytest.approx(2 / 3)
    assert DspyMetric("accuracy")(blind, pred) == 0.0


def test_feedback_for_the_rewriter_and_the_reflector() -> None:
    update = Update(
        of="0",
        operation="keep",
        parent="",
        digest="",
        tokens=90,
        critique={"lesson": "when x then y"},
        verdicts=(Verdict(check="shrink", decision="kept_old", reason="lost 9 of 10 items"),),
        dropped=(("rules", "old rule"),),
    )
    first = StepRecord(t=0, id="0", inputs={"x": "grey"}, prediction={"y": "a"}, target={"y": "b"}, after=(update,))
    second = StepRecord(
        t=1, id="1", inputs={"x": "blue"}, target={"y": "b"}, failure=Failure(phase="predictor", error="E")
    )
    pred = dspy.Prediction(trace=Trace(sequence="s", records=(first, second)))
    call = [(None, {"observation": "x: grey"}, None)]
    rewriter = DspyMetric("accuracy")(example("b", "b"), pred, [], "cell.rewriter", call).feedback
    assert "lost 9 of 10 items" in rewriter
    assert "old rule" in rewriter
    assert "step after it" in rewriter
    reflector = DspyMetric("accuracy")(example("b", "b"), pred, [], "cell.reflector", call).feedback
    assert "when x then y" in reflector
    assert "no usable answer (E)" in reflector


def test_wrong_use_says_so() -> None:
    with pytest.raises(ConfigurationError, match="no trace"):
        DspyMetric("accuracy")(example("a"), dspy.Prediction(y="a"))
    with pytest.raises(ConfigurationError, match="'first'"):
        DspyMetric("accuracy", where="first")
    with pytest.raises(ConfigurationError, match="scale=0"):
        DspyMetric("mae[y]", scale=0)
