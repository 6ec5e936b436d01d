"""The latent cell under the contract of all cells."""

from __future__ import annotations

import copy
import json

import pytest
import torch

from rnnprog.cells.base import Experience
from rnnprog.feedback import Nobody
from rnnprog.latent.backbone import Backbone
from rnnprog.latent.cell import LatentCell
from rnnprog.latent.errors import BackboneMismatchError, LatentError
from rnnprog.latent.memory import LatentMemory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.spec import Form
from rnnprog.latent.testing import awakened, small
from rnnprog.module import RecurrentModule
from rnnprog.testing import check_cell
from rnnprog.trace import Feedback, Fields

TASK = "said: str, question: str -> answer: str"
STEPS = [
    {"said": "ana: i have a dog at home", "question": "what pet does ana have ?", "answer": "unknown"},
    {"said": "ben: it rains again", "question": "what pet does ana have ?", "answer": "dog"},
    {"said": "ben: i live in paris now", "question": "what city does ben have ?", "answer": "paris"},
]


def cell(backbone: Backbone, name: str = "M.6", form: Form = "repaired", seed: int = 0) -> LatentCell:
    model = awakened(LatentModel(backbone, small(name, form), seed=seed))
    return LatentCell(TASK, LatentMemory(model), max_new_tokens=4)


@pytest.mark.parametrize(("name", "form"), [("M.3", "repaired"), ("M.4", "repaired"), ("M.6", "paper")])
def test_it_keeps_the_contract_of_all_cells(backbone: Backbone, name: str, form: Form) -> None:
    model = awakened(LatentModel(backbone, small(name, form)))
    check_cell(lambda: LatentCell("sky: str -> note: str", LatentMemory(model), max_new_tokens=3))


def test_it_walks_without_any_language_model(backbone: Backbone) -> None:
    got = RecurrentModule(cell(backbone))(steps=STEPS)
    assert len(got.outputs) == 3
    assert all(isinstance(output["answer"], str) for output in got.outputs)
    assert int(got.memory.turns) == 3


def test_predicting_changes_nothing_and_learning_answers_nothing(backbone: Backbone) -> None:
    one = cell(backbone)
    carry = one.learn(one.initial(), Experience("0", 0, {"said": "ana: hello", "question": "q"}, None)).carry
    before = one.digest(carry)
    one.predict(carry, {"said": "", "question": "what pet does ana have ?"})
    assert one.digest(carry) == before
    after = one.learn(carry, Experience("1", 1, {"said": "ana: i have a dog", "question": "q"}, None))
    assert after.operation == "write"
    assert one.digest(after.carry) != before


def test_walking_in_two_parts_equals_walking_at_once(backbone: Backbone) -> None:
    program = RecurrentModule(cell(backbone))
    whole = program(steps=STEPS)
    first = program(steps=STEPS[:2])
    second = program(steps=STEPS[2:], state=first.state)
    assert torch.equal(whole.memory.rows, second.memory.rows)
    assert whole.outputs == [*first.outputs, *second.outputs]


def test_two_walks_give_equal_traces(backbone: Backbone) -> None:
    traces = [RecurrentModule(cell(backbone))(steps=STEPS).trace for _ in range(2)]
    assert traces[0] == traces[1]


def test_nobody_as_feedback_still_writes_what_was_said(backbone: Backbone) -> None:
    got = RecurrentModule(cell(backbone), feedback=Nobody())(steps=STEPS)
    assert int(got.memory.turns) == 3


def test_learning_off_never_changes_the_bank(backbone: Backbone) -> None:
    one = cell(backbone)
    got = RecurrentModule(one, learning=False)(steps=STEPS)
    assert one.digest(got.memory) == one.digest(one.initial())


def test_the_label_is_written_only_when_it_became_known(backbone: Backbone) -> None:
    one = cell(backbone)
    inputs: Fields = {"said": "ana: hello", "question": "q"}
    silent = one.learn(one.initial(), Experience("0", 0, inputs, None))
    told = one.learn(one.initial(), Experience("0", 0, inputs, None, Feedback(kind="label", target={"answer": "dog"})))
    assert one.digest(silent.carry) != one.digest(told.carry)


@pytest.mark.parametrize(("name", "form"), [("M.4", "paper"), ("M.3", "repaired"), ("M.6", "paper")])
def test_the_carry_survives_json_exactly(backbone: Backbone, name: str, form: Form) -> None:
    one = cell(backbone, name, form)
    carry = one.learn(one.initial(), Experience("0", 0, {"said": "ana: i have a dog", "question": "q"}, None)).carry
    again = one.load_carry(json.loads(json.dumps(one.dump_carry(carry))))
    for mine, theirs in zip(carry.tensors(), again.tensors(), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.dtype == theirs.dtype
    with pytest.raises(BackboneMismatchError, match="another model"):
        cell(backbone, "M.2", "paper").load_carry(one.dump_carry(carry))


def test_a_turn_that_cannot_be_written_is_a_failed_step(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    one = cell(backbone)
    carry = one.initial()
    monkeypatch.setattr(backbone, "max_tokens", 3)
    learned = one.learn(carry, Experience("0", 0, {"said": "ana: i have a dog at home", "question": "q"}, None))
    assert learned.carry is carry
    assert learned.failure is not None
    assert "TurnTooLong" in learned.failure.error
    answer = one.predict(carry, {"said": "", "question": "what pet does ana have at home ?"})
    assert answer.outputs is None
    assert answer.failure is not None


def test_an_answer_of_the_wrong_type_is_a_failed_step(backbone: Backbone) -> None:
    model = awakened(LatentModel(backbone, small("M.6", "repaired")))
    numeric = LatentCell("question: str -> rain_mm: float", LatentMemory(model), max_new_tokens=4)
    answer = numeric.predict(numeric.initial(), {"question": "what pet does ana have ?"})
    assert answer.outputs is None
    assert answer.failure is not None


def test_several_outputs_are_refused(backbone: Backbone) -> None:
    with pytest.raises(LatentError, match="exactly one text"):
        LatentCell("q -> a, b", LatentMemory(LatentModel(backbone, small("M.6"))))


def test_a_copied_module_walks_alike(backbone: Backbone) -> None:
    program = RecurrentModule(cell(backbone))
    assert copy.deepcopy(program)(steps=STEPS).outputs == program(steps=STEPS).outputs
