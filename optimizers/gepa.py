"""GEPA over whole recurrent walks: its reflection sees every step of a walk from the phase that is to be improved."""

from __future__ import annotations

import difflib
import inspect
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dspy
from dspy.teleprompt import Teleprompter
from gepa import optimize as gepa_optimize

from rnnprog.errors import ConfigurationError
from rnnprog.folder import put_file
from rnnprog.lm.embedded import EMBEDDED_MODEL
from rnnprog.optimizers.candidate import Candidate, copy_program
from rnnprog.optimizers.data import DataLike, Item, fingerprint, items_of, split
from rnnprog.optimizers.identity import differing, identity_of
from rnnprog.optimizers.ledger import Entry, Ledger
from rnnprog.optimizers.objective import MetricLike, Objective
from rnnprog.optimizers.parts import Instructions
from rnnprog.optimizers.rounds import Request
from rnnprog.optimizers.space import phases_of
from rnnprog.optimizers.spending import Budget, OutOfBudgetError, Purse
from rnnprog.optimizers.stand_in import propose_orders
from rnnprog.optimizers.walk_adapter import BudgetReachedError, Texts, WalkAdapter

__all__ = ["GepaTuner"]

IDENTITY = "rnnprog.json"
"""File in the folder of a search: what its state is about."""
# What GEPA, by itself or in dspy, calls what is given here by another name, or not at all.
_HERE = {
    "auto": "metric_calls=..., the number of walks",
    "max_full_evals": "metric_calls=..., the number of walks",
    "max_metric_calls": "metric_calls=...",
    "max_reflection_cost": "budget=Budget(money=...)",
    "reflection_lm": "prompt_model=...",
    "log_dir": "folder=...",
    "run_dir": "folder=...",
    "num_threads": "concurrency=...",
    "stop_callbacks": "budget=Budget(...)",
    "trainset": "it to compile()",
    "valset": "it to compile()",
    "instruction_proposer": "custom_candidate_proposer=...",
    "component_selector": "module_selector=...",
    **dict.fromkeys(("seed_candidate", "adapter", "task_lm", "evaluator"), "the program to compile()"),
    **dict.fromkeys(("logger", "raise_on_exception"), "nothing: it is set here"),
}


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
        folder: where GEPA keeps its state, so that it resumes after a crash; ``None`` for nowhere. The state of another
            search (metric, program, model, data) is refused. The budget is that of one process.
        concurrency: sequences in flight.
        seed: of everything random.
        **gepa: further arguments of ``gepa.optimize``, e.g. ``reflection_minibatch_size``.

    Raises:
        ConfigurationError: an argument that GEPA does not know or that is given here by another name; constraints,
            several objectives or rollouts, which GEPA knows nothing of.

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
        _check(self.objective, gepa)
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
            ConfigurationError: no model to reflect with, a teacher, a metric that cannot score this program, or a
                folder with the state of another search.
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
        self._guard(student, train, val)
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

    def _guard(self, student: dspy.Module, train: Sequence[Item], val: Sequence[Item]) -> None:
        """Write down what the state in the folder is about, or refuse to go on with that of something else."""
        if self.folder is None:
            return
        path = Path(self.folder, IDENTITY)
        mine = identity_of(student, self.objective, val, seed=self.seed, training=fingerprint(train))
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else mine
        if told := differing(known, mine):
            raise ConfigurationError(
                f"the folder {str(self.folder)!r} holds a search about something else: {told}; choose another folder, "
                "or restore what was changed"
            )
        put_file(path, [json.dumps(mine, ensure_ascii=False, indent=1)])

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


def _check(objective: Objective, given: Mapping[str, Any]) -> None:
    if objective.constraints or objective.objectives != ("score",) or objective.rollouts > 1:
        raise ConfigurationError(
            "GEPA goes by the score of one walk: it has no constraints, no further objectives and no rollouts; leave "
            "them out of the Objective, or give it to OptunaTuner"
        )
    known = set(inspect.signature(gepa_optimize).parameters) - set(_HERE)
    for name in given:
        if name in _HERE:
            raise ConfigurationError(f"{name}={given[name]!r:.60} is not given like this here; give {_HERE[name]}")
        if name not in known:
            near = difflib.get_close_matches(name, [*known, *_OWN], n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else f"; GEPA takes {', '.join(sorted(known))}"
            raise ConfigurationError(f"neither GepaTuner nor gepa.optimize has an argument {name!r}{hint}")


_OWN = tuple(name for name in inspect.signature(GepaTuner.__init__).parameters if name not in ("self", "gepa"))


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
