"""A recurrent module as a part of a larger program, or two: their walks are found, measured and learnt from."""

from __future__ import annotations

import warnings
from typing import Any

import dspy
import pytest

import rnnprog
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import (
    Candidate,
    DefaultProposer,
    Demos,
    GepaTuner,
    Objective,
    OptunaTuner,
    Request,
    Schedule,
    Walked,
)
from rnnprog.optimizers.data import items_of
from rnnprog.optimizers.demos import propose_demos
from rnnprog.optimizers.planted import TASK, planted_lm, planted_sequences
from rnnprog.optimizers.walks import walked
from rnnprog.schema import MemorySchema, SectionSpec
from rnnprog.tasks import load_task

SEQUENCES = planted_sequences(5, steps=4)
EXAMPLES = [dspy.Example(steps=s.steps, id=s.id).with_inputs("steps") for s in SEQUENCES]


OTHER = MemorySchema(sections=(SectionSpec(key="story", title="The story so far"),))
PHASES = ("predictor", "reflector", "rewriter")


class Advice(dspy.Module):
    """Walks, then says something about it; its prediction has no trace."""

    def __init__(self, twice: bool = False) -> None:
        super().__init__()
        self.first = RecurrentModule(TASK, budget=128)
        if twice:
            self.second = RecurrentModule(TASK, budget=96, layout=OTHER)
        self.advise = dspy.Predict("colour -> advice")

    def forward(self, steps: Any) -> dspy.Prediction:
        if hasattr(self, "second"):
            self.second(steps=steps)
        seen = self.first(steps=steps)
        return dspy.Prediction(advice=self.advise(colour=str(seen.colour)).advice, outputs=seen.outputs)


def share(example: Any, pred: Any, trace: Any = None) -> float:
    return float(sum(a == s.target for a, s in zip(pred.outputs, example.steps, strict=True)) / len(example.steps))


class Keeps:
    """Keeps what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def propose(self, request: Request) -> Any:
        self.asked.append(request)
        return DefaultProposer().propose(request)


@pytest.mark.parametrize("twice", [False, True])
def test_the_walks_inside_are_measured_and_proposed_from(twice: bool) -> None:
    program = Advice(twice)
    program.set_lm(planted_lm())
    keeps = Keeps()
    tuner = OptunaTuner(
        Objective(share, constraints={"calls_per_step": 9}),
        schedule=Schedule(trials=5, rounds=2, concurrency=2, proposals=0),
        proposer=keeps,
        storage="memory",
        folder=None,
        pruner="none",
    )
    found: Any = tuner.compile(program, trainset=EXAMPLES[:2], valset=EXAMPLES[2:])
    assert not [log["error"] for log in found.trial_logs.values() if "error" in log]
    steps = 8 if twice else 4
    assert {entry.steps for entry in found.ledger.of("evaluation")} == {steps}
    row = found.candidate_programs[0]
    assert row["measures"]["calls_per_step"] == (3 * steps + 1) / steps
    assert row["measures"]["memory_tokens"] > 0
    assert all(len(walk.trace) == 4 for request in keeps.asked for walk in request.walks)
    options = [value for name, value in found.study.user_attrs.items() if name.startswith("option:")]
    assert {option["part"] for option in options} == {"start_memory"}


def test_examples_are_those_of_the_phases_of_the_cell_that_walked() -> None:
    data = load_task("regimes", n_sequences=2, n_steps=10, n_changes=0)

    class Both(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = RecurrentModule(data.task), RecurrentModule(data.task)

        def forward(self, steps: Any) -> dspy.Prediction:
            self.second(steps=steps[:2])
            return dspy.Prediction(outputs=self.first(steps=steps).outputs)

    program = Both()
    program.set_lm(rnnprog.embedded_lm())
    _, traces = walked(program, {"steps": data.sequences[0].steps})
    assert [len(trace) for trace in traces] == [10, 2], "the program's first module first"
    best = Walked(items_of(data.sequences)[0], 1.0, traces[0])
    request = Request(Demos(sets=1), ("proposed-1",), 0, program, Candidate(), (best,), (), 0)
    (option,), _ = propose_demos(request)
    assert set(dict(option.value)) == {f"first.cell.{phase}" for phase in PHASES}  # type: ignore[arg-type]


def test_a_start_memory_is_that_of_the_first_cell() -> None:
    program = Advice(twice=True)
    first = program.first.cell.settings.value.layout
    text = first.initial().with_items(first.sections[0].key, ("a note",)).render()
    laid: Any = Candidate(start_memory=text).apply(program)
    assert "a note" in laid.first.cell.initial().render()
    assert laid.second.cell.initial() == program.second.cell.initial()


def test_a_program_without_walks_is_walked_once_for_proposals_and_no_more() -> None:
    class Plain(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.advise = dspy.Predict("colour -> advice")

        def forward(self, steps: Any) -> dspy.Prediction:
            return self.advise(colour=str(len(steps)))

    program = Plain()
    program.set_lm(planted_lm())
    schedule = Schedule(trials=6, rounds=4, round_every=1, walks=2, concurrency=1, proposals=4)
    tuner = OptunaTuner(lambda e, p: 0.5, schedule=schedule, storage="memory", folder=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Any = tuner.compile(program, trainset=EXAMPLES[:2], valset=EXAMPLES[2:])
    assert len(found.ledger.of("unfinished")) == 1


def test_gepa_reflects_over_the_walk_inside() -> None:
    program = Advice()
    program.set_lm(planted_lm())
    found: Any = GepaTuner(share, metric_calls=20, concurrency=1).compile(
        program, trainset=EXAMPLES[:2], valset=EXAMPLES[2:]
    )
    assert found.candidate_programs
