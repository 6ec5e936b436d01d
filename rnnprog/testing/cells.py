"""The promises that every cell makes, as checks to run on one of your own."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from rnnprog.cells.base import Answer, Cell, Learned
from rnnprog.errors import ConfigurationError, RnnprogError
from rnnprog.steps import StepLike, as_steps
from rnnprog.testing.by_hand import MakeCell, carries_of, dumped, experience_of, ready, told_by, walked_by
from rnnprog.testing.contract import ensure, example_steps, same_json
from rnnprog.testing.models import hostile_lm, pure_lm
from rnnprog.trace import Step

__all__ = ["CELL_CHECKS", "check_cell"]

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
    cell = ready(make)
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
        learned = cell.learn(carry, experience_of(cell, t, step, answer))
        ensure(isinstance(learned, Learned), "answers_are_typed", f"learn returned a {type(learned).__name__}")
        carry = learned.carry


def predicting_keeps_the_carry(make: MakeCell, steps: list[Step]) -> None:
    """``predict`` changes neither the carry nor what is predicted from it next."""
    cell = ready(make)
    for carry in carries_of(cell, steps):
        before = dumped(cell, carry)
        first = cell.predict(carry, steps[0].inputs).outputs
        ensure(
            dumped(cell, carry) == before, "predicting_keeps_the_carry", "predict changed the carry that it was given"
        )
        again = cell.predict(carry, steps[0].inputs).outputs
        ensure(first == again, "predicting_keeps_the_carry", f"asked twice, {first} became {again}: predict learned")


def learning_makes_a_new_carry(make: MakeCell, steps: list[Step]) -> None:
    """``learn`` never changes the carry that it is given, and returns that very object if nothing changed."""
    cell = ready(make)
    carry = cell.initial()
    for t, step in enumerate(steps):
        before = dumped(cell, carry)
        learned = cell.learn(carry, experience_of(cell, t, step, cell.predict(carry, step.inputs)))
        ensure(dumped(cell, carry) == before, "learning_makes_a_new_carry", "learn changed the carry that it was given")
        if dumped(cell, learned.carry) == before:
            ensure(
                learned.carry is carry,
                "learning_makes_a_new_carry",
                "nothing changed, but another object was returned; return the carry itself, so that no version is made",
            )
        carry = learned.carry


def carries_survive_json(make: MakeCell, steps: list[Step]) -> None:
    """Dump and load is exact: same JSON, same digest, same answers."""
    cell = ready(make)
    for carry in carries_of(cell, steps):
        loaded = cell.load_carry(json.loads(dumped(cell, carry)))
        ensure(
            dumped(cell, loaded) == dumped(cell, carry), "carries_survive_json", "dump, load, dump gave another text"
        )
        ensure(cell.digest(loaded) == cell.digest(carry), "carries_survive_json", "the loaded carry has another digest")
        one, other = (cell.predict(c, steps[-1].inputs).outputs for c in (carry, loaded))
        ensure(one == other, "carries_survive_json", f"the loaded carry answers {other} instead of {one}")


def digests_name_versions(make: MakeCell, steps: list[Step]) -> None:
    """Equal carries have equal digests, different ones different digests, in any process."""
    one, other = ready(make), ready(make)
    names: dict[str, str] = {}
    for mine, theirs in zip(carries_of(one, steps), carries_of(other, steps), strict=True):
        ensure(one.digest(mine) == other.digest(theirs), "digests_name_versions", "equal carries got different digests")
        known = names.setdefault(one.digest(mine), dumped(one, mine))
        ensure(known == dumped(one, mine), "digests_name_versions", "different carries got the same digest")


def sync_equals_async(make: MakeCell, steps: list[Step]) -> None:
    """The awaited verbs give what the plain ones give."""

    async def walked(cell: Cell) -> list[Any]:
        carry, seen = cell.initial(), []
        for t, step in enumerate(steps):
            answer = await cell.apredict(carry, step.inputs)
            carry = (await cell.alearn(carry, experience_of(cell, t, step, answer))).carry
            seen.append((answer.outputs, dumped(cell, carry)))
        return seen

    plain, awaited = walked_by(ready(make), steps), asyncio.run(walked(ready(make)))
    ensure(plain == awaited, "sync_equals_async", "predict/learn and apredict/alearn disagree")


def walks_are_repeatable(make: MakeCell, steps: list[Step]) -> None:
    """The same steps give the same answers, from a fresh cell and from one that walked before."""
    used = ready(make)
    first = walked_by(used, steps)
    ensure(first == walked_by(ready(make), steps), "walks_are_repeatable", "a fresh cell walks another way: seed it")
    ensure(first == walked_by(used, steps), "walks_are_repeatable", "a second walk differs: state was kept on the cell")


def sequences_do_not_mix(make: MakeCell, steps: list[Step]) -> None:
    """Two sequences that take turns on one cell go as each goes alone."""
    alone = [walked_by(ready(make), part) for part in (steps, steps[::-1])]
    cell = ready(make)
    carries = [cell.initial(), cell.initial()]
    seen: list[list[Any]] = [[], []]
    for t, pair in enumerate(zip(steps, steps[::-1], strict=True)):
        for k, step in enumerate(pair):
            answer = cell.predict(carries[k], step.inputs)
            carries[k] = cell.learn(carries[k], experience_of(cell, t, step, answer)).carry
            seen[k].append((answer.outputs, dumped(cell, carries[k])))
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
                learned = cell.learn(carry, experience_of(cell, t, step, answer))
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
            dumped(cell, learned.carry)
            carry = learned.carry


def copies_and_saved_states_walk_alike(make: MakeCell, steps: list[Step]) -> None:
    """A deep copy, and a fresh cell with the saved state, walk as the original does."""
    cell = ready(make)
    expected = walked_by(cell, steps)
    for what, other in (("a deep copy", copy.deepcopy(cell)), ("dspy's copy", cell.deepcopy())):
        ensure(walked_by(other, steps) == expected, "copies_and_saved_states_walk_alike", f"{what} walks another way")
    loaded = make()
    loaded.load_state(json.loads(json.dumps(cell.dump_state())), allow_unsafe_lm_state=True)
    loaded.set_lm(pure_lm())
    ensure(
        walked_by(loaded, steps) == expected,
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
            kept, killed = (told_by(make, told, late=late, killed=killed) for killed in (False, True))
        except ConfigurationError as error:
            ensure(False, "notes_survive", str(error))
        ensure(
            kept == killed,
            "notes_survive",
            f"a fresh cell that goes on from a saved state, {'last step first' if late else 'step by step'}, learns "
            "something else: what learning must know of its prediction belongs in Answer.note",
        )
    cell = ready(make)
    carry = cell.initial()
    for t, step in enumerate(steps):
        experience = replace(experience_of(cell, t, step, cell.predict(carry, step.inputs)), note=None)
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
