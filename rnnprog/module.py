"""``RecurrentModule``: any cell, unrolled over a sequence, as a well-behaved dspy module."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import dspy

from rnnprog.asking import Asked, outcome_feedback
from rnnprog.cells.base import Cell, make_cell
from rnnprog.cells.parameters import SettingsBox
from rnnprog.effects import Effects, adrive, drive
from rnnprog.errors import ConfigurationError, DataError
from rnnprog.feedback import FeedbackSource, Label
from rnnprog.lm.roles import assign_lms, require_lm, shared_lm
from rnnprog.loading import load_parts
from rnnprog.memory import Memory
from rnnprog.recording import FailurePolicy, Recording, WalkSettings
from rnnprog.signatures import TaskLike
from rnnprog.state import Pending, State
from rnnprog.state_io import freeze_state, thaw_state
from rnnprog.steps import StepLike, as_step, as_steps
from rnnprog.trace import Feedback, Fields, Step, Update
from rnnprog.walk import Walk

__all__ = ["Asked", "RecurrentModule"]

DEFAULT_CELL = "reflective"
_logger = logging.getLogger(__name__)


class RecurrentModule(dspy.Module):
    """A recurrent predictor made of a cell and a source of feedback.

    Call it with the steps of one sequence to walk them all, or use :meth:`ask` and :meth:`tell` to go one observation
    at a time with outcomes that come late, out of order or never. The state of a walk is a value that is passed in
    and returned; the module itself never changes, so one module serves any number of threads and sequences.

    Saved with the program are its prompts, demos and models, the cell's settings, a learned initial memory, and
    ``walking`` (recording, failures, learning). The source of feedback is not: it belongs to the place where the
    program runs, where labels may come later or from elsewhere than where it was tuned. Give it when you build the
    program to load into; a judge's prompt is saved.

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
        self.walking = SettingsBox(
            WalkSettings(recording=recording or Recording(), failures=failures or FailurePolicy(), learning=learning)
        )

    @property
    def recording(self) -> Recording:
        """Which carries the trace holds."""
        return self.walking.value.recording

    @property
    def failures(self) -> FailurePolicy:
        """What happens to steps without a usable answer."""
        return self.walking.value.failures

    @property
    def learning(self) -> bool:
        """Whether the carry may change."""
        return self.walking.value.learning

    @learning.setter
    def learning(self, learns: bool) -> None:
        self.walking.value = self.walking.value.model_copy(update={"learning": learns})

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
            The last step's outputs by name, typed as the signature says; ``outputs`` of all steps as JSON values
            (``None`` for failed ones); ``memory``, the last carry; ``trace``; ``state`` to go on from.

        Raises:
            DataError: a step cannot be read or has other fields than the task, or there is none; before any call.
            LMUnavailableError: no model is configured, or it failed ``give_up_after`` times in a row. Whatever ends a
                walk, ``error.trace`` holds the steps until then.
        """
        walk, effects = self._walk(steps, memory, state, sequence)
        with walk.calling(), self._keeping(walk):
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
        with walk.calling(), self._keeping(walk):
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
        """Predict one observation. Returns the answer, with the id to tell its outcome by, and the next state.

        Where the names are not those of the task's inputs, the answer has a ``failure`` and no ``outputs``.
        """
        walk = self.walk(state)
        with walk.calling():
            answer = drive(walk.ask(self._step(inputs)), walk.meter.booking)
        return Asked(state.id(), answer.outputs, answer.failure), walk.state

    async def aask(self, state: State, /, **inputs: Any) -> tuple[Asked, State]:
        """Predict one observation, awaiting the model; see :meth:`ask`."""
        walk = self.walk(state)
        with walk.calling():
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
        with walk.calling():
            await adrive(effects, walk.meter.booking)
        return walk.state

    def learn_from(self, state: State, id: str, outcome: Any) -> tuple[Update | None, State]:
        """Do as :meth:`tell`, and also return what was done; ``None`` if this outcome was told before."""
        walk, effects = self._telling(state, id, outcome)
        with walk.calling():
            update = drive(effects, walk.meter.booking)
        return update, walk.state

    def walk(self, state: State) -> Walk:
        """Return a walk that goes on from ``state``; for runners, which drive many of them."""
        require_lm(self)
        how = self.walking.value
        return Walk(self.cell, self.feedback, state, how.recording, how.failures, learning=how.learning)

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
        said, task = walk.records[-1].prediction, self.cell.task
        last = dict.fromkeys(task.outputs) if said is None else task.typed(said)
        if all(record.failure is not None for record in walk.records):
            first = walk.records[0]
            _logger.warning(
                "sequence %r: none of its %d steps got a usable answer; the first: %s",
                walk.state.sequence,
                len(walk.records),
                first.failure and first.failure.error,
            )
        return dspy.Prediction(
            **last,
            outputs=[record.prediction for record in walk.records],
            memory=walk.state.carry,
            trace=walk.trace(self.describe()),
            state=walk.state,
        )

    def _step(self, inputs: Fields) -> Step:
        return as_step(self.cell.task, {"inputs": inputs})

    def _telling(self, state: State, id: str, outcome: Any) -> tuple[Walk, Effects[Update | None]]:
        pending = state.waiting(id)
        walk = self.walk(state)
        return walk, _tell(walk, id, pending, outcome_feedback(self.cell.task, pending, outcome) if pending else None)

    def describe(self) -> Fields:
        """Return what this program is, as JSON, for traces and reports."""
        return {**self.cell.describe(), "feedback": self.feedback.describe(), "learning": self.walking.value.learning}

    def get_lm(self) -> dspy.LM:
        """Return the one model that all phases use; after a load, models that were saved equal count as one.

        Raises:
            ValueError: the phases use different models.
        """
        return shared_lm(self)

    def set_lms(self, **by_phase: dspy.LM) -> None:
        """Give phases models of their own, e.g. ``set_lms(predictor=small, reflector=large, rewriter=large)``.

        ``set_lm`` gives all phases the same model.

        Raises:
            ConfigurationError: a phase that this program does not have.
        """
        assign_lms((self.cell, self.feedback), by_phase)

    def load_state(self, state: dict[str, Any], *, allow_unsafe_lm_state: bool = False) -> None:
        """Take over a saved state, all of it or nothing.

        A part that the file does not know yet, because an older version wrote it, stays as built, with a warning.

        Args:
            state: what ``dump_state`` returned.
            allow_unsafe_lm_state: as in ``dspy.Module.load``; needed for models with an engine of their own.

        Raises:
            ConfigurationError: the state is of another program, or of a newer version.
        """
        load_parts(self, state, allow_unsafe_lm_state=allow_unsafe_lm_state)

    def freeze(self, state: State) -> str:
        """Return a state as JSON text, pending predictions included, so that it survives the process."""
        return freeze_state(self.cell, state)

    def thaw(self, frozen: str) -> State:
        """Return the state that :meth:`freeze` wrote.

        Raises:
            DataError: the text is not a frozen state.
        """
        return thaw_state(self.cell, frozen)


def _tell(walk: Walk, id: str, pending: Pending | None, feedback: Feedback | None) -> Effects[Update | None]:
    if pending is None:
        return None
    return (yield from walk.tell(id, pending, feedback))
