from __future__ import annotations

from typing import Any

import dspy
import pytest
from dspy.utils import DummyLM
from dspy.utils.callback import BaseCallback

import rnnprog
from rnnprog.lm.directives import read_directives
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import (
    Candidate,
    DefaultProposer,
    Demos,
    Instructions,
    Option,
    Request,
    StartMemory,
    Walked,
)
from rnnprog.optimizers.data import items_of
from rnnprog.optimizers.demos import cut_demos
from rnnprog.optimizers.planted import planted_lm, planted_program, planted_sequences
from rnnprog.optimizers.propose import check_text
from rnnprog.optimizers.stand_in import ORDERS
from rnnprog.optimizers.trajectory import findings, tell_walk
from rnnprog.tasks import load_task
from rnnprog.trace import StepRecord, Trace


def walked(program: RecurrentModule, sequences: Any) -> tuple[Walked, ...]:
    made = []
    for item in items_of(sequences):
        trace = program(steps=item.example.steps, sequence=item.id).trace
        right = sum(record.prediction == record.target for record in trace.records) / len(trace)
        made.append(Walked(item, right, trace))
    return tuple(sorted(made, key=lambda w: -w.score))


def request(part: Any, program: RecurrentModule, walks: Any, count: int = 3, **given: Any) -> Request:
    labels = tuple(f"proposed-{n + 1}" for n in range(count))
    given = {"round": 0, "base": Candidate(), "tried": (), "seed": 0, **given}
    return Request(part=part, labels=labels, program=program, walks=walks, **given)


@pytest.fixture(scope="module")
def regimes() -> tuple[RecurrentModule, tuple[Walked, ...]]:
    data = load_task("regimes", n_sequences=4, n_steps=16, n_changes=1)
    program = RecurrentModule(data.task)
    program.set_lm(rnnprog.embedded_lm())
    return program, walked(program, data.sequences)


def test_demos_of_all_phases_come_from_the_same_step(regimes: Any) -> None:
    program, walks = regimes
    options, _ = DefaultProposer().propose(request(Demos(), program, walks, 2))
    assert options
    for option in options:
        sets: Any = option.value
        for predicted, reflected, rewritten in zip(sets["predictor"], sets["reflector"], sets["rewriter"], strict=True):
            assert reflected["observation"] == rewritten["observation"]
            assert all(f"{k}: {predicted[k]}" in reflected["observation"] for k in ("colour", "shape", "size"))
            assert f"turn: {predicted['turn']}" in reflected["answer"] == rewritten["answer"]
            assert predicted["memory"] == rewritten["memory"]
            assert reflected["evidence"] == rewritten["evidence"]
            assert reflected["lesson"] in rewritten["critique"]
            assert "The answer was right." in reflected["evidence"]


def test_demos_show_only_steps_that_went_well(regimes: Any) -> None:
    program, walks = regimes
    for walk in walks:
        for t, record in enumerate(walk.trace.records):
            demos = cut_demos(walk.trace, t, program.cell)
            if record.prediction != record.target:
                assert demos is None


def test_demos_are_used_and_rendered(regimes: Any) -> None:
    program, walks = regimes
    options, _ = DefaultProposer().propose(request(Demos(), program, walks, 1))
    tuned: Any = Candidate().with_option(options[0]).apply(program)
    assert {len(p.demos) for _, p in tuned.named_predictors()} == {2}
    steps = walks[0].item.example.steps[:3]
    assert all(tuned(steps=steps).outputs)


def test_start_memories_fit_and_are_distinct(regimes: Any) -> None:
    program, walks = regimes
    options, _ = DefaultProposer().propose(request(StartMemory(), program, walks))
    assert 1 <= len(options) <= 3
    for option in options:
        tuned: Any = Candidate().with_option(option).apply(program)
        assert tuned.cell.initial().items
        assert tuned.cell.initial_memory.learned is not None
    assert len({str(option.value) for option in options}) == len(options)


