from __future__ import annotations

import warnings
from typing import Any

import pytest

from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Candidate, Demos, Option, OptunaTuner, Schedule, Setting, Space, StartMemory
from rnnprog.optimizers.fitting import Fitting
from rnnprog.optimizers.parts import plain
from rnnprog.optimizers.planted import planted_sequences
from rnnprog.schema import DEFAULT_SCHEMA, MemorySchema, SectionSpec

SEQUENCES = planted_sequences(9, steps=3)
OTHER = MemorySchema(sections=(SectionSpec(key="notes", title="Notes"), SectionSpec(key="doubts", title="Doubts")))
LAYOUTS = (DEFAULT_SCHEMA.model_dump(mode="json"), OTHER.model_dump(mode="json"))
LONG = "## Notes\n" + "\n".join(f"- Note number {n} says that the sky was grey on day {n}." for n in range(12))
SPACE = Space(
    parts=(
        StartMemory(texts=("## Notes\n- The first note.", LONG), proposals=4),
        Demos(sets=2),
        Setting(setting="layout", values=LAYOUTS),
        Setting(setting="budget", low=64, high=512),
    )
)


def test_start_memory_is_asked_for_last_and_only_where_it_fits(student: RecurrentModule) -> None:
    fitting = Fitting(SPACE, SPACE.start(), student)
    layouts = [_label(value) for value in LAYOUTS]
    for label, layout, budget, unfit in [
        ("student", layouts[0], 64, False),
        ("user-1", layouts[0], 512, True),
        ("user-1", layouts[1], 64, False),
        ("user-2", layouts[1], 64, True),
        ("user-2", layouts[1], 512, False),
    ]:
        assert fitting.unfit("start_memory", label, {"layout": layout, "budget": budget}) is unfit, (label, budget)


def test_examples_go_with_the_headings_they_were_cut_under(student: RecurrentModule) -> None:
    demo = {"memory": "", "headings": DEFAULT_SCHEMA.describe(), "new_memory": "## Rules"}
    pool = SPACE.start().add([Option(part="demos", label="proposed-1", value={"rewriter": [demo]}, origin="proposed")])
    fitting = Fitting(SPACE, pool, student)
    assert not fitting.unfit("demos", "proposed-1", {"layout": _label(LAYOUTS[0])})
    assert fitting.unfit("demos", "proposed-1", {"layout": _label(LAYOUTS[1])})


def test_a_memory_that_fits_nowhere_fails_by_name_and_is_not_passed_over(student: RecurrentModule) -> None:
    space = SPACE.having(StartMemory(texts=("no heading here",), proposals=0))
    assert not Fitting(space, space.start(), student).unfit("start_memory", "user-1", {"layout": _label(LAYOUTS[1])})


def test_where_settings_are_frozen_nothing_is_unfit(student: RecurrentModule) -> None:
    space = SPACE.without("layout", "budget")
    assert not Fitting(space, space.start(), student).unfit("start_memory", "user-2", {})


def test_users_memories_are_tried_under_their_own_headings(student: RecurrentModule) -> None:
    base, first, second = SPACE.first(student)
    assert base["layout"] == _label(LAYOUTS[0])
    assert first["layout"] == second["layout"] == _label(LAYOUTS[1])


@pytest.mark.parametrize("seed", range(3))
def test_no_trial_fails_for_what_the_space_forbids(student: RecurrentModule, seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        program: Any = OptunaTuner(
            "accuracy",
            space=SPACE,
            schedule=Schedule(trials=16, rounds=2, round_every=5, walks=2, concurrency=1, seed=seed),
            storage="memory",
            folder=None,
            pruner="none",
        ).compile(student, trainset=SEQUENCES[:3], valset=SEQUENCES[3:5])
    logs = list(program.trial_logs.values())
    assert [log.get("error") for log in logs if log["state"] != "complete"] == []
    drawn = [log["params"]["start_memory"] for log in logs]
    assert any(label.startswith("proposed") for label in drawn)
    assert {log["params"]["layout"] for log in logs} == {_label(value) for value in LAYOUTS}
    assert len({log["params"]["budget"] for log in logs}) > 3


def test_the_students_own_memory_gives_way_to_other_headings_and_smaller_budgets(student: RecurrentModule) -> None:
    text = "## Facts and stable patterns\n" + "\n".join(f"- Fact {n} holds on most days." for n in range(10))
    program: Any = Candidate(start_memory=text, settings={"budget": 512}).apply(student)
    assert len(program.cell.initial().items) == 10
    smaller: Any = Candidate(settings={"budget": 60}).apply(program)
    assert 0 < len(smaller.cell.initial().items) < 10
    relaid: Any = Candidate(settings={"layout": LAYOUTS[1]}).apply(program)
    assert relaid.cell.initial() == OTHER.initial()
    assert len(program.cell.initial().items) == 10


def _label(value: Any) -> Any:
    return plain(value)
