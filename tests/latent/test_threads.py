"""Threads and copies: one backbone serves many, and no one hears another's memory."""

from __future__ import annotations

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

import rnnprog
from rnnprog.latent.backbone import Backbone
from rnnprog.latent.bank import Bank
from rnnprog.latent.cell import LatentCell
from rnnprog.latent.memory import LatentMemory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.spec import Form
from rnnprog.latent.testing import awakened, small
from rnnprog.module import RecurrentModule
from rnnprog.trace import Sequence, Step

QUESTION = "what pet does ana have ?"
ANIMALS = ("dog", "cat", "fish", "parrot")


def memory(backbone: Backbone, name: str, form: Form) -> LatentMemory:
    mem = LatentMemory(awakened(LatentModel(backbone, small(name, form)), 1.0))
    mem.write_all({animal: [f"ana: i have a {animal} at home"] for animal in ANIMALS})
    return mem


@pytest.mark.parametrize(("name", "form"), [("M.2", "paper"), ("M.5", "repaired"), ("M.3", "repaired")])
def test_answers_in_threads_are_those_of_one_thread(backbone: Backbone, name: str, form: Form) -> None:
    """A branch is added behind the layers of the shared backbone: another thread's pass must not run through it."""
    mem = memory(backbone, name, form)
    asked = [animal for animal in ANIMALS for _ in range(6)]
    alone = {animal: mem.answer(QUESTION, user=animal, max_new_tokens=6) for animal in ANIMALS}
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda animal: mem.answer(QUESTION, user=animal, max_new_tokens=6), asked))
    assert got == [alone[animal] for animal in asked]


def test_a_pass_waits_until_the_branch_of_another_thread_is_gone(backbone: Backbone) -> None:
    """The same without luck: the other thread stands still in the middle of its pass."""
    branched, plain = memory(backbone, "M.2", "paper"), memory(backbone, "M.3", "repaired")
    alone = plain.answer(QUESTION, user="dog", max_new_tokens=6)
    inside, go_on = threading.Event(), threading.Event()
    read = branched.model.read_path.query.forward

    def slow(states: torch.Tensor) -> torch.Tensor:
        inside.set()
        go_on.wait(5)
        found: torch.Tensor = read(states) + 5.0
        return found

    branched.model.read_path.query.forward = slow
    branched.model.read_path.repeats = lambda rows: False
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(branched.answer, QUESTION, user="dog", max_new_tokens=6)
        assert inside.wait(5)
        second = pool.submit(plain.answer, QUESTION, user="dog", max_new_tokens=6)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.2)
        go_on.set()
        first.result(5)
        assert second.result(5) == alone


def test_no_turn_is_lost_when_threads_write_for_one_user(backbone: Backbone) -> None:
    mem = memory(backbone, "M.3", "repaired")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: mem.write(f"ben: {ANIMALS[number % 4]}", user="shared"), range(24)))
    assert mem.turns("shared") == 24


def test_a_save_while_others_write_can_be_loaded(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names and the banks in a file are those of one moment."""
    mem = memory(backbone, "M.3", "repaired")
    joined = Bank.joined

    def meanwhile(banks: list[Bank]) -> Bank:
        together = joined(banks)
        mem._banks["late"] = mem.model.empty(1)
        return together

    with monkeypatch.context() as patch:
        patch.setattr(Bank, "joined", staticmethod(meanwhile))
        mem.save(tmp_path / "bank.safetensors")
    mem.load(tmp_path / "bank.safetensors")
    assert mem.users == ANIMALS


def test_a_reset_during_a_write_is_not_undone(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    mem = memory(backbone, "M.3", "repaired")
    encode, inside, go_on = backbone.encode, threading.Event(), threading.Event()

    def slow(texts: list[str], **more: Any) -> Any:
        inside.set()
        go_on.wait(5)
        return encode(texts, **more)

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(backbone, "encode", slow)
        write = pool.submit(mem.write, "ben: hello", user="dog")
        assert inside.wait(5)
        reset = pool.submit(mem.reset)
        go_on.set()
        write.result(5)
        reset.result(5)
    assert mem.users == ()


def test_walks_in_threads_equal_walks_alone(backbone: Backbone) -> None:
    program = RecurrentModule(
        LatentCell("said: str, question: str -> answer: str", memory(backbone, "M.2", "paper"), max_new_tokens=4)
    )
    sequences = [
        Sequence(
            id=animal,
            steps=(Step(inputs={"said": f"ana: a {animal} at home", "question": QUESTION}, target={"answer": animal}),)
            * 4,
        )
        for animal in ANIMALS
    ]
    alone = [rnnprog.run(program, [one], concurrency=1).traces[0].records for one in sequences]
    got = rnnprog.run(program, sequences, concurrency=4)
    assert [[record.prediction for record in trace.records] for trace in got.traces] == [
        [record.prediction for record in records] for records in alone
    ]


def test_a_copied_program_shares_the_backbone_but_not_the_adapter(backbone: Backbone) -> None:
    """The backbone is frozen, and may be gigabytes: a tuner copies a program for each candidate."""
    program = RecurrentModule(LatentCell("question -> answer", memory(backbone, "M.5", "paper")))
    twin = copy.deepcopy(program)
    assert twin.cell.memory.model.backbone is backbone
    mine, theirs = (one.cell.memory.model.read_path.query.weight for one in (program, twin))
    assert mine is not theirs
    assert torch.equal(mine, theirs)
    twin.cell.memory.reset()
    assert program.cell.memory.users == ANIMALS


def test_a_memory_can_be_pickled(backbone: Backbone) -> None:
    mem = memory(backbone, "M.4", "repaired")
    again = pickle.loads(pickle.dumps(mem))
    assert again.answer(QUESTION, user="dog", max_new_tokens=4) == mem.answer(QUESTION, user="dog", max_new_tokens=4)
