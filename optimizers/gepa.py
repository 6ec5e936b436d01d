"""GEPA over whole recurrent walks: its reflection sees every step of a walk from the phase that is to be improved."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import dspy
from dspy.teleprompt import Teleprompter
from gepa import optimize as gepa_optimize

from rnnprog.errors import ConfigurationError
from rnnprog.lm.embedded import EMBEDDED_MODEL
from rnnprog.optimizers.candidate import Candidate, copy_program
from rnnprog.optimizers.data import DataLike, items_of, split
from rnnprog.optimizers.ledger import Entry, Ledger
from rnnprog.optimizers.objective import MetricLike, Objective
from rnnprog.optimizers.parts import Instructions
from rnnprog.optimizers.rounds import Request
from rnnprog.optimizers.space import phases_of
from rnnprog.optimizers.spending import Budget, OutOfBudgetError, Purse
from rnnprog.optimizers.stand_in import propose_orders
from rnnprog.optimizers.walk_adapter import BudgetReachedError, Texts, WalkAdapter

__all__ = ["GepaTuner"]


class _OfflineWriter:
    """Stands in for GEPA's reflection model where the program's model is the embedded one."""

    def __init__(self, student: dspy.Module, adapter: WalkAdapter, seed: int) -> None:
        self.student, self.adapter, self.seed, self.written = student, adapter, seed, 0

    def __call__(self, candidate: Texts, reflective_dataset: Any, components_to_update: list[str]) -> Texts:
        """Return the texts with one more order each."""
        texts = dict(candidate)
        for phase in components_to_update:
            self.written += 1
            program = Candidate(instructions=candidate).apply(self.student)
            part = Instructions(phase=phase)
            request = Request(part, ("new",), 0, program, Candidate(), (), (), self.seed + self.written)
            options, _ = propose_orders(request)
            if options:
                texts[phase] = str(options[0].value)
        return texts


class GepaTuner(Teleprompter):
    """Tunes the instructions of a recurrent program with GEPA, which reflects over whole walks.

    Args:
        metric: as in :class:`~rnnprog.optimizers.OptunaTuner`; its scores should lie between 0 and 1.
        prompt_model: writes new instructions; by default the student's model. With the embedded model it draws on the
            orders which that documents.
        budget: limits in calls, tokens, money and minutes; a hard stop.
        metric_calls: walks over sequences at most.
        folder: where GEPA keeps its state, so that it resumes after a crash; ``None`` for nowhere.
        concurrency: sequences in flight.
        seed: of everything random.
        **gepa: further arguments of ``gepa.optimize``, e.g. ``reflection_minibatch_size``.

    Example:
        >>> GepaTuner("accuracy", metric_calls=40).metric_calls
        40
    """

    def __init__(
        self,
        metric: MetricLike | Objective,
        *,
        prompt_model: dspy.LM | None = None,
        budget: Budget | None = None,
        metric_calls: int = 200,
        folder: str | Path | None = None,
        concurrency: int = 8,
        seed: int = 0,
        **gepa: Any,
    ) -> None:
        super().__init__()
        self.objective = metric if isinstance(metric, Objective) else Objective(metric)
        self.metric = self.objective.metric
        self.prompt_model, self.budget, self.metric_calls = prompt_model, budget or Budget(), metric_calls
        self.folder, self.concurrency, self.seed, self.gepa = folder, concurrency, seed, gepa

    def compile(
        self,
        student: dspy.Module,
        *,
        trainset: DataLike,
        teacher: dspy.Module | None = None,
        valset: DataLike | None = None,
    ) -> dspy.Module:
        """Run GEPA and return the best program found.

        Args:
            student: the program; it is not changed.
            trainset: sequences to reflect on.
            teacher: for the common interface; GEPA writes no worked examples, so one is refused.
            valset: sequences to judge by; by default a part of the trainset.

        Returns:
            A new program with ``candidate_programs`` (best first), ``detailed_results`` (GEPA's own) and ``ledger``.

        Raises:
            ConfigurationError: no model to reflect with, a teacher, or a metric that cannot score this program.
            DataError: sequences that do not fit the program.
            LMUnavailableError: the model is down or refuses before the student was judged; later, the best program so
                far is returned with a warning.
        """
        if teacher is not None:
            raise ConfigurationError(
                "GEPA changes instructions only and has no use for a teacher; leave it out, or give it to OptunaTuner, "
                "which cuts worked examples from its walks"
            )
        train, val = split(items_of(trainset), None if valset is None else items_of(valset, "valset"))
        purse = Purse(self.budget)
        adapter = WalkAdapter(student, self.objective, purse, self.concurrency)
        seed_texts = {phase: p.signature.instructions for phase, p in phases_of(student).items()}
        writer = self.prompt_model or next((p.lm for _, p in student.named_predictors() if p.lm), dspy.settings.lm)
        if writer is None:
            raise ConfigurationError("no model to reflect with; give prompt_model=... or call student.set_lm(...)")
        if getattr(writer, "model", None) == EMBEDDED_MODEL:
            adapter.propose_new_texts = _OfflineWriter(student, adapter, self.seed)
        stopper = _Stopper(purse, adapter)
        arguments: dict[str, Any] = dict(
            seed_candidate=seed_texts,
            trainset=list(train),
            valset=list(val),
            adapter=adapter,
            reflection_lm=_Asking(writer, purse, adapter),
            max_metric_calls=self.metric_calls,
            stop_callbacks=[stopper],
            run_dir=None if self.folder is None else str(self.folder),
            seed=self.seed,
            raise_on_exception=False,
            logger=_Quiet(),
            **self.gepa,
        )
        try:
            result = gepa_optimize(**arguments)
        except BudgetReachedError as stop:
            raise ConfigurationError(
                f"{stop}, before the student itself was judged on the valset; raise the budget or shorten the valset"
            ) from stop
        return self._finish(student, result, adapter)

    def _finish(self, student: dspy.Module, result: Any, adapter: WalkAdapter) -> dspy.Module:
        if adapter.broken is not None:
            warnings.warn(f"GEPA ended early: {type(adapter.broken).__name__}: {adapter.broken}", stacklevel=3)
        failed = [entry for entry in adapter.entries if entry.error and entry.kind != "unfinished"]
        if failed:
            warnings.warn(
                f"{len(failed)} walks failed and count as 0; the first, of {failed[0].sequence!r}: {failed[0].error}",
                stacklevel=3,
            )
        rows = []
        for index, score in sorted(enumerate(result.val_aggregate_scores), key=lambda pair: (-pair[1], pair[0])):
            candidate = Candidate(instructions=dict(result.candidates[index]))
            rows.append({"score": score, "program": candidate.apply(student), "candidate": candidate, "trial": index})
        program: Any = copy_program(rows[0]["program"])
        program.candidate_programs = rows
        program.detailed_results = result
        program.ledger = Ledger(entries=tuple(adapter.entries))
        program.score = rows[0]["score"]
        return program


class _Asking:
    """GEPA's reflection model, metered; it is called with a prompt and returns a text."""

    def __init__(self, lm: dspy.LM, purse: Purse, adapter: WalkAdapter) -> None:
        self.lm, self.purse, self.adapter = lm, purse, adapter

    def __call__(self, prompt: Any) -> str:
        """Ask the model."""
        with self.purse.paying() as meter:
            text = prompt if isinstance(prompt, str) else "\n".join(str(m.get("content", "")) for m in prompt)
            try:
                said = self.lm(text)[0]
            except OutOfBudgetError as stop:
                raise BudgetReachedError(str(stop)) from stop
            usage, money = meter.total(), meter.timing().cost
        paid = {"calls": usage.calls, "tokens": usage.tokens, "money": money}
        self.adapter.entries.append(Entry(kind="proposal", candidate="reflection", sequence="", **paid))
        return said if isinstance(said, str) else str(said.get("text", ""))


class _Stopper:
    def __init__(self, purse: Purse, adapter: WalkAdapter) -> None:
        self.purse, self.adapter = purse, adapter

    def __call__(self, _state: Any) -> bool:
        """Return whether the budget is spent, or nothing more can be walked."""
        return bool(self.purse.exhausted) or self.adapter.broken is not None


class _Quiet:
    def log(self, message: str) -> None:
        """Say nothing; the results hold all of it."""
