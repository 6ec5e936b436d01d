"""What can be tuned: each part of a program is a frozen value that says which choices there are.

A part may depend on other parts (``when``): it is only asked for where they were chosen so.
"""

from __future__ import annotations

from typing import Annotated, Literal, Union

from optuna.trial import BaseTrial
from pydantic import Field, JsonValue, model_validator

from rnnprog.optimizers.slots import BasePart, Demos, Instructions, StartMemory

__all__ = [
    "Demos",
    "Instructions",
    "Model",
    "Part",
    "Scalar",
    "Setting",
    "Slotted",
    "StartMemory",
    "Temperature",
    "plain",
]

Scalar = Union[bool, int, float, str, None]


class _Range(BasePart):
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
        if ranged and self.log and self.low <= 0:  # type: ignore[operator]
            raise ValueError(f"low={self.low} must be above 0 on a logarithmic scale")
        return self

    @property
    def all_values(self) -> tuple[JsonValue, ...]:
        """The values, or the two ends of the range."""
        return self.values or (self.low, self.high)

    @property
    def choices(self) -> str:
        """The values or the range, in words."""
        return ", ".join(map(repr, map(plain, self.values))) if self.values else f"from {self.low} to {self.high}"

    def offers(self, value: JsonValue) -> bool:
        """Return whether this is one of the values, or within the range."""
        if self.values:
            return plain(value) in map(plain, self.values)
        assert self.low is not None
        assert self.high is not None
        return isinstance(value, (int, float)) and self.low <= value <= self.high

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


class Model(BasePart):
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

    @property
    def choices(self) -> str:
        """The names, in words."""
        return ", ".join(self.names)

    def offers(self, value: JsonValue) -> bool:
        """Return whether this is one of the names."""
        return value in self.names


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
