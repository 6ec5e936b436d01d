from __future__ import annotations

from typing import Any

import dspy
import optuna
import pytest
from dspy.utils.callback import BaseCallback

import rnnprog
from rnnprog.errors import ConfigurationError
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import (
    Candidate,
    Demos,
    Instructions,
    Model,
    Option,
    Setting,
    Space,
    StartMemory,
    Temperature,
    default_space,
)
from rnnprog.optimizers.planted import planted_lm, planted_sequences
from rnnprog.optimizers.sampling import Masked
from rnnprog.optimizers.space import phases_of

EVERYTHING = Space(
    parts=(
        Setting(setting="reflect", values=(True, False)),
        Setting(setting="gate", values=({"kind": "always"}, {"kind": "on_error"}, {"kind": "every", "n": 2})),
        Setting(setting="budget", low=96, high=512, log=True),
        Setting(setting="placement", values=("user", "system")),
        Instructions(phase="predictor", texts=("Answer from the notes, always.",)),
        Instructions(phase="reflector"),
        Demos(per_phase=("predictor", "rewriter")),
        StartMemory(),
        Temperature(phase="predictor", values=(0.0, 0.7)),
        Model(phase="rewriter", names=("student", "large"), when={"reflect": (True,)}),
    )
)


WHETHER = Setting(setting="reflect", values=(True, False))


def fixed(space: Space, params: dict[str, Any], pool: Any = None) -> Candidate:
    return space.suggest(optuna.trial.FixedTrial(params), pool or space.start())


def base(**changes: Any) -> dict[str, Any]:
    params = {
        "reflect": True,
        "gate": '{"kind":"always"}',
        "budget": 128,
        "placement": "user",
        "predictor.instruction": "student",
        "reflector.instruction": "student",
        "demos": "student",
        "start_memory": "student",
        "predictor.temperature": 0.0,
        "rewriter.model": "student",
    }
    return {**params, **changes}


def test_a_space_survives_json() -> None:
    again = Space.model_validate_json(EVERYTHING.model_dump_json())
    assert again == EVERYTHING
    assert again.digest == EVERYTHING.digest
    assert EVERYTHING.without("gate").digest != EVERYTHING.digest


def test_choices_become_a_program(student: RecurrentModule) -> None:
    large = planted_lm(seed=1)
    params = base(
        **{"gate": '{"kind":"every","n":2}', "budget": 200, "placement": "system", "rewriter.model": "large"},
        **{"predictor.instruction": "user-1", "predictor.temperature": 0.7},
    )
    before = student.dump_state()
    program: Any = fixed(EVERYTHING, params).apply(student, {"large": large})
    settings = program.cell.settings.value
    assert (settings.gate.kind, settings.gate.n, settings.budget, settings.placement) == ("every", 2, 200, "system")
    assert program.cell.predictor.signature.instructions == "Answer from the notes, always."
    assert program.cell.predictor.lm.kwargs["temperature"] == 0.7
    assert program.cell.rewriter.lm is large
    assert program.cell.reflector.lm is student.cell.reflector.lm
    assert student.dump_state() == before


def test_the_form_of_the_evidence_is_a_choice(student: RecurrentModule) -> None:
    steps = planted_sequences(1, steps=2)[0].steps
    told = {}
    for form in ("full", "outcome", "verdict"):
        program: Any = Candidate(settings={"evidence": form}).apply(student)
        seen: list[str] = []

        class Listening(BaseCallback):
            def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any], seen: list[str] = seen) -> None:
                seen.append(str(inputs))

        with dspy.context(callbacks=[Listening()]):
            program(steps=steps)
        told[form] = next(prompt for prompt in seen if "## lesson ##" in prompt)
    assert ("The answer was" in told["full"], "The true outcome was" in told["full"]) == (True, True)
    assert ("The answer was" in told["outcome"], "The true outcome was" in told["outcome"]) == (False, True)
    assert ("The answer was" in told["verdict"], "The true outcome was" in told["verdict"]) == (True, False)


def test_what_does_not_matter_is_not_asked_for() -> None:
    params = base(reflect=False)
    for name in ("reflector.instruction", "rewriter.model"):
        del params[name]  # FixedTrial would raise if it were asked for
    assert fixed(EVERYTHING, params).settings["reflect"] is False


def test_demos_are_asked_for_by_phase_only_with_a_set() -> None:
    demo = {"memory": "## Rules\n(empty)", "signal": 1, "station": "A", "colour": "red"}
    value = {"predictor": [demo], "rewriter": [demo]}
    pool = EVERYTHING.start().add([Option(part="demos", label="proposed-1", value=value, origin="proposed")])
    params = base(**{"demos": "proposed-1", "demos.predictor": True, "demos.rewriter": False})
    assert set(fixed(EVERYTHING, params, pool).demos) == {"predictor"}


