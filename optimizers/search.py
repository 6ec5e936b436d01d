"""The search: ask for a candidate, walk it over the sequences, tell how it did; hold rounds of proposals in between."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import dspy
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from rnnprog.errors import RnnprogError
from rnnprog.memory import Value
from rnnprog.optimizers.batching import together
from rnnprog.optimizers.candidate import Candidate
from rnnprog.optimizers.claims import DRAWN, Claims
from rnnprog.optimizers.dashboard import annotate_trial
from rnnprog.optimizers.data import Item
from rnnprog.optimizers.drawing import Drawing
from rnnprog.optimizers.evaluation import Evaluator, Job
from rnnprog.optimizers.ledger import Entry
from rnnprog.optimizers.objective import Objective
from rnnprog.optimizers.options import Pool
from rnnprog.optimizers.plan import CANDIDATE, DUPLICATE, INTERRUPTED, Board, counted, places_of, tally
from rnnprog.optimizers.pruning import AGAIN, PRUNED_AFTER
from rnnprog.optimizers.ranking import ranked
from rnnprog.optimizers.rounds import Rounds
from rnnprog.optimizers.sampling import SamplerLike, derive_seed
from rnnprog.optimizers.space import Space
from rnnprog.optimizers.spending import OutOfBudgetError, Spent
from rnnprog.optimizers.storage import StorageError, check_storage, storage_errors, why
from rnnprog.optimizers.workers import WORKER

__all__ = ["Outcome", "Progress", "Search"]

GONE = "the storage is gone"
"""How ``stopped`` begins where the storage did not answer any more."""
_POLL = 0.25
_LOOK = 1.0  # seconds between looks at all trials, for the display: with a database each is many queries
_NOT_OURS = storage_errors()
_FAILURES = 5  # failed trials in a row that end a search
_REPEATS = 3  # trials at most for each one asked for, where the sampler keeps repeating itself


class Progress(Value):
    """Where a search stands, for a display.

    Attributes:
        trials: candidates tried.
        wanted: candidates asked for.
        pruned: of those tried, ended early and left at that.
        failed: of those tried, failed.
        best: best score so far; ``None`` before the first.
        spent: calls, tokens, money and seconds.
        doing: what is being done, in words.
    """

    trials: int
    wanted: int
    pruned: int = 0
    failed: int = 0
    best: float | None = None
    spent: Spent = Spent()
    doing: str = ""


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
class Search:
    """One worker's part in a search. See :class:`rnnprog.optimizers.OptunaTuner` for what the parts mean."""

    study: optuna.Study
    board: Board
    space: Space
    student: dspy.Module
    objective: Objective
    evaluator: Evaluator
    rounds: Rounds
    valset: tuple[Item, ...]
    trials: int
    seed: int
    sampler: SamplerLike = None
    models: Mapping[str, dspy.LM] = field(default_factory=dict)
    folder: Path | None = None
    on_progress: Callable[[Progress], None] | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    stopped: str = ""
    _failures: int = 0
    _shown: tuple[float, Progress] | None = None
    _heeded: float = 0.0  # when the spending of other workers was last asked for
    _drawing: Drawing = field(init=False, repr=False)
    _aside: ThreadPoolExecutor = field(init=False, repr=False)
    _noted: Future[None] = field(init=False, repr=False)

    def run(self) -> None:
        """Search until the trials asked for are done, the budget is spent, or the user stops it."""
        self.evaluator.on_entry = lambda _entry: self._after_walk()
        self.evaluator.ledger.refresh()
        self.board.take_up()
        self._drawing = Drawing(
            self.study, self.space, self.student, self.rounds, self.objective, self.trials, self.seed, self.sampler
        )
        try:
            with ThreadPoolExecutor(max_workers=1, thread_name_prefix="rnnprog-notes") as self._aside:
                while not (reason := self._finished()):
                    self._one()
                self.stopped = reason
        except OutOfBudgetError as stop:  # walks in flight have paid for their last calls since it was raised
            spent = self.evaluator.purse.exhausted
            self.stopped = f"the budget is spent: {spent}" if spent else str(stop)
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        except _NOT_OURS as error:
            self._lost(error)
            return
        try:
            check_storage(self.study._storage)
        except _NOT_OURS as error:
            self._lost(error)
            return
        self._progress("done")

    def _lost(self, error: BaseException) -> None:
        """Say that the storage is gone; raise where nothing was found before."""
        if not self.outcomes:
            raise StorageError(f"the storage does not answer: {why(error)}") from error
        self.stopped = f"{GONE}: {why(error)}"
        warnings.warn(f"{self.stopped}; returning the best of what this process has seen", stacklevel=3)

    def _finished(self) -> str:
        if reached := self.evaluator.purse.exhausted:
            return f"the budget is spent: {reached}"
        if self._failures >= _FAILURES:
            return f"{self._failures} trials in a row failed; see the trials' error attributes"
        trials = self.board.trials()
        if counted(trials) >= self.trials and not any(trial.state == TrialState.WAITING for trial in trials):
            return "all trials are done"
        if len(trials) >= _REPEATS * self.trials + len(self._drawing.given):
            return "the sampler repeats itself: every candidate it draws was tried before"
        return ""

    def _one(self) -> None:
        trial = self.study.ask()
        try:
            trial.set_user_attr(WORKER, self.board.worker.id)
        except UpdateFinishedTrialError:
            return  # it took so long to sign that another worker queued the trial again
        candidate = Candidate()
        try:
            trials = self.board.trials()
            self._learn(trials)
            place = places_of(trials)[trial.number]
            pool = self._hold_rounds(place)
            candidate = self._drawing.draw(trial, place, pool, trials)
            self._noted = self._aside.submit(annotate_trial, trial, candidate, self.folder)
            try:
                outcome = self._evaluate(trial, place, candidate)
            finally:
                wait([self._noted])  # a trial that has ended takes no more notes
            self._noted.result()
        except (OutOfBudgetError, KeyboardInterrupt) as stop:
            trial.set_user_attr(INTERRUPTED, str(stop) or "by the user")
            self.study.tell(trial, state=TrialState.FAIL)
            raise
        except _NOT_OURS:
            raise
        except Exception as error:
            told = str(error) if isinstance(error, _EvaluationError) else f"{type(error).__name__}: {error}"
            outcome = Outcome(trial.number, candidate, error=told)
            if isinstance(error, RnnprogError) and not self.board.trials(TrialState.COMPLETE):
                self._tell(trial, outcome)
                raise  # the student as it is cannot be walked: nothing will get better by trying on
        self._tell(trial, outcome)

    def _hold_rounds(self, place: int) -> Pool:
        """Hold the rounds of proposals that are due before this trial, or wait for the worker that holds them."""
        for number in self.rounds.due(place, len(self._drawing.given)):
            while self.board.round(number) is None:
                if self.board.held_by_other(self.rounds.place(number, len(self._drawing.given))):
                    self._patience()
                    time.sleep(_POLL)
                    continue
                self._progress(f"writing proposals, round {number}")
                self.rounds.hold(number, self.best(), self.board.pool(self.space.start()))
        return self.board.pool(self.space.start())

    def _learn(self, trials: list[FrozenTrial]) -> None:
        """Take in what all workers have found and spent."""
        ledger = self.evaluator.ledger
        booked = ledger.refresh(trials).spent
        self.evaluator.purse.learn(booked, ledger.own)

    def _after_walk(self) -> None:
        self._progress("walking", every=_LOOK)
        if self.evaluator.purse.budget.shared and time.monotonic() - self._heeded >= _POLL:
            self._heeded = time.monotonic()
            trials = self.board.trials()
            if self.board.not_alone(trials):
                self._learn(trials)

    def _patience(self) -> None:
        if reached := self.evaluator.purse.exhausted:
            raise OutOfBudgetError(f"the budget is spent: {reached}")

    def _evaluate(self, trial: optuna.Trial, place: int, candidate: Candidate) -> Outcome:
        trials = self.board.trials()
        known = self._same_as(trial, candidate, trials)
        if known is None and Claims(self.board, self._patience).settle(trial, candidate.digest, trials):
            trials = self.board.trials()
            self.evaluator.ledger.refresh(trials)
            known = self._same_as(trial, candidate, trials)
        if known is not None:
            trial.set_user_attr(DUPLICATE, known.trial)
            return Outcome(trial.number, candidate, known.measures, known.pruned_after, known.error)
        program = candidate.apply(self.student, self.models)
        order = list(range(len(self.valset)))
        if not getattr(self.study.pruner, "fixed_order", False):
            random.Random(derive_seed(self.seed, "order", place)).shuffle(order)
        jobs = [Job(self.valset[i], r) for i in order for r in range(self.objective.rollouts)]
        index = {item.id: i for i, item in enumerate(self.valset)}
        entries: list[Entry] = []
        reported: dict[int, float] = {}
        pruned: int | None = None
        sure = place == 0 or not self.objective.single or AGAIN in trial.user_attrs
        sure = sure or isinstance(self.study.pruner, optuna.pruners.NopPruner)
        evaluations = self.evaluator.run(program, candidate.digest, jobs, trial, sure)
        try:
            for job, entry in evaluations:
                if entry.error:
                    raise _EvaluationError(f"sequence {entry.sequence!r}: {entry.error}")
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

    def _tell(self, trial: optuna.Trial, outcome: Outcome) -> None:
        self.outcomes[trial.number] = outcome
        self._shown = None
        if outcome.error:
            trial.set_user_attr("error", outcome.error)
            self.study.tell(trial, state=TrialState.FAIL)
            warnings.warn(f"trial {trial.number} failed: {outcome.error}", stacklevel=2)
            self._failures += 1
            return
        self._failures = 0
        with together(self.study._storage):
            trial.set_user_attr("measures", outcome.measures)
            for name, limit in self.objective.constraints.items():
                trial.set_constraint(name, outcome.measures[name] - limit)
            values = [outcome.measures[name] for name in self.objective.objectives]
            if outcome.pruned_after is not None:
                trial.set_user_attr(PRUNED_AFTER, outcome.pruned_after)
                values = [self._paired_estimate(outcome)]
            self.study.tell(trial, values)

    def _paired_estimate(self, outcome: Outcome) -> float:
        """Return what a pruned trial is told as: the best one's score, plus the mean difference on shared sequences.

        The plain partial mean, which stays among the measures, depends on which sequences came first: on easy ones a
        poor candidate would look better than the best.
        """
        best = self.best_trial()
        mine = outcome.reported
        shared = set(mine) & set(best.intermediate_values) if best is not None else set()
        if best is None or not shared or best.value is None:
            return outcome.measures["score"]
        difference = sum(mine[step] - best.intermediate_values[step] for step in shared) / len(shared)
        least = min(*mine.values(), *best.intermediate_values.values())  # no score that no sequence could have
        return float(min(max(best.value + difference, least), best.value))

    def best_trial(self, trials: list[FrozenTrial] | None = None) -> FrozenTrial | None:
        """Return the best trial that was seen to the end and keeps the constraints; of several objectives, by score."""
        rows = ranked(self.board.trials() if trials is None else trials, self.objective)
        return rows[0] if rows else None

    def best(self) -> Candidate:
        """Return the best candidate so far; the student as it is before the first."""
        trial = self.best_trial()
        return Candidate() if trial is None else Candidate.model_validate(trial.system_attrs[CANDIDATE])

    def _progress(self, doing: str, every: float = 0.0) -> None:
        if self.on_progress is None:
            return
        now = time.monotonic()
        if self._shown is None or now - self._shown[0] >= every:
            self._shown = now, self._look()
        try:
            self.on_progress(self._shown[1].model_copy(update={"spent": self.evaluator.purse.spent, "doing": doing}))
        except Exception as error:  # a broken display must not cost a search
            self.on_progress = None
            warnings.warn(f"on_progress failed and is not called again: {type(error).__name__}: {error}", stacklevel=2)

    def _look(self) -> Progress:
        trials = self.board.trials()
        best, done = self.best_trial(trials), tally(trials)
        return Progress(
            trials=done.tried,
            wanted=self.trials,
            pruned=done.ended,
            failed=done.failed,
            best=None if best is None else best.user_attrs["measures"]["score"],
        )


class _EvaluationError(RuntimeError):
    """A sequence of a trial could not be scored."""
