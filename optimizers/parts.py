"""What can be tuned: each part of a program is a frozen value that says which choices there are.

A part may depend on other parts (``when``): it is only asked for where they were chosen so.
"""

from __future__ import annotations

from typing import Annotated, Literal, Union

from optuna.trial import BaseTrial
from pydantic import Field, JsonValue, model_validator

from rnnprog.memory import Value
from rnnprog.optimizers.options import BASE, Option

__all__ = ["Demos", "Instructions", "Model", "Part", "Setting", "Slotted", "StartMemory", "Temperature", "plain"]

Scalar = Union[bool, int, float, str, None]


class _Part(Value):
    """Base of all parts.

    Attributes:
        when: names of other parts and the choices of theirs under which this part matters.
    """

    when: dict[str, tuple[JsonValue, ...]] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the part; the parameter's name in the study."""
        raise NotImplementedError


class _Slots(_Part):
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


class _Range(_Part):
    """A part with values to choose from, or a range."""

    values: tuple[JsonValue, ...] = ()
    low: float | int | None = None
    high: float | int | None = None
    log: bool = False

    @model_validator(mode="after")
    def _values_or_range(self) -> _Range:
        ranged = self.low is not None and self.high is not None
        if bool(self.values) == ranged:
            raise ValueError("give either values, or low and high")
        if ranged and self.low >= self.high:  # type: ignore[operator]
            raise ValueError(f"low={self.low} must be below high={self.high}")
        return self

    def suggest(self, trial: BaseTrial) -> JsonValue:
        """Ask a trial for a value."""
        if not self.values:
            assert self.low is not None
            assert self.high is not None
            if isinstance(self.low, int) and isinstance(self.high, int):
                return trial.suggest_int(self.name, self.low, self.high, log=self.log)
            return trial.suggest_float(self.name, float(self.low), float(self.high), log=self.log)
        by_label = {plain(value): value for value in self.values}
        return by_label[trial.suggest_categorical(self.name, tuple(by_label))]

    def nearest(self, present: JsonValue) -> Scalar:
        """Return the choice that is equal or nearest to the present value; the first or lowest where there is none."""
        if self.values:
            labels = [plain(value) for value in self.values]
            return plain(present) if plain(present) in labels else labels[0]
        assert self.low is not None
        assert self.high is not None
        if isinstance(present, (int, float)):
            return min(max(present, self.low), self.high)
        return self.low


class Setting(_Range):
    """A setting of the reflective cell: budget, layout, gate, guard, reflect, evidence, placement, ...

    Attributes:
        setting: its name in :class:`rnnprog.ReflectiveSettings`.
        values: JSON values to choose from; values that are not scalars are shown in the study as compact JSON.
        low: smallest value of a range; integers make an integer range.
        high: largest value of a range.
        log: draw on a logarithmic scale.

    Example:
        >>> Setting(setting="gate", values=({"kind": "always"}, {"kind": "on_error"})).name
        'gate'
    """

    kind: Literal["setting"] = "setting"
    setting: str

    @property
    def name(self) -> str:
        """The setting's name."""
        return self.setting


class Temperature(_Range):
    """The sampling temperature of one phase, set on a copy of its model."""

    kind: Literal["temperature"] = "temperature"
    phase: str

    @property
    def name(self) -> str:
        """``PHASE.temperature``."""
        return f"{self.phase}.temperature"


class Model(_Part):
    """Which model serves a phase: swapping backends is a choice like any other.

    Attributes:
        phase: name of the predictor.
        names: names of models that the tuner was given; ``"student"`` leaves the student's own.
    """

    kind: Literal["model"] = "model"
    phase: str
    names: tuple[str, ...] = Field(min_length=1)

    @property
    def name(self) -> str:
        """``PHASE.model``."""
        return f"{self.phase}.model"


Slotted = (Instructions, Demos, StartMemory)
Part = Annotated[
    Union[Instructions, Demos, StartMemory, Setting, Temperature, Model],
    Field(discriminator="kind"),
]


def plain(value: JsonValue) -> Scalar:
    """Return a JSON value as a study can hold it: scalars as they are, the rest as compact JSON text."""
    import json

    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
