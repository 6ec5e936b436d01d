"""The memory as users meet it: write what was said, ask a question, save and load, many users at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from rnnprog.latent.backbone import Backbone, Prompts
from rnnprog.latent.bank import Bank
from rnnprog.latent.checkpoint import (
    describe,
    load_adapter,
    read_tensors,
    refuse_foreign,
    spec_from,
    write_tensors,
)
from rnnprog.latent.conversations import Said, texts_said
from rnnprog.latent.errors import BankError, CapacityError, EmptyConversationError, LatentError
from rnnprog.latent.model import LatentModel
from rnnprog.latent.pieces import OneAtATime, in_pieces
from rnnprog.latent.spec import Form, MethodSpec, method
from rnnprog.latent.talks import PackedTexts, pack
from rnnprog.memory import well_formed

DEFAULT = "user"
_PARTS = ("rows", "filled", "turns", "tokens")


class LatentMemory:
    """A bounded memory of vectors for each user of a frozen model.

    Use it to keep conversations without keeping their text. Every write replaces the banks only when all of it
    succeeded: an error never loses or half-writes a bank, and threads may share it. ``long_turns`` says what happens to
    a turn longer than the encoder takes: ``"error"`` or ``"split"`` (written as several turns).

    >>> from rnnprog.latent.synthetic import World
    >>> from rnnprog.latent.tiny import untrained
    >>> memory = LatentMemory.around(untrained(World()), method("M.3", form="repaired", rows=64))
    >>> memory.write(["ana: i have a dog at home", "ben: how are you today"], user="chat-1")
    >>> memory.turns("chat-1")
    2
    >>> isinstance(memory.answer("what pet does ana have ?", user="chat-1"), str)
    True
    """

    def __init__(
        self, model: LatentModel, *, prompts: Prompts | None = None, long_turns: Literal["error", "split"] = "error"
    ) -> None:
        if long_turns not in ("error", "split"):
            raise LatentError(f"long_turns={long_turns!r}: choose 'error' or 'split'")
        self.model = model.eval()
        self.prompts = prompts or Prompts()
        self.long_turns = long_turns
        # A bank for each user: a write costs the same however many users there are.
        self._banks: dict[str, Bank] = {}
        self._writing = OneAtATime()

    @classmethod
    def around(
        cls,
        backbone: Backbone,
        spec: MethodSpec | str = "M.4",
        *,
        form: Form = "repaired",
        capacity: int | None = None,
        decay: float | None = None,
        **more: Any,
    ) -> LatentMemory:
        """An untrained memory around a backbone: a spec, or a method's name with its form, capacity and decay.

        ``capacity`` is in rows (M.4: the side of its matrix), ``decay`` is what a turn leaves of the older ones.

        >>> from rnnprog.latent.synthetic import World
        >>> from rnnprog.latent.tiny import untrained
        >>> LatentMemory.around(untrained(World()), "M.4", capacity=51, decay=0.99).model.spec.write.decay
        0.99
        """
        if isinstance(spec, str):
            spec = method(spec, form=form, rows=capacity, decay=decay)
        elif capacity is not None or decay is not None:
            raise LatentError("capacity and decay are part of a MethodSpec: set them there, or pass the method's name")
        return cls(LatentModel(backbone, spec), **more)

    @classmethod
    def trained(cls, backbone: Backbone, adapter: Path | str, **more: Any) -> LatentMemory:
        """A memory with the trained adapter of a file; the file says which method it is."""
        path = Path(adapter)
        _, about = read_tensors(path)
        model = LatentModel(backbone, spec_from(about), seed=int(about["seed"]))
        load_adapter(path, model)
        return cls(model, **more)

    @property
    def users(self) -> tuple[str, ...]:
        """Names of the users who have a memory, in the order of their first turn."""
        return tuple(self._banks)

    @property
    def nbytes(self) -> int:
        """Bytes of all banks: users x rows x width x bytes of one number."""
        return sum(bank.nbytes for bank in self._banks.values())

    def bank(self, user: str = DEFAULT) -> Bank:
        """The bank of one user (a fresh one for a user who has said nothing)."""
        return self._together([user])

    def turns(self, user: str = DEFAULT) -> int:
        """How many turns this user's bank holds or has held."""
        return int(self.bank(user).turns[0])

    def write(self, turns: Said | Sequence[Said], *, user: str = DEFAULT) -> None:
        """Write one or several turns of one user, in order."""
        self.write_all({user: turns})

    def write_all(self, said: Mapping[str, Said | Sequence[Said]]) -> None:
        """Write turns of many users in one go: encoded together, folded in step.

        Raises ``EmptyConversationError`` for nothing to write, ``TurnTooLongError``, ``CapacityError`` when a turn does
        not fit into the bank, ``BankError`` when the result is not finite, ``DeviceMemoryError``, ``LatentError`` for
        a turn that is no text.
        """
        texts = {user: self._texts(user, turns) for user, turns in said.items()}
        if not texts:
            raise EmptyConversationError("write got no users: pass at least one user with at least one turn")
        users = list(texts)

        def work(piece: slice) -> list[Bank]:
            part = users[piece]
            return self._fold(self._together(part), [texts[user] for user in part]).checked().apart()

        # From the old banks to the new ones in one go, or another thread's turn of the same user would be lost.
        with self._writing:
            self._banks.update(zip(users, in_pieces(len(users), len(users), work, "users"), strict=True))

    def answer(self, question: str, *, user: str = DEFAULT, max_new_tokens: int = 32) -> str:
        """The greedy answer of the frozen model with this user's memory; questions are not written."""
        return self.answer_all([(user, question)], max_new_tokens=max_new_tokens)[0]

    def answer_all(self, asked: Sequence[tuple[str, str]], *, max_new_tokens: int = 32) -> list[str]:
        """Answers to (user, question) pairs, batched; a device out of memory halves the batch and says so."""
        _checked_questions([question for _, question in asked])

        def work(piece: slice) -> list[str]:
            bank = self._together([user for user, _ in asked[piece]])
            return self.answers_from(bank, [question for _, question in asked[piece]], max_new_tokens=max_new_tokens)

        # A piece at a time: side by side, the banks of all could be more than the device holds.
        return in_pieces(len(asked), self.model.backbone.batch, work, "questions")

    def answers_from(self, bank: Bank, questions: Sequence[str], *, max_new_tokens: int = 32) -> list[str]:
        """Answers read from an explicit bank, one memory in it for each question; users of this object play no part.

        Raises ``EmptyConversationError`` for a question without words, ``BankError`` for a bank that is not finite, of
        another size, or of another number of users than questions.
        """
        _checked_questions(questions)
        if bank.checked().users != len(questions):
            raise BankError(f"{bank.users} memories for {len(questions)} questions: pass one for each")
        texts = [self.prompts.question.format(text=question) for question in questions]
        answers: list[str] = []
        backbone = self.model.backbone
        while len(answers) < len(texts):
            part = slice(len(answers), len(answers) + backbone.batch)
            try:
                encoded = backbone.encode(texts[part])
                chosen = bank.select(list(range(len(texts)))[part])
                answers += self.model.generate(chosen, encoded, max_new_tokens)
            except RuntimeError as error:
                backbone.halve_batch(error)
        return answers

    def written(self, bank: Bank, turns: Sequence[Sequence[Said]]) -> Bank:
        """The bank after these turns, one sequence of turns for each memory in it; nothing is stored here."""
        return self._fold(bank, [self._texts(str(place), lines) for place, lines in enumerate(turns)]).checked()

    def reset(self, user: str | None = None) -> None:
        """Forget everything of one user, or of all."""
        with self._writing:  # a write that is under way would bring back what is forgotten here
            if user is None:
                self._banks = {}
            elif user not in self._banks:
                raise LatentError(f"no user {user!r} to reset: known are {', '.join(self._banks) or 'none'}")
            else:
                self._banks[user] = self.model.empty(1)

    def save(self, path: Path | str) -> None:
        """Store all banks in one safetensors file, with schema, method and fingerprints."""
        banks = dict(self._banks)  # as they are now: another thread may write meanwhile
        if not banks:
            raise EmptyConversationError("no bank to save: write at least one turn first")
        parts = dict(zip(_PARTS, Bank.joined(list(banks.values())).tensors(), strict=True))
        write_tensors(Path(path), parts, {**describe(self.model), "users": list(banks)})

    def load(self, path: Path | str) -> None:
        """Replace all banks by stored ones; refuses those of another backbone, method or write side.

        Raises ``BackboneMismatchError``, ``BankError`` for a bank that is not finite, ``LatentError`` for a broken
        file. The present banks stay when loading fails.
        """
        parts, about = read_tensors(Path(path))
        refuse_foreign(about, self.model, Path(path), keys=("width", "backbone", "write"))
        if set(parts) != set(_PARTS):
            raise BankError(f"{path} holds {sorted(parts)}, a bank has {sorted(_PARTS)}")
        bank = self.model.settled(Bank(*(parts[name] for name in _PARTS)))
        users = dict.fromkeys(about.get("users", ()))
        if len(users) != bank.users:
            raise BankError(f"{path} names {len(users)} users and holds {bank.users} banks: it was tampered with")
        with self._writing:
            self._banks = dict(zip(users, bank.apart(), strict=True))

    def _texts(self, user: str, turns: Said | Sequence[Said]) -> list[str]:
        lines = texts_said(user, turns, self.prompts.turn)
        return [piece for line in lines for piece in self._split(line)] if self.long_turns == "split" else lines

    def _split(self, text: str) -> list[str]:
        tokenizer, limit = self.model.backbone.tokenizer, self.model.backbone.max_tokens
        if len(text) < 2 or len(tokenizer(well_formed(text), verbose=False)["input_ids"]) <= limit:
            return [text]
        # Between words; a text without spaces, as many languages write it, between characters.
        parts, gap = (text.split(), " ") if len(text.split()) > 1 else (list(text), "")
        half = len(parts) // 2
        return [*self._split(gap.join(parts[:half])), *self._split(gap.join(parts[half:]))]

    def _fold(self, bank: Bank, texts: Sequence[Sequence[str]]) -> Bank:
        """Encode in waves that bound the latents held at once, then write step by step."""
        wave = max(1, 2048 // len(texts))
        with torch.no_grad():
            for begin in range(0, max(len(lines) for lines in texts), wave):
                part = [list(lines[begin : begin + wave]) for lines in texts]
                packed = pack(self.model.backbone, [line for lines in part for line in lines])
                self._check_capacity(packed)
                counts = torch.tensor([len(lines) for lines in part], device=packed.lengths.device)
                first = counts.cumsum(0) - counts
                for place in range(int(counts.max())):
                    index = torch.where(place < counts, first + place, -1)
                    bank = self.model.write(bank, *packed.gather(index))
        return bank

    def _check_capacity(self, packed: PackedTexts) -> None:
        write = self.model.spec.write
        longest = int(packed.lengths.max())
        if write is not None and write.rule == "ring" and longest > write.rows:
            raise CapacityError(f"a turn of {longest} tokens does not fit into {write.rows} rows: raise rows")

    def _together(self, users: Sequence[str]) -> Bank:
        """The banks of these users side by side; a fresh one for each who has said nothing yet."""
        fresh = self.model.empty(1)
        return Bank.joined([self._banks.get(user, fresh) for user in users])


def _checked_questions(questions: Sequence[str]) -> None:
    if not questions or not all(isinstance(question, str) and question.strip() for question in questions):
        raise EmptyConversationError("a question is empty: pass at least one (user, question) pair with words in it")
