"""The fold: ask, see which feedback has arrived, let the cell learn from it, record. The only loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import dspy

from rnnprog.cells.base import Answer, Cell, Experience, Learned, checked_note
from rnnprog.effects import Effects, Status, perform
from rnnprog.errors import DataError, LMUnavailableError, StepFailedError
from rnnprog.feedback import FeedbackSource
from rnnprog.lm.formatting import thrifty
from rnnprog.lm.meter import Meter
from rnnprog.recording import FailurePolicy, Recording
from rnnprog.state import Moment, Pending, State
from rnnprog.trace import Failure, Feedback, Fields, Step, StepRecord, Trace, Update

__all__ = ["Walk"]


@dataclass
class Walk:
    """One walk over one sequence: local to a call, thrown away afterwards; what it made so far is in ``records``.

    Attributes:
        cell: what predicts and learns.
        source: where feedback comes from, and when.
        state: where the walk stands.
        recording: which carries to write down.
        failures: what to do with failed steps.
        meter: hears the calls of this walk.
        learning: with ``False`` the carry never changes.
        on_record: called with each record as it is made.
    """

    cell: Cell
    source: FeedbackSource
    state: State
    recording: Recording = field(default_factory=Recording)
    failures: FailurePolicy = field(default_factory=FailurePolicy)
    meter: Meter = field(default_factory=Meter)
    learning: bool = True
    on_record: Callable[[StepRecord], None] = lambda _record: None
    records: list[StepRecord] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._start = self.state
        self._digest = self._start_digest = self.cell.digest(self.state.carry)
        self._failed_in_a_row = self._silent_in_a_row = 0

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Make the calls of this walk inside: its meter hears them, and no prompt is formatted twice."""
        with thrifty(), self.meter.listening():
            yield

    def steps(self, steps: Iterable[Step], total: int | None = None) -> Effects[None]:
        """Walk over ``steps``; yields the calls to be made."""
        pending: Step | None = None
        iterator = iter(steps)
        for step in iterator:
            if pending is not None:
                yield from self._step(pending, total, last=False)
            pending = step
        if pending is not None:
            yield from self._step(pending, total, last=True)

    def _step(self, step: Step, total: int | None, *, last: bool) -> Effects[None]:
        t = self.state.t
        if dspy.settings.send_stream is not None:
            yield Status(f"step {t + 1} of {total}" if total else f"step {t + 1}")
        now = self.source.clock(step, t)
        before = yield from self._arrivals(now, last=False)
        answer = yield from self.ask(step, now)
        usage = self.meter.take()
        after = yield from self._arrivals(now, last=last)
        record = StepRecord(
            t=t,
            id=f"{self.state.sequence}:{t}",
            inputs=step.inputs,
            prediction=answer.outputs,
            target=step.target,
            time=step.time,
            usage=usage,
            failure=answer.failure,
            note=answer.note,
            before=before,
            after=after,
        )
        self.records.append(record)
        self.answers.append(answer)
        self.on_record(record)
        self._check(record)

    def ask(self, step: Step, now: Moment | None = None) -> Effects[Answer]:
        """Predict one step and note that its feedback is awaited."""
        self.meter.about = self.state.id()
        said = yield from perform(self.cell.predicting(self.state.carry, step.inputs))
        answer = said if said.note is None else replace(said, note=checked_note(self.cell, said.note))
        due = None if now is None else _due(now, self.source.delay)
        self.state = self.state.asked(self.state.id(), Pending(self.state.t, step, answer.outputs, due, answer.note))
        return answer

    def _arrivals(self, now: Moment, *, last: bool) -> Effects[tuple[Update, ...]]:
        updates: list[Update] = []
        arrived = [(p.due, id, p) for id, p in self.state.pending if p.due is not None and _before(p.due, now)]
        for _, id, pending in sorted(arrived, key=lambda a: (a[0], a[2].t)):
            if not self.learning:
                self.state = self.state.told(id, self.state.carry)
                continue
            self.meter.about = id
            feedback = yield from perform(self.source.giving(self.cell.task, pending.step, pending.outputs))
            updates.append((yield from self.tell(id, pending, feedback, last=last)))
        return tuple(updates)

    def tell(
        self, id: str, pending: Pending, feedback: Feedback | Failure | None, *, last: bool = False
    ) -> Effects[Update]:
        """Let the cell learn from feedback that has arrived; ``None`` says that none ever will."""
        before = self.state.carry
        self.meter.about = id
        if not self.learning:
            learned = Learned(before, "frozen")
        elif isinstance(feedback, Failure):
            learned = Learned(before, "no_feedback", failure=feedback)
        else:
            evidence = feedback if isinstance(feedback, Feedback) else None
            experience = Experience(id, pending.t, pending.step.inputs, pending.outputs, evidence, last, pending.note)
            learned = yield from perform(self.cell.learning(before, experience))
        self.state = self.state.told(id, learned.carry)
        return self._update(id, feedback if isinstance(feedback, Feedback) else None, before, learned)

    def _update(self, id: str, feedback: Feedback | None, before: Any, learned: Learned) -> Update:
        parent = self._digest
        changed = learned.carry is not before
        if changed:
            self._digest = self.cell.digest(learned.carry)
        keep = changed and self.recording.keeps(self.state.t - 1)
        return Update(
            of=id,
            operation=learned.operation,
            parent=parent,
            digest=self._digest,
            feedback=feedback,
            critique=learned.critique,
            carry=self.cell.dump_carry(learned.carry) if keep else None,
            tokens=learned.tokens,
            verdicts=learned.verdicts,
            dropped=learned.dropped,
            usage=self.meter.take(),
            failure=learned.failure,
        )

    def _check(self, record: StepRecord) -> None:
        self._silent_in_a_row = self._silent_in_a_row + 1 if record.no_reply else 0
        if not record.failures:
            self._failed_in_a_row = 0
            return
        failed = record.failures[0]
        self._failed_in_a_row += 1
        if self.failures.on_step == "raise":
            raise StepFailedError(
                f"step {record.t} of sequence {self.state.sequence!r} failed in phase {failed.phase!r}: {failed.error}"
            )
        if self._silent_in_a_row >= min(self.failures.patience, self.failures.give_up_after):
            raise LMUnavailableError(
                f"sequence {self.state.sequence!r}: the model gave no reply for {self._silent_in_a_row} steps "
                f"in a row, the last (step {record.t}) in phase {failed.phase!r}: {failed.error}; "
                "see that it runs and can be reached"
            )
        if self._failed_in_a_row >= self.failures.give_up_after:
            raise StepFailedError(
                f"sequence {self.state.sequence!r}: {self._failed_in_a_row} steps in a row failed, "
                f"the last (step {record.t}) in phase {failed.phase!r}: {failed.error}; "
                "the trace holds the raw answers"
            )

    def trace(self, program: Fields, error: str | None = None) -> Trace:
        """Return what happened so far as a value."""
        return Trace(
            sequence=self.state.sequence,
            program=program,
            initial=self.cell.dump_carry(self._start.carry),
            initial_digest=self._start_digest,
            records=tuple(self.records),
            final=self.cell.dump_carry(self.state.carry),
            unanswered=tuple(id for id, _ in self.state.pending),
            error=error,
        )


def _due(now: Moment, delay: Any) -> Moment:
    try:
        return now + delay  # type: ignore[no-any-return]
    except TypeError as error:
        raise DataError(
            f"a delay of {delay!r} cannot be added to the step's time {now!r}; "
            "give a timedelta where steps carry dates, a number where they carry numbers, or count by='steps'"
        ) from error


def _before(due: Moment, now: Moment) -> bool:
    try:
        return due <= now  # type: ignore[operator]
    except TypeError as error:
        raise DataError(f"step times are of mixed kinds: {due!r} and {now!r}; use one kind throughout") from error
