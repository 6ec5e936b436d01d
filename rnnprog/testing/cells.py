"""The promises that every cell makes, as checks to run on one of your own."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from rnnprog.cells.base import Answer, Cell, Experience, Learned
from rnnprog.errors import ConfigurationError, RnnprogError
from rnnprog.feedback import label_feedback
from rnnprog.module import RecurrentModule
from rnnprog.state import State
from rnnprog.steps import StepLike, as_steps
from rnnprog.testing.contract import ensure, example_steps, same_json
from rnnprog.testing.models import hostile_lm, pure_lm
from rnnprog.trace import Step

__all__ = ["CELL_CHECKS", "check_cell"]

MakeCell = Callable[[], Cell]
Check = Callable[[MakeCell, list[Step]], None]


def check_cell(make: MakeCell, steps: Iterable[StepLike] | None = None) -> None:
    """Run every check of the cell contract; no model is needed.

    Use it in the tests of a cell of your own.

    Args:
        make: returns a fresh cell each time, always configured alike.
        steps: labelled steps of the cell's task; made up from the task's types if left out.

    Raises:
        ContractError: naming the promise that is broken.

    Example:
        >>> from rnnprog.cells import ZeroShot
        >>> check_cell(lambda: ZeroShot("rain: float -> tomorrow: Literal['sun', 'rain']"))
    """
    task = make().task
    read = example_steps(task) if steps is None else as_steps(task, steps)
    for check in CELL_CHECKS:
        check(make, read)


def answers_are_typed(make: MakeCell, steps: list[Step]) -> None:
    """``predict`` returns an Answer with typed outputs or a failure, ``learn`` returns a Learned."""
    cell = _ready(make)
    carry = cell.initial()
    for t, step in enumerate(steps):
        answer = cell.predict(carry, step.inputs)
        ensure(isinstance(answer, Answer), "answers_are_typed", f"predict returned a {type(answer).__name__}")
        if answer.outputs is None:
            ensure(answer.failure is not None, "answers_are_typed", "no outputs, and no failure that says why")
        else:
            typed = cell.task.validate(answer.outputs)
            ensure(
                same_json(typed, answer.outputs),
                "answers_are_typed",
                f"the outputs {answer.outputs} are not typed as the task says; pass them through task.validate",
            )
        learned = cell.learn(carry, _experience(cell, t, step, answer))
        ensure(isinstance(learned, Learned), "answers_are_typed", f"learn returned a {type(learned).__name__}")
        carry = learned.carry


def predicting_keeps_the_carry(make: MakeCell, steps: list[Step]) -> None:
    """``predict`` changes neither the carry nor what is predicted from it next."""
    cell = _ready(make)
    for carry in _carries(cell, steps):
        before = _dumped(cell, carry)
        first = cell.predict(carry, steps[0].inputs).outputs
        ensure(
            _dumped(cell, carry) == before, "predicting_keeps_the_carry", "predict changed the carry that it was given"
        )
        again = cell.predict(carry, steps[0].inputs).outputs
        ensure(first == again, "predicting_keeps_the_carry", f"asked twice, {first} became {again}: predict learned")


def learning_makes_a_new_carry(make: MakeCell, steps: list[Step]) -> None:
    """``learn`` never changes the carry that it is given, and returns that very object if nothing changed."""
    cell = _ready(make)
    carry = cell.initial()
    for t, step in enumerate(steps):
        before = _dumped(cell, carry)
        learned = cell.learn(carry, _experience(cell, t, step, cell.predict(carry, step.inputs)))
        ensure(
            _dumped(cell, carry) == before, "learning_makes_a_new_carry", "learn changed the carry that it was given"
        )
        if _dumped(cell, learned.carry) == before:
            ensure(
                learned.carry is carry,
                "learning_makes_a_new_carry",
                "nothing changed, but another object was returned; return the carry itself, so that no version is made",
            )
        carry = learned.carry


def carries_survive_json(make: MakeCell, steps: list[Step]) -> None:
    """Dump and load is exact: same JSON, same digest, same answers."""
    cell = _ready(make)
    for carry in _carries(cell, steps):
        loaded = cell.load_carry(json.loads(_dumped(cell, carry)))
        ensure(
            _dumped(cell, loaded) == _dumped(cell, carry), "carries_survive_json", "dump, load, dump gave another text"
        )
        ensure(cell.digest(loaded) == cell.digest(carry), "carries_survive_json", "the loaded carry has another digest")
        one, other = (cell.predict(c, steps[-1].inputs).outputs for c in (carry, loaded))
        ensure(one == other, "carries_survive_json", f"the loaded carry answers {other} instead of {one}")


def digests_name_versions(make: MakeCell, steps: list[Step]) -> None:
    """Equal carries have equal digests, different ones different digests, in any process."""
    one, other = _ready(make), _ready(make)
    names: dict[str, str] = {}
    for mine, theirs in zip(_carries(one, steps), _carries(other, steps), strict=True):
        ensure(one.digest(mine) == other.digest(theirs), "digests_name_versions", "equal carries got different digests")
        known = names.setdefault(one.digest(mine), _dumped(one, mine))
        ensure(known == _dumped(one, mine), "digests_name_versions", "different carries got the same digest")


def sync_equals_async(make: MakeCell, steps: list[Step]) -> None:
    """The awaited verbs give what the plain ones give."""

    async def walked(cell: Cell) -> list[Any]:
        carry, seen = cell.initial(), []
        for t, step in enumerate(steps):
            answer = await cell.apredict(carry, step.inputs)
            carry = (await cell.alearn(carry, _experience(cell, t, step, answer))).carry
            seen.append((answer.outputs, _dumped(cell, carry)))
        return seen

    plain, awaited = _walked(_ready(make), steps), asyncio.run(walked(_ready(make)))
    ensure(plain == awaited, "sync_equals_async", "predict/learn and apredict/alearn disagree")


def walks_are_repeatable(make: MakeCell, steps: list[Step]) -> None:
    """The same steps give the same answers, from a fresh cell and from one that walked before."""
    used = _ready(make)
    first = _walked(used, steps)
    ensure(first == _walked(_ready(make), steps), "walks_are_repeatable", "a fresh cell walks another way: seed it")
    ensure(first == _walked(used, steps), "walks_are_repeatable", "a second walk differs: state was kept on the cell")


def sequences_do_not_mix(make: MakeCell, steps: list[Step]) -> None:
    """Two sequences that take turns on one cell go as each goes alone."""
    alone = [_walked(_ready(make), part) for part in (steps, steps[::-1])]
    cell = _ready(make)
    carries = [cell.initial(), cell.initial()]
    seen: list[list[Any]] = [[], []]
    for t, pair in enumerate(zip(steps, steps[::-1], strict=True)):
        for k, step in enumerate(pair):
            answer = cell.predict(carries[k], step.inputs)
            carries[k] = cell.learn(carries[k], _experience(cell, t, step, answer)).carry
            seen[k].append((answer.outputs, _dumped(cell, carries[k])))
    ensure(
        seen == alone, "sequences_do_not_mix", "two sequences on one cell influence each other: state is on the cell"
    )


def bad_models_are_survived(make: MakeCell, steps: list[Step]) -> None:
    """Whatever the model returns, there is an answer or a failure; a failed update keeps the carry."""
    for seed in range(4):
        cell = make()
        cell.set_lm(hostile_lm(seed))
        carry = cell.initial()
        for t, step in enumerate(steps):
            try:
                answer = cell.predict(carry, step.inputs)
                learned = cell.learn(carry, _experience(cell, t, step, answer))
            except RnnprogError:
                raise
            except Exception as error:
                ensure(
                    False,
                    "bad_models_are_survived",
                    f"a bad answer of the model raised {type(error).__name__}: {error}; return a Failure instead",
                )
            ensure(
                (answer.outputs is None) == (answer.failure is not None),
                "bad_models_are_survived",
                "an answer has either outputs or a failure",
            )
            if learned.failure is not None:
                ensure(
                    learned.carry is carry, "bad_models_are_survived", "a failed update must return the carry itself"
                )
            _dumped(cell, learned.carry)
            carry = learned.carry


def copies_and_saved_states_walk_alike(make: MakeCell, steps: list[Step]) -> None:
    """A deep copy, and a fresh cell with the saved state, walk as the original does."""
    cell = _ready(make)
    expected = _walked(cell, steps)
    for what, other in (("a deep copy", copy.deepcopy(cell)), ("dspy's copy", cell.deepcopy())):
        ensure(_walked(other, steps) == expected, "copies_and_saved_states_walk_alike", f"{what} walks another way")
    loaded = make()
    loaded.load_state(json.loads(json.dumps(cell.dump_state())), allow_unsafe_lm_state=True)
    loaded.set_lm(pure_lm())
    ensure(
        _walked(loaded, steps) == expected,
        "copies_and_saved_states_walk_alike",
        "a fresh cell with the saved state walks another way; keep settings in a rnnprog.cells.parameters.SettingsBox",
    )


def descriptions_are_json(make: MakeCell, steps: list[Step]) -> None:
    """``describe`` is JSON and the same for cells made alike."""
    try:
        same = same_json(make().describe(), make().describe())
    except (TypeError, ValueError) as error:
        ensure(False, "descriptions_are_json", f"describe() cannot be written as JSON: {error}")
    ensure(same, "descriptions_are_json", "two cells made alike describe themselves differently")


def notes_survive(make: MakeCell, steps: list[Step]) -> None:
    """What ``predict`` notes is JSON and all that ``learn`` knows of it: late, out of order, in another process."""
    told = [step for step in steps if step.target is not None]
    for late in (False, True):
        try:
            kept, killed = (_told_by(make, told, late=late, killed=killed) for killed in (False, True))
        except ConfigurationError as error:
            ensure(False, "notes_survive", str(error))
        ensure(
            kept == killed,
            "notes_survive",
            f"a fresh cell that goes on from a saved state, {'last step first' if late else 'step by step'}, learns "
            "something else: what learning must know of its prediction belongs in Answer.note",
        )
    cell = _ready(make)
    carry = cell.initial()
    for t, step in enumerate(steps):
        experience = replace(_experience(cell, t, step, cell.predict(carry, step.inputs)), note=None)
        try:
            cell.learn(carry, experience)
        except (TypeError, KeyError, AttributeError, AssertionError) as error:
            ensure(False, "notes_survive", f"learning without a note, as from an old file, raised {error!r}")


CELL_CHECKS: tuple[Check, ...] = (
    answers_are_typed,
    predicting_keeps_the_carry,
    learning_makes_a_new_carry,
    carries_survive_json,
    digests_name_versions,
    sync_equals_async,
    walks_are_repeatable,
    sequences_do_not_mix,
    bad_models_are_survived,
    copies_and_saved_states_walk_alike,
    descriptions_are_json,
    notes_survive,
)
"""All checks, in the order in which they are run."""


def _ready(make: MakeCell) -> Cell:
    cell = make()
    cell.set_lm(pure_lm())
    return cell


def _experience(cell: Cell, t: int, step: Step, answer: Answer) -> Experience:
    evidence = None if step.target is None else label_feedback(cell.task, answer.outputs, step.target)
    return Experience(f"0:{t}", t, step.inputs, answer.outputs, evidence, note=answer.note)


def _told_by(make: MakeCell, steps: list[Step], *, late: bool, killed: bool) -> list[str]:
    """Ask and tell through a module; ``killed`` saves the state before each learning and goes on with a fresh cell."""

    def told(program: RecurrentModule, state: State, id: str, step: Step) -> State:
        if killed:
            fresh = RecurrentModule(_ready(make))
            program, state = fresh, fresh.thaw(program.freeze(state))
        return program.tell(state, id, step.target)

    program = RecurrentModule(_ready(make))
    state, waiting, seen = program.initial(), list[tuple[str, Step]](), list[str]()
    for step in steps:
        asked, state = program.ask(state, **step.inputs)
        waiting.append((asked.id, step))
        if not late:
            state = told(program, state, *waiting.pop())
            seen.append(_dumped(program.cell, state.carry))
    for id, step in reversed(waiting):
        state = told(program, state, id, step)
        seen.append(_dumped(program.cell, state.carry))
    return seen


def _dumped(cell: Cell, carry: Any) -> str:
    return json.dumps(cell.dump_carry(carry), sort_keys=True)


def _carries(cell: Cell, steps: list[Step]) -> list[Any]:
    carries = [cell.initial()]
    for t, step in enumerate(steps):
        answer = cell.predict(carries[-1], step.inputs)
        carries.append(cell.learn(carries[-1], _experience(cell, t, step, answer)).carry)
    return carries


def _walked(cell: Cell, steps: list[Step]) -> list[Any]:
    carry, seen = cell.initial(), []
    for t, step in enumerate(steps):
        answer = cell.predict(carry, step.inputs)
        carry = cell.learn(carry, _experience(cell, t, step, answer)).carry
        seen.append((answer.outputs, _dumped(cell, carry)))
    return seen
