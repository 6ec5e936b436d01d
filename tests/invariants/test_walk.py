"""The invariants R1 to R12 of the architecture, over every cell, against a model that does its worst."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import rnnprog
import rnnprog.cells.floors
from rnnprog.budget import memory_tokens
from rnnprog.cells.base import Experience
from rnnprog.feedback import label_feedback
from rnnprog.memory import Memory
from rnnprog.testing.models import hostile_lm, pure_lm
from rnnprog.tokens import get_tokenizer
from rnnprog.trace_io import to_lines

TASK = "seen: str -> tomorrow: Literal['sun', 'rain']"
NOT_FOR_THIS_TASK = {"river", "running_mean"}  # a model of its own; numbers only. Both have tests of their own
CELLS = sorted(set(rnnprog.cell_names()) - NOT_FOR_THIS_TASK)
LEARNS_IN_WORDS = ["full_history", "reflective"]
PATIENT = rnnprog.FailurePolicy(give_up_after=10_000)

Pairs = list[tuple[str, str]]
pairs = st.lists(
    st.tuples(st.text(alphabet="abc \n[#é漢", max_size=6), st.sampled_from(["sun", "rain"])), min_size=1, max_size=5
)
seeds = st.integers(0, 10**6)
delays = st.sampled_from([0, 0, 1, 2, 4])
few = settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
every_cell = pytest.mark.parametrize("name", CELLS)


def cell(name: str, task: str = TASK) -> Any:
    return rnnprog.make_cell(name, task, **({"budget": 90} if name == "reflective" else {}))


def program(name: str, seed: int = 0, delay: int = 0, *, hostile: bool = True, **settings: Any) -> Any:
    made = rnnprog.RecurrentModule(cell(name), feedback=rnnprog.Label(delay=delay), failures=PATIENT, **settings)
    made.set_lm(hostile_lm(seed) if hostile else pure_lm(seed=seed))
    return made


def calls_of(made: Any) -> list[Any]:
    lm = made.get_lm()
    return lm.engine.log if lm is not None else []  # floors have no model


def as_steps(drawn: Pairs) -> list[rnnprog.Step]:
    return [
        rnnprog.Step(inputs={"seen": f"{t} {text}"}, target={"tomorrow": label})
        for t, (text, label) in enumerate(drawn)
    ]


@every_cell
@few
@given(drawn=pairs, seed=seeds, delay=delays, data=st.data())
def test_r1_causality(name: str, drawn: Pairs, seed: int, delay: int, data: Any) -> None:
    """Changing inputs or labels from step t on leaves everything before t equal."""
    cut = data.draw(st.integers(0, len(drawn) - 1))
    other = drawn[:cut] + data.draw(pairs)
    one = program(name, seed, delay)(steps=as_steps(drawn)).trace.records
    two = program(name, seed, delay)(steps=as_steps(other)).trace.records
    assert one[:cut] == two[:cut]


@every_cell
@few
@given(drawn=pairs, seed=seeds, delay=delays)
def test_r1_a_label_does_not_reach_its_own_prediction(name: str, drawn: Pairs, seed: int, delay: int) -> None:
    flipped = [*drawn[:-1], (drawn[-1][0], "sun" if drawn[-1][1] == "rain" else "rain")]
    one = program(name, seed, delay)(steps=as_steps(drawn)).trace.records
    two = program(name, seed, delay)(steps=as_steps(flipped)).trace.records
    assert one[:-1] == two[:-1]
    last, changed = one[-1], two[-1]
    assert (last.prediction, last.usage, last.failure, last.before) == (
        changed.prediction,
        changed.usage,
        changed.failure,
        changed.before,
    )


@every_cell
@few
@given(drawn=pairs, seed=seeds, delay=delays, data=st.data())
def test_r2_split(name: str, drawn: Pairs, seed: int, delay: int, data: Any) -> None:
    """Walking a + b equals walking a, then b from the carry left by a, also through a frozen state."""
    steps = as_steps([*drawn, ("x", "sun")])
    cut = data.draw(st.integers(1, len(steps) - 1))
    made = program(name, seed, delay)
    whole = made(steps=steps)
    first = made(steps=steps[:cut])
    thawed = made.thaw(made.freeze(first.state))
    assert thawed == first.state
    second = made(steps=steps[cut:], state=thawed)
    assert first.trace.records + second.trace.records == whole.trace.records
    assert second.state == whole.state


class Spying(rnnprog.Label):
    """The label source, noting how many calls had been made when it gave each label away."""

    def __init__(self, log: list[Any], **delay: Any) -> None:
        super().__init__(**delay)
        self.log, self.given = log, dict[str, int]()

    def giving(self, task: Any, step: rnnprog.Step, outputs: Any) -> Any:
        assert step.target is not None
        self.given[str(step.target["answer"])] = len(self.log)
        return super().giving(task, step, outputs)

    def __deepcopy__(self, _memo: object) -> Spying:
        return self


@every_cell
@few
@given(
    seed=seeds,
    times=st.lists(st.integers(0, 6), min_size=2, max_size=6),
    delay=st.sampled_from([0, 1, 2.5, 4]),
    by=st.sampled_from(["steps", "time"]),
    hostile=st.booleans(),
)
def test_r3_no_leak(name: str, seed: int, times: list[int], delay: float, by: Any, hostile: bool) -> None:
    """The label of a step is in no prompt that is sent before its feedback arrives, in whatever order that is."""
    lm: Any = hostile_lm(seed) if hostile else pure_lm(seed=seed)
    source = Spying(lm.engine.log, delay=delay, by=by)
    made = rnnprog.RecurrentModule(cell(name, "seen: str -> answer: str"), feedback=source, failures=PATIENT)
    made.set_lm(lm)
    steps = [
        rnnprog.Step(inputs={"seen": f"OBS-{t}-"}, target={"answer": f"LABEL-{t}-"}, time=time)
        for t, time in enumerate(times)
    ]
    trace = made(steps=steps).trace
    for t in range(len(times)):
        label = f"LABEL-{t}-"
        here = [i for i, exchange in enumerate(lm.engine.log) if label in exchange.prompt]
        assert all(i >= source.given.get(label, len(lm.engine.log)) for i in here)
        for exchange in lm.engine.log:  # and the promise itself, without trusting the source's bookkeeping
            if "answer" in exchange.outputs and label in exchange.prompt:
                now = max(s for s in range(len(times)) if f"OBS-{s}-" in exchange.prompt)
                clock = (lambda s: s) if by == "steps" else (lambda s: times[s])
                due = clock(t) + delay
                assert now > t
                assert any(clock(s) >= due for s in range(t, now + 1))
    told = {update.of for update in trace.updates}
    assert told == {f"0:{t}" for t in range(len(times))} - set(trace.unanswered)
    if name in LEARNS_IN_WORDS and delay == 0 and not hostile:
        assert any("LABEL-0-" in e.prompt for e in lm.engine.log), "the check must be able to see a label"


@every_cell
@few
@given(drawn=pairs, seed=seeds, delay=delays)
def test_r4_budget(name: str, drawn: Pairs, seed: int, delay: int) -> None:
    """The memory is within its budget after every step, whatever the model returns."""
    made = program(name, seed, delay)
    trace = made(steps=as_steps(drawn)).trace
    carries = [made.cell.load_carry(update.carry) for update in trace.updates if update.carry is not None]
    for carry in [made.cell.load_carry(trace.initial), *carries, made.cell.load_carry(trace.final)]:
        if isinstance(carry, Memory):
            assert memory_tokens(carry, get_tokenizer()) <= made.cell.settings.value.budget
    log = calls_of(made)
    room = 16384 + 4 * 256 + 2000  # the context budget; answer, evidence, critique and draft; the fixed part
    assert all(get_tokenizer().count(exchange.prompt) <= room for exchange in log)


@settings(few, max_examples=25)
@given(written=st.lists(st.text(max_size=400), min_size=1, max_size=3), budget=st.integers(30, 120), data=st.data())
def test_r4_budget_of_any_text(written: list[str], budget: int, data: Any) -> None:
    """The same for any text that a rewriter may write, and no item is ever cut."""

    class Writer(rnnprog.Reflective):  # no name of its own: not registered
        pass

    import dspy

    class Says(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.texts = iter([*written, *written, "Rules to apply next:\n- " + "long " * 300] * 5)

        def forward(self, **_inputs: Any) -> dspy.Prediction:
            heading = data.draw(st.sampled_from(["## Rules to apply next\n", "Facts and stable patterns\n- ", ""]))
            return dspy.Prediction(new_memory=heading + next(self.texts))

    made = rnnprog.Reflective(TASK, budget=budget, reflect=False)
    made.rewriter = Says()
    carry = made.initial()
    for t in range(3):
        feedback = label_feedback(made.task, {"tomorrow": "sun"}, {"tomorrow": "rain"})
        carry = made.learn(carry, Experience(f"0:{t}", t, {"seen": "x"}, {"tomorrow": "sun"}, feedback)).carry
        assert memory_tokens(carry, made.tokenizer) <= budget
        assert made.settings.value.layout.matches(carry)


@every_cell
@pytest.mark.parametrize("history", [{}, {"disable_history": True}], ids=["history", "no history"])
@few
@given(drawn=pairs, seed=seeds, delay=delays)
def test_r5_ledger(name: str, history: dict[str, Any], drawn: Pairs, seed: int, delay: int) -> None:
    """Calls and tokens that the engine itself counted are those in the trace and in the result."""
    import dspy

    made = program(name, seed, delay)
    sequences = [rnnprog.Sequence(id=key, steps=tuple(as_steps(drawn))) for key in "ab"]
    with dspy.context(**history):
        result = rnnprog.run(made, sequences, concurrency=2)
    answered = [e for e in calls_of(made) if e.behaviour != "exception"]
    for usage in (result.usage, rnnprog.trace.add_usage(*(trace.usage for trace in result.traces))):
        assert sum(u.calls for u in usage.values()) == len(answered)
        assert sum(u.prompt_tokens for u in usage.values()) == sum(e.prompt_tokens for e in answered)
        assert sum(u.completion_tokens for u in usage.values()) == sum(e.completion_tokens for e in answered)
    predicted = [e for e in answered if "tomorrow" in e.outputs]
    assert result.usage.get("predictor", rnnprog.Usage()).calls == len(predicted)


def written(name: str) -> str:
    drawn = [("abc", "sun"), ("é漢", "rain"), ("", "rain"), ("[[ ## x", "sun")]
    return "\n".join(to_lines(program(name, 7, 1)(steps=as_steps(drawn)).trace))


def test_r6_determinism() -> None:
    """Equal configuration, equal trace bytes, also in a fresh process with other hash seeds."""
    here = {name: written(name) for name in CELLS}
    assert here == {name: written(name) for name in CELLS}
    script = (
        "import importlib.util, json, sys;"
        f"spec = importlib.util.spec_from_file_location('walks', {str(Path(__file__))!r});"
        "walks = importlib.util.module_from_spec(spec); spec.loader.exec_module(walks);"
        f"print(json.dumps({{name: walks.written(name) for name in {CELLS!r}}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == here


@every_cell
@few
@given(drawn=pairs, seed=seeds, delay=delays)
def test_r7_frozen(name: str, drawn: Pairs, seed: int, delay: int) -> None:
    """With learning off the carry never changes, and no call is made but those that predicting makes."""
    made = program(name, seed, delay, learning=False)
    start = made.initial().carry
    out = made(steps=as_steps(drawn))
    assert out.memory == start
    assert {u.operation for u in out.trace.updates} <= {"frozen"}
    walked = [e.outputs for e in calls_of(made)]
    state = made.initial()
    for step in as_steps(drawn):
        answer, state = made.ask(state, **step.inputs)
        asked = len(calls_of(made))
        assert made.tell(state, answer.id, "sun").carry == start
        assert len(calls_of(made)) == asked
    assert [e.outputs for e in calls_of(made)] == walked * 2


@every_cell
@few
@given(drawn=pairs, seed=seeds, delay=delays)
def test_r8_replay(name: str, drawn: Pairs, seed: int, delay: int, tmp_path: Path) -> None:
    """The trace alone reproduces every carry that a prediction was made from; the JSON round trip is exact."""
    made = program(name, seed, delay)
    seen: list[Any] = []
    predicting = made.cell.predicting

    def spy(carry: Any, inputs: Any) -> Any:
        seen.append(made.cell.dump_carry(carry))
        return predicting(carry, inputs)

    made.cell.predicting = spy
    trace = made(steps=as_steps(drawn)).trace
    assert [trace.carry_before(t) for t in range(len(trace))] == json.loads(json.dumps(seen))
    path = rnnprog.write_traces([trace], tmp_path / "trace.jsonl")
    (read,) = rnnprog.read_traces(path)
    assert read == trace
    assert list(to_lines(read)) == list(to_lines(trace))
    final = made.cell.load_carry(read.final)
    assert made.cell.digest(final) == ([u.digest for u in trace.updates] or [trace.initial_digest])[-1]


@settings(few, max_examples=20)
@example(texts=["a\u2028b\x85c\x0bd\x1ce", "\ud800"])
@given(texts=st.lists(st.text(max_size=8), min_size=1, max_size=3))
def test_r8_any_text_survives_the_file(texts: list[str], tmp_path: Path) -> None:
    made = program("full_history", 1, hostile=False)
    trace = made(steps=[rnnprog.Step(inputs={"seen": text}, target={"tomorrow": "sun"}) for text in texts]).trace
    assert rnnprog.read_traces(rnnprog.write_traces([trace], tmp_path / "t.jsonl")) == [trace]


@every_cell
@few
@given(drawn=pairs, seed=seeds)
def test_r9_delay_zero_is_the_plain_loop(name: str, drawn: Pairs, seed: int) -> None:
    """Delay 0 equals a hand-written predict-then-learn loop."""
    made = program(name, seed)
    out = made(steps=as_steps(drawn))
    hand = cell(name)
    hand.set_lm(hostile_lm(seed))
    carry, answers = hand.initial(), []
    for t, step in enumerate(as_steps(drawn)):
        said = hand.predict(carry, step.inputs)
        answers.append(said.outputs)
        assert step.target is not None
        evidence = label_feedback(hand.task, said.outputs, step.target)
        carry = hand.learn(carry, Experience(f"0:{t}", t, step.inputs, said.outputs, evidence, note=said.note)).carry
    assert answers == out.outputs
    assert carry == out.memory


@pytest.mark.parametrize("name", ["zero_shot", "empty_memory"])
@few
@given(drawn=pairs, seed=seeds, data=st.data())
def test_r10_neutrality(name: str, drawn: Pairs, seed: int, data: Any) -> None:
    """Without a memory the order of the steps does not matter."""
    steps = as_steps(drawn)
    order = data.draw(st.permutations(range(len(steps))))
    made = program(name, seed)
    straight = made(steps=steps).outputs
    assert made(steps=[steps[k] for k in order]).outputs == [straight[k] for k in order]


@every_cell
@few
@given(drawn=pairs, seed=seeds, delay=delays)
def test_r11_equality(name: str, drawn: Pairs, seed: int, delay: int) -> None:
    """Sync and async walks give equal traces."""
    made = program(name, seed, delay)
    awaited = asyncio.run(made.acall(steps=as_steps(drawn)))
    assert list(to_lines(awaited.trace)) == list(to_lines(made(steps=as_steps(drawn)).trace))


@every_cell
@settings(few, max_examples=3)
@given(walks=st.lists(pairs, min_size=2, max_size=6), seed=seeds, delay=delays)
def test_r12_isolation(name: str, walks: list[Pairs], seed: int, delay: int) -> None:
    """Sequences walked together, in threads or as tasks, equal the same sequences walked alone."""
    made = program(name, seed, delay)
    alone = [made(steps=as_steps(drawn), sequence=str(k)).trace for k, drawn in enumerate(walks)]
    sequences = [rnnprog.Sequence(id=str(k), steps=tuple(as_steps(drawn))) for k, drawn in enumerate(walks)]
    assert list(rnnprog.run(made, sequences, concurrency=4).traces) == alone
    with ThreadPoolExecutor(4) as pool:  # bare threads: no dspy context, and none is needed
        bare = list(pool.map(lambda k: made(steps=as_steps(walks[k]), sequence=str(k)).trace, range(len(walks))))
    assert bare == alone

    async def together() -> list[Any]:
        tasks = [made.acall(steps=as_steps(drawn), sequence=str(k)) for k, drawn in enumerate(walks)]
        return [out.trace for out in await asyncio.gather(*tasks)]

    assert asyncio.run(together()) == alone
