"""Parts whose choices are texts: the student's own, the user's, and room for proposals."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from rnnprog.memory import Value
from rnnprog.optimizers.options import BASE, Option

__all__ = ["BasePart", "Demos", "Instructions", "StartMemory"]


class BasePart(Value):
    """Base of all parts.

    Attributes:
        when: names of other parts and the choices of theirs under which this part matters.
    """

    when: dict[str, tuple[JsonValue, ...]] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the part; the parameter's name in the study."""
        raise NotImplementedError

    @property
    def choices(self) -> str:
        """What it can be, in words."""
        raise NotImplementedError

    def offers(self, value: JsonValue) -> bool:
        """Return whether it can be this."""
        raise NotImplementedError


class _Slots(BasePart):
    """A part whose choices are texts: the student's own, the user's, and room for proposals.

    The number of choices is fixed from the start, as a study needs it; rooms that no proposal has filled yet are
    never drawn.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of all choices, filled or not."""
        rooms = [f"proposed-{n + 1}" for n in range(self.rooms)]
        return (BASE, *(option.label for option in self.given()), *rooms)

    @property
    def choices(self) -> str:
        """The labels, in words."""
        return ", ".join(self.labels)

    def offers(self, value: JsonValue) -> bool:
        """Return whether this is one of the labels."""
        return value in self.labels

    @property
    def rooms(self) -> int:
        """Room for proposals."""
        raise NotImplementedError

    def given(self) -> tuple[Option, ...]:
        """Return the user's own options."""
        raise NotImplementedError

    def _user(self, values: tuple[JsonValue, ...]) -> tuple[Option, ...]:
        return tuple(
            Option(part=self.name, label=f"user-{n + 1}", value=value, origin="user") for n, value in enumerate(values)
        )


class Instructions(_Slots):
    """The instruction of one phase.

    Where ``rewriting`` is in the space as well, bind texts for the rewriter to the policy that they were written for,
    e.g. ``when={"rewriting": ("whole",)}``; under the other policy it is then asked in that one's own words.

    Attributes:
        phase: name of the predictor, e.g. ``"rewriter"``; the full name (``"cell.rewriter"``) where that is not
            unique in the program.
        texts: instructions of your own to try; they go first, right after the student's.
        proposals: room for instructions written by the proposer, over all rounds.
    """

    kind: Literal["instructions"] = "instructions"
    phase: str
    texts: tuple[str, ...] = ()
    proposals: int = Field(default=6, ge=0)

    @property
    def name(self) -> str:
        """``PHASE.instruction``."""
        return f"{self.phase}.instruction"

    @property
    def rooms(self) -> int:
        """Room for proposals."""
        return self.proposals

    def given(self) -> tuple[Option, ...]:
        """Return the user's texts."""
        return self._user(self.texts)


class Demos(_Slots):
    """A set of worked examples: for every phase demos cut from the same steps of successful walks.

    Attributes:
        sets: room for sets.
        size: steps in a set.
        given_sets: sets of your own, as ``{phase: [demo, ...]}``.
        per_phase: phases that may leave the demos of the chosen set out, each a choice of its own.
    """

    kind: Literal["demos"] = "demos"
    sets: int = Field(default=3, ge=0)
    size: int = Field(default=2, ge=1)
    given_sets: tuple[dict[str, JsonValue], ...] = ()
    per_phase: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``demos``."""
        return "demos"

    @property
    def rooms(self) -> int:
        """Room for sets."""
        return self.sets

    def given(self) -> tuple[Option, ...]:
        """Return the user's sets."""
        return self._user(tuple(self.given_sets))


class StartMemory(_Slots):
    """The memory before the first step.

    Attributes:
        texts: memories of your own, written under the headings of the layout.
        proposals: room for memories distilled from training sequences.
    """

    kind: Literal["start_memory"] = "start_memory"
    texts: tuple[str, ...] = ()
    proposals: int = Field(default=3, ge=0)

    @property
    def name(self) -> str:
        """``start_memory``."""
        return "start_memory"

    @property
    def rooms(self) -> int:
        """Room for proposals."""
        return self.proposals

    def given(self) -> tuple[Option, ...]:
        """Return the user's memories."""
        return self._user(self.texts)
