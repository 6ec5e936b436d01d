"""What GEPA sees of a recurrent program: whole walks, and what a phase did at their turning points.

dspy's own adapter shows GEPA one random call of a predictor in each sequence. This one shows, for each sequence, the
walk as a whole and what the phase did at its turning points, with feedback step by step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import dspy
from gepa import EvaluationBatch

from rnnprog.errors import ConfigurationError, DataError, LMUnavailableError
from rnnprog.optimizers.candidate import Candidate
from rnnprog.optimizers.data import Item
from rnnprog.optimizers.ledger import Entry
from rnnprog.optimizers.objective import Objective
from rnnprog.optimizers.spending import OutOfBudgetError, Purse, PurseMeter
from rnnprog.optimizers.trajectory import findings, tell_step, tell_walk, was_right
from rnnprog.optimizers.walks import walked
from rnnprog.trace import StepRecord, Trace

__all__ = ["BudgetReachedError", "Texts", "WalkAdapter"]

Texts = dict[str, str]
_BROKEN = (LMUnavailableError, ConfigurationError, DataError)  # of every walk alike: no candidate is to blame
_SHOWN = 6  # steps of a walk shown for each phase


class BudgetReachedError(RuntimeError):
    """The budget is spent in the middle of a batch."""


class WalkAdapter:
    """The seam between GEPA and a recurrent program; see ``gepa.core.adapter``.

    Args:
        student: the program.
        objective: scores a walk; only its metric is used.
        purse: pays for calls.
        concurrency: sequences in flight.
    """

    def __init__(self, student: dspy.Module, objective: Objective, purse: Purse, concurrency: int = 8) -> None:
        self.student, self.objective, self.purse, self.concurrency = student, objective, purse, concurrency
        self.entries: list[Entry] = []
        self.broken: Exception | None = None
        self.propose_new_texts: Any = None

    def evaluate(self, batch: list[Item], candidate: Texts, capture_traces: bool = False) -> Any:
        """Walk the sequences of a batch; a walk that breaks off scores 0 and says why.

        Raises:
            BudgetReachedError: the budget is spent.
            LMUnavailableError: the model is down or refuses.
            ConfigurationError, DataError: program, metric and data do not go together.
        """
        laid = Candidate(instructions=candidate)
        program = laid.apply(self.student)
        with ThreadPoolExecutor(max_workers=self.concurrency) as pool:
            futures = [pool.submit(copy_context().run, self._walk, program, laid.digest, item) for item in batch]
            try:
                walked = [future.result() for future in futures]
            except OutOfBudgetError as stop:
                raise BudgetReachedError(str(stop)) from stop  # an ordinary error, after which GEPA asks its stopper
        return EvaluationBatch(
            outputs=[prediction for prediction, _, _ in walked],
            scores=[score for _, score, _ in walked],
            trajectories=[(item, trace, score) for item, (_, score, trace) in zip(batch, walked, strict=True)]
            if capture_traces
            else None,
        )

    def _walk(self, program: dspy.Module, digest: str, item: Item) -> tuple[Any, float, Trace | str]:
        entry = Entry(candidate=digest, sequence=item.id)
        with self.purse.paying() as meter:
            try:
                prediction, traces = walked(program, item.example.inputs())
                score, _ = self.objective.score(item.example, prediction)
                trace: Trace | str = traces[0] if traces else "the program leaves no trace"
                changes: dict[str, Any] = {"score": score}
            except OutOfBudgetError:
                self._book(entry, meter, {"kind": "unfinished"})
                raise
            except _BROKEN as error:
                self.broken = error  # GEPA asks its stopper after an error, and would otherwise try for ever
                self._book(entry, meter, {"kind": "unfinished", "error": f"{type(error).__name__}: {error}"})
                raise
            except Exception as error:
                # GEPA wants a number for every sequence; the error stands in the ledger and in the feedback.
                prediction, score, trace = None, 0.0, f"{type(error).__name__}: {error}"
                changes = {"error": trace}
            self._book(entry, meter, changes)
        return prediction, score, trace

    def _book(self, entry: Entry, meter: PurseMeter, changes: dict[str, Any]) -> None:
        usage = meter.total()
        paid = {"calls": usage.calls, "tokens": usage.tokens, "money": meter.timing().cost}
        self.entries.append(entry.model_copy(update={**paid, **changes}))

    def make_reflective_dataset(
        self, candidate: Texts, eval_batch: Any, components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return, for each phase, one record a sequence: the walk, what the phase did in it, and what came of it."""
        return {
            phase: [_record(phase, trace, score) for _, trace, score in eval_batch.trajectories or []]
            for phase in components_to_update
        }


def _record(phase: str, trace: Trace | str, score: float) -> dict[str, Any]:
    if isinstance(trace, str):
        return {"Inputs": {}, "Generated Outputs": "", "Feedback": f"The walk broke off: {trace}"}
    short = phase.rpartition(".")[2]
    steps = _steps_to_show(trace)
    return {
        "Inputs": {"walk": tell_walk(trace, score, budget=3000)},
        "Generated Outputs": {f"step {t}": _output(short, trace.records[t]) for t in steps},
        "Feedback": "\n".join([_summary(trace, score), *(_feedback(trace, t) for t in steps)]),
    }


def _steps_to_show(trace: Trace) -> list[int]:
    found = findings(trace)
    turning = [t for t in (found.first_error, *found.recovered, *found.repeated) if t is not None]
    return sorted(set(turning[:_SHOWN]) or set(range(min(2, len(trace)))))


def _output(phase: str, record: StepRecord) -> str:
    update = record.updates[-1] if record.updates else None
    if phase == "reflector":
        return json.dumps(update.critique if update else None, ensure_ascii=False)
    if phase == "rewriter":
        return "" if update is None else f"{update.operation}, {update.tokens} tokens"
    return json.dumps(record.prediction, ensure_ascii=False)


def _summary(trace: Trace, score: float) -> str:
    found = findings(trace)
    return f"Score {score:.3f}: {found.right} of {found.steps} steps right, first error at step {found.first_error}."


def _feedback(trace: Trace, t: int) -> str:
    verdict = {True: "was right", False: "was wrong", None: "could not be judged"}[was_right(trace.records[t])]
    return f"Step {t} {verdict}.\n{tell_step(trace, t)}"
