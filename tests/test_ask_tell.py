"""One observation at a time: outcomes that come late, out of order, twice, never, or do not fit."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnprog
from rnnprog.testing.models import hostile_lm, pure_lm

TASK = "rain: float -> tomorrow: Literal['sun', 'rain']"
LABELS = ("sun", "rain")


def program(task: str = TASK, cell: str = "full_history", **settings: Any) -> rnnprog.RecurrentModule:
    made = rnnprog.RecurrentModule(rnnprog.make_cell(cell, task), **settings)
    made.set_lm(pure_lm())
    return made


def asked(made: rnnprog.RecurrentModule, count: int, sequence: str = "0") -> tuple[list[rnnprog.Asked], rnnprog.State]:
    state, answers = made.initial(sequence), []
    for t in range(count):
        answer, state = made.ask(state, rain=float(t))
        answers.append(answer)
    return answers, state


def test_ask_gives_an_id_and_the_outputs() -> None:
    (first, second), state = asked(program(), 2)
    assert (first.id, second.id) == ("0:0", "0:1")
    assert first.tomorrow == (first.outputs or {})["tomorrow"]
    assert [id for id, _ in state.pending] == ["0:0", "0:1"]
    with pytest.raises(AttributeError, match=r"yesterday.*tomorrow"):
        _ = first.yesterday


@pytest.mark.parametrize("cell", ["full_history", "reflective"])
def test_telling_at_once_equals_the_walk(cell: str) -> None:
    made = program(cell=cell)
    state = made.initial()
    outputs = []
    for t in range(4):
        answer, state = made.ask(state, rain=float(t))
        outputs.append(answer.outputs)
        state = made.tell(state, answer.id, LABELS[t % 2])
    steps = [{"rain": float(t), "tomorrow": LABELS[t % 2]} for t in range(4)]
    out = made(steps=steps)
    assert outputs == out.outputs
    assert state == out.state


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(4)))
def test_out_of_order(order: list[int]) -> None:
    made = program()
    answers, state = asked(made, 4)
    for t in order:
        state = made.tell(state, answers[t].id, LABELS[t % 2])
    assert state.pending == ()
    assert [turn.text.split("\n")[0] for turn in state.carry] == [f"Step {t + 1}" for t in order]


def test_told_twice_changes_nothing() -> None:
    made = program()
    (answer,), state = asked(made, 1)
    once = made.tell(state, answer.id, "sun")
    before = len(made.get_lm().engine.log)
    assert made.tell(once, answer.id, "rain") == once
    assert made.learn_from(once, answer.id, "rain") == (None, once)
    assert len(made.get_lm().engine.log) == before
    assert made.tell(state, answer.id, "sun") == once, "an old state can be told again: states are values"


def test_never_told_stays_pending() -> None:
    made = program()
    answers, state = asked(made, 3)
    state = made.tell(state, answers[1].id, "sun")
    assert [id for id, _ in state.pending] == ["0:0", "0:2"]
    out = made(steps=[{"rain": 9.0, "tomorrow": "sun"}], state=state)
    assert out.trace.unanswered == ("0:0", "0:2")
    assert out.trace.records[0].id == "0:3"


@pytest.mark.parametrize("id", ["0:3", "0:00", "0:-1", "0:1.0", "1:0", "0", "", "00:0", "0:٠", "0:0 ", ":0"])
def test_a_wrong_id_is_refused(id: str) -> None:
    made = program()
    answers, state = asked(made, 2)
    state = made.tell(state, answers[0].id, "sun")
    with pytest.raises(rnnprog.DataError, match="not one of sequence '0'"):
        made.tell(state, id, "sun")


def test_the_id_of_another_sequence_is_refused() -> None:
    made = program()
    (mine,), state = asked(made, 1, "a")
    (theirs,), other = asked(made, 1, "a:b")
    with pytest.raises(rnnprog.DataError, match="'a:b:0'"):
        made.tell(state, theirs.id, "sun")
    assert made.tell(other, theirs.id, "sun").pending == ()
    assert made.tell(state, mine.id, "sun").pending == ()


@pytest.mark.parametrize("outcome", ["hail", "", None, 3, {"tomorrow": "hail"}, {"today": "sun"}, ["sun"]])
def test_an_outcome_that_does_not_fit_is_refused(outcome: Any) -> None:
    made = program()
    (answer,), state = asked(made, 1)
    with pytest.raises(rnnprog.DataError, match="does not fit the task"):
        made.tell(state, answer.id, outcome)
    assert made.tell(state, answer.id, {"tomorrow": "sun"}).pending == ()


def test_several_outputs_are_told_by_field() -> None:
    made = program("rain: float -> tomorrow: Literal['sun', 'rain'], mm: float")
    answer, state = made.ask(made.initial(), rain=1.0)
    update, _ = made.learn_from(state, answer.id, {"tomorrow": "sun", "mm": 3})
    assert update is not None
    assert update.feedback is not None
    assert update.feedback.target == {"tomorrow": "sun", "mm": 3.0}
    for wrong in ("sun", {"tomorrow": "sun"}, {"tomorrow": "sun", "mm": float("nan")}):
        with pytest.raises(rnnprog.DataError):
            made.tell(state, answer.id, wrong)


def test_feedback_of_your_own() -> None:
    made = program()
    (answer,), state = asked(made, 1)
    own = rnnprog.Feedback(kind="rule", correct=False, text="The gauge was broken.")
    assert "The gauge was broken." in made.tell(state, answer.id, own).carry[0].text


@pytest.mark.parametrize("inputs", [{}, {"rain": 1.0, "snow": 2.0}, {"snow": 1.0}])
def test_a_wrong_observation_is_a_failed_answer(inputs: dict[str, Any]) -> None:
    made = program()
    answer, state = made.ask(made.initial(), **inputs)
    assert answer.outputs is None
    assert answer.failure is not None
    assert "rain" in answer.failure.error
    assert made.tell(state, answer.id, "sun").pending == (), "its outcome may still be told"
    assert made.get_lm().engine.log == []


def test_a_value_without_json_form_is_refused() -> None:
    made = program()
    with pytest.raises(rnnprog.DataError, match="JSON"):
        made.ask(made.initial(), rain=object())


def test_numbers_of_numpy_are_taken() -> None:
    np = pytest.importorskip("numpy")
    made = program("rain: float -> mm: int")
    answer, state = made.ask(made.initial(), rain=np.float32(1.5))
    assert state.pending[0][1].step.inputs == {"rain": 1.5}
    assert made.tell(state, answer.id, np.int64(3)).pending == ()


def test_async_twins() -> None:
    made = program(cell="reflective")

    async def go() -> rnnprog.State:
        answer, state = await made.aask(made.initial(), rain=1.0)
        return await made.atell(state, answer.id, "sun")

    answer, state = made.ask(made.initial(), rain=1.0)
    assert asyncio.run(go()) == made.tell(state, answer.id, "sun")


@pytest.mark.parametrize("cell", ["reflective", "full_history", "zero_shot"])
@pytest.mark.parametrize("lm", [pure_lm, hostile_lm])
def test_freeze_and_thaw(cell: str, lm: Any) -> None:
    made = program(cell=cell)
    made.set_lm(lm())
    answers, state = asked(made, 3)
    state = made.tell(state, answers[1].id, "rain")
    frozen = made.freeze(state)
    other = program(cell=cell)
    other.set_lm(lm())
    assert other.thaw(frozen) == state
    assert json.loads(frozen)["t"] == 3
    assert other.tell(other.thaw(frozen), answers[2].id, "sun") == made.tell(state, answers[2].id, "sun")


@pytest.mark.parametrize(
    ("delay", "times"),
    [
        (rnnprog.Label(delay=2), [None] * 4),
        (rnnprog.Label(delay=1.5, by="time"), [0, 1, 2, 3]),
        (rnnprog.Label(delay=timedelta(days=2)), ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"]),
        (rnnprog.Label(delay=timedelta(hours=30)), [f"2024-05-0{d}T12:00:00+02:00" for d in range(1, 5)]),
    ],
    ids=["steps", "numbers", "dates", "zoned"],
)
def test_freeze_and_thaw_between_the_steps_of_a_delayed_walk(delay: Any, times: list[Any]) -> None:
    made = program(feedback=delay)
    steps = [
        rnnprog.Step(inputs={"rain": float(t)}, target={"tomorrow": LABELS[t % 2]}, time=time)
        for t, time in enumerate(times)
    ]
    whole = made(steps=steps)
    state = made.initial()
    for step in steps:
        out = made(steps=[step], state=made.thaw(made.freeze(state)))
        state = out.state
    assert state == whole.state
    assert state.pending, "the test needs something pending"
    assert all(isinstance(p.due, (int, float, datetime)) for _, p in state.pending)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"sequence": "0"}', '{"pending": 3}', "x" * 50])
def test_a_text_that_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(rnnprog.DataError, match="frozen state"):
        program().thaw(text)


def test_concurrent_sequences_do_not_mix() -> None:
    made = program(cell="reflective")
    alone = {}
    for name in "abc":
        answers, state = asked(made, 2, name)
        alone[name] = made.tell(made.tell(state, answers[1].id, "sun"), answers[0].id, "rain")
    states = {name: made.initial(name) for name in "abc"}
    ids: dict[str, list[str]] = {name: [] for name in "abc"}
    for t, name in itertools.product(range(2), "cab"):
        answer, states[name] = made.ask(states[name], rain=float(t))
        ids[name].append(answer.id)
    for k, name in itertools.product((1, 0), "bca"):
        states[name] = made.tell(states[name], ids[name][k], ("rain", "sun")[k])
    assert states == alone


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(rnnprog.ConfigurationError, match="empty"):
        program().initial("")


def test_start_from_a_given_memory() -> None:
    made = program(cell="reflective")
    state = made.initial(memory="## Rules to apply next\n- Grey means rain.")
    assert "Grey means rain." in state.carry.render()
    with pytest.raises(rnnprog.ConfigurationError, match="budget"):
        made.initial(memory="## Rules to apply next\n- " + "very " * 2000)
    with pytest.raises(rnnprog.MemoryFormatError):
        made.initial(memory="no heading at all")
    with pytest.raises(rnnprog.ConfigurationError, match="zero_shot"):
        program(cell="zero_shot").initial(memory="x")
    with pytest.raises(rnnprog.ConfigurationError, match="not both"):
        made(steps=[{"rain": 1.0}], memory="x", state=state)
