"""Sequences as a tuner takes them: dspy examples with a stable id each."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Union

import dspy

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.signatures.text import to_json
from rnnprog.trace import Sequence as StepSequence

__all__ = ["Item", "items_of", "split"]

DataLike = Iterable[Union[dspy.Example, StepSequence]]
_SHOWN = 5
_LONGEST = 200  # characters of an id: a database keeps names of up to 512


@dataclass(frozen=True)
class Item:
    """One sequence of a data set.

    Attributes:
        id: stable between runs; pairs evaluations of different candidates.
        example: what the program is called with, and the metric sees.
    """

    id: str
    example: dspy.Example


def items_of(data: DataLike, what: str = "trainset") -> tuple[Item, ...]:
    """Read a data set.

    An example's id is its ``sequence`` or ``id`` field if it has one, else a digest of its content, so shuffling
    changes nothing.

    Args:
        data: dspy examples with their inputs marked, or :class:`rnnprog.Sequence` values.
        what: name for messages.

    Raises:
        DataError: nothing there, an entry of another kind or without inputs, or two entries of the same id and
            different content.
    """
    if isinstance(data, (StepSequence, dspy.Example, str)) or not isinstance(data, Iterable):
        raise DataError(
            f"{what} is one {type(data).__name__}; give several dspy.Example or rnnprog.Sequence values, e.g. a list"
        )
    found: dict[str, Item] = {}
    for number, entry in enumerate(data):
        if isinstance(entry, StepSequence):
            example = dspy.Example(sequence=entry.id, steps=entry.steps).with_inputs("steps")
        elif isinstance(entry, dspy.Example):
            example = entry
            if not entry.__dict__.get("_input_keys"):
                raise DataError(f"{what}[{number}] has no inputs marked; call .with_inputs('steps') on each example")
        else:
            raise DataError(
                f"{what}[{number}] is a {type(entry).__name__}; give dspy.Example or rnnprog.Sequence values"
            )
        id = str(example.get("sequence") or example.get("id") or _digest(example))
        if len(id) > _LONGEST or "\0" in id:  # another name for the same content, as short as a database needs it
            id = f"{id[: _LONGEST // 2]}~{hashlib.sha256(id.encode()).hexdigest()[:12]}".replace("\0", "")
        if id in found and _digest(found[id].example) != _digest(example):
            raise DataError(f"{what}: two sequences are called {id!r} but differ; ids pair results and must be unique")
        found[id] = Item(id, example)
    if not found:
        raise DataError(f"{what} is empty; a search needs at least one sequence")
    return tuple(found.values())


def split(trainset: tuple[Item, ...], valset: tuple[Item, ...] | None) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Return what proposals are made from and what candidates are judged on.

    Without a validation set the later three fifths of the training set serve as one. Overlaps are warned of by id.

    Raises:
        ConfigurationError: never for overlaps; only for an empty side.
    """
    if valset is None:
        cut = max(1, (2 * len(trainset)) // 5)
        if len(trainset) == 1:
            warnings.warn(
                f"there is one sequence ({trainset[0].id!r}) to both write prompts from and judge them on; "
                "the score of the result is optimistic: give a valset",
                stacklevel=3,
            )
            return trainset, trainset
        warnings.warn(
            f"no valset: prompts are written from the first {cut} training sequences and judged on the other "
            f"{len(trainset) - cut}",
            stacklevel=3,
        )
        return trainset[:cut], trainset[cut:]
    if not valset:
        raise ConfigurationError("the valset is empty; leave it out or give at least one sequence")
    content = {_digest(item.example): item.id for item in trainset}
    shared = sorted(
        {i.id for i in valset} & {i.id for i in trainset} | {i.id for i in valset if _digest(i.example) in content}
    )
    if shared:
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        warnings.warn(
            f"{len(shared)} sequences stand in trainset and valset: {', '.join(shared[:_SHOWN])}{more}; "
            "the score of the result is optimistic",
            stacklevel=3,
        )
    return trainset, valset


def fingerprint(items: Sequence[Item]) -> str:
    """Return twelve hex digits that identify a data set, whatever its order."""
    return hashlib.sha256(json.dumps(sorted((i.id, _digest(i.example)) for i in items)).encode()).hexdigest()[:12]


def _digest(example: dspy.Example) -> str:
    content: dict[str, Any] = {
        name: [to_json(entry) for entry in value] if isinstance(value, (list, tuple)) else to_json(value)
        for name, value in example.items()
        if name not in ("sequence", "id")
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
