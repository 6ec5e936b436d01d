"""Trying the candidate of a trial: walked until it is seen to the end or given up, unless it was tried before."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import dspy
import optuna
from optuna.trial import FrozenTrial, TrialState

from rnnprog.optimizers.board import Board
from rnnprog.optimizers.candidate import Candidate
from rnnprog.optimizers.claims import Claims
from rnnprog.optimizers.data import Item
from rnnprog.optimizers.evaluation import Evaluator, Job
from rnnprog.optimizers.ledger import Entry
from rnnprog.optimizers.marks import AGAIN, DRAWN, DUPLICATE, PRUNED_AFTER
from rnnprog.optimizers.objective import Objective
from rnnprog.optimizers.sampling import derive_seed

__all__ = ["Outcome", "SequenceError", "Trying"]


class SequenceError(RuntimeError):
    """A sequence of a trial could not be scored."""


@dataclass(frozen=True)
class Outcome:
    """How a trial came out.

    Attributes:
        trial: number of the trial.
        candidate: what was tried.
        measures: every measure, over the sequences it saw.
        pruned_after: number of sequences after which it was ended early; ``None`` if it was not.
        error: why it failed; empty if it did not.
        reported: score by sequence, as reported.
    """

    trial: int
    candidate: Candidate
    measures: dict[str, float] = field(default_factory=dict)
    pruned_after: int | None = None
    error: str = ""
    reported: dict[int, float] = field(default_factory=dict)


@dataclass
class Trying:
    """Tries candidates.

    Attributes:
        board: what the workers share; its study says when a candidate is given up.
        evaluator: walks, and finds what was walked before.
        objective: makes measures of walks.
        valset: sequences to judge on.
        student: the program that candidates are laid over.
        models: by name, for candidates that choose one.
        seed: of the order of the sequences.
    """

    board: Board
    evaluator: Evaluator
    objective: Objective
    valset: tuple[Item, ...]
    student: dspy.Module
    models: Mapping[str, dspy.LM]
    seed: int

    def outcome(self, trial: optuna.Trial, place: int, candidate: Candidate) -> Outcome:
        """Try the candidate of ``trial``, unless another trial has: then that one's outcome is its own.

        Args:
            trial: a running trial of this process.
            place: its place in the search; decides the order of the sequences.
            candidate: what was drawn for it.

        Raises:
            SequenceError: a sequence could not be scored.
            OutOfBudgetError: the budget is spent.
        """
        trials = self.board.trials()
        known = self._same_as(trial, candidate, trials)
        if known is None and Claims(self.board, self.evaluator.purse.check).settle(trial, candidate.digest, trials):
            trials = self.board.trials()
            self.evaluator.ledger.refresh(trials)
            known = self._same_as(trial, candidate, trials)
        if known is not None:
            trial.set_user_attr(DUPLICATE, known.trial)
            return Outcome(trial.number, candidate, known.measures, known.pruned_after, known.error)
        return self._walk(trial, place, candidate)

    def _walk(self, trial: optuna.Trial, place: int, candidate: Candidate) -> Outcome:
        pruner = self.board.study.pruner
        program = candidate.apply(self.student, self.models)
        order = list(range(len(self.valset)))
        if not getattr(pruner, "fixed_order", False):
            random.Random(derive_seed(self.seed, "order", place)).shuffle(order)
        jobs = [Job(self.valset[i], r) for i in order for r in range(self.objective.rollouts)]
        index = {item.id: i for i, item in enumerate(self.valset)}
        entries: list[Entry] = []
        reported: dict[int, float] = {}
        pruned: int | None = None
        sure = place == 0 or not self.objective.single or AGAIN in trial.user_attrs
        sure = sure or isinstance(pruner, optuna.pruners.NopPruner)
        evaluations = self.evaluator.run(program, candidate.digest, jobs, trial, sure)
        try:
            for job, entry in evaluations:
                if entry.error:
                    raise SequenceError(f"sequence {entry.sequence!r}: {entry.error}")
                entries.append(entry)
                if not self.objective.single or job.rollout < self.objective.rollouts - 1:
                    continue
                scores = [e.score for e in entries if e.sequence == entry.sequence and e.score is not None]
                reported[index[job.item.id]] = sum(scores) / len(scores)
                trial.report(reported[index[job.item.id]], index[job.item.id])
                if not sure and trial.should_prune():
                    pruned = len(reported)
                    break
        finally:
            evaluations.close()  # type: ignore[attr-defined]
        if len(entries) == len(jobs):
            pruned = None
        return Outcome(trial.number, candidate, self.objective.measures(entries), pruned, reported=reported)

    def _same_as(self, trial: optuna.Trial, candidate: Candidate, trials: list[FrozenTrial]) -> Outcome | None:
        for other in trials:
            if other.state != TrialState.COMPLETE:
                continue
            if AGAIN in trial.user_attrs and PRUNED_AFTER in other.user_attrs:
                continue
            if other.user_attrs.get(DRAWN) == candidate.digest:
                return Outcome(
                    other.number, candidate, other.user_attrs["measures"], other.user_attrs.get(PRUNED_AFTER)
                )
        return None
