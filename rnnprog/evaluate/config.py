"""What an exam is: data, arms, protocol; and apart from that, how it is run. Both from flags or from a TOML file."""

from __future__ import annotations

import difflib
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from rnnprog.errors import ConfigurationError
from rnnprog.lm.prices import Price, read_prices
from rnnprog.memory import Value
from rnnprog.recording import FailurePolicy
from rnnprog.trace import Fields

__all__ = ["ArmSpec", "DataSpec", "ExamConfig", "Running", "read_toml"]


class DataSpec(Value):
    """Which sequences are walked.

    Attributes:
        task: name of a task, or path of a CSV, JSONL or Parquet file.
        options: options of the task's loader; for a file those of :func:`rnnprog.tasks.from_options`.
        signature: what a file's rows ask; ``None`` for a named task.
        limit: steps over all sequences together; ``None`` for all.
    """

    task: str
    options: Fields = Field(default_factory=dict)
    signature: str | None = None
    limit: int | None = Field(default=None, ge=1)


class ArmSpec(Value):
    """One contender.

    Attributes:
        label: unique name, as shown.
        cell: name of the cell, see :func:`rnnprog.cell_names`.
        settings: settings of the cell that differ from those of the exam.
    """

    label: str
    cell: str
    settings: Fields = Field(default_factory=dict)


