"""Banks and adapters as files: read back exactly, foreign and broken ones refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM, MT5Config, T5EncoderModel

from rnnprog.errors import StorageError
from rnnprog.latent.backbone import Backbone
from rnnprog.latent.checkpoint import read_tensors, save_adapter, write_tensors
from rnnprog.latent.errors import (
    BackboneMismatchError,
    BankError,
    EmptyConversationError,
    LatentError,
)
from rnnprog.latent.memory import LatentMemory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.spec import Form
from rnnprog.latent.synthetic import World
from rnnprog.latent.testing import FORMS, NAMED, small
from rnnprog.latent.tiny import untrained
from tests.latent.harness import QUESTION, SAID, logits, memory


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMED)
def test_a_saved_bank_answers_identically(backbone: Backbone, tmp_path: Path, name: str, form: Form) -> None:
    one = memory(backbone, name, form)
    one.write(SAID)
    one.write_all({"other": SAID[:1]})
    one.save(tmp_path / "bank.safetensors")
    two = memory(backbone, name, form)
    two.load(tmp_path / "bank.safetensors")
    assert two.users == ("user", "other")
    assert torch.equal(logits(one), logits(two))
    assert one.answer(QUESTION) == two.answer(QUESTION)
    one.write("ben: it rains again")
    two.write("ben: it rains again")
    assert torch.equal(one.bank().rows, two.bank().rows)


def test_a_folder_is_no_bank_and_a_bank_is_no_adapter(backbone: Backbone, tmp_path: Path) -> None:
    mem = memory(backbone)
    with pytest.raises(LatentError, match="no file"):
        mem.load(tmp_path)
    mem.write(SAID)
    mem.save(tmp_path / "bank.safetensors")
    with pytest.raises(LatentError, match="holds banks, not an adapter"):
        LatentMemory.trained(backbone, tmp_path / "bank.safetensors")


def test_foreign_banks_are_refused(backbone: Backbone, world: World, tmp_path: Path) -> None:
    path = tmp_path / "bank.safetensors"
    mem = memory(backbone, "M.3")
    mem.write(SAID)
    mem.save(path)
    before = mem.bank().rows
    wider = memory(untrained(world, width=48), "M.3")
    with pytest.raises(BackboneMismatchError, match="another width"):
        wider.load(path)
    other = memory(untrained(world, width=32, seed=5), "M.3")
    with pytest.raises(BackboneMismatchError, match="another backbone"):
        other.load(path)
    method = memory(backbone, "M.2", "paper")
    with pytest.raises(BackboneMismatchError, match="another write"):
        method.load(path)
    projections = LatentMemory(LatentModel(backbone, small("M.2", "paper"), seed=1))
    memory(backbone, "M.2", "paper")
    source = LatentMemory(LatentModel(backbone, small("M.2", "paper"), seed=2))
    source.write(SAID)
    source.save(path)
    with pytest.raises(BackboneMismatchError, match="another write"):
        projections.load(path)
    assert torch.equal(mem.bank().rows, before)


def test_broken_files_are_refused(backbone: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "bank.safetensors"
    mem = memory(backbone)
    with pytest.raises(EmptyConversationError, match="no bank to save"):
        mem.save(path)
    with pytest.raises(LatentError, match="no file"):
        mem.load(path)
    mem.write(SAID)
    mem.save(path)
    tensors, about = read_tensors(path)
    tensors["rows"][0, 0, 0] = float("nan")
    write_tensors(tmp_path / "nan.safetensors", tensors, about)
    before = mem.bank().rows
    with pytest.raises(BankError, match="NaN"):
        mem.load(tmp_path / "nan.safetensors")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(LatentError, match="not a readable"):
        mem.load(path)
    save_file(load_file(str(tmp_path / "nan.safetensors")), str(path), metadata={"schema": "other"})
    with pytest.raises(LatentError, match="schema 'other'"):
        mem.load(path)
    save_adapter(path, mem.model)
    with pytest.raises(BankError, match="a bank has"):
        mem.load(path)
    assert torch.equal(mem.bank().rows, before)


def test_a_bank_is_saved_whole_or_not_at_all(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, mem = tmp_path / "bank.safetensors", memory(backbone)
    mem.write(SAID)
    mem.save(path)
    before = path.read_bytes()
    mem.write(SAID)

    def full(tensors: Any, place: str, **_: Any) -> None:
        Path(place).write_bytes(before[: len(before) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("rnnprog.latent.checkpoint.save_file", full)
        with pytest.raises(StorageError, match="No space left"):
            mem.save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["bank.safetensors"]
    with pytest.raises(StorageError, match="cannot be written"):
        mem.save(path / "below" / "bank.safetensors")


def test_a_file_whose_users_and_banks_differ_is_refused(backbone: Backbone, tmp_path: Path) -> None:
    path, mem = tmp_path / "bank.safetensors", memory(backbone)
    mem.write_all({"a": SAID, "b": SAID})
    mem.save(path)
    tensors, about = read_tensors(path)
    write_tensors(path, tensors, {**about, "users": ["a"]})
    with pytest.raises(BankError, match="1 users and holds 2 banks"):
        mem.load(path)
    assert mem.users == ("a", "b")


def test_a_checkpoint_that_is_not_whole_is_refused(backbone: Backbone, tmp_path: Path) -> None:
    whole, half, mute, cut, pieces = (tmp_path / name for name in ("whole", "half", "mute", "cut", "pieces"))
    for folder in (whole, mute, cut, pieces):
        backbone.model.save_pretrained(folder)
    for folder in (whole, half, cut):
        backbone.tokenizer.save_pretrained(folder)
    T5EncoderModel(copy.deepcopy(backbone.model.config)).save_pretrained(half)
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:3000])
    (pieces / "spiece.model").write_bytes(b"no model of pieces")
    assert Backbone.load(whole).fingerprint == backbone.fingerprint
    with pytest.raises(LatentError, match=r"no weights for \d+ parts of a t5"):
        Backbone.load(half)
    with pytest.raises(LatentError, match="has no tokenizer"):
        Backbone.load(mute)
    with pytest.raises(LatentError, match="no checkpoint that transformers loads"):
        Backbone.load(cut)
    with pytest.raises(LatentError, match=r"the tokenizer of .* cannot be read"):
        Backbone.load(pieces)


def test_a_checkpoint_with_nothing_but_a_sentencepiece_model(tmp_path: Path) -> None:
    """The form in which Google's mT5 is published."""
    with open(tmp_path / "spiece.model", "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SAID * 20), model_writer=file, vocab_size=30, pad_id=0, eos_id=1, unk_id=2, bos_id=-1
        )
    config = MT5Config(vocab_size=160, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0)
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(tmp_path)
    loaded = Backbone.load(tmp_path)
    tokens = loaded.tokenizer(SAID[0]).input_ids
    assert loaded.tokenizer.decode(tokens, skip_special_tokens=True) == SAID[0]
    assert tokens[-1] == 1
    mem = memory(loaded)
    mem.write(SAID)
    assert isinstance(mem.answer("Who?"), str)


def test_a_tampered_file_is_refused(backbone: Backbone, tmp_path: Path) -> None:
    path, mem = tmp_path / "bank.safetensors", memory(backbone)
    mem.write_all({"a": SAID, "b": SAID})
    mem.save(path)
    tensors, about = read_tensors(path)
    write_tensors(path, tensors, {**about, "users": ["a", "a"]})
    with pytest.raises(BankError, match="names 1 users and holds 2 banks"):
        mem.load(path)
    write_tensors(path, tensors, {key: value for key, value in about.items() if key != "users"})
    with pytest.raises(BankError, match="names 0 users"):
        mem.load(path)
    write_tensors(path, {**tensors, "filled": tensors["filled"][:, 1:]}, about)
    with pytest.raises(BankError, match="filled of the stored bank"):
        mem.load(path)
    save_file(tensors, str(path), metadata={"schema": "rnnprog-latent/1"})
    with pytest.raises(LatentError, match="does not say what it holds"):
        mem.load(path)
    assert mem.users == ("a", "b")
