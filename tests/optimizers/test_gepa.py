from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import LMAuthError

import rnnprog
from rnnprog.errors import ConfigurationError, LMUnavailableError
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Budget, GepaTuner, Objective
from rnnprog.optimizers.data import items_of
from rnnprog.optimizers.planted import planted_lm, planted_sequences, rightness
from rnnprog.optimizers.spending import Purse
from rnnprog.optimizers.walk_adapter import WalkAdapter
from rnnprog.tasks import load_task

SEQUENCES = planted_sequences(6, steps=3)


def adapter(student: RecurrentModule, metric: Any = "accuracy") -> WalkAdapter:
    return WalkAdapter(student, Objective(metric), Purse(Budget()), concurrency=2)


def test_reflection_sees_every_phase_at_the_turning_points_of_the_whole_walk(student: RecurrentModule) -> None:
    seam = adapter(student)
    items = list(items_of(SEQUENCES[:2]))
    batch = seam.evaluate(items, {"rewriter": "Rewrite the notes. Keep a calibration line."}, capture_traces=True)
    shown = seam.make_reflective_dataset({}, batch, ["predictor", "reflector", "rewriter"])
    assert set(shown) == {"predictor", "reflector", "rewriter"}
    for records in shown.values():
        assert len(records) == 2
        for record in records:
            json.dumps(record)
            assert "steps right" in record["Inputs"]["walk"]
            assert record["Generated Outputs"]
    walks = [trace.records for _, trace, _ in batch.trajectories]
    wrong = [(i, t) for i, walk in enumerate(walks) for t, r in enumerate(walk) if r.prediction != r.target]
    first = next(t for i, t in wrong if i == wrong[0][0])
    text = shown["rewriter"][wrong[0][0]]["Feedback"]
    assert f"Step {first} was wrong" in text
    assert "critique:" in text
    assert "calibration strength" in text


def test_scores_are_those_of_a_walk_by_hand(student: RecurrentModule) -> None:
    batch = adapter(student).evaluate(list(items_of(SEQUENCES)), {})
    by_hand = [
        sum(o == s.target for o, s in zip(student(steps=q.steps).outputs, q.steps, strict=True)) / len(q.steps)
        for q in SEQUENCES
    ]
    assert batch.scores == pytest.approx(by_hand)
    assert batch.trajectories is None


def test_a_walk_that_breaks_off_is_scored_zero_and_explained(student: RecurrentModule) -> None:
    def broken(*_: Any) -> float:
        raise RuntimeError("the metric broke")

    seam = adapter(student, broken)
    batch = seam.evaluate(list(items_of(SEQUENCES[:1])), {}, capture_traces=True)
    assert batch.scores == [0.0]
    shown = seam.make_reflective_dataset({}, batch, ["predictor"])
    assert "the metric broke" in shown["predictor"][0]["Feedback"]
    assert "the metric broke" in seam.entries[0].error


