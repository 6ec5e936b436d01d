"""Walking a candidate over sequences: several at a time, each once, exactly metered, written down at once."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dspy
import optuna

from rnnprog.errors import ConfigurationError, DataError, LMUnavailableError
from rnnprog.optimizers.data import Item
from rnnprog.optimizers.ledger import Entry, StudyLedger
from rnnprog.optimizers.objective import Objective
from rnnprog.optimizers.spending import OutOfBudgetError, Purse, PurseMeter
from rnnprog.optimizers.walks import walked
from rnnprog.trace import Trace

__all__ = ["Evaluator", "Job"]

_BROKEN = (LMUnavailableError, ConfigurationError, DataError)


@dataclass(frozen=True)
class Job:
    """One walk to be made.

    Attributes:
        item: the sequence.
        rollout: number of the repetition, from 0.
    """

    item: Item
    rollout: int = 0


@dataclass
class Evaluator:
    """Evaluates candidates, taking from the ledger what is there already.

    Attributes:
        objective: scores a walk.
        ledger: where evaluations are written and found.
        purse: pays for calls.
        concurrency: sequences in flight.
    """

    objective: Objective
    ledger: StudyLedger
    purse: Purse
    concurrency: int = 8
    on_entry: Callable[[Entry], None] = field(default=lambda _entry: None)
    _writer: ThreadPoolExecutor = field(init=False, repr=False)
    _traceless: bool = field(default=False, init=False, repr=False)  # walking again would bring no trace either

    def run(
        self,
        program: dspy.Module,
        digest: str,
        jobs: Sequence[Job],
        trial: optuna.Trial | None = None,
        sure: bool = False,
    ) -> Iterator[tuple[Job, Entry]]:
        """Yield the evaluation of each job, in the order given, whatever order they finish in.

        Closing the iterator starts no further job; those in flight are finished and written down. What is yielded is
        written down already.

        Args:
            program: the candidate, laid over the student.
            digest: names it in the ledger.
            jobs: what to walk.
            trial: the trial that this is for.
            sure: the iterator will not be closed before its end, so the next job may start before this one is judged.

        Raises:
            OutOfBudgetError: the budget was reached; finished evaluations are in the ledger.
            LMUnavailableError: no model is configured.
        """
        pool = ThreadPoolExecutor(max_workers=max(1, self.concurrency), thread_name_prefix="rnnprog-tune")
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rnnprog-ledger")
        pending: list[tuple[Job, Future[Future[Entry]] | Entry]] = []
        waiting = iter(jobs)

        def fill() -> None:
            while sum(isinstance(f, Future) for _, f in pending) < self.concurrency:
                job = next(waiting, None)
                if job is None:
                    return
                known = self.ledger.find(digest, job.item.id, job.rollout)
                work = known or pool.submit(contextvars.copy_context().run, self._evaluate, program, digest, job, trial)
                pending.append((job, work))

        try:
            fill()
            while pending:
                job, work = pending.pop(0)
                walked = work if isinstance(work, Entry) else work.result()
                if sure:
                    fill()  # the next walk goes on while this one is written down
                entry = walked if isinstance(walked, Entry) else walked.result()
                self.on_entry(entry)
                yield job, entry
                fill()
        except KeyboardInterrupt:
            self.purse.stop("interrupted by the user")  # walks in flight may have minutes to go
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            self._writer.shutdown(wait=True)

    def _evaluate(self, program: dspy.Module, digest: str, job: Job, trial: optuna.Trial | None) -> Future[Entry]:
        start = time.perf_counter()
        blank = Entry(candidate=digest, sequence=job.item.id, rollout=job.rollout, trial=trial.number if trial else -1)
        with self.purse.paying() as meter:
            changes: dict[str, Any] = {}
            try:
                with _rollout(program, job.rollout) as rolled:
                    prediction, traces = walked(rolled, job.item.example.inputs())
                changes = _facts(traces)
                score, cases = self.objective.score(job.item.example, prediction)
                changes.update(score=score, cases=cases)
                if self.objective.priced and meter.unpriced:
                    raise ConfigurationError(
                        "the price of a call is not known, so money can be no objective and no limit; take tokens"
                    )
            except (OutOfBudgetError, KeyboardInterrupt) as stop:
                self._write(blank, meter, start, {"kind": "unfinished", "error": str(stop) or "interrupted"})
                raise
            except Exception as error:
                changes["error"] = f"{type(error).__name__}: {error}"
                if isinstance(error, _BROKEN):
                    self._write(blank, meter, start, changes, trial)
                    raise
            entry = blank.model_copy(update={**_paid(meter, start), **changes})
            return self._writer.submit(self.ledger.record, entry, trial)

    def _write(
        self, blank: Entry, meter: PurseMeter, start: float, changes: dict[str, Any], trial: optuna.Trial | None = None
    ) -> Entry:
        entry = blank.model_copy(update={**_paid(meter, start), **changes})
        if entry.kind == "unfinished" and not entry.calls:
            return entry
        return self.ledger.record(entry, trial)

    def walk(self, program: dspy.Module, digest: str, item: Item) -> tuple[Entry, Trace] | None:
        """Walk a training sequence for the proposer, or take the walk from the file.

        Returns:
            What it cost and scored, and the trace; ``None`` where the program leaves none or breaks off.
        """
        known = self.ledger.walk(digest, item.id)
        if known is not None or self._traceless:
            return known
        start = time.perf_counter()
        entry = Entry(kind="walk", candidate=digest, sequence=item.id)
        with self.purse.paying() as meter:
            try:
                prediction, traces = walked(program, item.example.inputs())
                score, _ = self.objective.score(item.example, prediction)
            except (OutOfBudgetError, KeyboardInterrupt) as stop:
                self._write(entry, meter, start, {"kind": "unfinished", "error": str(stop) or "interrupted"})
                raise
            except _BROKEN:
                raise
            except Exception as error:
                told = f"{type(error).__name__}: {error}"
                self._write(entry, meter, start, {"kind": "unfinished", "error": told})
                return None
            paid = _paid(meter, start)
        entry = entry.model_copy(update={**_facts(traces), **paid, "score": score})
        if not traces:
            self._traceless = True
            self.ledger.record(entry.model_copy(update={"kind": "unfinished", "error": "the program leaves no trace"}))
            return None
        trace = traces[0].model_copy(update={"sequence": item.id})
        return self.ledger.record(entry, trace=trace), trace


@contextmanager
def _rollout(program: dspy.Module, rollout: int) -> Iterator[dspy.Module]:
    """Make repetitions ask the model afresh, instead of reading the first answer from the cache."""
    if rollout == 0:
        yield program
        return
    from rnnprog.optimizers.candidate import copy_program

    copy = copy_program(program)
    shared = dspy.settings.lm
    for _, predictor in copy.named_predictors():
        if predictor.lm is not None:
            predictor.lm = predictor.lm.copy(rollout_id=rollout)
    with dspy.context(lm=shared.copy(rollout_id=rollout) if shared is not None else None):
        yield copy


def _paid(meter: PurseMeter, start: float) -> dict[str, Any]:
    usage, seconds = meter.total(), round(time.perf_counter() - start, 4)
    return {"calls": usage.calls, "tokens": usage.tokens, "money": meter.timing().cost, "seconds": seconds}


def _facts(traces: Sequence[Trace]) -> dict[str, Any]:
    """Return what the walks of all recurrent modules of a program come to."""
    if not traces:
        return {"steps": 1}
    records = [record for trace in traces for record in trace.records]
    failed = sum(record.failure is not None or any(update.failure for update in record.updates) for record in records)
    tokens = max((update.tokens or 0 for trace in traces for update in trace.updates), default=0)
    return {"steps": len(records), "failed_steps": failed, "memory_tokens": tokens}
