"""Our metric in MIPROv2 and SIMBA, and our tuner beside dspy's optimizers: real compilations on the planted world."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import dspy
import pytest

from rnnprog.metrics import DspyMetric
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Instructions, OptunaTuner, Schedule, Space
from rnnprog.optimizers.planted import best_instructions, planted_lm, planted_sequences, rightness

SEQUENCES = planted_sequences(12, steps=3)
EXAMPLES = [dspy.Example(sequence=s.id, steps=s.steps).with_inputs("steps") for s in SEQUENCES]
TRAIN, VAL = EXAMPLES[:4], EXAMPLES[4:]
METRIC = DspyMetric("accuracy")


@pytest.fixture(autouse=True)
def _configured() -> Iterator[None]:
    with warnings.catch_warnings(), dspy.context(lm=planted_lm()):
        warnings.simplefilter("ignore")
        yield


def by_hand(program: Any) -> float:
    """Percent, as dspy counts."""
    right = sum(
        out == step.target
        for s in SEQUENCES[4:]
        for out, step in zip(program(steps=s.steps).outputs, s.steps, strict=True)
    )
    return 100.0 * int(right) / sum(len(s.steps) for s in SEQUENCES[4:])


def test_miprov2_searches_by_our_metric(student: RecurrentModule) -> None:
    before = student.dump_state()
    compiled: Any = dspy.MIPROv2(
        metric=METRIC,
        prompt_model=planted_lm(restless=True),
        task_model=student.get_lm(),
        auto=None,
        num_candidates=5,
        max_bootstrapped_demos=1,
        max_labeled_demos=0,
        num_threads=2,
        seed=3,
    ).compile(student, trainset=TRAIN, valset=VAL, num_trials=8, minibatch=False)
    assert compiled.score == pytest.approx(by_hand(compiled), abs=0.01)
    assert compiled.score >= by_hand(student)
    texts = {
        p.signature.instructions for row in compiled.candidate_programs for _, p in row["program"].named_predictors()
    }
    assert len(texts) > 3, "it wrote instructions for our phases"
    assert student.dump_state() == before


def test_simba_improves_by_our_metric(student: RecurrentModule) -> None:
    compiled: Any = dspy.SIMBA(
        metric=METRIC,
        bsize=4,
        num_candidates=2,
        max_steps=2,
        max_demos=1,
        prompt_model=planted_lm(restless=True),
        num_threads=2,
    ).compile(student, trainset=EXAMPLES, seed=0)
    assert len(compiled.candidate_programs) > 1
    for row in compiled.candidate_programs:
        assert 0 <= row["score"] <= 100
    assert by_hand(compiled) >= by_hand(student)


def tuner() -> OptunaTuner:
    space = Space(parts=(Instructions(phase="predictor", texts=(best_instructions()["predictor"],), proposals=0),))
    return OptunaTuner(METRIC, space=space, folder=None, storage="memory", schedule=Schedule(trials=2, rounds=0))


@pytest.mark.parametrize("strategy", ["o -> b", "b -> o", "o -> b -> o"])
def test_the_tuner_takes_turns_with_dspys_optimizers(student: RecurrentModule, strategy: str) -> None:
    few = dspy.BootstrapFewShot(metric=DspyMetric("accuracy", bar=0.3), max_bootstrapped_demos=2, max_labeled_demos=0)
    together = dspy.BetterTogether(metric=METRIC, o=tuner(), b=few)
    found: Any = together.compile(student, trainset=TRAIN, valset=VAL, strategy=strategy)
    assert not found.flag_compilation_error_occurred
    instruction = found.cell.predictor.signature.instructions
    assert rightness({"predictor": instruction}) > rightness({})
    scores = [row["score"] for row in found.candidate_programs]
    assert scores[0] == max(scores)
    assert scores[0] == pytest.approx(by_hand(found), abs=0.01)


def test_the_tuner_takes_the_metric_that_dspys_optimizers_take(student: RecurrentModule) -> None:
    found: Any = tuner().compile(student, trainset=TRAIN, valset=VAL)
    assert found.score == pytest.approx(by_hand(found) / 100, abs=1e-6)
