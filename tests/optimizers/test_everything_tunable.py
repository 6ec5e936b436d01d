"""The list of what can be tuned: each part changes the program, can be frozen, survives JSON and a saved program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from rnnprog.module import RecurrentModule
from rnnprog.optimizers import (
    Demos,
    Instructions,
    Model,
    Setting,
    Space,
    StartMemory,
    Temperature,
    default_space,
)
from rnnprog.optimizers.parts import Part, plain
from rnnprog.optimizers.planted import planted_lm, planted_program
from rnnprog.schema import MemorySchema, SectionSpec

LAYOUT = MemorySchema(sections=(SectionSpec(key="notes", title="Notes"),)).model_dump(mode="json")
H0 = "## Facts and stable patterns\n- Red is common."
LARGE = planted_lm(seed=9)
Probe = Callable[[Any], Any]


def setting(name: str, value: Any, **more: Any) -> tuple[Setting, Any, Probe]:
    return Setting(setting=name, **more), value, lambda p: p.cell.settings.value.model_dump(mode="json")[name]


LIST: dict[str, tuple[Part, Any, Probe]] = {
    "instruction of predict": (
        Instructions(phase="predictor", texts=("Mine.",)),
        "user-1",
        lambda p: p.cell.predictor.signature.instructions,
    ),
    "instruction of reflect": (
        Instructions(phase="reflector", texts=("Mine.",)),
        "user-1",
        lambda p: p.cell.reflector.signature.instructions,
    ),
    "instruction of rewrite": (
        Instructions(phase="rewriter", texts=("Mine.",)),
        "user-1",
        lambda p: p.cell.rewriter.signature.instructions,
    ),
    "demos of each phase": (
        Demos(given_sets=({phase: [{"memory": "x"}] for phase in ("predictor", "reflector", "rewriter")},)),
        "user-1",
        lambda p: [[dict(demo) for demo in predictor.demos] for _, predictor in p.named_predictors()],
    ),
    "initial memory": (StartMemory(texts=(H0,)), "user-1", lambda p: p.cell.initial().render()),
    "memory schema": setting(
        "layout", LAYOUT, values=(planted_program().cell.settings.value.layout.model_dump(mode="json"), LAYOUT)
    ),
    "memory budget": setting("budget", 77, low=64, high=256),
    "gate": setting("gate", {"kind": "on_error"}, values=({"kind": "always"}, {"kind": "on_error"})),
    "period of the gate": setting(
        "gate", {"kind": "every", "n": 3}, values=({"kind": "always"}, {"kind": "every", "n": 3})
    ),
    "rewriting policy": setting("rewriting", "edits", values=("whole", "edits")),
    "no reflection": setting("reflect", False, values=(True, False)),
    "feedback form": setting("evidence", "verdict", values=("full", "outcome", "verdict")),
    "guard": setting(
        "guard",
        {"checks": []},
        values=(planted_program().cell.settings.value.guard.model_dump(mode="json"), {"checks": []}),
    ),
    "guard's thresholds": setting(
        "guard",
        {"checks": [{"kind": "shrink", "min_ratio": 0.2}]},
        values=({"checks": []}, {"checks": [{"kind": "shrink", "min_ratio": 0.2}]}),
    ),
    "retries": setting("retries", 0, values=(1, 0)),
    "memory placement": setting("placement", "system", values=("user", "system")),
    "temperature": (
        Temperature(phase="rewriter", values=(0.0, 0.9)),
        0.9,
        lambda p: p.cell.rewriter.lm.kwargs.get("temperature"),
    ),
    "model of a role": (
        Model(phase="reflector", names=("student", "large")),
        "large",
        lambda p: p.cell.reflector.lm is LARGE,
    ),
}


def chosen(space: Space, name: str, value: Any) -> Any:
    label = value if name.split(".")[0] in ("demos", "start_memory") or isinstance(value, str) else plain(value)
    trial = optuna.trial.FixedTrial({name: label})
    return space.suggest(trial, space.start())


@pytest.mark.parametrize("what", LIST)
def test_it_is_tunable_frozen_and_saved(student: RecurrentModule, tmp_path: Path, what: str) -> None:
    part, value, probe = LIST[what]
    space = Space(parts=(part,))
    assert Space.model_validate_json(space.model_dump_json()) == space
    before = probe(student)
    candidate = chosen(space, part.name, value)
    program = candidate.apply(student, {"large": LARGE})
    after = probe(program)
    assert after != before
    assert probe(student) == before, "the student is never changed"
    again = type(candidate).model_validate_json(candidate.model_dump_json())
    assert probe(again.apply(student, {"large": LARGE})) == after
    if not isinstance(part, (Temperature, Model)):
        program.save(str(tmp_path / "program.json"))
        loaded = planted_program(budget=128)
        loaded.load(str(tmp_path / "program.json"), allow_unsafe_lm_state=True)
        assert probe(loaded) == after
    frozen = default_space(student).having(part).without(part.name)
    assert part.name not in frozen.names


@pytest.mark.parametrize("what", LIST)
def test_it_can_hang_on_another_choice(what: str) -> None:
    part, value, _ = LIST[what]
    other = Setting(setting="skip_last", values=(True, False))
    space = Space(parts=(other, part.model_copy(update={"when": {"skip_last": (True,)}})))
    left = space.suggest(optuna.trial.FixedTrial({"skip_last": False}), space.start())
    assert left.model_dump(exclude={"options"}) == type(left)(settings={"skip_last": False}).model_dump(
        exclude={"options"}
    )
    label = value if isinstance(part, (Demos, StartMemory)) or isinstance(value, str) else plain(value)
    taken = space.suggest(optuna.trial.FixedTrial({"skip_last": True, part.name: label}), space.start())
    assert taken != left


def test_the_list_names_every_setting_that_bears_on_quality() -> None:
    settings = set(planted_program().cell.settings.value.model_dump())
    listed = {part.setting for part, _, _ in LIST.values() if isinstance(part, Setting)}
    plumbing = {"context_budget", "tokenizer", "learn_without_feedback", "skip_last"}
    assert settings == listed | plumbing
