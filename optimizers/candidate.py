"""A candidate: one complete choice, self-contained and serialisable, that can be laid over a student."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import dspy
from pydantic import Field, JsonValue, ValidationError

from rnnprog.budget import check_budget, fit, memory_tokens
from rnnprog.cells.reflective import Reflective, ReflectiveSettings
from rnnprog.errors import ConfigurationError, MemoryFormatError
from rnnprog.memory import Memory, Value
from rnnprog.optimizers.options import BASE, Option
from rnnprog.schema import MemorySchema

if TYPE_CHECKING:
    from rnnprog.optimizers.parts import Setting, Temperature

__all__ = ["Candidate", "cells_of", "copy_program", "parts_of", "read_memory"]

Kind = TypeVar("Kind", bound=dspy.Module)
_RESULTS = ("study", "candidate_programs", "trial_logs", "ledger", "score", "stopped")  # of an earlier search


class Candidate(Value):
    """What to change in a student. An empty candidate is the student itself.

    Attributes:
        instructions: text by phase.
        demos: worked examples by phase.
        start_memory: the memory before the first step: its JSON form, or a text under the layout's headings. Of several
            reflective cells the first one starts from it.
        settings: settings of the reflective cells, by name.
        temperatures: by phase.
        models: name of the model by phase.
        options: label of the option chosen for each part; for lineage, not part of what the candidate is.
    """

    instructions: dict[str, str] = Field(default_factory=dict)
    demos: dict[str, tuple[dict[str, JsonValue], ...]] = Field(default_factory=dict)
    start_memory: JsonValue = None
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    temperatures: dict[str, float] = Field(default_factory=dict)
    models: dict[str, str] = Field(default_factory=dict)
    options: dict[str, str] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Twelve hex digits that identify what is changed, however it was chosen."""
        content = self.model_dump(mode="json", exclude={"options"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def with_option(self, option: Option) -> Candidate:
        """Return the candidate with one option chosen."""
        changes: dict[str, Any] = {"options": {**self.options, option.part: option.label}}
        if option.label != BASE:
            if option.part == "demos":
                changes["demos"] = {str(phase): tuple(demos) for phase, demos in dict(option.value).items()}  # type: ignore[arg-type]
            elif option.part == "start_memory":
                changes["start_memory"] = option.value
            else:
                phase = option.part.removesuffix(".instruction")
                changes["instructions"] = {**self.instructions, phase: str(option.value)}
        return self.model_copy(update=changes)

    def dropping_demos(self, phases: tuple[str, ...]) -> Candidate:
        """Return the candidate without the demos of some phases."""
        kept = {phase: demos for phase, demos in self.demos.items() if phase not in phases}
        return self.model_copy(update={"demos": kept})

    def with_value(self, part: Setting | Temperature, value: JsonValue) -> Candidate:
        """Return the candidate with a setting or temperature chosen."""
        if part.kind == "temperature":
            return self.model_copy(update={"temperatures": {**self.temperatures, part.phase: float(str(value))}})
        return self.model_copy(update={"settings": {**self.settings, part.setting: value}})

    def apply(self, student: dspy.Module, models: Mapping[str, dspy.LM] | None = None) -> dspy.Module:
        """Return a copy of the student with this candidate laid over it; the student stays as it is.

        Args:
            student: the program.
            models: models by the names that the candidate uses.

        Raises:
            ConfigurationError: a phase, a model or a setting that does not exist, or values that exclude each other,
                such as a start memory over the budget.
        """
        from rnnprog.optimizers.space import phases_of

        program = copy_program(student)
        phases = phases_of(program)
        used = {*self.instructions, *self.demos, *self.temperatures, *self.models}
        unknown = sorted(used - set(phases))
        if unknown:
            raise ConfigurationError(
                f"the candidate changes {unknown}, but the program has the phases {sorted(phases)}"
            )
        for number, cell in enumerate(cells_of(program)):
            # Before the texts, since another way of rewriting brings its own. Notes on one task are none on another.
            self._apply_to(cell, self.start_memory if number == 0 else None)
        for phase, text in self.instructions.items():
            phases[phase].signature = phases[phase].signature.with_instructions(text)
        for phase, demos in self.demos.items():
            phases[phase].demos = [dspy.Example(**demo) for demo in demos]
        for phase, name in self.models.items():
            if name not in (models or {}):
                raise ConfigurationError(
                    f"the candidate wants the model {name!r}; give the tuner models={{{name!r}: ...}}"
                )
            phases[phase].lm = (models or {})[name]
        for phase, temperature in self.temperatures.items():
            lm = phases[phase].lm or dspy.settings.lm
            if lm is None:
                raise ConfigurationError(f"no model for {phase!r} whose temperature could be set; call dspy.configure")
            phases[phase].lm = lm.copy(temperature=temperature)
        return program

    def _apply_to(self, cell: Reflective, start_memory: JsonValue) -> None:
        if self.settings:
            old = cell.settings.value.model_dump(mode="json")
            try:
                cell.set_settings(ReflectiveSettings.model_validate({**old, **self.settings}))
            except ValidationError as error:
                raise ConfigurationError(f"the settings {self.settings} cannot be used: {error}") from error
        settings = cell.settings.value
        check_budget(settings.layout, settings.budget, cell.tokenizer)
        if start_memory is not None:
            cell.initial_memory.learned = _memory(start_memory, settings)
        elif self.settings:
            _refit(cell)
        cell.initial()  # says so where memory, layout and budget do not fit together


def _refit(cell: Reflective) -> None:
    """Give up the student's own start memory where the candidate has other headings, and cut it to a smaller budget."""
    settings = cell.settings.value
    own = cell.initial_memory.value(settings.layout)
    if not settings.layout.matches(own):
        cell.initial_memory.learned = settings.layout.initial()
    elif memory_tokens(own, cell.tokenizer) > settings.budget:
        cell.initial_memory.learned = fit(own, settings.budget, settings.layout, cell.tokenizer).memory


def _memory(given: JsonValue, settings: ReflectiveSettings) -> Memory:
    try:
        return settings.layout.parse(given).memory if isinstance(given, str) else Memory.model_validate(given)
    except (MemoryFormatError, ValidationError) as error:
        raise ConfigurationError(f"the start memory cannot be read: {error}") from error


@lru_cache(maxsize=256)
def read_memory(text: object, layout: MemorySchema) -> Memory | None:
    """Return a memory, written as JSON or as text, if it stands under these headings and no others."""
    try:
        memory = Memory.model_validate_json(str(text))
        return memory if layout.matches(memory) else None
    except ValidationError:
        pass
    try:
        parsed = layout.parse(str(text))
    except MemoryFormatError:
        return None
    return None if parsed.unknown else parsed.memory


def cells_of(program: dspy.Module) -> list[Reflective]:
    """Return the reflective cells of a program, without those of candidates that an earlier search attached to it."""
    return parts_of(program, Reflective)


def parts_of(program: dspy.Module, kind: type[Kind]) -> list[Kind]:
    """Return the modules of a kind in a program, without those of candidates that an earlier search attached to it."""
    return [
        module
        for name, module in program.named_sub_modules()
        if isinstance(module, kind) and not name.removeprefix("self.").startswith(_RESULTS)
    ]


def copy_program(student: dspy.Module) -> dspy.Module:
    """Return a deep copy that still uses the very same models.

    Copying a model would copy its whole history of calls, and split its engine, cache and counters in two.
    """
    predictors = [predictor for _, predictor in student.named_predictors()]
    shared = {id(p.lm): p.lm for p in predictors if p.lm is not None}
    results = {name: student.__dict__.pop(name) for name in _RESULTS if name in student.__dict__}
    try:
        program: dspy.Module = copy.deepcopy(student, dict(shared))
    except Exception:  # a part that cannot be copied: dspy knows how to share it
        program = student.deepcopy()
        for mine, (_, theirs) in zip(predictors, program.named_predictors(), strict=True):
            theirs.lm = mine.lm
    finally:
        student.__dict__.update(results)
    return program
