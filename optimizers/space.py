"""The search space: a declarative value that says which parts of a program may change, and to what."""

from __future__ import annotations

import hashlib
from typing import Any

import dspy
from optuna.trial import BaseTrial
from pydantic import JsonValue, ValidationError, model_validator

from rnnprog.cells.reflective import ReflectiveSettings
from rnnprog.errors import ConfigurationError
from rnnprog.memory import Value
from rnnprog.optimizers.candidate import Candidate, cells_of, read_memory
from rnnprog.optimizers.options import BASE, Option, Pool
from rnnprog.optimizers.parts import (
    Demos,
    Instructions,
    Model,
    Part,
    Scalar,
    Setting,
    Slotted,
    StartMemory,
    Temperature,
    plain,
)
from rnnprog.schema import MemorySchema

__all__ = ["Space", "default_space", "phases_of"]


class Space(Value):
    """Which parts may change. What is not named here stays as the student has it.

    Use :func:`default_space` to start from, then :meth:`without` to freeze parts and :meth:`having` to add or replace.

    Example:
        >>> space = Space(parts=(Instructions(phase="rewriter", texts=("Keep counts.",)),))
        >>> Space.model_validate_json(space.model_dump_json()) == space
        True
        >>> space.having(Setting(setting="budget", low=128, high=512)).names
        ('rewriter.instruction', 'budget')
    """

    parts: tuple[Part, ...]

    @model_validator(mode="after")
    def _check(self) -> Space:
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"parts {twice} stand twice in the space; leave one out")
        for part in self.parts:
            late = [name for name in part.when if name not in names[: names.index(part.name)]]
            if late:
                raise ValueError(f"part {part.name!r} depends on {late}; put what it depends on before it")
            _refuse_never(part, {other.name: other for other in self.parts})
            if isinstance(part, Setting) and part.setting not in ReflectiveSettings.model_fields:
                known = sorted(ReflectiveSettings.model_fields)
                raise ValueError(f"no setting is called {part.setting!r}; there are {known}")
            if isinstance(part, Setting):
                for value in part.all_values:
                    _refuse_unusable(part.setting, value)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parts, in order."""
        return tuple(part.name for part in self.parts)

    @property
    def _asked(self) -> tuple[Part, ...]:
        """The parts in the order in which a trial is asked: what is bound to layout and budget comes after them."""
        needed = {name for part in self.parts for name in part.when}
        late = [part for part in self.parts if isinstance(part, (Demos, StartMemory)) and part.name not in needed]
        return (*(part for part in self.parts if part not in late), *late)

    @property
    def digest(self) -> str:
        """Twelve hex digits that identify the space."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def without(self, *names: str) -> Space:
        """Return a space in which these parts are frozen, and no others depend on them.

        Raises:
            ConfigurationError: a name that is not in the space.
        """
        unknown = sorted(set(names) - set(self.names))
        if unknown:
            raise ConfigurationError(f"no parts {unknown} in this space; it has {list(self.names)}")
        kept = [part for part in self.parts if part.name not in names]
        return Space(
            parts=tuple(
                part.model_copy(update={"when": {name: v for name, v in part.when.items() if name not in names}})
                for part in kept
            )
        )

    def having(self, *parts: Part) -> Space:
        """Return a space with further parts; one of a known name replaces the old one in its place."""
        new = {part.name: part for part in parts}
        kept = [new.pop(part.name, part) for part in self.parts]
        return Space(parts=(*kept, *new.values()))

    def start(self) -> Pool:
        """Return the options that are there before any proposal: the student's own and the user's."""
        options: list[Option] = []
        for part in self.parts:
            if isinstance(part, Slotted):
                options += [Option(part=part.name, label=BASE), *part.given()]
        return Pool(options=tuple(options))

    def room(self, pool: Pool) -> dict[str, tuple[str, ...]]:
        """Return the labels that no option fills yet, by part."""
        return {
            part.name: tuple(label for label in part.labels if label not in pool.labels(part.name))
            for part in self.parts
            if isinstance(part, Slotted)
        }

    def first(self, student: dspy.Module) -> list[dict[str, Any]]:
        """Return the choices to try before any others: the student as it is, then each of the user's own options.

        The search lays each option over the best candidate of that moment.

        Args:
            student: tells the present settings.
        """
        base: dict[str, Any] = {}
        for part in self.parts:
            if isinstance(part, Slotted):
                base[part.name] = BASE
            elif isinstance(part, Model):
                base[part.name] = BASE if BASE in part.names else part.names[0]
            else:
                base[part.name] = part.nearest(_present(student, part))
        given = [
            {**base, **self._home(option), part.name: option.label}
            for part in self.parts
            if isinstance(part, Slotted)
            for option in part.given()
        ]
        return [base, *given]

    def _home(self, option: Option) -> dict[str, Any]:
        """Return the layout that one of the user's start memories is written under, where there is a choice."""
        for part in self.parts:
            if option.part == "start_memory" and isinstance(part, Setting) and part.setting == "layout":
                for value in part.values:
                    if read_memory(plain(option.value), MemorySchema.model_validate(value)) is not None:
                        return {part.name: plain(value)}
        return {}

    def suggest(self, trial: BaseTrial, pool: Pool) -> Candidate:
        """Ask a trial for every part that matters, in order, and return what it chose."""
        chosen: dict[str, JsonValue] = {}
        candidate = Candidate()
        for part in self._asked:
            if not _matters(part, chosen):
                continue
            if isinstance(part, Slotted):
                label = trial.suggest_categorical(part.name, part.labels)
                chosen[part.name] = label
                candidate = candidate.with_option(pool.get(part.name, label))
                if isinstance(part, Demos) and label != BASE:
                    left = tuple(
                        phase
                        for phase in part.per_phase
                        if not trial.suggest_categorical(f"{part.name}.{phase}", (True, False))
                    )
                    candidate = candidate.dropping_demos(left)
            elif isinstance(part, Model):
                name = trial.suggest_categorical(part.name, part.names)
                chosen[part.name] = name
                if name != BASE:
                    candidate = candidate.model_copy(update={"models": {**candidate.models, part.phase: name}})
            else:
                value = part.suggest(trial)
                chosen[part.name] = value
                candidate = candidate.with_value(part, value)
        return candidate


