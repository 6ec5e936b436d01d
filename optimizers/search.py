"""The search: ask for a candidate, try it, tell how it did; hold rounds of proposals in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import dspy
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from rnnprog.collector import seldom_collecting_everything
from rnnprog.errors import RnnprogError
from rnnprog.optimizers.batching import together
from rnnprog.optimizers.board import Board
from rnnprog.optimizers.candidate import Candidate
from rnnprog.optimizers.dashboard import annotate_trial
from rnnprog.optimizers.data import Item
from rnnprog.optimizers.drawing import Drawing
from rnnprog.optimizers.evaluation import Evaluator
from rnnprog.optimizers.marks import CANDIDATE, INTERRUPTED, PRUNED_AFTER, WORKER
from rnnprog.optimizers.objective import Objective
from rnnprog.optimizers.options import Pool
from rnnprog.optimizers.progress import Display, Progress
from rnnprog.optimizers.ranking import ranked
from rnnprog.optimizers.rounds import Rounds
from rnnprog.optimizers.sampling import SamplerLike
from rnnprog.optimizers.space import Space
from rnnprog.optimizers.speaking import warn
from rnnprog.optimizers.spending import OutOfBudgetError
from rnnprog.optimizers.storage import StorageError, check_storage, storage_errors, why
from rnnprog.optimizers.tally import counted, places_of
from rnnprog.optimizers.trying import Outcome, SequenceError, Trying

__all__ = ["Search"]

GONE = "the storage is gone"
"""How ``stopped`` begins where the storage did not answer any more."""
_POLL = 0.25
_LOOK = 1.0  # seconds between looks at all trials while walking
_NOT_OURS = storage_errors()
_FAILURES = 5  # failed trials in a row that end a search
_REPEATS = 3  # trials at most for each one asked for, where the sampler keeps repeating itself


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
    _heeded: float = 0.0  # when the spending of other workers was last asked for
    _drawing: Drawing = field(init=False, repr=False)
    _trying: Trying = field(init=False, repr=False)
    _display: Display = field(init=False, repr=False)
    _aside: ThreadPoolExecutor = field(init=False, repr=False)
    _noted: Future[None] = field(init=False, repr=False)

    def run(self) -> None:
        """Search until the trials asked for are done, the budget is spent, or the user stops it."""
        purse = self.evaluator.purse
        self._display = Display(self.board, self.objective, purse, self.trials, self.on_progress)
        self.evaluator.on_entry = lambda _entry: self._after_walk()
        self.evaluator.ledger.refresh()
        self.board.take_up()
        self._trying = Trying(
            self.board, self.evaluator, self.objective, self.valset, self.student, self.models, self.seed
        )
        self._drawing = Drawing(
            self.study, self.space, self.student, self.rounds, self.objective, self.trials, self.seed, self.sampler
        )
        try:
            aside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rnnprog-notes")
            with seldom_collecting_everything(), aside as self._aside:
                while not (reason := self._finished()):
                    self._one()
                self.stopped = reason
        except OutOfBudgetError as stop:  # walks in flight have paid for their last calls since it was raised
            self.stopped = f"the budget is spent: {spent}" if (spent := purse.exhausted) else str(stop)
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
        self._display.tell("done")

    def _lost(self, error: BaseException) -> None:
        """Say that the storage is gone; raise where nothing was found before."""
        if not self.outcomes:
            raise StorageError(f"the storage does not answer: {why(error)}") from error
        self.stopped = f"{GONE}: {why(error)}"
        warn(f"{self.stopped}; returning the best of what this process has seen")

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
                outcome = self._trying.outcome(trial, place, candidate)
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
            told = str(error) if isinstance(error, SequenceError) else f"{type(error).__name__}: {error}"
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
                    self.evaluator.purse.check()
                    time.sleep(_POLL)
                    continue
                self._display.tell(f"writing proposals, round {number}")
                self.rounds.hold(number, self.best(), self.board.pool(self.space.start()))
        return self.board.pool(self.space.start())

    def _learn(self, trials: list[FrozenTrial]) -> None:
        """Take in what all workers have found and spent."""
        ledger = self.evaluator.ledger
        booked = ledger.refresh(trials).spent
        self.evaluator.purse.learn(booked, ledger.own)

    def _after_walk(self) -> None:
        self._display.tell("walking", every=_LOOK)
        if self.evaluator.purse.budget.shared and time.monotonic() - self._heeded >= _POLL:
            self._heeded = time.monotonic()
            trials = self.board.trials()
            if self.board.not_alone(trials):
                self._learn(trials)

    def _tell(self, trial: optuna.Trial, outcome: Outcome) -> None:
        self.outcomes[trial.number] = outcome
        self._display.outdated()
        if outcome.error:
            trial.set_user_attr("error", outcome.error)
            self.study.tell(trial, state=TrialState.FAIL)
            warn(f"trial {trial.number} failed: {outcome.error}")
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
        best = self._best()
        mine = outcome.reported
        shared = set(mine) & set(best.intermediate_values) if best is not None else set()
        if best is None or not shared or best.value is None:
            return outcome.measures["score"]
        difference = sum(mine[step] - best.intermediate_values[step] for step in shared) / len(shared)
        least = min(*mine.values(), *best.intermediate_values.values())  # no score that no sequence could have
        return float(min(max(best.value + difference, least), best.value))

    def _best(self) -> FrozenTrial | None:
        rows = ranked(self.board.trials(), self.objective)
        return rows[0] if rows else None

    def best(self) -> Candidate:
        """Return the best candidate so far; the student as it is before the first."""
        trial = self._best()
        return Candidate() if trial is None else Candidate.model_validate(trial.system_attrs[CANDIDATE])
