"""Many sequences in flight together, each with its own memory: exact usage, live progress, nothing lost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Union

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.jobs import Job, run_jobs
from rnnprog.lm.meter import Listener
from rnnprog.module import RecurrentModule
from rnnprog.observer import Observer, RichObserver, Sturdy
from rnnprog.steps import StepLike, as_steps
from rnnprog.trace import Fields, Result, Sequence, StepRecord

__all__ = ["run"]


def run(
    program: RecurrentModule,
    sequences: Union[Iterable[Sequence], Mapping[str, Iterable[StepLike]]],
    *,
    concurrency: int = 8,
    observer: Observer | None = None,
    progress: bool = False,
    raise_errors: bool = False,
    listener: Listener | None = None,
) -> Result:
    """Walk a program over many sequences, ``concurrency`` of them at a time, each from its own fresh carry.

    Use it wherever there is more than one sequence, or one that you want to watch. Within a sequence steps are
    serial, so throughput comes from sequences in flight. Settings of ``dspy.context`` hold in all threads.

    Args:
        program: the module; it is shared by all threads and not changed.
        sequences: what to walk, ids must differ; or a mapping from id to steps in any shape that a program is called
            with.
        concurrency: sequences in flight, each in a thread.
        observer: is told of every step and every finished sequence, from the worker threads.
        progress: show a progress bar, in addition to any observer.
        raise_errors: raise the first error of a sequence; otherwise it ends that sequence and stands in its trace.
        listener: hears every call, from the worker threads, e.g. :class:`rnnprog.prompt_file.PromptFile`.

    Returns:
        A result with one trace for each sequence that was begun, in the order given. After Ctrl-C
        ``interrupted`` is set, and every step made so far is there; a second Ctrl-C does not wait for calls in flight.
        Where the model is down, no further sequence is begun; see ``patience`` in :class:`rnnprog.FailurePolicy`.

    Raises:
        ConfigurationError: ``concurrency`` below 1.
        DataError: two sequences of the same id, or an unreadable step; before any call is made.
        LMUnavailableError: no model is configured.

    Example:
        >>> import rnnprog
        >>> program = rnnprog.RecurrentModule("rain: float -> tomorrow: Literal['sun', 'rain']")
        >>> program.set_lm(rnnprog.embedded_lm())
        >>> steps = [{"rain": 2.0, "tomorrow": "rain"}] * 3
        >>> result = rnnprog.run(program, {"a": steps, "b": steps})
        >>> [len(trace) for trace in result.traces], result.usage["predictor"].calls
        ([3, 3], 6)
    """
    if concurrency < 1:
        raise ConfigurationError(f"concurrency must be at least 1 sequence in flight, got {concurrency}")
    found = _distinct(program, sequences)
    start = program.walk(program.initial()).trace(program.describe())  # no model, no start: said before any thread
    told = (observer, RichObserver() if progress else None)
    watchers: list[Observer] = [Sturdy(watcher) for watcher in told if watcher is not None]
    jobs = [_job(program, sequence, start.program, watchers, listener) for sequence in found]
    begun = time.perf_counter()
    for watcher in watchers:
        watcher.begin(found, start)
    try:
        stop = run_jobs(jobs, concurrency, raise_errors=raise_errors)
    finally:
        for watcher in watchers:
            watcher.end()
    done = [job for job in jobs if job.trace is not None]
    return Result(
        program=start.program,
        traces=tuple(job.trace for job in done if job.trace is not None),
        timings={job.sequence.id: job.timing for job in done},
        seconds=time.perf_counter() - begun,
        interrupted=stop is not None and stop.kind != "no model",
    )


def _job(
    program: RecurrentModule,
    sequence: Sequence,
    description: Fields,
    watchers: list[Observer],
    listener: Listener | None,
) -> Job:
    def stepped(record: StepRecord) -> None:
        for watcher in watchers:
            watcher.stepped(sequence, record)

    def finished(job: Job) -> None:
        for watcher in watchers:
            if job.trace is not None:
                watcher.finished(job.trace)

    listeners = () if listener is None else (listener,)
    return Job(program, sequence, listeners=listeners, on_record=stepped, on_done=finished, description=description)


def _distinct(
    program: RecurrentModule, sequences: Union[Iterable[Sequence], Mapping[str, Iterable[StepLike]]]
) -> list[Sequence]:
    if isinstance(sequences, Mapping):
        sequences = [_named(program, str(name), steps) for name, steps in sequences.items()]
    found: dict[str, Sequence] = {}
    for sequence in sequences:
        if not isinstance(sequence, Sequence):
            raise DataError(
                f"a {type(sequence).__name__} is no sequence; give rnnprog.Sequence values, or a mapping from id to "
                "steps: {'a': steps}"
            )
        if sequence.id in found:
            raise DataError(f"two sequences are called {sequence.id!r}; ids pair results across arms and must differ")
        found[sequence.id] = sequence
    return list(found.values())


def _named(program: RecurrentModule, name: str, steps: Iterable[StepLike]) -> Sequence:
    try:
        return Sequence(id=name, steps=tuple(as_steps(program.cell.task, steps)))
    except DataError as error:
        raise DataError(f"sequence {name!r}: {error}") from error
