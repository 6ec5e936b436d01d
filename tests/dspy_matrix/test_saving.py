"""Saving and loading, alone and inside a larger program; files of older and newer versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest

import rnnprog
from rnnprog.testing.models import pure_lm

Steps = list[dict[str, Any]]


class Outer(dspy.Module):
    """A larger program with ours inside."""

    def __init__(self, inner: rnnprog.RecurrentModule) -> None:
        super().__init__()
        self.inner = inner
        self.summarise = dspy.Predict("answers: list[str] -> summary: str")

    def forward(self, steps: Steps) -> dspy.Prediction:
        out = self.inner(steps=steps)
        said = self.summarise(answers=[str(o) for o in out.outputs])
        return dspy.Prediction(summary=said.summary, trace=out.trace)


def taught(program: rnnprog.RecurrentModule) -> rnnprog.RecurrentModule:
    """Give a program everything that an optimizer may give it."""
    cell: Any = program.cell
    cell.predictor.signature = cell.predictor.signature.with_instructions("Look at the sky, then answer.")
    cell.predictor.demos = [dspy.Example(memory="m", rain=1.0, sky="blue", tomorrow="sun").toDict()]
    cell.initial_memory.learned = cell.settings.value.layout.parse("Rules to apply next\n- Blue means sun.").memory
    return program


def built(task: str, **settings: Any) -> rnnprog.RecurrentModule:
    return rnnprog.RecurrentModule(task, **settings)


def test_json_save_and_load(task: str, steps: Steps, tmp_path: Path) -> None:
    program = taught(built(task, budget=150, gate=rnnprog.OnError(), placement="system"))
    program.save(tmp_path / "program.json")
    other: Any = built(task)
    other.load(tmp_path / "program.json")
    assert other.cell.settings.value == program.cell.settings.value
    assert "Blue means sun." in other.initial().carry.render()
    program.set_lm(pure_lm())
    other.set_lm(pure_lm())
    assert other(steps=steps).trace == program(steps=steps).trace


def test_saved_file_holds_a_version_and_no_key(task: str, tmp_path: Path) -> None:
    program = built(task)
    program.set_lm(dspy.LM("openai/gpt-4o-mini", api_key="sk-secret"))
    program.save(tmp_path / "program.json")
    text = (tmp_path / "program.json").read_text()
    assert "sk-secret" not in text
    assert json.loads(text)["cell.settings"]["version"] == 1


def test_pickled_state(task: str, steps: Steps, tmp_path: Path) -> None:
    program = taught(built(task, budget=150))
    program.save(tmp_path / "program.pkl")
    other: Any = built(task)
    other.load(tmp_path / "program.pkl", allow_pickle=True)
    assert other.initial().carry == program.initial().carry


def test_whole_program_save_and_load(task: str, steps: Steps, tmp_path: Path) -> None:
    program = taught(built(task, budget=150))
    program.set_lm(pure_lm())
    program.save(tmp_path / "program", save_program=True)
    other = dspy.load(str(tmp_path / "program"), allow_pickle=True)
    assert other(steps=steps).trace == program(steps=steps).trace


def test_get_lm_after_load(task: str, steps: Steps, tmp_path: Path) -> None:
    program = built(task)
    program.set_lm(pure_lm(seed=4))
    program.save(tmp_path / "program.json")
    other = built(task)
    other.load(tmp_path / "program.json", allow_unsafe_lm_state=True)
    lms = [predictor.lm for _, predictor in other.named_predictors()]
    assert len({id(lm) for lm in lms}) == len(lms), "dspy gives every predictor its own copy"
    assert other.get_lm() is lms[0]
    assert other(steps=steps).trace == program(steps=steps).trace
    best = dspy.BestOfN(module=other, N=2, reward_fn=lambda _args, _prediction: 0.0, threshold=1.0)
    assert len(best(steps=steps).trace) == 3


def test_a_custom_engine_is_refused_by_default(task: str, tmp_path: Path) -> None:
    program = built(task)
    program.set_lm(pure_lm())
    program.save(tmp_path / "program.json")
    with pytest.raises(ValueError, match="allow_unsafe_lm_state"):
        built(task).load(tmp_path / "program.json")


def test_sub_module_of_a_larger_program(task: str, steps: Steps, tmp_path: Path) -> None:
    outer = Outer(taught(built(task, budget=150)))
    assert [name for name, _ in outer.named_predictors()] == [
        "inner.cell.predictor",
        "inner.cell.reflector",
        "inner.cell.rewriter",
        "summarise",
    ]
    outer.save(tmp_path / "outer.json")
    other: Any = Outer(built(task))
    other.load(tmp_path / "outer.json")
    assert other.inner.cell.settings.value.budget == 150
    assert "Blue means sun." in other.inner.initial().carry.render()
    for each in (outer, other):
        each.set_lm(pure_lm())
    assert other(steps=steps).trace == outer(steps=steps).trace


def test_a_compiled_sub_module_is_frozen_by_dspy(task: str) -> None:
    outer = Outer(built(task))
    outer.inner._compiled = True  # as BootstrapFewShot marks it
    assert [name for name, _ in outer.named_predictors()] == ["summarise"]


@pytest.mark.parametrize("missing", ["cell.settings", "cell.initial_memory", "cell.reflector"])
def test_an_older_file_without_a_parameter_loads(task: str, missing: str, caplog: pytest.LogCaptureFixture) -> None:
    state = taught(built(task, budget=150)).dump_state()
    del state[missing]
    other: Any = built(task, budget=180)
    with caplog.at_level("WARNING", logger="rnnprog"):
        other.load_state(state)
    assert missing in caplog.text, "what stays as built is said"
    assert other.cell.settings.value.budget == (180 if missing == "cell.settings" else 150)
    assert other.cell.predictor.signature.instructions == "Look at the sky, then answer."


def test_an_older_file_without_a_parameter_loads_inside_a_larger_program(task: str) -> None:
    state = Outer(taught(built(task, budget=150))).dump_state()
    del state["inner.cell.initial_memory"]
    with pytest.raises(KeyError, match=r"inner\.cell\.initial_memory"):
        Outer(built(task)).load_state(state)  # dspy's own loading of a foreign outer program: pinned, not ours


def test_a_file_with_an_unknown_parameter_is_refused(task: str) -> None:
    program: Any = built(task, budget=180)
    state = taught(built(task, budget=150)).dump_state()
    state["cell.dreamer"] = {}
    with pytest.raises(rnnprog.ConfigurationError, match=r"cell\.dreamer"):
        program.load_state(state)
    assert program.cell.settings.value.budget == 180, "nothing is taken over from a refused file"


def test_a_file_of_another_program_is_refused(task: str) -> None:
    state = dspy.Predict("question -> answer").dump_state()
    with pytest.raises(rnnprog.ConfigurationError):
        built(task).load_state(state)


@pytest.mark.parametrize(
    "other", ["wet: float, sky: str -> tomorrow: str", "rain: float -> tomorrow: str", "a -> b, c"]
)
def test_a_file_of_another_task_is_refused_and_nothing_changes(task: str, other: str, tmp_path: Path) -> None:
    taught(built(task)).save(tmp_path / "program.json")
    made = built(other)
    before = json.dumps(made.dump_state())
    with pytest.raises(
        rnnprog.ConfigurationError, match=r"another task: its cell\.predictor has the fields Memory: Rain"
    ):
        made.load(tmp_path / "program.json")
    assert json.dumps(made.dump_state()) == before


@pytest.mark.parametrize(
    ("box", "changes", "told"),
    [
        ("settings", {"kind": "OtherSettings"}, "OtherSettings"),
        ("settings", {"version": 2}, "layout|version"),
        ("settings", {"version": "two"}, "layout|version"),
        ("settings", {"version": None}, "layout|version"),
        ("initial_memory", {"learned": {"sections": "none"}}, "memory"),
    ],
)
def test_a_state_of_another_program_or_version_is_refused(
    task: str, box: str, changes: dict[str, Any], told: str
) -> None:
    state = built(task).dump_state()
    state[f"cell.{box}"].update(changes)
    with pytest.raises(rnnprog.ConfigurationError, match=told):
        built(task).load_state(state)


@pytest.mark.parametrize("damage", [{"budget": -1}, {"unheard_of": 1}, {"gate": {"kind": "never"}}])
def test_damaged_settings_are_refused_and_nothing_changes(task: str, damage: dict[str, Any]) -> None:
    state = built(task).dump_state()
    state["cell.settings"]["value"].update(damage)
    program: Any = built(task, budget=180)
    with pytest.raises(rnnprog.ConfigurationError):
        program.load_state(state)
    assert program.cell.settings.value.budget == 180


def test_a_memory_given_at_construction_is_not_mixed_into_a_loaded_program(task: str) -> None:
    plain, started = built(task), rnnprog.RecurrentModule(rnnprog.Reflective(task, memory="Rules to apply next\n- x"))
    started.load_state(plain.dump_state())
    assert started.initial() == plain.initial()


@pytest.mark.parametrize("name", ["zero_shot", "full_history"])
def test_settings_of_the_baselines_are_saved(task: str, name: str) -> None:
    program = rnnprog.RecurrentModule(rnnprog.make_cell(name, task, context_budget=321, retries=3))
    other = rnnprog.RecurrentModule(rnnprog.make_cell(name, task))
    other.load_state(program.dump_state())
    assert other.describe() == program.describe()
    cell: Any = other.cell
    assert (cell.settings.value.context_budget, cell.settings.value.retries) == (321, 3)


def test_how_a_program_walks_is_saved_and_where_feedback_comes_from_is_not(task: str, tmp_path: Path) -> None:
    policy = rnnprog.FailurePolicy(on_step="raise", give_up_after=3)
    program = rnnprog.RecurrentModule(
        task, recording=rnnprog.Recording(every=0), failures=policy, learning=False, feedback=rnnprog.Label(delay=2)
    )
    program.save(tmp_path / "program.json")
    other: Any = rnnprog.RecurrentModule(task, feedback=rnnprog.Label(delay=5))
    other.load(tmp_path / "program.json")
    assert (other.recording.every, other.failures, other.learning) == (0, policy, False)
    assert other.feedback.delay == 5
    other.learning = True
    assert other.failures == policy
    assert program.learning is False
    state = json.loads((tmp_path / "program.json").read_text())
    assert state["walking"]["version"] == 1


def test_a_file_from_before_walking_was_saved_loads(task: str, caplog: pytest.LogCaptureFixture) -> None:
    state = built(task, budget=150).dump_state()
    del state["walking"]
    other: Any = rnnprog.RecurrentModule(task, learning=False)
    with caplog.at_level("WARNING", logger="rnnprog"):
        other.load_state(state)
    assert "walking" in caplog.text
    assert other.learning is False
