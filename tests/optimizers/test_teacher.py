from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy
import pytest

import rnnprog
from rnnprog.errors import ConfigurationError
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Budget, Candidate, Demos, GepaTuner, Objective, OptunaTuner, Schedule, Space
from rnnprog.optimizers.planted import best_instructions, planted_lm, planted_program, planted_sequences
from rnnprog.schema import MemorySchema, SectionSpec

SEQUENCES = planted_sequences(8, steps=6)
SPACE = Space(parts=(Demos(sets=2, size=2),))


@pytest.fixture
def teacher(student: RecurrentModule) -> Any:
    program: Any = Candidate(instructions=best_instructions()).apply(student)
    return program


def tuner(**given: Any) -> OptunaTuner:
    schedule = Schedule(trials=3, rounds=1, walks=2, concurrency=1)
    return OptunaTuner(
        "accuracy", study_name="taught", **{"space": SPACE, "folder": None, "schedule": schedule, **given}
    )


def demos_of(program: Any) -> list[dict[str, Any]]:
    return [dict(row["candidate"].demos) for row in program.candidate_programs if row["candidate"].demos]


def test_worked_examples_are_cut_from_the_teachers_walks(
    student: RecurrentModule, teacher: Any, tmp_path: Path
) -> None:
    log = tmp_path / "teaching"
    teacher.set_lm(planted_lm(log=log))
    before = teacher.dump_state()
    given = {"storage": str(tmp_path / "study"), "pruner": "none"}
    program: Any = tuner(**given).compile(student, trainset=SEQUENCES[:2], valset=SEQUENCES[2:5], teacher=teacher)
    walks = program.ledger.of("walk")
    taught = [entry for entry in walks if entry.candidate.startswith("teacher-")]
    assert {entry.sequence for entry in taught} == {sequence.id for sequence in SEQUENCES[:2]}
    assert sum(entry.calls for entry in taught) == len(log.read_text().splitlines()) > 0
    shown = {demo["new_memory"] for demos in demos_of(program) for demo in demos["rewriter"]}
    made = {
        rnnprog.Memory.model_validate(update.carry).render()
        for sequence in SEQUENCES[:2]
        for update in teacher(steps=sequence.steps).trace.updates
        if update.carry is not None
    }
    own = {
        rnnprog.Memory.model_validate(update.carry).render()
        for sequence in SEQUENCES[:2]
        for update in student(steps=sequence.steps).trace.updates
        if update.carry is not None
    }
    assert shown
    assert shown <= made
    assert not shown & own, "the student's own walks would have given other examples"
    assert teacher.dump_state() == before

    calls = len(log.read_text().splitlines())
    again: Any = tuner(**given).compile(student, trainset=SEQUENCES[:2], valset=SEQUENCES[2:5], teacher=teacher)
    assert len(log.read_text().splitlines()) == calls, "a resumed search walks no teacher twice"
    assert again.ledger.spent == program.ledger.spent
    with pytest.raises(ConfigurationError, match="something else: teacher differ"):
        tuner(**given).compile(student, trainset=SEQUENCES[:2], valset=SEQUENCES[2:5])


def test_the_teacher_is_paid_for_from_the_budget(student: RecurrentModule, teacher: Any, tmp_path: Path) -> None:
    log = tmp_path / "all"
    for program in (student, teacher):
        program.set_lm(planted_lm(log=log))
    found: Any = tuner(budget=Budget(calls=100), storage="memory").compile(
        student, trainset=SEQUENCES[:2], valset=SEQUENCES[2:5], teacher=teacher
    )
    assert len(log.read_text().splitlines()) == found.ledger.spent.calls <= 100


def other_layout() -> RecurrentModule:
    layout = MemorySchema(sections=(SectionSpec(key="notes", title="Notes"),))
    return RecurrentModule(planted_program().cell.task, layout=layout)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: dspy.Predict("a -> b"), "no reflective cell"),
        (lambda: RecurrentModule("rain -> tomorrow"), "give one of the same task"),
        (other_layout, "under other headings"),
        (lambda: ["one", "two"], "got a list"),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused(student: RecurrentModule, make: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        tuner().compile(student, trainset=SEQUENCES[:2], valset=SEQUENCES[2:], teacher=make())


def test_a_wordier_teachers_notes_are_no_example_for_a_small_budget(teacher: Any) -> None:
    from rnnprog.optimizers.demos import cut_demos

    small: Any = Candidate(settings={"budget": 26}).apply(teacher)
    walk = teacher(steps=SEQUENCES[0].steps).trace
    assert [cut_demos(walk, t, teacher.cell) for t in range(len(walk))].count(None) < len(walk)
    assert [cut_demos(walk, t, small.cell) for t in range(len(walk))] == [None] * len(walk)


def test_gepa_refuses_a_teacher_and_says_who_takes_one(student: RecurrentModule, teacher: Any) -> None:
    with pytest.raises(ConfigurationError, match="give it to OptunaTuner"):
        GepaTuner(Objective("accuracy")).compile(student, trainset=SEQUENCES, teacher=teacher)
