"""LatentMemory: isolation, batching, and every bad input by its message."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import ByT5Tokenizer, T5Config, T5ForConditionalGeneration

from rnnprog.latent.backbone import Backbone
from rnnprog.latent.bank import Bank
from rnnprog.latent.conversations import Turn
from rnnprog.latent.errors import (
    BankError,
    CapacityError,
    DeviceMemoryError,
    EmptyConversationError,
    LatentError,
    TurnTooLongError,
)
from rnnprog.latent.memory import LatentMemory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.synthetic import World
from rnnprog.latent.testing import NAMED, small
from rnnprog.latent.tiny import untrained
from tests.latent.harness import QUESTION, SAID, memory


@pytest.mark.parametrize("name", NAMED)
def test_reset_isolates_conversations(backbone: Backbone, name: str) -> None:
    mem = memory(backbone, name, "paper")
    mem.write(SAID)
    first = mem.bank().rows
    mem.write(["leo: i drive a fiat"], user="other")
    other = mem.bank("other").rows
    mem.reset("user")
    assert mem.turns() == 0
    assert torch.equal(mem.bank("other").rows, other)
    mem.write(SAID)
    torch.testing.assert_close(mem.bank().rows, first)
    mem.reset()
    assert mem.users == ()
    assert mem.nbytes == 0


@pytest.mark.parametrize("name", NAMED)
def test_many_users_together_equal_each_alone(backbone: Backbone, name: str) -> None:
    said = {"a": SAID, "b": SAID[1:2], "c": [SAID[2], SAID[0]]}
    together = memory(backbone, name)
    together.write_all(said)
    for user, turns in said.items():
        alone = memory(backbone, name)
        alone.write(turns, user=user)
        torch.testing.assert_close(alone.bank(user).rows, together.bank(user).rows, atol=1e-5, rtol=1e-4)
        assert alone.turns(user) == together.turns(user) == len(turns)
    answers = together.answer_all([(user, QUESTION) for user in said])
    assert answers == [together.answer(QUESTION, user=user) for user in said]


def test_a_write_touches_only_its_own_users(backbone: Backbone) -> None:
    """Not even a copy is made of the others, so a write costs the same however many users there are."""
    mem = memory(backbone)
    mem.write_all({"a": SAID, "b": SAID[:1], "c": SAID[1:]})
    before = {user: mem._banks[user] for user in mem.users}
    mem.write(SAID[0], user="b")
    assert [mem._banks[user] is before[user] for user in "abc"] == [True, False, True]
    single = mem.model.empty(1).nbytes
    assert mem._banks["a"].rows.untyped_storage().nbytes() == single
    assert mem.nbytes == 3 * single


def test_writing_in_pieces_equals_writing_at_once(backbone: Backbone) -> None:
    whole, pieces = memory(backbone), memory(backbone)
    whole.write(SAID)
    for turn in SAID:
        pieces.write(turn)
    torch.testing.assert_close(whole.bank().rows, pieces.bank().rows)


def test_asking_writes_nothing(backbone: Backbone) -> None:
    mem = memory(backbone)
    mem.write(SAID)
    before = mem.bank().rows
    mem.answer(QUESTION)
    mem.answer(QUESTION, user="nobody yet")
    assert torch.equal(mem.bank().rows, before)
    assert mem.users == ("user",)


def test_turn_values_are_worded_by_the_prompts(backbone: Backbone) -> None:
    one, two = memory(backbone), memory(backbone)
    one.write(Turn("ana", "i have a dog at home"))
    two.write("ana: i have a dog at home")
    assert torch.equal(one.bank().rows, two.bank().rows)


def test_bank_bytes_are_exact(backbone: Backbone) -> None:
    mem = memory(backbone, "M.6")
    mem.write_all({"a": SAID, "b": SAID})
    assert mem.nbytes == 2 * 24 * backbone.width * 4


def test_errors_lose_no_bank(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    mem = memory(backbone, "M.4")
    mem.write(SAID)
    before = mem.bank().rows
    monkeypatch.setattr(backbone, "max_tokens", 12)
    with pytest.raises(TurnTooLongError, match="encoder takes 12"):
        mem.write(["ana: it rains again", " ".join(["dog"] * 30)])
    with pytest.raises(EmptyConversationError, match="without words"):
        mem.write(["ana: it rains again", "  "])
    with pytest.raises(EmptyConversationError, match="without words"):
        mem.write(Turn("ana", " "))
    with pytest.raises(EmptyConversationError, match="no turns"):
        mem.write([])
    with pytest.raises(EmptyConversationError, match="no users"):
        mem.write_all({})
    with torch.no_grad():
        mem.model.write_rule.value.weight[0, 0] = float("nan")
    with pytest.raises(BankError, match="NaN"):
        mem.write("ana: it rains again", user="new")
    assert torch.equal(mem.bank().rows, before)
    assert mem.users == ("user",)


def test_a_long_turn_can_be_split(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone, "max_tokens", 12)
    mem = memory(backbone, long_turns="split")
    mem.write(" ".join(["dog"] * 30))
    assert mem.turns() == 4


def test_capacity_below_one_turn(backbone: Backbone) -> None:
    from rnnprog.latent.spec import method

    mem = LatentMemory.around(backbone, method("M.3", form="repaired", rows=4))
    with pytest.raises(CapacityError, match="does not fit into 4 rows"):
        mem.write(SAID)
    assert mem.users == ()
    with pytest.raises(CapacityError, match="top_k"):
        method("M.6", rows=4, top_k=8)


@pytest.mark.parametrize("said", [5, None, [None], ["ana: hello", 3.5], {"ana": "hello"}])
def test_a_turn_that_is_no_text_is_refused(backbone: Backbone, said: Any) -> None:
    mem = memory(backbone)
    with pytest.raises(LatentError, match="no text"):
        mem.write(said)
    assert mem.users == ()


def test_a_single_text_is_one_turn_and_not_its_letters(backbone: Backbone) -> None:
    mem = memory(backbone)
    mem.write_all({"a": "ana: i have a dog", "b": Turn("ben", "hello"), "c": ("ana: hello", "ben: hello")})
    assert [mem.turns(user) for user in "abc"] == [1, 1, 2]


def test_an_explicit_bank_that_does_not_fit_is_refused(backbone: Backbone) -> None:
    mem = memory(backbone)
    mem.write(SAID)
    good = mem.bank()
    assert mem.answers_from(good, [QUESTION]) == [mem.answer(QUESTION)]
    broken = good.rows.clone()
    broken[0, 3, 1] = float("nan")
    with pytest.raises(BankError, match="NaN"):
        mem.answers_from(replace(good, rows=broken), [QUESTION])
    with pytest.raises(BankError, match="1 memories for 2 questions"):
        mem.answers_from(good, [QUESTION, QUESTION])
    narrow = replace(good, rows=good.rows[..., :-1])
    short = replace(good, rows=good.rows[:, :-1], filled=good.filled[:, :-1])
    for bank in (narrow, short):
        with pytest.raises(BankError, match="bank rows are"):
            mem.answers_from(bank, [QUESTION])
    with pytest.raises(EmptyConversationError, match="question is empty"):
        mem.answers_from(good, [5])  # type: ignore[list-item]


@pytest.mark.parametrize("rows", [0, -1, 2.5])
def test_an_impossible_capacity_is_refused(backbone: Backbone, rows: Any) -> None:
    with pytest.raises(CapacityError, match="whole number of rows"):
        LatentMemory.around(backbone, "M.3", capacity=rows)


@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_question_is_refused(backbone: Backbone, text: str) -> None:
    with pytest.raises(EmptyConversationError, match="question is empty"):
        memory(backbone).answer(text)


def test_out_of_device_memory_halves_the_batch_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = untrained(world, width=32)
    backbone.batch = 8
    mem, twin = memory(backbone), memory(backbone)
    twin.write_all({str(user): SAID for user in range(6)})
    real = backbone.encode

    def tight(texts: list[str], **more: Any) -> Any:
        if len(texts) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(texts, **more)

    monkeypatch.setattr(backbone, "encode", tight)
    with pytest.warns(RuntimeWarning, match="batch is now"):
        mem.write_all({str(user): SAID for user in range(6)})
    assert backbone.batch == 2
    torch.testing.assert_close(mem.bank("3").rows, twin.bank("3").rows, atol=1e-5, rtol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(mem.answer_all([(str(user), QUESTION) for user in range(6)])) == 6
    before = mem.bank("0").rows
    monkeypatch.setattr(backbone, "encode", lambda *a, **k: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.warns(RuntimeWarning), pytest.raises(DeviceMemoryError, match="batch of one"):
        mem.write(SAID, user="0")
    assert torch.equal(mem.bank("0").rows, before)


def test_a_full_device_halves_the_users_of_a_write_and_loses_no_bank(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {name: SAID[: 1 + place % 3] for place, name in enumerate("abcdefg")}
    calm, tight = memory(backbone), memory(backbone)
    calm.write_all(said)
    tight.write(SAID[0], user="a")
    tight.reset("a")
    real: Callable[..., Bank] = tight.model.write

    def write(bank: Bank, *rest: Any) -> Bank:
        if bank.users > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return real(bank, *rest)

    monkeypatch.setattr(tight.model, "write", write)
    with pytest.warns(RuntimeWarning, match="batch is now 1 users"):
        tight.write_all(said)
    for user in said:
        torch.testing.assert_close(tight.bank(user).rows, calm.bank(user).rows, atol=1e-5, rtol=1e-4)
    before = tight.bank("a").rows
    monkeypatch.setattr(tight.model, "write", lambda *_: write(tight.model.empty(3)))
    with pytest.warns(RuntimeWarning), pytest.raises(DeviceMemoryError, match="batch of one"):
        tight.write_all(said)
    assert torch.equal(tight.bank("a").rows, before)


def test_capacity_and_decay_are_arguments(backbone: Backbone) -> None:
    mem = LatentMemory.around(backbone, "M.4", capacity=7, decay=0.5)
    assert mem.bank().rows.shape == (1, 7, 7)
    mem.write(SAID[0])
    first = mem.bank().rows
    slow = LatentMemory.around(backbone, "M.4", capacity=7, decay=1.0)
    slow.write(SAID[0])
    torch.testing.assert_close(slow.bank().rows, first)
    for one in (mem, slow):
        one.write(SAID[1])
    torch.testing.assert_close(slow.bank().rows - mem.bank().rows, 0.5 * first)
    with pytest.raises(LatentError, match="part of a MethodSpec"):
        LatentMemory.around(backbone, small("M.3"), capacity=9)


def test_reset_of_an_unknown_user_is_named(backbone: Backbone) -> None:
    with pytest.raises(LatentError, match="'nobody'"):
        memory(backbone).reset("nobody")


def test_a_text_with_half_a_surrogate_pair_is_written_and_asked(backbone: Backbone) -> None:
    """Models and chat logs send such halves at times; no tokenizer takes them."""
    for split in ("error", "split"):
        mem = memory(backbone, long_turns=split)
        mem.write("ana: i have a dog \ud83d at home")
        assert isinstance(mem.answer("what \ud83d pet ?", max_new_tokens=2), str)


def test_a_long_turn_without_spaces_is_split_between_characters() -> None:
    """As many languages write, and a tokenizer of bytes meets them."""
    tokenizer = ByT5Tokenizer()
    config = T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=4, d_ff=32, num_layers=1, num_heads=4, decoder_start_token_id=0
    )
    wide = Backbone(T5ForConditionalGeneration(config), tokenizer, max_tokens=64)
    mem = LatentMemory(LatentModel(wide, small("M.6")), long_turns="split")
    mem.write("我" * 100)
    assert mem.turns() == 8
    assert int(mem.bank().tokens[0]) == 300 + 8
