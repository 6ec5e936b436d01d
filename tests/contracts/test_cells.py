"""Every registered cell keeps the contract, and each check can fail: a broken cell for each."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import pytest

import rnnprog
import rnnprog.cells.floors
from rnnprog.cells.base import Answer, Cell, Experience, Learned
from rnnprog.testing import CELL_CHECKS, ContractError, check_cell

TASKS = [
    "rain: float -> tomorrow: Literal['sun', 'rain']",
    "sky: str, wind: int -> tomorrow: Literal['sun', 'rain'], mm: float",
    "sky: str -> windy: bool",
    "sky: str -> ranked: list[str]",
    "sky: str -> note: str",
]


def made(name: str, task: str) -> Cell:
    try:
        return rnnprog.make_cell(name, task)
    except rnnprog.ConfigurationError as error:
        pytest.skip(f"not for this task: {error}")


@pytest.mark.parametrize("task", TASKS, ids=["label", "two outputs", "bool", "ranked", "text"])
@pytest.mark.parametrize("name", rnnprog.cell_names())
def test_every_cell_keeps_the_contract(name: str, task: str) -> None:
    made(name, task)
    check_cell(lambda: made(name, task))


@pytest.mark.parametrize("placement", ["user", "system"])
@pytest.mark.parametrize("gate", [rnnprog.Always(), rnnprog.OnError(), rnnprog.EveryN(n=2)])
@pytest.mark.parametrize("reflect", [True, False])
def test_settings_of_the_reflective_cell(placement: Any, gate: Any, reflect: bool) -> None:
    check_cell(lambda: rnnprog.Reflective(TASKS[0], budget=60, placement=placement, gate=gate, reflect=reflect))


class Sound(Cell):
    """Counts labels; the broken cells below each break one promise of it. No ``name``: it is not registered."""

    def __init__(self) -> None:
        super().__init__(rnnprog.signatures.as_task(TASKS[0]))

    def initial(self) -> Any:
        return {"sun": 0, "rain": 0}

    def predicting(self, carry: Any, inputs: Any) -> Any:
        return Answer({"tomorrow": max(sorted(carry), key=carry.__getitem__)})

    def learning(self, carry: Any, experience: Experience) -> Any:
        assert experience.feedback is not None
        assert experience.feedback.target is not None
        label = str(experience.feedback.target["tomorrow"])
        return Learned({**carry, label: carry[label] + 1}, "count")


class UntypedAnswer(Sound):
    def predicting(self, carry: Any, inputs: Any) -> Any:
        return Answer({"tomorrow": " sun"})


class PredictionLearns(Sound):
    def predicting(self, carry: Any, inputs: Any) -> Any:
        carry["sun"] += 1
        return super().predicting(carry, inputs)


class LearningMutates(Sound):
    def learning(self, carry: Any, experience: Experience) -> Any:
        carry["sun"] += 1
        return Learned(carry, "count")


class LearningCopies(Sound):
    def learning(self, carry: Any, experience: Experience) -> Any:
        return Learned(dict(carry), "keep")


class LosesThroughJson(Sound):
    def dump_carry(self, carry: Any) -> Any:
        return {"sun": carry["sun"]}

    def load_carry(self, dumped: Any) -> Any:
        return {**dumped, "rain": 9}


class DigestOfIdentity(Sound):
    def digest(self, carry: Any) -> str:
        return str(id(carry))


class DigestOfNothing(Sound):
    def digest(self, carry: Any) -> str:
        return "same"


class AsyncDiffers(Sound):
    async def apredict(self, carry: Any, inputs: Any) -> Answer:
        return Answer({"tomorrow": "rain"})


class Unseeded(Sound):
    drawn: ClassVar[Any] = itertools.count()

    def learning(self, carry: Any, experience: Experience) -> Any:
        return Learned({**carry, "sun": next(self.drawn)}, "count")


class KeepsState(Sound):
    def initial(self) -> Any:
        self.seen = 0  # reset with each sequence, so that only sequences in turn show it
        return super().initial()

    def learning(self, carry: Any, experience: Experience) -> Any:
        self.seen += 1 if experience.feedback and experience.feedback.target == {"tomorrow": "rain"} else 3
        return Learned({**carry, "sun": self.seen}, "count")


class ModelErrorsEscape(rnnprog.ZeroShot):
    def __init__(self) -> None:
        super().__init__(TASKS[0])

    def predicting(self, carry: Any, inputs: Any) -> Any:
        from rnnprog.effects import Call

        said = yield Call("predictor", self.predictor, inputs)
        return Answer(self.task.validate(said.toDict()))


class ForgetsSettings(Sound):
    made = 0

    def __init__(self) -> None:
        super().__init__()
        self.offset = ForgetsSettings.made

    def __deepcopy__(self, _memo: object) -> ForgetsSettings:
        copied = ForgetsSettings()
        copied.offset = self.offset + 1
        return copied

    def learning(self, carry: Any, experience: Experience) -> Any:
        return Learned({**carry, "sun": carry["sun"] + self.offset + 1}, "count")


class DescribesObjects(Sound):
    def describe(self) -> Any:
        return {"cell": object()}


class KnowsOnlyItself(Sound):
    def predicting(self, carry: Any, inputs: Any) -> Any:
        self.said = super().predicting(carry, inputs)
        return self.said

    def learning(self, carry: Any, experience: Experience) -> Any:
        lost = getattr(self, "said", None) is None  # another process did the predicting
        return Learned({**carry, "sun": carry["sun"] + 1 + lost}, "count")


class NotesASet(Sound):
    def predicting(self, carry: Any, inputs: Any) -> Any:
        return Answer({"tomorrow": "sun"}, note={"sun"})  # type: ignore[arg-type]


class NeedsANote(Sound):
    def predicting(self, carry: Any, inputs: Any) -> Any:
        return Answer({"tomorrow": "sun"}, note={"add": 1})

    def learning(self, carry: Any, experience: Experience) -> Any:
        note: Any = experience.note
        return Learned({**carry, "sun": carry["sun"] + note["add"]}, "count")


BROKEN = {
    UntypedAnswer: "answers_are_typed",
    PredictionLearns: "predicting_keeps_the_carry",
    LearningMutates: "learning_makes_a_new_carry",
    LearningCopies: "learning_makes_a_new_carry",
    LosesThroughJson: "carries_survive_json",
    DigestOfIdentity: "digests_name_versions",
    DigestOfNothing: "digests_name_versions",
    AsyncDiffers: "sync_equals_async",
    Unseeded: "walks_are_repeatable",
    KeepsState: "sequences_do_not_mix",
    ModelErrorsEscape: "bad_models_are_survived",
    ForgetsSettings: "copies_and_saved_states_walk_alike",
    DescribesObjects: "descriptions_are_json",
    KnowsOnlyItself: "notes_survive",
    NotesASet: "notes_survive",
    NeedsANote: "notes_survive",
}


def test_a_sound_cell_passes() -> None:
    check_cell(Sound)


@pytest.mark.parametrize("broken", list(BROKEN), ids=lambda kind: kind.__name__)
def test_a_broken_cell_is_found_out(broken: Any) -> None:
    check = next(check for check in CELL_CHECKS if check.__name__ == BROKEN[broken])
    steps = rnnprog.testing.example_steps(Sound().task)
    with pytest.raises(ContractError, match=BROKEN[broken]):
        check(broken, steps)
    with pytest.raises(ContractError):
        check_cell(broken)


def test_every_check_has_a_broken_cell() -> None:
    assert {check.__name__ for check in CELL_CHECKS} == set(BROKEN.values())


def test_the_name_of_a_cell_can_be_taken_once() -> None:
    with pytest.raises(rnnprog.ConfigurationError, match="taken"):
        type("Impostor", (Sound,), {"name": "reflective", "__module__": __name__})