class ExamConfig(Value):
    """Everything that decides the outcome of an exam; equal configurations give equal results.

    Attributes:
        data: which sequences.
        arms: the contenders; the control is among them.
        control: label of the arm that the others are compared with.
        model: the model's name, for the reader; the model itself is handed to :func:`rnnprog.evaluate.examine`.
        model_options: its settings.
        seeds: repetitions; what differs between them is said in the result.
        budget: memory budget in tokens of every arm that has one.
        delay: how long after the prediction a label arrives.
        delay_by: what ``delay`` counts: ``steps``; ``time`` in the unit of the steps' own times, where these are
            numbers; ``days`` where they are dates.
        warm_start: share of the data, the earliest, that every arm learns from before it is scored, 0 to 0.9.
        metric: what decides; by default the task's first.
        floors: rules without a model to show beside; by default the task's.
        alpha: level of the tests, all of them together (Holm).
        record_every: record the carry after every n-th step; 0 only first and last.
        give_up_after: failed steps in a row that end a walk.

    Example:
        >>> config = ExamConfig.of(task="regimes", cells=["reflective"], budget=256)
        >>> [arm.label for arm in config.arms], config.control
        (['reflective', 'empty_memory'], 'empty_memory')
    """

    data: DataSpec
    arms: tuple[ArmSpec, ...] = Field(min_length=1)
    control: str = "empty_memory"
    model: str = "embedded"
    model_options: Fields = Field(default_factory=dict)
    seeds: int = Field(default=1, ge=1)
    budget: int = Field(default=512, ge=1)
    delay: float = Field(default=0, ge=0)
    delay_by: Literal["steps", "time", "days"] = "steps"
    warm_start: float = Field(default=0.0, ge=0.0, le=0.9)
    metric: str | None = None
    floors: tuple[str, ...] | None = None
    alpha: float = Field(default=0.05, gt=0, lt=1)
    record_every: int = Field(default=1, ge=0)
    give_up_after: int = Field(default=25, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> ExamConfig:
        labels = [arm.label for arm in self.arms]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"two arms are called {twice}; give them different labels")
        if self.control not in labels:
            raise ValueError(f"the control {self.control!r} is not among the arms {labels}")
        if self.delay_by == "steps" and not float(self.delay).is_integer():
            raise ValueError(f"a delay of {self.delay} steps is not whole; use delay_by = 'time' or 'days' for a time")
        return self

    @classmethod
    def of(cls, **given: Any) -> ExamConfig:
        """Make a configuration from settings by name, as flags and TOML files have them.

        Args:
            **given: fields of this class, and for short ``task``, ``options``, ``signature``, ``limit`` (fields of
                :class:`DataSpec`), ``cells`` (names, each an arm; ``river:NAME`` is the cell ``river`` with that
                model, see :mod:`rnnprog.cells.river_models`), ``cell_options`` (settings by name of the cell)
                and ``arms`` (in full, after the cells). A control that is no arm yet is added.

        Raises:
            ConfigurationError: an unknown name or an unusable value.
        """
        rest = {name: value for name, value in given.items() if value is not None}
        for name, form, fits in _FORMS:
            if name in rest and not fits(rest[name]):
                raise ConfigurationError(f"{name} = {rest[name]!r} cannot be used: give {form}")
        try:
            data = DataSpec(**{name: rest.pop(name) for name in DataSpec.model_fields if name in rest})
            settings = dict(rest.pop("cell_options", {}))
            specs = [_spec(name) for name in rest.pop("cells", ())]
            specs += [ArmSpec.model_validate({"label": arm.get("cell"), **arm}) for arm in rest.pop("arms", ())]
            control = rest.get("control", cls.model_fields["control"].default)
            if control not in [spec.label for spec in specs]:
                specs.append(ArmSpec(label=control, cell=control))
            if unused := sorted(set(settings) - {spec.cell for spec in specs}):
                raise ConfigurationError(f"cell_options for {unused}, which are no cells of this exam")
            arms = [s.model_copy(update={"settings": {**settings.get(s.cell, {}), **s.settings}}) for s in specs]
            return cls.model_validate({"data": data, "arms": arms, **rest})
        except ValidationError as error:
            raise ConfigurationError(f"unusable exam configuration: {_first(error, _NAMES)}") from error

    def shared(self) -> Fields:
        """Return what all arms have in common, as JSON: it must not change between the parts of one exam."""
        names = {
            "arms",
            "seeds",
            "alpha",
            "metric",
            "floors",
            "control",
        }  # these decide what is told, not what is walked
        return self.model_dump(mode="json", exclude=names)

    def digest(self) -> str:
        """Return twelve hex digits that name this configuration."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


class Running(Value):
    """How an exam is run; nothing of this changes its outcome, except that a cap may end it early.

    Attributes:
        concurrency: walks in flight, over all arms; and calls of a judge in flight.
        max_calls: model calls that may be paid for from now on, those of a judge among them; answers from dspy's
            cache are free.
        max_tokens: tokens that may be paid for from now on.
        max_usd: money that may be spent from now on; refuses models without a known price.
        prices: what models cost, by name, above dspy's price list; :func:`~rnnprog.lm.prices.read_prices` reads them.
        prompts: keep every prompt, for the page.
        patience: steps in a row without any reply from the model that end a walk; see :class:`rnnprog.FailurePolicy`.
    """

    concurrency: int = Field(default=8, ge=1)
    max_calls: int | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=0)
    max_usd: float | None = Field(default=None, ge=0)
    prices: dict[str, Price] = Field(default_factory=dict)
    prompts: bool = False
    patience: int = Field(default=FailurePolicy().patience, ge=1)

    @classmethod
    def of(cls, **given: Any) -> Running:
        """Make one from settings by name; those that are ``None`` keep their default.

        Raises:
            ConfigurationError: an unknown name or an unusable value.
        """
        try:
            rest = {name: value for name, value in given.items() if value is not None}
            return cls(**{**rest, "prices": read_prices(rest.get("prices", {}))})
        except ValidationError as error:
            raise ConfigurationError(f"unusable settings of the run: {_first(error, _NAMES)}") from error


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read the settings of a TOML file; names are those of the flags, with ``_`` for ``-``.

    Raises:
        ConfigurationError: no such file, or not TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    path = Path(path)
    try:
        return dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        near = [str(found) for found in sorted(path.parent.glob("*.toml"))[:5]] if path.parent.is_dir() else []
        there = f"; there are {', '.join(near)}" if near else ""
        raise ConfigurationError(
            f'no configuration file at {str(path)!r}{there}; write one with lines such as task = "weather", '
            'cells = ["reflective"], with the names of the flags'
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not a TOML file: {error}") from error


def split_settings(given: Mapping[str, Any]) -> tuple[ExamConfig, Running]:
    """Return configuration and way of running from one flat set of settings.

    Raises:
        ConfigurationError: an unknown name or an unusable value.
    """
    how = {name: value for name, value in given.items() if name in Running.model_fields}
    return ExamConfig.of(**{n: v for n, v in given.items() if n not in how}), Running.of(**how)


def _list_of(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, (list, tuple)) and all(isinstance(one, kind) for one in value)


_FORMS: tuple[tuple[str, str, Callable[[object], bool]], ...] = (
    ("cells", 'a list of names such as ["reflective", "memprompt"]', _list_of(str)),
    ("arms", 'tables such as [[arms]] with cell = "reflective"', _list_of(dict)),
    (
        "cell_options",
        "a table for each cell, such as [cell_options.memprompt] with k = 3",
        lambda value: isinstance(value, Mapping) and all(isinstance(one, Mapping) for one in value.values()),
    ),
)


def _spec(name: str) -> ArmSpec:
    cell, colon, model = name.partition(":")
    return ArmSpec(label=name, cell=cell, settings={"model": model}) if colon else ArmSpec(label=name, cell=name)


_SHORT = ("task", "options", "signature", "limit", "cells", "cell_options", "lm", "lm_options", "judge", "preset")
_NAMES = {
    "ExamConfig": sorted({*ExamConfig.model_fields, *Running.model_fields, *_SHORT} - {"data"}),
    "ArmSpec": list(ArmSpec.model_fields),
}


def _first(error: ValidationError, names: Mapping[str, Sequence[str]]) -> str:
    """Say what is wrong first; of an unknown name, which there are."""
    told = error.errors()[0]
    where = ".".join(str(part) for part in told["loc"])
    if told["type"] == "extra_forbidden" and (known := names.get(error.title)):
        near = difflib.get_close_matches(where, known, n=1)
        guess = f" (did you mean {near[0]!r}?)" if near else ""
        return f"no setting is called {where!r}{guess}; there are {', '.join(known)}"
    said = str(told["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}, got {told.get('input')!r}" if where else said
