"""The latent memory as a cell: its carry is a bank, so it walks, is examined and is reported beside the text cells."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import JsonValue
from torch import Tensor

from rnnprog.cells.base import Answer, Cell, Experience, Learned
from rnnprog.latent.backbone import Backbone
from rnnprog.latent.bank import Bank
from rnnprog.latent.checkpoint import describe
from rnnprog.latent.errors import BackboneMismatchError, LatentError
from rnnprog.latent.memory import LatentMemory
from rnnprog.signatures import TaskLike, as_task
from rnnprog.trace import Failure, Fields

_PARTS = ("rows", "filled", "turns", "tokens")
_KINDS: dict[str, Any] = {"rows": torch.float32, "filled": torch.bool, "turns": torch.int64, "tokens": torch.int64}


def plain_question(inputs: Fields) -> str:
    """The field ``question`` if there is one, else all inputs by name.

    >>> plain_question({"question": "what pet?", "said": "hello"}), plain_question({"rain": 3.1})
    ('what pet?', 'rain: 3.1')
    """
    asked = inputs.get("question")
    return asked if isinstance(asked, str) and asked.strip() else _named(inputs)


def plain_turn(experience: Experience) -> str:
    """The field ``said`` if there is one, else all inputs by name; then the outcome, where it became known.

    >>> plain_turn(Experience("0", 0, {"said": "ana: i have a dog"}, None))
    'ana: i have a dog'
    """
    said = experience.inputs.get("said")
    text = said if isinstance(said, str) and said.strip() else _named(experience.inputs)
    target = experience.feedback.target if experience.feedback else None
    return f"{text} . {_named(target)}" if target else text


@lru_cache(maxsize=2)
def stored(adapter: Path | str, backbone: Path | str | None, device: str, dtype: str) -> LatentMemory:
    """The memory of a trained adapter's file. Kept: an exam makes its cells several times over."""
    if backbone is None:
        raise LatentError(
            f"the adapter {adapter} says not where its backbone is: add backbone=, a folder or a hub name"
        )
    return LatentMemory.trained(Backbone.load(backbone, device=device, dtype=dtype), adapter)


class LatentCell(Cell):
    """Predicts from a bank of vectors and learns by writing one turn into it, without a gradient.

    Use it wherever a cell is wanted: ``RecurrentModule(LatentCell("said, question -> answer", memory))``. No language
    model of dspy is called. ``asking`` turns an observation into a question, ``telling`` an experience into a turn.
    ``memory`` may be the file of a trained adapter, with ``backbone`` the folder or hub name of what it was trained on:

        rnnprog compare FILE --cells reflective,latent --cell-option latent.memory=M --cell-option latent.backbone=T5

    Raises ``LatentError`` for a task with several outputs: the frozen decoder gives one text.

    Example:
        >>> from rnnprog.latent.synthetic import World
        >>> from rnnprog.latent.tiny import untrained
        >>> from rnnprog.latent.spec import method
        >>> memory = LatentMemory.around(untrained(World()), method("M.3", form="repaired", rows=64))
        >>> cell = LatentCell("said: str, question: str -> answer: str", memory)
        >>> observed = {"said": "ana: i have a dog at home", "question": "what pet does ana have ?"}
        >>> after = cell.learn(cell.initial(), Experience("0", 0, observed, None)).carry
        >>> int(after.turns), cell.load_carry(cell.dump_carry(after)).nbytes == after.nbytes
        (1, True)
    """

    name = "latent"

    def __init__(
        self,
        task: TaskLike,
        memory: LatentMemory | Path | str,
        *,
        backbone: Path | str | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        asking: Callable[[Fields], str] = plain_question,
        telling: Callable[[Experience], str] = plain_turn,
        max_new_tokens: int = 32,
    ) -> None:
        super().__init__(as_task(task))
        if len(self.task.outputs) != 1:
            raise LatentError(f"the task has outputs {self.task.outputs}: a latent cell answers with exactly one text")
        self.memory = memory if isinstance(memory, LatentMemory) else stored(memory, backbone, device, dtype)
        self.asking, self.telling, self.max_new_tokens = asking, telling, max_new_tokens

    def initial(self) -> Bank:
        """Return the bank of somebody who has said nothing."""
        return cast(Bank, self.memory.model.empty(1))

    def predicting(self, carry: Bank, inputs: Fields) -> Answer:
        """Answer greedily from the bank; an answer of the wrong type is a failed step, not an error."""
        raw = ""
        try:
            raw = self.memory.answers_from(carry, [self.asking(inputs)], max_new_tokens=self.max_new_tokens)[0]
            return Answer(self.task.validate({self.task.outputs[0]: raw}))
        except ValueError as error:
            return Answer(None, Failure(phase="predictor", error=f"{type(error).__name__}: {error}", raw=raw))

    def learning(self, carry: Bank, experience: Experience) -> Learned:
        """Write one turn; a turn that cannot be written leaves the old bank and is recorded."""
        try:
            return Learned(self.memory.written(carry, [[self.telling(experience)]]), "write")
        except LatentError as error:
            failure = Failure(phase="rewriter", error=f"{type(error).__name__}: {error}")
            return Learned(carry, "failed", failure=failure)

    def dump_carry(self, carry: Bank) -> JsonValue:
        """Return the bank as JSON (base64 of its bytes) with what identifies its writer."""
        parts = {name: _packed(part) for name, part in zip(_PARTS, carry.tensors(), strict=True)}
        return cast(JsonValue, {**self._writer(), **parts})

    def load_carry(self, dumped: JsonValue) -> Bank:
        """Return the bank that :meth:`dump_carry` wrote; one of another backbone or write side is refused."""
        stored = cast(dict[str, Any], dumped)
        mine = self._writer()
        if {key: stored.get(key) for key in mine} != mine:
            raise BackboneMismatchError(
                f"this bank was written by another model ({stored.get('backbone')}), not {mine}"
            )
        bank = Bank(*(_unpacked(stored[name], _KINDS[name]) for name in _PARTS))
        return cast(Bank, self.memory.model.settled(bank))

    def describe(self) -> Fields:
        """Return method, capacity and fingerprints."""
        about = describe(self.memory.model)
        return {**super().describe(), "method": about["spec"], "backbone": about["backbone"], "write": about["write"]}

    def _writer(self) -> dict[str, str]:
        about = describe(self.memory.model)
        return {"backbone": about["backbone"], "write": about["write"]}


def _named(fields: Fields) -> str:
    return " ; ".join(f"{name}: {value}" for name, value in fields.items())


def _packed(part: Tensor) -> JsonValue:
    plain = part.detach().cpu().contiguous()
    if plain.is_floating_point():
        plain = plain.float()
    return [list(plain.shape), base64.b64encode(plain.numpy().tobytes()).decode("ascii")]


def _unpacked(stored: list[Any], kind: Any) -> Tensor:
    shape, text = stored
    data = bytearray(base64.b64decode(text))
    return torch.frombuffer(data, dtype=kind).reshape(shape) if data else torch.zeros(shape, dtype=kind)
