"""The texts and values a tuner chooses among: each an option with an origin, a round and parents.

Options are plain JSON and live in the study, so a resumed search, another worker and a report read the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import JsonValue

from rnnprog.memory import Value

__all__ = ["BASE", "Option", "Pool"]

BASE = "student"
"""Label of the option that leaves the student as it is."""


class Option(Value):
    """One thing that a part of a program may be set to.

    Attributes:
        part: name of the part of the space, e.g. ``"predictor.instruction"``.
        label: name of the option within its part; also its value in the study.
        value: instruction text, demo set by phase, or memory; ``None`` for the student's own.
        origin: who wrote it.
        round: in which round of proposals; 0 for what was there before the search.
        parents: labels of the options it was written from.
        why: what the proposer said about it, or the steps that demos were cut from.
    """

    part: str
    label: str
    value: JsonValue = None
    origin: Literal["student", "user", "proposed"] = "student"
    round: int = 0
    parents: tuple[str, ...] = ()
    why: str = ""


class Pool(Value):
    """All options known so far.

    Example:
        >>> pool = Pool().add([Option(part="demos", label="student")])
        >>> pool.labels("demos")
        ('student',)
    """

    options: tuple[Option, ...] = ()

    def add(self, options: Iterable[Option]) -> Pool:
        """Return a pool with further options; one of a known part and label is left out."""
        known = {(option.part, option.label) for option in self.options}
        return Pool(options=(*self.options, *(o for o in options if (o.part, o.label) not in known)))

    def of(self, part: str) -> tuple[Option, ...]:
        """Return the options of one part, in order."""
        return tuple(option for option in self.options if option.part == part)

    def labels(self, part: str) -> tuple[str, ...]:
        """Return the labels of one part, in order."""
        return tuple(option.label for option in self.of(part))

    def get(self, part: str, label: str) -> Option:
        """Return one option.

        Raises:
            KeyError: there is none of that name.
        """
        for option in self.options:
            if option.part == part and option.label == label:
                return option
        raise KeyError(f"no option {label!r} for {part!r}; there are {self.labels(part)}")
