"""Walks in threads: each job is one program on one sequence, run once, whatever becomes of the others.

dspy's own executor hands a task that takes over two minutes to a second worker and runs it twice; a sequence of fifty
steps takes longer than that as a matter of course. This one runs each job once.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Literal

import dspy
from dspy.dsp.utils.settings import main_thread_config

from rnnprog.collector import seldom_collecting_everything
from rnnprog.effects import drive
from rnnprog.errors import DataError, LMUnavailableError, RnnprogError, StepFailedError
from rnnprog.lm.meter import Listener
from rnnprog.lm.prices import Prices
from rnnprog.module import RecurrentModule
from rnnprog.state import State
from rnnprog.steps import as_steps
from rnnprog.trace import Fields, StepRecord, Timing, Trace
from rnnprog.trace import Sequence as Series
from rnnprog.walk import Walk

__all__ = ["Halt", "Job", "Stop", "run_jobs"]

_KEPT = 200  # calls that dspy keeps for each predictor during a run; its default would hold 10,000 whole prompts
_INTERRUPTED = "interrupted"
_LOG = logging.getLogger(__name__)
_POLL = 0.2  # seconds between looks at the keyboard while waiting


@dataclass(frozen=True)
class Stop:
    """Why walks did not reach their end, though nothing was wrong with them.

    Attributes:
        kind: ``interrupted`` by Ctrl-C, ``halted`` by a :class:`Halt`, or ``no model``: it is down or refuses.
        why: in words.
    """

    kind: Literal["interrupted", "halted", "no model"]
    why: str


class Halt(RnnprogError, RuntimeError):
    """Raised by a listener to end all walks: calls in flight finish, nothing further is asked."""


class _Stopped(Exception):
    """Raised between two steps of a sequence once the jobs are to end."""


@dataclass
class Job:
    """One program on one sequence. It remembers the dspy settings under which it was made.

    Attributes:
        program: what walks; it is shared and not changed.
        sequence: what to walk.
        state: where to start; a fresh carry if left out.
        listeners: hear, and may refuse, the calls of this walk.
        prices: prices of models that stand above those of dspy's list.
        on_record: called with each step, from the worker thread.
        on_done: called with the finished or broken-off job, from the worker thread.
        description: what walks, as JSON; the program's own description if left out.
        trace: what happened; ``None`` until the job was begun.
        timing: what the clock said.
        complete: whether the walk reached the end of its sequence, with a reply to one step at least.
        patience: steps in a row without a reply that end the walk, if not as many as the program says.
        stopped: whether it was ended from outside: by Ctrl-C, a :class:`Halt`, or a model that could not be used.
    """

    program: RecurrentModule
    sequence: Series
    state: State | None = None
    listeners: tuple[Listener, ...] = ()
    prices: Prices = field(default_factory=dict)
    on_record: Callable[[StepRecord], None] = lambda _record: None
    on_done: Callable[[Job], None] = lambda _job: None
    description: Fields = field(default_factory=dict)
    patience: int | None = None
    trace: Trace | None = None
    timing: Timing = field(default_factory=Timing)
    complete: bool = False
    stopped: bool = False

    def __post_init__(self) -> None:
        self.context = contextvars.copy_context()
        self.description = self.description or self.program.describe()
        try:
            self.steps = as_steps(self.program.cell.task, self.sequence.steps)
        except DataError as error:
            raise DataError(f"sequence {self.sequence.id!r}: {error}") from error
        if not self.steps:
            raise DataError(f"sequence {self.sequence.id!r} has no steps; leave it out")

    def walk(self) -> Walk:
        """Return the walk that this job is about to make."""
        program = self.program
        walk = program.walk(self.state if self.state is not None else program.initial(self.sequence.id))
        walk.meter.listeners, walk.meter.prices = self.listeners, self.prices
        if self.patience is not None:
            walk.failures = walk.failures.model_copy(update={"patience": self.patience})
        return walk


def run_jobs(jobs: Sequence[Job], concurrency: int, *, raise_errors: bool = False) -> Stop | None:
    """Run jobs, ``concurrency`` at a time, in the order given.

    Args:
        jobs: what to do; the outcome of each is on it afterwards.
        concurrency: walks in flight, each in a thread.
        raise_errors: raise the first error of a walk; otherwise it ends that walk and stands in its trace.

    Returns:
        Why not all of them reached their end, ``None`` if all that could did. A second Ctrl-C does not wait for calls
        in flight. Where the model cannot be used, or gave no reply to a walk and to no other since, no further walk
        is begun.
    """
    with seldom_collecting_everything():
        return _Batch(raise_errors).run(jobs, concurrency)


class _Batch:
    """The threads of one run, and what stops them.

    ``_stop`` ends all walks after the step at hand. ``_down`` begins no further walk; those in flight go on, and end by
    themselves if their model is the one that is down.
    """

    def __init__(self, raise_errors: bool) -> None:
        self.raise_errors = raise_errors
        self._stop = threading.Event()
        self._down = False
        self._why: Stop | None = None
        self._silent = 0  # steps without a reply since the last one with, over all walks

    def run(self, jobs: Sequence[Job], concurrency: int) -> Stop | None:
        pool = ThreadPoolExecutor(max_workers=min(concurrency, max(1, len(jobs))), thread_name_prefix="rnnprog")
        futures = [pool.submit(job.context.run, self._work, job) for job in jobs]
        try:
            self._wait(futures)
        except KeyboardInterrupt:
            self._halt(futures)
            if any(future.running() for future in futures):
                _LOG.warning("interrupted; the calls in flight are waited for, a second Ctrl-C leaves at once")
            wait(futures)  # calls in flight finish; a second Ctrl-C breaks out of this
            return Stop("interrupted", _INTERRUPTED)
        except BaseException:
            self._halt(futures)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return self._why

    def _wait(self, futures: list[Future[None]]) -> None:
        ended: SimpleQueue[Future[None]] = SimpleQueue()  # asking all futures each time takes time from the walks
        for future in futures:
            future.add_done_callback(ended.put)
        left = len(futures)
        while left:
            try:
                future = ended.get(timeout=_POLL)
            except Empty:
                continue
            future.result()
            left -= 1

    def _halt(self, futures: list[Future[None]]) -> None:
        self._stop.set()
        for future in futures:
            future.cancel()

    def _work(self, job: Job) -> None:
        if self._stop.is_set() or self._down:
            return
        walk = job.walk()
        walk.on_record = self._recorder(job, walk)
        error: str | None = None
        try:
            with dspy.context(**_kept()), walk.calling():
                drive(walk.steps(job.steps, len(job.steps)), walk.meter.booking)
            job.complete = not all(record.no_reply for record in walk.records)
            if not job.complete:  # its steps say so themselves: the trace is that of the same walk made alone
                if self.raise_errors:
                    raise LMUnavailableError(_no_reply(walk))
                job.stopped, self._why = True, self._why or Stop("no model", _no_reply(walk))
                self._down = self._down or self._silent >= walk.failures.patience
        except _Stopped:
            job.stopped, error = True, _INTERRUPTED
        except Halt as halt:
            self._why = self._why or Stop("halted", str(halt))
            self._stop.set()
            job.stopped, error = True, str(halt)
        except LMUnavailableError as down:
            error = f"{type(down).__name__}: {down}"
            job.stopped, self._why = True, self._why or Stop("no model", str(down))
            refused = not (walk.records and walk.records[-1].no_reply)
            self._down = self._down or refused or self._silent >= walk.failures.patience
            if self.raise_errors:
                raise
        except (StepFailedError, DataError) as expected:
            error = f"{type(expected).__name__}: {expected}"
            if self.raise_errors:
                raise
        except Exception as unexpected:
            error = f"{type(unexpected).__name__}: {unexpected}"
            if self.raise_errors or not walk.records:
                raise
        finally:
            job.trace = walk.trace(job.description, error)
            job.timing = walk.meter.timing()
            try:
                job.on_done(job)
            except Halt as halt:  # whoever keeps the walks can keep no more
                self._why = self._why or Stop("halted", str(halt))
                self._stop.set()

    def _recorder(self, job: Job, walk: Walk) -> Callable[[StepRecord], None]:
        def record(step: StepRecord) -> None:
            self._silent = self._silent + 1 if step.no_reply else 0
            job.on_record(step)
            if self._stop.is_set() and len(walk.records) < len(job.steps):
                raise _Stopped

        return record


def _no_reply(walk: Walk) -> str:
    """Say of a walk that is too short for the patience of its program that it never got a reply."""
    return (
        f"sequence {walk.state.sequence!r}: the model gave no reply to any of its {len(walk.records)} steps, "
        f"the last: {walk.records[-1].failures[0].error}; see that it runs and can be reached"
    )


def _kept() -> dict[str, Any]:
    settings = dspy.settings
    kept = {"max_history_size": min(settings.max_history_size, _KEPT)}
    if settings.trace is main_thread_config["trace"]:  # not one that somebody opened in order to read it
        kept["max_trace_size"] = min(settings.max_trace_size, _KEPT)
    return kept
