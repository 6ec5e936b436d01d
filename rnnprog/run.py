"""Many sequences in flight together, each with its own memory: exact usage, live progress, nothing lost.

dspy's own executor hands a task that takes over two minutes to a second worker and runs it twice; a sequence of fifty
steps takes longer than that as a matter of course. This one runs each sequence once.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import dspy

from rnnprog.effects import drive
from rnnprog.errors import ConfigurationError, DataError, LMUnavailableError, StepFailedError
from rnnprog.module import RecurrentModule
from rnnprog.observer import Observer, RichObserver
from rnnprog.steps import as_steps
from rnnprog.trace import Fields, Result, Sequence, StepRecord, Timing, Trace
from rnnprog.walk import Walk

__all__ = ["run"]

_HISTORY = 200  # calls that dspy keeps for each predictor during a run; its default would hold 10,000 whole prompts
_POLL = 0.2  # seconds between looks at the keyboard while waiting


def run(
    program: RecurrentModule,
    sequences: Iterable[Sequence],
    *,
    concurrency: int = 8,
    observer: Observer | None = None,
    progress: bool = False,
    raise_errors: bool = False,
) -> Result:
    """Walk a program over many sequences, ``concurrency`` of them at a time, each from its own fresh carry.

    Use it wherever there is more than one sequence, or one that you want to watch. Within a sequence steps are
    serial, so throughput comes from sequences in flight. Settings of ``dspy.context`` hold in all threads.

    Args:
        program: the module; it is shared by all threads and not changed.
        sequences: what to walk; ids must differ.
        concurrency: sequences in flight, each in a thread.
        observer: is told of every step and every finished sequence, from the worker threads.
        progress: show a progress bar, in addition to any observer.
        raise_errors: raise the first error of a sequence; otherwise it ends that sequence and stands in its trace.

    Returns:
        A result with one trace for each sequence that was begun, in the order given. After Ctrl-C
        ``interrupted`` is set, and every step made so far is there; a second Ctrl-C does not wait for calls in flight.

    Raises:
        ConfigurationError: ``concurrency`` below 1.
        DataError: two sequences of the same id, or an unreadable step; before any call is made.
        LMUnavailableError: no model is configured.

    Example:
        >>> import rnnprog
        >>> program = rnnprog.RecurrentModule("rain: float -> tomorrow: Literal['sun', 'rain']")
        >>> program.set_lm(rnnprog.embedded_lm())
        >>> steps = (rnnprog.Step(inputs={"rain": 2.0}, target={"tomorrow": "rain"}),) * 3
        >>> result = rnnprog.run(program, [rnnprog.Sequence(id=name, steps=steps) for name in ("a", "b")])
        >>> [len(trace) for trace in result.traces], result.usage["predictor"].calls
        ([3, 3], 6)
    """
    if concurrency < 1:
        raise ConfigurationError(f"concurrency must be at least 1 sequence in flight, got {concurrency}")
    jobs = [_Job(program, sequence) for sequence in _distinct(sequences)]
    start = program.walk(program.initial()).trace(program.describe())  # no model, no start: said before any thread
    watchers = [watcher for watcher in (observer, RichObserver() if progress else None) if watcher is not None]
    batch = _Batch(start.program, watchers, raise_errors)
    begun = time.perf_counter()
    for watcher in watchers:
        watcher.begin([job.sequence for job in jobs], start)
    try:
        with dspy.context(max_history_size=min(dspy.settings.max_history_size, _HISTORY)):
            interrupted = batch.run(jobs, concurrency)
    finally:
        for watcher in watchers:
            watcher.end()
    done = [job for job in jobs if job.trace is not None]
    return Result(
        program=batch.program,
        traces=tuple(job.trace for job in done if job.trace is not None),
        timings={job.sequence.id: job.timing for job in done},
        seconds=time.perf_counter() - begun,
        interrupted=interrupted,
    )


class _Stopped(Exception):
    """Raised between two steps of a sequence after Ctrl-C."""


@dataclass
class _Job:
    program: RecurrentModule
    sequence: Sequence
    trace: Trace | None = None
    timing: Timing = field(default_factory=Timing)

    def __post_init__(self) -> None:
        try:
            self.steps = as_steps(self.program.cell.task, self.sequence.steps)
        except DataError as error:
            raise DataError(f"sequence {self.sequence.id!r}: {error}") from error
        if not self.steps:
            raise DataError(f"sequence {self.sequence.id!r} has no steps; leave it out")


class _Batch:
    """The threads of one run, and the one flag that stops them."""

    def __init__(self, program: Fields, watchers: list[Observer], raise_errors: bool) -> None:
        self.program, self.watchers, self.raise_errors = program, watchers, raise_errors
        self._stop = threading.Event()

    def run(self, jobs: list[_Job], concurrency: int) -> bool:
        """Run all jobs; return whether they were interrupted."""
        pool = ThreadPoolExecutor(max_workers=min(concurrency, max(1, len(jobs))), thread_name_prefix="rnnprog")
        futures = [pool.submit(contextvars.copy_context().run, self._work, job) for job in jobs]
        try:
            self._wait(futures)
        except KeyboardInterrupt:
            self._halt(futures)
            wait(futures)  # calls in flight finish; a second Ctrl-C breaks out of this
            return True
        except BaseException:
            self._halt(futures)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return False

    def _wait(self, futures: list[Future[None]]) -> None:
        left = set(futures)
        while left:
            done, left = wait(left, timeout=_POLL, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()

    def _halt(self, futures: list[Future[None]]) -> None:
        self._stop.set()
        for future in futures:
            future.cancel()

    def _work(self, job: _Job) -> None:
        if self._stop.is_set():
            return
        program = job.program
        walk = program.walk(program.initial(job.sequence.id))
        walk.on_record = self._recorder(job.sequence)
        error: str | None = None
        try:
            with walk.meter.listening():
                drive(walk.steps(job.steps, len(job.steps)), walk.meter.booking)
        except _Stopped:
            error = "interrupted"
        except (LMUnavailableError, StepFailedError, DataError) as expected:
            error = f"{type(expected).__name__}: {expected}"
            if self.raise_errors:
                raise
        except Exception as unexpected:
            error = f"{type(unexpected).__name__}: {unexpected}"
            if self.raise_errors or not walk.records:
                raise
        finally:
            self._finish(job, walk, error)

    def _recorder(self, sequence: Sequence) -> Callable[[StepRecord], None]:
        def record(step: StepRecord) -> None:
            for watcher in self.watchers:
                watcher.stepped(sequence, step)
            if self._stop.is_set():
                raise _Stopped

        return record

    def _finish(self, job: _Job, walk: Walk, error: str | None) -> None:
        job.trace = walk.trace(self.program, error)
        job.timing = walk.meter.timing()
        for watcher in self.watchers:
            watcher.finished(job.trace)


def _distinct(sequences: Iterable[Sequence]) -> list[Sequence]:
    found: dict[str, Sequence] = {}
    for sequence in sequences:
        if sequence.id in found:
            raise DataError(f"two sequences are called {sequence.id!r}; ids pair results across arms and must differ")
        found[sequence.id] = sequence
    return list(found.values())
