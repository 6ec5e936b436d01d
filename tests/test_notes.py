"""A note goes with its answer: through delay, any order, kill and file, to the learning from that very answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rnnprog
from rnnprog.cells.base import Answer, Cell, Experience, Learned
from rnnprog.trace_io import step_line

TASK = "rain: float -> tomorrow: Literal['sun', 'rain']"
files = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Noting(Cell):
    """Notes what it saw with each answer; the carry lists what came back, in the order of learning. Not registered."""

    def __init__(self, note: Any = lambda carry, inputs: {"saw": inputs["rain"], "knew": len(carry)}) -> None:
        super().__init__(rnnprog.signatures.as_task(TASK))
        self.note = note

    def initial(self) -> Any:
        return []

    def predicting(self, carry: Any, inputs: Any) -> Any:
        return Answer({"tomorrow": "sun"}, note=self.note(carry, inputs))

    def learning(self, carry: Any, experience: Experience) -> Any:
        return Learned([*carry, [experience.id, experience.note]], "note")


def program(note: Any = None, **settings: Any) -> rnnprog.RecurrentModule:
    return rnnprog.RecurrentModule(Noting(note) if note is not None else Noting(), **settings)


def steps(count: int) -> list[dict[str, Any]]:
    return [{"rain": float(t), "tomorrow": "rain"} for t in range(count)]


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_a_note_comes_back_with_its_own_experience_however_late(delay: int) -> None:
    out = program(feedback=rnnprog.Label(delay=delay))(steps=steps(6))
    told = [update.of for update in out.trace.updates]
    assert out.memory == [[id, {"saw": float(t), "knew": max(0, t - max(delay - 1, 0))}] for t, id in enumerate(told)]
    assert len(told) == 6 - delay
    assert [p.note["saw"] for _, p in out.state.pending] == [float(t) for t in range(6 - delay, 6)]


def test_where_feedback_arrives_out_of_order_by_time() -> None:
    times = [0, 10, 5, 20]
    given_steps = [
        rnnprog.Step(inputs={"rain": float(t)}, target={"tomorrow": "sun"}, time=time) for t, time in enumerate(times)
    ]
    out = program(feedback=rnnprog.Label(delay=6, by="time"))(steps=given_steps)
    assert out.memory, "something was learned"
    assert all(note["saw"] == float(id.split(":")[1]) for id, note in out.memory)


@files
@given(data=st.data(), count=st.integers(1, 5))
def test_told_in_any_order_by_processes_of_their_own(data: Any, count: int) -> None:
    made, ids = program(), list[str]()
    state = made.initial()
    for t in range(count):
        answer, state = made.ask(state, rain=float(t))
        ids.append(answer.id)
        state = program().thaw(made.freeze(state)) if data.draw(st.booleans()) else state
    order = data.draw(st.permutations(ids))
    for id in order:
        state = program().thaw(program().freeze(state)) if data.draw(st.booleans()) else state
        state = program().tell(state, id, "sun")
    assert state.carry == [[id, {"saw": float(id.split(":")[1]), "knew": 0}] for id in order]


def test_the_walk_hands_on_what_a_file_would_give_back() -> None:
    made = program(lambda carry, inputs: {"pair": (1, 2), 3: "half \ud83d", "far": float("inf")})
    answer, state = made.ask(made.initial(), rain=1.0)
    (_, waiting), plain = state.pending[0], {"pair": [1, 2], "3": "half ?", "far": float("inf")}
    assert waiting.note == plain
    assert made.tell(state, answer.id, "sun") == made.tell(made.thaw(made.freeze(state)), answer.id, "sun")


def test_a_note_stands_in_the_trace_and_its_file_and_none_leaves_no_mark(tmp_path: Path) -> None:
    trace = program()(steps=steps(2)).trace
    assert [record.note for record in trace.records] == [{"saw": 0.0, "knew": 0}, {"saw": 1.0, "knew": 1}]
    assert rnnprog.read_traces(rnnprog.write_traces([trace], tmp_path / "t.jsonl")) == [trace]
    silent = program(lambda carry, inputs: None)(steps=steps(1)).trace
    assert "note" not in json.loads(step_line("0", silent.records[0])), "files without notes are as they were"
    assert silent.final == [["0:0", None]]


def test_states_saved_before_there_were_notes_still_load() -> None:
    made = program()
    answer, state = made.ask(made.initial(), rain=1.0)
    old = json.loads(made.freeze(state))
    del old["pending"][0]["note"]
    assert made.tell(made.thaw(json.dumps(old)), answer.id, "sun").carry == [["0:0", None]]


@pytest.mark.parametrize("note", [{1, 2}, object(), {"memory": b"x"}, {("a", "b"): 1}, 1j])
def test_a_note_that_is_no_json_names_cell_and_value(note: Any) -> None:
    with pytest.raises(rnnprog.ConfigurationError, match=r"the cell 'Noting' attached a note that is not JSON") as told:
        program(lambda carry, inputs: note)(steps=steps(1))
    assert repr(note)[:30] in str(told.value)


def test_a_note_in_a_circle_is_no_json() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(rnnprog.ConfigurationError, match="Circular"):
        program(lambda carry, inputs: circle)(steps=steps(1))


def test_a_frozen_walk_notes_and_learns_nothing() -> None:
    out = program(learning=False)(steps=steps(3))
    assert out.memory == []
    assert [record.note["knew"] for record in out.trace.records] == [0, 0, 0]