def _matters(part: Part, chosen: dict[str, JsonValue]) -> bool:
    asked = {name: {plain(value) for value in values} for name, values in part.when.items()}
    if any(name not in chosen or plain(chosen[name]) not in values for name, values in asked.items()):
        return False
    # An instruction that is never sent is no choice.
    return not _is_of_reflector(part) or chosen.get("reflect") is not False


def _refuse_never(part: Part, parts: dict[str, Part]) -> None:
    """Refuse a part that would never be asked for: what it depends on must be able to be so, all at once."""
    asked: dict[str, set[Scalar]] = {"reflect": {True}} if _is_of_reflector(part) else {}
    waiting = [part]
    while waiting:
        for name, values in (one := waiting.pop()).when.items():
            among = {plain(value) for value in values if parts[name].offers(value)}
            if not among:
                raise ValueError(
                    f"part {one.name!r} is never asked for: it depends on {name!r} being one of "
                    f"{[plain(value) for value in values]}, but that can only be {parts[name].choices}"
                )
            asked[name] = asked.get(name, among) & among
            if not asked[name]:
                raise ValueError(
                    f"part {part.name!r} is never asked for: it and what it depends on want {name!r} to be different "
                    "things at once"
                )
            waiting.append(parts[name])


def _refuse_unusable(setting: str, value: JsonValue) -> None:
    try:
        ReflectiveSettings.model_validate({setting: value})
    except ValidationError as error:
        raise ValueError(f"{setting}={plain(value)!r} cannot be used: {error.errors()[0]['msg']}") from error


def _present(student: dspy.Module, part: Setting | Temperature) -> JsonValue:
    if isinstance(part, Setting):
        for cell in cells_of(student):
            found: JsonValue = cell.settings.value.model_dump(mode="json")[part.setting]
            return found
    return None


def _is_of_reflector(part: Part) -> bool:
    return isinstance(part, (Instructions, Temperature, Model)) and part.phase.rpartition(".")[2] == "reflector"


def phases_of(student: dspy.Module) -> dict[str, Any]:
    """Return the predictors of a program by the shortest unique name: ``predictor``, else ``cell.predictor``."""
    full = dict(student.named_predictors())
    short = [name.rpartition(".")[2] for name in full]
    return {(s if short.count(s) == 1 else name): p for (name, p), s in zip(full.items(), short, strict=True)}


def default_space(student: dspy.Module, proposals: int = 6, texts: dict[str, tuple[str, ...]] | None = None) -> Space:
    """Return the space that fits a program: all instructions, a demo set, and for reflective cells the start memory.

    Settings, models and temperatures are left as they are; add them with :meth:`Space.having`.

    Args:
        student: the program.
        proposals: room for written instructions in each phase.
        texts: instructions of your own by phase.

    Raises:
        ConfigurationError: the program has no predictor, or ``texts`` names one that it does not have.

    Example:
        >>> import rnnprog
        >>> default_space(rnnprog.RecurrentModule("rain: float -> tomorrow: Literal['sun', 'rain']")).names[:2]
        ('predictor.instruction', 'reflector.instruction')
    """
    phases = phases_of(student)
    if not phases:
        raise ConfigurationError("the program has no predictor, so there is nothing to tune")
    unknown = sorted(set(texts or {}) - set(phases))
    if unknown:
        raise ConfigurationError(f"texts for {unknown}, but the program has {sorted(phases)}")
    parts: list[Part] = [
        Instructions(phase=phase, texts=(texts or {}).get(phase, ()), proposals=proposals) for phase in phases
    ]
    if cells_of(student):
        parts += [Demos(), StartMemory()]
    return Space(parts=tuple(parts))