def test_frozen_parts_stay() -> None:
    space = EVERYTHING.without("reflect", "gate")
    assert "gate" not in space.names
    assert all("reflect" not in part.when for part in space.parts)
    with pytest.raises(ConfigurationError, match="no parts"):
        space.without("gate")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((Instructions(phase="a"), Instructions(phase="a")), "stand twice"),
        ((Instructions(phase="a", when={"b": (1,)}),), "depends on"),
        ((Setting(setting="buget", low=1, high=2),), "no setting is called"),
        (
            (WHETHER, Instructions(phase="a", when={"reflect": ("yes",)})),
            r"'a.instruction' is never asked for: .* 'reflect' being one of \['yes'\], .* only be True, False",
        ),
        (
            (Setting(setting="budget", low=64, high=128), Instructions(phase="a", when={"budget": (512,)})),
            "only be from 64 to 128",
        ),
        ((Instructions(phase="a", proposals=1), Instructions(phase="b", when={"a.instruction": ("x",)})), "proposed-1"),
        ((WHETHER, Instructions(phase="reflector", when={"reflect": (False,)})), "different things at once"),
        (
            (
                WHETHER,
                Instructions(phase="a", when={"reflect": (True,)}),
                Instructions(phase="b", when={"reflect": (False,), "a.instruction": ("student",)}),
            ),
            "'b.instruction' is never asked for: .* 'reflect' to be different",
        ),
    ],
)
def test_spaces_that_cannot_be_are_refused(parts: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Space(parts=parts)


@pytest.mark.parametrize("wrong", [{}, {"values": (1,), "low": 1, "high": 2}, {"low": 3, "high": 2}])
def test_a_setting_has_values_or_a_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="low"):
        Setting(setting="budget", **wrong)


def test_digest_is_of_what_is_changed_not_of_how_it_was_chosen() -> None:
    one = Candidate(instructions={"predictor": "x"}, options={"predictor.instruction": "user-1"})
    other = Candidate(instructions={"predictor": "x"}, options={"predictor.instruction": "proposed-4"})
    assert one.digest == other.digest != Candidate().digest


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (Candidate(instructions={"nobody": "x"}), "has the phases"),
        (Candidate(models={"predictor": "huge"}), "wants the model 'huge'"),
        (Candidate(settings={"budget": 3}), "too small"),
        (Candidate(settings={"budget": "many"}), "cannot be used"),
        (Candidate(start_memory="no heading here"), "cannot be read"),
    ],
)
def test_candidates_that_do_not_fit_say_so(student: RecurrentModule, candidate: Candidate, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        candidate.apply(student)


def test_copies_keep_the_very_model_and_its_history_is_not_copied(student: RecurrentModule) -> None:
    lm = student.get_lm()
    program = Candidate().apply(student)
    assert all(predictor.lm is lm for _, predictor in program.named_predictors())


def test_phases_have_the_shortest_unique_name() -> None:
    class Two(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = rnnprog.RecurrentModule("a -> b")
            self.second = dspy.Predict("b -> c")
            self.third = rnnprog.RecurrentModule("b -> d")

    names = set(phases_of(Two()))
    assert {"second", "first.cell.predictor", "third.cell.rewriter"} <= names
    assert set(default_space(Two()).names) >= {"second.instruction", "demos"}


def test_first_choices_leave_the_student_as_it_is_then_try_the_users(student: RecurrentModule) -> None:
    first, second = EVERYTHING.first(student)
    assert first["budget"] == 128
    assert first["gate"] == '{"kind":"always"}'
    assert second == {**first, "predictor.instruction": "user-1"}


def test_empty_choices_are_never_drawn() -> None:
    space = Space(parts=(Instructions(phase="predictor", texts=("one",), proposals=30),))
    study = optuna.create_study(direction="maximize")
    drawn = set()
    for number in range(40):
        study.sampler = Masked(
            optuna.samplers.TPESampler(seed=number, n_startup_trials=5), space.room(space.start()), 0
        )
        trial = study.ask()
        drawn.add(space.suggest(trial, space.start()).options["predictor.instruction"])
        study.tell(trial, float(number % 3))
    assert drawn == {"student", "user-1"}


def test_a_condition_of_which_one_choice_exists_is_allowed() -> None:
    part = Instructions(phase="a", when={"reflect": (True, "perhaps")})
    assert fixed(Space(parts=(WHETHER, part)), {"reflect": True, "a.instruction": "student"}).options
