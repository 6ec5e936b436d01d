"""The contract of a cell: two verbs. Predicting never learns; learning never answers.

The carry is opaque outside its cell: a memory for the reflective cell, past turns for full history, nothing for
zero-shot, a tensor for a latent cell. The walk passes it along and records it through :meth:`Cell.dump_carry`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar

import dspy
from pydantic import JsonValue

from rnnprog.effects import Maybe, adrive, drive, perform
from rnnprog.errors import ConfigurationError
from rnnprog.memory import well_formed
from rnnprog.signatures.task import Task, TaskLike
from rnnprog.trace import Failure, Feedback, Fields, Verdict

__all__ = ["Answer", "Cell", "Experience", "Learned", "cell_names", "make_cell"]

_CELLS: dict[str, type[Cell]] = {}
_OPTIONAL = {"latent": "rnnprog.latent.cell"}  # needs packages of its own, so it is imported when it is asked for


@dataclass(frozen=True)
class Answer:
    """What predicting gave.

    Attributes:
        outputs: typed outputs by field as JSON values; ``None`` if there is no usable answer.
        failure: why there is none.
        prediction: the ``dspy.Prediction`` behind the outputs, for what it carries besides (usage, extra fields).
        note: what the cell wants to know again when it learns from this prediction, as JSON. It waits with the
            prediction, however late the evidence, survives in frozen states, stands in the trace and comes back as
            :attr:`Experience.note`; it counts against no budget, and no model sees it unless the cell shows it.
    """

    outputs: Fields | None
    failure: Failure | None = None
    prediction: dspy.Prediction | None = None
    note: JsonValue = None


@dataclass(frozen=True)
class Experience:
    """One prediction together with what became known about it.

    Attributes:
        id: key of the prediction.
        t: index of the predicted step in its sequence, from 0.
        inputs: the observation.
        outputs: what was predicted; ``None`` if the prediction failed.
        feedback: the evidence; ``None`` where none will come and the cell learns without.
        last: whether this is the last step of its sequence, so that nothing will use the lesson.
        note: what the cell attached to its answer, as JSON gives it back; ``None`` if nothing, or if the prediction
            was made and saved by a version that knew no notes.
    """

    id: str
    t: int
    inputs: Fields
    outputs: Fields | None
    feedback: Feedback | None = None
    last: bool = False
    note: JsonValue = None


@dataclass(frozen=True)
class Learned:
    """What learning gave.

    Attributes:
        carry: the next carry; the very object that was passed in if nothing changed.
        operation: what was done, for the audit trail.
        critique: the model's reading of the evidence.
        verdicts: decisions of the guard.
        dropped: items that the budget removed.
        tokens: length of the carry in tokens, where it is a text.
        failure: set if a phase gave nothing usable; the carry is then the old one.
    """

    carry: Any
    operation: str
    critique: Fields | None = None
    verdicts: tuple[Verdict, ...] = ()
    dropped: tuple[tuple[str, str], ...] = field(default=())
    tokens: int | None = None
    failure: Failure | None = None


class Cell(dspy.Module):
    """Base of all cells. Subclass it, set ``name``, and write :meth:`initial`, :meth:`predicting`, :meth:`learning`.

    The two verbs return either a plain value or a generator that yields :class:`~rnnprog.effects.Call` and is
    sent predictions; write them once and both the sync and the async forms work. Keep predictors in attributes, so
    that dspy's optimizers find them. Keep no state that changes while walking: it belongs in the carry.

    Every cell passes the checks of :mod:`rnnprog.testing`.

    Args:
        task: what is observed and predicted.
    """

    name: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in vars(cls):
            return
        known = _CELLS.get(cls.name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ConfigurationError(f"the cell name {cls.name!r} of {cls} is taken by {known}; choose another name")
        _CELLS[cls.name] = cls

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def start(self, memory: Any = None) -> Any:
        """Return the carry to start a sequence from: :meth:`initial`, or one made of a given memory.

        Raises:
            ConfigurationError: this cell carries no memory that could be given.
        """
        if memory is None:
            return self.initial()
        raise ConfigurationError(f"the cell {self.name!r} cannot start from a given memory; leave it out")

    def initial(self) -> Any:
        """Return the carry before the first step."""
        raise NotImplementedError(f"{type(self).__name__} must define initial() -> carry")

    def predicting(self, carry: Any, inputs: Fields) -> Maybe[Answer]:
        """Answer one observation from the carry, without changing it."""
        raise NotImplementedError(f"{type(self).__name__} must define predicting(carry, inputs) -> Answer")

    def learning(self, carry: Any, experience: Experience) -> Maybe[Learned]:
        """Return the carry that follows from one experience; never answer anything."""
        raise NotImplementedError(f"{type(self).__name__} must define learning(carry, experience) -> Learned")

    def dump_carry(self, carry: Any) -> JsonValue:
        """Return the carry as JSON; override where it is not JSON already."""
        return carry  # type: ignore[no-any-return]

    def load_carry(self, dumped: JsonValue) -> Any:
        """Return the carry that :meth:`dump_carry` wrote."""
        return dumped

    def digest(self, carry: Any) -> str:
        """Return twelve hex digits that name this version of the carry."""
        text = json.dumps(self.dump_carry(carry), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    def describe(self) -> Fields:
        """Return what distinguishes this cell from another of its kind, as JSON, for traces and reports."""
        return {"cell": self.name, "task": str(self.task)}

    def predict(self, carry: Any, inputs: Fields) -> Answer:
        """Predict in this thread."""
        return drive(perform(self.predicting(carry, inputs)))

    async def apredict(self, carry: Any, inputs: Fields) -> Answer:
        """Predict, awaiting the model."""
        return await adrive(perform(self.predicting(carry, inputs)))

    def learn(self, carry: Any, experience: Experience) -> Learned:
        """Learn in this thread."""
        return drive(perform(self.learning(carry, experience)))

    async def alearn(self, carry: Any, experience: Experience) -> Learned:
        """Learn, awaiting the model."""
        return await adrive(perform(self.learning(carry, experience)))

    def forward(self, carry: Any, inputs: Fields) -> dspy.Prediction:
        """Answer one observation as a dspy module does; walk sequences with ``rnnprog.RecurrentModule``."""
        answer = self.predict(carry, inputs)
        return dspy.Prediction(**(answer.outputs or {}))


def checked_note(cell: Cell, note: Any) -> JsonValue:
    """Return a note as it will come back from a file, so that a walk that was never saved learns the same.

    Raises:
        ConfigurationError: it is not JSON.

    Example:
        >>> from rnnprog.cells import ZeroShot
        >>> checked_note(ZeroShot("x -> y"), {"near": (1, 2)})
        {'near': [1, 2]}
    """
    if note is None:
        return None
    try:
        return json.loads(well_formed(json.dumps(note, ensure_ascii=False)))  # type: ignore[no-any-return]
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"the cell {cell.name or type(cell).__name__!r} attached a note that is not JSON to its answer: "
            f"{repr(note)[:200]} ({error}); attach texts, numbers, lists and dicts, e.g. value.model_dump(mode='json')"
        ) from error


def cell_names() -> list[str]:
    """Return the names of all cells whose module has been imported."""
    return sorted(_CELLS)


def make_cell(name: str, task: TaskLike, **settings: Any) -> Cell:
    """Make a cell by its name, as the command line and configuration files do.

    Args:
        name: one of :func:`cell_names`.
        task: signature string, class or task.
        **settings: the cell's own keyword arguments.

    Raises:
        ConfigurationError: no such cell, or arguments that it does not take.
    """
    if name in _OPTIONAL and name not in _CELLS:
        try:
            import_module(_OPTIONAL[name])
        except ImportError as error:
            raise ConfigurationError(
                f'the cell {name!r} needs what is not installed ({error}): pip install "rnnprog[{name}]"'
            ) from error
    if name not in _CELLS:
        near = difflib.get_close_matches(name, _CELLS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ConfigurationError(f"no cell is called {name!r}{hint} There are {', '.join(cell_names())}")
    try:
        return _CELLS[name](task, **settings)  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigurationError(f"the cell {name!r} does not take {sorted(settings)}: {error}") from error
