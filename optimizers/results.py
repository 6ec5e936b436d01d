"""What a search gives back: the best program, all others, what was tried, what it cost; on the program and on disk."""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path
from typing import Any

import dspy
from optuna.trial import FrozenTrial

from rnnprog.optimizers.board import refused_proposals
from rnnprog.optimizers.candidate import Candidate, copy_program
from rnnprog.optimizers.ledger import Ledger
from rnnprog.optimizers.marks import CANDIDATE
from rnnprog.optimizers.ranking import ranked
from rnnprog.optimizers.record import record_of, write_record
from rnnprog.optimizers.search import Search
from rnnprog.optimizers.storage import storage_errors
from rnnprog.optimizers.tally import tally
from rnnprog.optimizers.trying import Outcome

__all__ = ["Results"]


class Results:
    """Reads a finished search.

    Args:
        search: the search.
        folder: where the program is saved; ``None`` for nowhere.
    """

    def __init__(self, search: Search, folder: Path | None = None) -> None:
        self.search, self.folder = search, folder

    def program(self) -> dspy.Module:
        """Return the best program, with everything attached, and save it."""
        try:
            trials = self.search.board.trials()
            rows, logs, counts = self._rows(trials), self._logs(trials), tally(trials)
            ledger = self.search.evaluator.ledger.refresh(trials)
            self._tell_refused()
        except storage_errors():
            rows, logs, counts, ledger = self._seen(), {}, tally([]), Ledger()
        best = rows[0]["program"] if rows else Candidate().apply(self.search.student, self.search.models)
        program: Any = copy_program(best)
        if not rows:
            warnings.warn(f"{self._nothing()}; the student is returned as it is", stacklevel=3)
        program.study = self.search.study
        program.candidate_programs = rows
        program.trial_logs = logs
        program.tally = counts
        program.ledger = ledger
        program.score = rows[0]["score"] if rows else None
        program.stopped = self.search.stopped
        self._save(best)
        return program

    def _tell_refused(self) -> None:
        refused = refused_proposals(self.search.study)
        if refused and not any(
            o.origin == "proposed" for o in self.search.board.pool(self.search.space.start()).options
        ):
            warnings.warn(f"no proposal could be used; the first was refused: {refused[0]}", stacklevel=4)

    def _nothing(self) -> str:
        """Say why no candidate may be chosen."""
        limits = self.search.objective.constraints
        seen = [outcome.measures for outcome in self.search.outcomes.values() if outcome.measures]
        if not limits or not seen:
            return f"no candidate was seen to the end ({self.search.stopped})"
        least = ", ".join(f"{n} {limit:g} (least seen {min(m[n] for m in seen):.4g})" for n, limit in limits.items())
        return f"no candidate keeps the limits: {least}"

    def _rows(self, trials: list[FrozenTrial]) -> list[dict[str, Any]]:
        rows = []
        for trial in ranked(trials, self.search.objective):
            candidate = Candidate.model_validate(trial.system_attrs[CANDIDATE])
            rows.append(self._row(trial.number, candidate, trial.user_attrs["measures"]))
        return rows

    def _seen(self) -> list[dict[str, Any]]:
        """Return what this process saw itself, where the storage does not answer any more."""
        done: list[Outcome] = [o for o in self.search.outcomes.values() if not o.error and o.pruned_after is None]
        done.sort(key=lambda outcome: (-outcome.measures["score"], outcome.trial))
        return [self._row(outcome.trial, outcome.candidate, outcome.measures) for outcome in done]

    def _row(self, trial: int, candidate: Candidate, measures: dict[str, float]) -> dict[str, Any]:
        return {
            "score": measures["score"],
            "measures": measures,
            "program": candidate.apply(self.search.student, self.search.models),
            "candidate": candidate,
            "trial": trial,
        }

    def _logs(self, trials: list[FrozenTrial]) -> dict[int, dict[str, Any]]:
        logs: dict[int, dict[str, Any]] = {}
        for trial in trials:
            logs[trial.number] = {
                "state": trial.state.name.lower(),
                "params": dict(trial.params),
                "values": trial.values,
                "sequences": len(trial.intermediate_values),
                **{name: value for name, value in trial.user_attrs.items() if name != "worker"},
            }
        return logs

    def _save(self, best: dspy.Module) -> None:
        if self.folder is None:
            return
        partial = self.folder / f"program.{os.getpid()}.partial.json"  # each worker saves what it found
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            best.save(str(partial))
            partial.replace(self.folder / "program.json")
        except Exception as error:  # a model that cannot be saved, or a full disk, must not cost the result
            warnings.warn(f"the program could not be saved: {type(error).__name__}: {error}", stacklevel=4)
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        with contextlib.suppress(*storage_errors()):  # the record can be written again from the study
            sequences = [item.id for item in self.search.valset]
            search = self.search
            record = record_of(search.study, search.objective, sequences, search.student, search.space)
            write_record({**record, "stopped": self.search.stopped}, self.folder / "tuning.json")
