from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

from rnnprog.errors import ConfigurationError
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import (
    Objective,
)
from rnnprog.optimizers.planted import best_instructions, planted_lm, planted_program
from tests.optimizers.harness import TRAIN, VAL, texts, tuner


def test_the_objective_under_a_fixed_trial(student: RecurrentModule) -> None:
    """The value of a trial is the plain mean of the metric over the sequences, walked by hand."""
    best = best_instructions()
    program: Any = tuner(space=texts(**{phase: (text,) for phase, text in best.items()}), pruner="none").compile(
        student, trainset=TRAIN, valset=VAL, trials=4
    )
    by_hand = planted_program(budget=128)
    by_hand.set_lm(planted_lm())
    by_hand.cell.predictor.signature = by_hand.cell.predictor.signature.with_instructions(best["predictor"])
    shares = []
    for sequence in VAL:
        outputs = by_hand(steps=sequence.steps).outputs
        right = [out == step.target for out, step in zip(outputs, sequence.steps, strict=True)]
        shares.append(sum(right) / len(right))
    log = next(log for log in program.trial_logs.values() if log["params"].get("predictor.instruction") == "user-1")
    assert log["values"][0] == pytest.approx(sum(shares) / len(shares))
    assert log["sequences"] == len(VAL)


def test_a_metric_that_always_raises_ends_in_a_clear_record(student: RecurrentModule) -> None:
    def broken(example: Any, prediction: Any, trace: Any = None) -> float:
        raise RuntimeError("the metric broke")

    with pytest.warns(UserWarning, match="the metric broke"):
        program: Any = tuner(broken, space=texts(predictor=("One of mine.",))).compile(
            student, trainset=TRAIN, valset=VAL
        )
    assert program.candidate_programs == []
    assert program.score is None
    assert all("RuntimeError: the metric broke" in log["error"] for log in program.trial_logs.values())
    assert all(log["state"] == "fail" for log in program.trial_logs.values())
    assert program.cell.predictor.signature.instructions == student.cell.predictor.signature.instructions


def test_nan_is_an_error_not_a_score(student: RecurrentModule) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program: Any = tuner(lambda *_: math.nan, space=texts(predictor=("One.",))).compile(
            student, trainset=TRAIN, valset=VAL
        )
    assert "instead of a finite number" in program.trial_logs[0]["error"]
    assert all(entry.score is None for entry in program.ledger.entries)


def test_constraints_keep_a_candidate_from_being_best(student: RecurrentModule) -> None:
    best = best_instructions()["predictor"] + " Padding." * 400
    objective = Objective("accuracy", constraints={"tokens_per_step": 1800})
    program: Any = tuner(objective, space=texts(predictor=(best,))).compile(
        student, trainset=TRAIN, valset=VAL, trials=2
    )
    measures = [program.trial_logs[n]["measures"] for n in range(2)]
    assert measures[1]["score"] > measures[0]["score"]
    assert measures[1]["tokens_per_step"] > 1800 > measures[0]["tokens_per_step"]
    assert [row["trial"] for row in program.candidate_programs] == [0]
    assert program.study.best_trial.number == 0


def test_two_objectives_give_a_front(student: RecurrentModule) -> None:
    best = best_instructions()["predictor"] + " Padding." * 100
    worse = "Answer as quickly as you can." + " Padding." * 100
    objective = Objective("accuracy", objectives=("score", "tokens"))
    program: Any = tuner(objective, space=texts(predictor=(best, worse))).compile(
        student, trainset=TRAIN, valset=VAL, trials=3
    )
    front = {trial.params["predictor.instruction"] for trial in program.study.best_trials}
    assert front == {"student", "user-1"}
    assert program.candidate_programs[0]["candidate"].options["predictor.instruction"] == "user-1"


def test_a_corpus_metric_is_taken_over_all_steps(student: RecurrentModule) -> None:
    from rnnprog.metrics import score

    program: Any = tuner("macro_f1[colour]").compile(student, trainset=TRAIN, valset=VAL, trials=1)
    traces = [student(steps=sequence.steps, sequence=sequence.id).trace for sequence in VAL]
    assert program.score == pytest.approx(score(traces, "macro_f1[colour]"))


def test_step_weights_count_steps_as_told(student: RecurrentModule) -> None:
    last = Objective("accuracy", step_weights=lambda t, total: float(t == total - 1))
    program: Any = tuner(last).compile(student, trainset=TRAIN, valset=VAL, trials=1)
    ends = [student(steps=s.steps).outputs[-1] == s.steps[-1].target for s in VAL]
    assert program.score == pytest.approx(sum(ends) / len(ends))
    with pytest.raises(ConfigurationError, match="step_weights need"):
        Objective(lambda *_: 1.0, step_weights=(1.0,))


def test_rollouts_are_separate_evaluations(student: RecurrentModule) -> None:
    program: Any = tuner(Objective("accuracy", rollouts=2)).compile(student, trainset=TRAIN, valset=VAL, trials=1)
    keys = [entry.key for entry in program.ledger.of("evaluation")]
    assert len(keys) == len(set(keys)) == 2 * len(VAL)
