"""The tuner: DSPy's optimizer interface in front of a search that is stored, resumed, pruned, budgeted and shared."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dspy
from dspy.teleprompt import Teleprompter
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from pydantic import JsonValue

from rnnprog.errors import ConfigurationError
from rnnprog.folder import tried_folder
from rnnprog.optimizers.board import Board
from rnnprog.optimizers.checks import check_arguments, check_search
from rnnprog.optimizers.dashboard import annotate_study
from rnnprog.optimizers.data import DataLike, Item, items_of, split
from rnnprog.optimizers.estimate import Estimate, estimate
from rnnprog.optimizers.evaluation import Evaluator
from rnnprog.optimizers.identity import identity_of
from rnnprog.optimizers.ledger import StudyLedger
from rnnprog.optimizers.objective import MetricLike, Objective
from rnnprog.optimizers.progress import Progress
from rnnprog.optimizers.propose import DefaultProposer
from rnnprog.optimizers.pruning import make_pruner
from rnnprog.optimizers.record import about, keep_about
from rnnprog.optimizers.results import Results
from rnnprog.optimizers.rounds import Proposer, Rounds
from rnnprog.optimizers.sampling import SamplerLike
from rnnprog.optimizers.schedule import Schedule
from rnnprog.optimizers.search import Search
from rnnprog.optimizers.space import Space, default_space
from rnnprog.optimizers.spending import Budget, Purse
from rnnprog.optimizers.storage import StorageError, StorageLike, open_storage, storage_errors, why
from rnnprog.optimizers.study import open_own_study, open_study
from rnnprog.optimizers.teacher import Teacher, teacher_of
from rnnprog.optimizers.workers import Worker

__all__ = ["OptunaTuner"]


class OptunaTuner(Teleprompter):
    """Tunes the words of a recurrent program, and its memory's settings, with Optuna.

    Stands where ``dspy.MIPROv2`` or ``dspy.GEPA`` stand, also inside ``dspy.BetterTogether``. Every evaluation is
    written to the study's storage before it counts: killed at any moment and started again with the same arguments,
    the search goes on, and no finished walk is paid for twice. Further workers are the same call with the same storage.

    Args:
        metric: a metric name (``"accuracy"``, ``"mae[load]"``), a metric of this package, a dspy metric, or an
            :class:`~rnnprog.optimizers.Objective` with constraints, several objectives, rollouts or step weights.
        space: what may change; by default :func:`~rnnprog.optimizers.default_space` of the student.
        schedule: trials, concurrency, rounds of proposals, seed.
        budget: limits in calls, tokens, money and minutes.
        storage: where the study lives, see :func:`~rnnprog.optimizers.open_storage`; by default a journal file in
            ``folder``.
        study_name: of the study; one of another space, metric (its code counts), student, model or data under this name
            is refused. Without a name it is ``"tune"``, and a search about something else gets a study and a
            sub-folder of its own, as the later steps of ``dspy.BetterTogether`` need it.
        **options: ``folder`` (for journal, compiled program and artifacts; by default ``runs/tune/STUDY``; ``None``
            writes no files), ``sampler`` (an Optuna sampler, or a function from seed to sampler; by
            default :class:`~rnnprog.optimizers.ClimbingSampler`, for several objectives TPE), ``pruner``
            (``"paired"``, ``"wilcoxon"``, ``"halving"``, ``"none"`` or an Optuna pruner), ``proposer``,
            ``prompt_model`` (writes proposals; by default the student's model), ``models`` (by name, for
            :class:`Model` parts), ``on_progress``.

    Raises:
        ConfigurationError: an argument cannot be used.

    Example:
        >>> import rnnprog
        >>> from rnnprog.tasks import load_task
        >>> data = load_task("regimes", n_sequences=4, n_steps=8).examples()
        >>> student = rnnprog.RecurrentModule(load_task("regimes").task)
        >>> student.set_lm(rnnprog.embedded_lm())
        >>> tuner = OptunaTuner("accuracy", storage="memory", schedule=Schedule(trials=2), folder=None)
        >>> program = tuner.compile(student, trainset=data[:2], valset=data[2:])
        >>> program.candidate_programs[0]["score"] >= 0, program.ledger.spent.calls > 0
        (True, True)
    """

    def __init__(
        self,
        metric: MetricLike | Objective,
        *,
        space: Space | None = None,
        schedule: Schedule | None = None,
        budget: Budget | None = None,
        storage: StorageLike = None,
        study_name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise ConfigurationError(f"unknown options {unknown}; there are {sorted(_OPTIONS)}")
        chosen = {**_OPTIONS, **options}
        self.objective = metric if isinstance(metric, Objective) else Objective(metric)
        self.metric = self.objective.metric
        self.space = space
        self.schedule = schedule or Schedule()
        self.budget = budget or Budget()
        self.storage = storage
        self.study_name, self._named = study_name or "tune", study_name is not None
        folder = chosen["folder"]
        self.folder = (
            Path("runs", "tune", self.study_name) if folder == "" else None if folder is None else Path(folder)
        )
        self.sampler: SamplerLike = chosen["sampler"]
        self.pruner: str | BasePruner | None = chosen["pruner"]
        self.proposer: Proposer | None = chosen["proposer"]
        self.prompt_model: dspy.LM | None = chosen["prompt_model"]
        self.models: Mapping[str, dspy.LM] = chosen["models"]
        self.on_progress: Callable[[Progress], None] | None = chosen["on_progress"]
        check_arguments(vars(self))

    def compile(
        self,
        student: dspy.Module,
        *,
        trainset: DataLike,
        teacher: dspy.Module | None = None,
        valset: DataLike | None = None,
        trials: int | None = None,
        budget: Budget | None = None,
    ) -> dspy.Module:
        """Search, and return the best program found.

        Args:
            student: the program; it is not changed.
            trainset: sequences that proposals are written from.
            teacher: a program for the same task, such as the student with a stronger model; worked examples are cut
                from its walks over the training sequences instead of the student's own.
            valset: sequences that candidates are judged on; by default a part of the trainset.
            trials: overrides the schedule's number of trials.
            budget: overrides the tuner's budget.

        Returns:
            A new program, with ``study``, ``candidate_programs`` (best first), ``trial_logs``, ``ledger`` and
            ``score``. If a ``folder`` is set, the program is saved there as ``program.json``.

        Raises:
            ConfigurationError: a budget below one evaluation, a study about something else, unusable arguments.
            DataError: unusable sequences.
            LMUnavailableError: no model.
            StorageError: the storage cannot be opened, or is gone before the first trial is done.
            rnnprog.errors.StorageError: the folder cannot be written.
        """
        taught = teacher_of(teacher, student)
        read = items_of(trainset)
        train, val = split(read, None if valset is None else items_of(valset, "valset"))
        schedule = self.schedule if trials is None else self.schedule.model_copy(update={"trials": trials})
        limits = budget or self.budget
        space = self.space or default_space(student, proposals=schedule.proposals)
        check_search(student, space, self.models, self.objective, limits, val)
        if self.folder is not None:
            tried_folder(self.folder)
        try:
            search = self._search(student, space, schedule, limits, train, val, taught)
            with search.board.worker.working():
                search.run()
        except storage_errors() as error:
            raise StorageError(f"the storage of study {self.study_name!r} does not answer: {why(error)}") from error
        return Results(search, search.folder).program()

    def estimate(self, student: dspy.Module, *, trainset: DataLike, valset: DataLike | None = None) -> Estimate:
        """Return what a search would cost at most, without calling a model."""
        train, val = split(items_of(trainset), None if valset is None else items_of(valset, "valset"))
        space = self.space or default_space(student, proposals=self.schedule.proposals)
        return estimate(student, space, self.schedule, self.objective, train, val)

    def _search(
        self,
        student: dspy.Module,
        space: Space,
        schedule: Schedule,
        limits: Budget,
        train: tuple[Item, ...],
        val: tuple[Item, ...],
        teacher: Teacher | None,
    ) -> Search:
        pruner = make_pruner(self.pruner if self.objective.single else "none", len(val))
        storage = open_storage(self.storage, self.folder)
        taught: dict[str, JsonValue] = {} if teacher is None else {"teacher": teacher.digest}
        identity = identity_of(
            student, self.objective, val, self.models, space=space.digest, seed=schedule.seed, **taught
        )
        study = (open_study if self._named else open_own_study)(
            storage, self.study_name, self.objective.directions, pruner, identity
        )
        own = self.folder is not None and study.study_name != self.study_name
        folder = self.folder / study.study_name if self.folder is not None and own else self.folder
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(self.objective.objectives))
            annotate_study(study, space, self.objective.name)
        keep_about(study, about(self.objective, [item.id for item in val], student, space))
        ledger = StudyLedger(study)
        purse = Purse(limits, ledger.refresh().spent)
        evaluator = Evaluator(self.objective, ledger, purse, schedule.concurrency)
        board = Board(study, Worker(study))
        rounds = Rounds(
            proposer=self.proposer or DefaultProposer(self.prompt_model or _model_of(student)),
            board=board,
            evaluator=evaluator,
            space=space,
            student=student,
            trainset=train,
            objective=self.objective,
            count=schedule.rounds,
            every=schedule.round_every,
            walks=schedule.walks,
            seed=schedule.seed,
            models=self.models,
            teacher=teacher,
        )
        return Search(
            study=study,
            board=board,
            space=space,
            student=student,
            objective=self.objective,
            evaluator=evaluator,
            rounds=rounds,
            valset=val,
            trials=schedule.trials,
            seed=schedule.seed,
            sampler=self.sampler,
            models=self.models,
            folder=folder,
            on_progress=self.on_progress,
        )


_OPTIONS: dict[str, Any] = {
    "folder": "",
    "sampler": None,
    "pruner": "paired",
    "proposer": None,
    "prompt_model": None,
    "models": {},
    "on_progress": None,
}


def _model_of(student: dspy.Module) -> dspy.LM | None:
    for _, predictor in student.named_predictors():
        if predictor.lm is not None:
            return predictor.lm
    return dspy.settings.lm
