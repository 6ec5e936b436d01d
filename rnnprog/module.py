"""``RecurrentModule``: any cell, unrolled over a sequence, as a well-behaved dspy module."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Union, cast

import dspy
from pydantic import JsonValue

from rnnprog.cells.base import Cell, make_cell
from rnnprog.effects import Effects, adrive, drive
from rnnprog.errors import ConfigurationError, DataError, LMUnavailableError
from rnnprog.feedback import FeedbackSource, Label, label_feedback
from rnnprog.memory import Memory
from rnnprog.recording import FailurePolicy, Recording
from rnnprog.signatures import TaskLike
from rnnprog.signatures.text import to_json
from rnnprog.state import Pending, State
from rnnprog.steps import StepLike, as_steps
from rnnprog.trace import Failure, Feedback, Fields, Step, Update
from rnnprog.walk import Walk

__all__ = ["Asked", "RecurrentModule"]

DEFAULT_CELL = "reflective"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """An answer to one observation.

    Attributes:
        id: key to tell the outcome by.
        outputs: typed outputs by field; ``None`` if there was no usable answer. Also readable as attributes.
        failure: why there is none.
    """

    id: str
    outputs: Fields | None
    failure: Failure | None = None

    def __getattr__(self, name: str) -> JsonValue:
        outputs = self.__dict__.get("outputs") or {}
        if name in outputs:
            return outputs[name]  # type: ignore[no-any-return]
        raise AttributeError(f"the answer has no output {name!r}; it has {sorted(outputs)}")


class RecurrentModule(dspy.Module):
    """A recurrent predictor made of a cell and a source of feedback.

    Call it with the steps of one sequence to walk them all, or use :meth:`ask` and :meth:`tell` to go one observation
    at a time with outcomes that come late, out of order or never. The state of a walk is a value that is passed in
    and returned; the module itself never changes, so one module serves any number of threads and sequences.

    Args:
        cell: what predicts and learns; a task signature stands for the reflective cell on that task.
        feedback: where evidence comes from and when; by default each step's own label, at once.
        recording: which carries the trace holds.
        failures: what happens to steps without a usable answer.
        learning: with ``False`` the carry never changes.
        **settings: settings of the cell, where ``cell`` is a task signature, e.g. ``budget=256``.

    Raises:
        ConfigurationError: the signature or a setting cannot be used.

    Example:
        >>> import rnnprog
        >>> program = rnnprog.RecurrentModule("rain: float -> tomorrow: Literal['sun', 'rain']")
        >>> program.set_lm(rnnprog.embedded_lm())
        >>> steps = [{"rain": 0.0, "tomorrow": "sun"}, {"rain": 4.5, "tomorrow": "rain"}, {"rain": 5.1}]
        >>> len(program(steps=steps).outputs)
        3
    """

    def __init__(
        self,
        cell: Cell | TaskLike,
        *,
        feedback: FeedbackSource | None = None,
        recording: Recording | None = None,
        failures: FailurePolicy | None = None,
        learning: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__()
        if isinstance(cell, Cell) and settings:
            raise ConfigurationError(f"{sorted(settings)} are settings of a cell; give them to the cell itself")
        self.cell = cast(Cell, cell) if isinstance(cell, Cell) else make_cell(DEFAULT_CELL, cell, **settings)
        self.feedback = feedback if feedback is not None else Label()
        self.recording = recording or Recording()
        self.failures = failures or FailurePolicy()
        self.learning = learning

    def forward(
        self,
        steps: Iterable[StepLike],
        memory: Memory | str | None = None,
        state: State | None = None,
        sequence: str = "0",
    ) -> dspy.Prediction:
        """Walk over the steps of one sequence.

        Args:
            steps: :class:`~rnnprog.Step` values, or mappings with the task's fields (outputs are the outcome).
            memory: what to start from instead of the cell's own initial carry.
            state: go on from here instead (another walk's ``state``).
            sequence: name of the sequence, for prediction ids.

        Returns:
            The last step's outputs by name; ``outputs`` of all steps (``None`` for failed ones); ``memory``, the last
            carry; ``trace``; ``state`` to go on from.

        Raises:
            DataError: a step cannot be read, or there is none.
            LMUnavailableError: no model is configured, or it failed ``give_up_after`` times in a row. Whatever ends a
                walk, ``error.trace`` holds the steps until then.
        """
        walk, effects = self._walk(steps, memory, state, sequence)
        with walk.meter.listening(), self._keeping(walk):
            drive(effects, walk.meter.booking)
        return self._prediction(walk)

    async def aforward(
        self,
        steps: Iterable[StepLike],
        memory: Memory | str | None = None,
        state: State | None = None,
        sequence: str = "0",
    ) -> dspy.Prediction:
        """Walk over the steps of one sequence, awaiting the model; see :meth:`forward`."""
        walk, effects = self._walk(steps, memory, state, sequence)
        with walk.meter.listening(), self._keeping(walk):
            await adrive(effects, walk.meter.booking)
        return self._prediction(walk)

    def initial(self, sequence: str = "0", memory: Memory | str | None = None) -> State:
        """Return the state before the first step.

        Args:
            sequence: name of the sequence.
            memory: what to start from instead of the cell's own initial carry; a text is read by the cell's layout.

        Raises:
            ConfigurationError: a memory was given to a cell that does not carry one.
        """
        if not sequence:
            raise ConfigurationError("the name of a sequence must not be empty: prediction ids are made from it")
        return State(sequence=sequence, carry=self.cell.start(memory))

    def ask(self, state: State, /, **inputs: Any) -> tuple[Asked, State]:
        """Predict one observation. Returns the answer, with the id to tell its outcome by, and the next state."""
        walk = self.walk(state)
        with walk.meter.listening():
            answer = drive(walk.ask(self._step(inputs)), walk.meter.booking)
        return Asked(state.id(), answer.outputs, answer.failure), walk.state

    async def aask(self, state: State, /, **inputs: Any) -> tuple[Asked, State]:
        """Predict one observation, awaiting the model; see :meth:`ask`."""
        walk = self.walk(state)
        with walk.meter.listening():
            answer = await adrive(walk.ask(self._step(inputs)), walk.meter.booking)
        return Asked(state.id(), answer.outputs, answer.failure), walk.state

    def tell(self, state: State, id: str, outcome: Any) -> State:
        """Learn the outcome of an earlier prediction; late, in any order.

        Telling the same prediction twice changes nothing.

        Args:
            state: the sequence's present state.
            id: the id that :meth:`ask` returned.
            outcome: the true value (for a task with one output), the true values by field, or a
                :class:`~rnnprog.Feedback` of your own.

        Raises:
            DataError: the id is not of this sequence, or the outcome does not fit the task.
        """
        return self.learn_from(state, id, outcome)[1]

    async def atell(self, state: State, id: str, outcome: Any) -> State:
        """Learn an outcome, awaiting the model; see :meth:`tell`."""
        walk, effects = self._telling(state, id, outcome)
        with walk.meter.listening():
            await adrive(effects, walk.meter.booking)
        return walk.state

    def learn_from(self, state: State, id: str, outcome: Any) -> tuple[Update | None, State]:
        """Do as :meth:`tell`, and also return what was done; ``None`` if this outcome was told before."""
        walk, effects = self._telling(state, id, outcome)
        with walk.meter.listening():
            update = drive(effects, walk.meter.booking)
        return update, walk.state

    def walk(self, state: State) -> Walk:
        """Return a walk that goes on from ``state``; for runners, which drive many of them."""
        self._require_lm()
        return Walk(self.cell, self.feedback, state, self.recording, self.failures, learning=self.learning)

    def _walk(
        self, steps: Iterable[StepLike], memory: Memory | str | None, state: State | None, sequence: str
    ) -> tuple[Walk, Effects[None]]:
        if state is not None and memory is not None:
            raise ConfigurationError("give either a state to go on from or a memory to start from, not both")
        read = as_steps(self.cell.task, steps)
        if not read:
            raise DataError(f"sequence {sequence!r} has no steps; a walk needs at least one")
        walk = self.walk(state if state is not None else self.initial(sequence, memory))
        return walk, walk.steps(read, len(read))

    @contextmanager
    def _keeping(self, walk: Walk) -> Iterator[None]:
        """Hand what was done so far to whoever catches the error: hours of model calls, not to be thrown away."""
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:
            vars(error)["trace"] = walk.trace(self.describe(), f"{type(error).__name__}: {error}")
            raise

    def _prediction(self, walk: Walk) -> dspy.Prediction:
        last = walk.records[-1].prediction or dict.fromkeys(self.cell.task.outputs)
        return dspy.Prediction(
            **last,
            outputs=[record.prediction for record in walk.records],
            memory=walk.state.carry,
            trace=walk.trace(self.describe()),
            state=walk.state,
        )

    def _step(self, inputs: Fields) -> Step:
        return as_steps(self.cell.task, [{"inputs": inputs}])[0]

    def _telling(self, state: State, id: str, outcome: Any) -> tuple[Walk, Effects[Update | None]]:
        pending = state.waiting(id)
        walk = self.walk(state)
        return walk, _tell(walk, id, pending, self._feedback(outcome, pending) if pending else None)

    def _feedback(self, outcome: Any, pending: Pending) -> Feedback:
        if isinstance(outcome, Feedback):
            return outcome
        task = self.cell.task
        by_field = isinstance(outcome, Mapping) and (len(task.outputs) > 1 or set(outcome) == set(task.outputs))
        values = outcome if by_field else {task.outputs[0]: outcome}
        try:
            typed = task.validate({name: to_json(value) for name, value in values.items()})
            return label_feedback(task, pending.outputs, typed)
        except ValueError as error:
            raise DataError(f"the outcome {outcome!r} does not fit the task: {error}") from error

    def describe(self) -> Fields:
        """Return what this program is, as JSON, for traces and reports."""
        return {**self.cell.describe(), "feedback": self.feedback.describe(), "learning": self.learning}

    def get_lm(self) -> dspy.LM:
        """Return the one model that all phases use; after a load, models that were saved equal count as one.

        Raises:
            ValueError: the phases use different models.
        """
        lms = {name: predictor.lm for name, predictor in self.named_predictors()}
        distinct: list[Any] = []
        for lm in lms.values():
            if not any(lm is known or _same(lm, known) for known in distinct):
                distinct.append(lm)
        if len(distinct) > 1:
            models = {name: getattr(lm, "model", lm) for name, lm in lms.items()}
            raise ValueError(f"the phases use different models: {models}; there is no single one to return")
        return distinct[0] if distinct else None

    def set_lms(self, **by_phase: dspy.LM) -> None:
        """Give phases models of their own, e.g. ``set_lms(predictor=small, reflector=large, rewriter=large)``.

        ``set_lm`` gives all phases the same model.

        Raises:
            ConfigurationError: a phase that this program does not have.
        """
        phases = {
            name: part
            for owner in (self.cell, self.feedback)
            for name, part in vars(owner).items()
            if isinstance(part, dspy.Module)
        }
        unknown = sorted(set(by_phase) - set(phases))
        if unknown:
            raise ConfigurationError(f"no phase {unknown} in this program; it has {sorted(phases)}")
        for phase, lm in by_phase.items():
            phases[phase].set_lm(lm)

    def load_state(self, state: dict[str, Any], *, allow_unsafe_lm_state: bool = False) -> None:
        """Take over a saved state, all of it or nothing.

        A part that the file does not know yet, because an older version wrote it, stays as built, with a warning.

        Args:
            state: what ``dump_state`` returned.
            allow_unsafe_lm_state: as in ``dspy.Module.load``; needed for models with an engine of their own.

        Raises:
            ConfigurationError: the state is of another program, or of a newer version.
        """
        names = [name for name, _ in self.named_parameters()]
        unknown = sorted(set(state) - set(names) - {"metadata"})
        missing = [name for name in names if name not in state]
        if unknown or len(missing) == len(names):
            raise ConfigurationError(
                f"this is the state of another program, or of a newer version: it has {sorted(state)}, "
                f"here are {names}; build the same program, or upgrade rnnprog"
            )
        if missing:
            _logger.warning("the saved state has no %s; these parts stay as they were built", ", ".join(missing))
        for module in (self.deepcopy(), self):  # a trial run first, so that a bad file changes nothing
            for name, part in module.named_parameters():
                if name in missing:
                    continue
                if isinstance(part, dspy.Module):
                    part.load_state(state[name], allow_unsafe_lm_state=allow_unsafe_lm_state)
                else:
                    part.load_state(state[name])
            module.initial()

    def freeze(self, state: State) -> str:
        """Return a state as JSON text, pending predictions included, so that it survives the process."""
        pending = [
            {"id": id, "t": p.t, "step": p.step.model_dump(mode="json"), "outputs": p.outputs, "due": _dump_due(p.due)}
            for id, p in state.pending
        ]
        carry = self.cell.dump_carry(state.carry)
        return json.dumps(
            {"sequence": state.sequence, "t": state.t, "carry": carry, "pending": pending}, ensure_ascii=False
        )

    def thaw(self, frozen: str) -> State:
        """Return the state that :meth:`freeze` wrote.

        Raises:
            DataError: the text is not a frozen state.
        """
        try:
            data = json.loads(frozen)
            pending = tuple(
                (p["id"], Pending(p["t"], Step.model_validate(p["step"]), p["outputs"], _load_due(p["due"])))
                for p in data["pending"]
            )
            return State(data["sequence"], self.cell.load_carry(data["carry"]), data["t"], pending)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"not a frozen state: {error!r}") from error

    def _require_lm(self) -> None:
        if dspy.settings.lm is not None:
            return
        without = [name for name, predictor in self.named_predictors() if predictor.lm is None]
        if without:
            raise LMUnavailableError(
                f"no language model for {', '.join(without)}; call dspy.configure(lm=dspy.LM('openai/gpt-4o-mini')), "
                "program.set_lm(...), or for an offline trial program.set_lm(rnnprog.embedded_lm())"
            )


def _tell(walk: Walk, id: str, pending: Pending | None, feedback: Feedback | None) -> Effects[Update | None]:
    if pending is None:
        return None
    return (yield from walk.tell(id, pending, feedback))


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return False
    try:
        return bool(type(one) is type(other) and one.dump_state() == other.dump_state())
    except Exception:
        return False


def _dump_due(due: Union[int, float, datetime, None]) -> JsonValue:
    return {"date": due.isoformat()} if isinstance(due, datetime) else due


def _load_due(due: Any) -> Union[int, float, datetime, None]:
    return datetime.fromisoformat(due["date"]) if isinstance(due, dict) else due