def test_it_finds_better_texts_and_books_every_call(student: RecurrentModule, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    student.set_lm(planted_lm(log=log, restless=True))
    before = student.dump_state()
    program: Any = GepaTuner("accuracy", metric_calls=60, concurrency=2).compile(
        student, trainset=SEQUENCES[:3], valset=SEQUENCES[3:]
    )
    assert rightness(program.candidate_programs[0]["candidate"].instructions) > rightness({})
    assert len(log.read_text().splitlines()) == program.ledger.spent.calls
    assert student.dump_state() == before
    scores = [row["score"] for row in program.candidate_programs]
    assert scores == sorted(scores, reverse=True)


def test_the_budget_is_a_hard_stop(student: RecurrentModule, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    student.set_lm(planted_lm(log=log, restless=True))
    program: Any = GepaTuner("accuracy", metric_calls=500, budget=Budget(calls=120)).compile(
        student, trainset=SEQUENCES[:3], valset=SEQUENCES[3:]
    )
    assert len(log.read_text().splitlines()) <= 120
    assert program.candidate_programs
    with pytest.raises(ConfigurationError, match="before the student itself was judged"):
        GepaTuner("accuracy", budget=Budget(calls=5)).compile(student, trainset=SEQUENCES[:3], valset=SEQUENCES[3:])


def test_the_embedded_model_gets_its_documented_orders() -> None:
    data = load_task("regimes", n_sequences=4, n_steps=8, n_changes=0)
    program = RecurrentModule(data.task)
    program.set_lm(rnnprog.embedded_lm())
    found: Any = GepaTuner("accuracy", metric_calls=14, concurrency=2).compile(
        program, trainset=data.sequences[:2], valset=data.sequences[2:]
    )
    assert found.candidate_programs


def test_without_a_model_it_says_so() -> None:
    with dspy.context(lm=None), pytest.raises(ConfigurationError, match="no model to reflect with"):
        GepaTuner("accuracy").compile(RecurrentModule("a -> b"), trainset=SEQUENCES[:3], valset=SEQUENCES[3:])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"reflection_minibatch": 3},
            r"neither .* has an argument 'reflection_minibatch'; .*reflection_minibatch_size",
        ),
        ({"metric_cals": 3}, "did you mean metric_calls"),
        ({"zzz": 1}, "GEPA takes .*candidate_selection_strategy"),
        ({"auto": "light"}, "auto='light' is not given like this here; give metric_calls=..."),
        ({"run_dir": "x"}, "give folder=..."),
        ({"valset": []}, r"give it to compile\(\)"),
    ],
)
def test_arguments_that_gepa_does_not_know_are_told_with_what_is_near(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        GepaTuner("accuracy", **given)


@pytest.mark.parametrize("given", [{"constraints": {"calls": 9}}, {"objectives": ["score", "tokens"]}, {"rollouts": 2}])
def test_what_gepa_would_ignore_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="score of one walk"):
        GepaTuner(Objective("accuracy", **given))


def test_a_model_that_is_down_is_an_error_and_no_score_of_zero(student: RecurrentModule) -> None:
    def refuses(_prompt: Any) -> Any:
        raise LMAuthError("no such key")

    student.set_lm(rnnprog.scripted_lm(refuses))
    with pytest.raises(LMUnavailableError, match="no such key"):
        GepaTuner("accuracy", prompt_model=planted_lm()).compile(student, trainset=SEQUENCES[:3], valset=SEQUENCES[3:])


def test_a_model_that_goes_down_later_ends_it_with_what_was_found(student: RecurrentModule) -> None:
    told, answer = [0], planted_lm(restless=True).engine.complete

    class Failing:
        def complete(self, request: Any) -> Any:
            told[0] += 1
            if told[0] > 40:
                raise LMAuthError("the key has run out")
            return answer(request)

        def __deepcopy__(self, _memo: object) -> Failing:
            return self

    student.set_lm(dspy.LM("test/failing", engine=Failing(), cache=False, num_retries=0))
    tuner = GepaTuner("accuracy", prompt_model=planted_lm(restless=True), metric_calls=500, concurrency=1)
    with pytest.warns(UserWarning, match="ended early.*the key has run out"):
        program: Any = tuner.compile(student, trainset=SEQUENCES[:3], valset=SEQUENCES[3:])
    assert program.score >= 0
    assert told[0] < 60


def test_a_program_without_a_trace_cannot_be_scored_by_steps(student: RecurrentModule) -> None:
    class Outer(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = student

        def forward(self, steps: Any) -> dspy.Prediction:
            return dspy.Prediction(answer=str(self.inner(steps=steps).outputs))

    with pytest.raises(ConfigurationError, match=r"no trace; .*trace=walked\.trace"):
        GepaTuner("accuracy").compile(Outer(), trainset=SEQUENCES[:3], valset=SEQUENCES[3:])