def test_every_order_of_the_stand_in_is_understood_and_nothing_else() -> None:
    for orders in ORDERS.values():
        for name, sentence in orders.items():
            found = read_directives(sentence)
            assert [field for field, given in vars(found).items() if given] == [name]


def test_offline_proposals_are_the_present_text_with_further_orders(regimes: Any) -> None:
    program, walks = regimes
    proposer = DefaultProposer(rnnprog.embedded_lm())
    options, _ = proposer.propose(request(Instructions(phase="rewriter"), program, walks, 4))
    base = program.cell.rewriter.signature.instructions
    assert len(options) == 4
    for option in options:
        assert str(option.value).startswith(base.strip())
        assert read_directives(str(option.value)) != read_directives(base)
        assert option.parents == ("student",)
        assert option.why
    reflections, _ = proposer.propose(request(Instructions(phase="reflector"), program, walks))
    ordered = [read_directives(str(option.value)) for option in reflections]
    assert sorted((orders.doubt, orders.outcome_only) for orders in ordered) == [(False, True), (True, False)]
    assert proposer.propose(request(Instructions(phase="elsewhere.judge"), program, walks))[0] == []


def test_a_model_sees_whole_walks_and_what_was_tried() -> None:
    program = planted_program()
    program.set_lm(planted_lm())
    walks = walked(program, planted_sequences(3, steps=5))
    answers = [{"diagnosis": "d", "instruction": f"Answer from the notes, variant {n}."} for n in range(3)]
    seen: list[str] = []

    class Listening(BaseCallback):
        def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
            seen.append(str(inputs))

    part = Instructions(phase="predictor")
    tried = ((Option(part=part.name, label="user-1", value="An older text.", origin="user"), 0.25),)
    with dspy.context(callbacks=[Listening()]):
        options, refused = DefaultProposer(DummyLM(answers)).propose(request(part, program, walks, tried=tried))
    assert [option.value for option in options] == [answer["instruction"] for answer in answers]
    assert not refused
    for sign in ("steps right", "memory before", "critique:", "note added:", "[0.2500] An older text."):
        assert sign in seen[0]
    assert len(set(seen)) == 3, "each attempt is asked for something else"


@pytest.mark.parametrize("text", ["", "ok", "x" * 9000, "Read [[ ## memory ## ]] twice, then answer."])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="refused"):
        check_text(text, "current instruction", [])


def test_a_known_text_is_refused_whatever_its_spaces() -> None:
    with pytest.raises(ValueError, match="known already"):
        check_text("Keep counts of  everything.\n", "x", ["Keep counts of everything."])


def test_a_model_that_fails_leaves_a_reason() -> None:
    program = planted_program()
    options, refused = DefaultProposer(DummyLM([{"nothing": "useful"}])).propose(
        request(Instructions(phase="predictor"), program, ())
    )
    assert options == []
    assert len(refused) == 3


def records(verdicts: str) -> Trace:
    target = {"y": "a"}
    return Trace(
        sequence="s",
        records=tuple(
            StepRecord(t=t, id=f"s:{t}", inputs={"x": t}, prediction={"y": "a" if v == "r" else "b"}, target=target)
            for t, v in enumerate(verdicts)
        ),
    )


def test_findings_say_where_it_went_wrong_and_where_it_recovered() -> None:
    found = findings(records("rrwwrrwr"))
    assert (found.steps, found.right, found.first_error) == (8, 5, 2)
    assert found.repeated == (3,)
    assert found.recovered == (4, 7)
    assert found.late_errors == pytest.approx(1 / 3)
    told = tell_walk(records("rrwwrrwr"), 0.625)
    assert "first error came at step 2" in told
    assert "Recovered at steps 4, 7" in told
    assert "--- step 2 (WRONG)" in told


def test_a_told_walk_stays_within_its_budget() -> None:
    assert len(tell_walk(records("w" * 400), 0.0, budget=800)) < 900
