"""The ledger: every finished evaluation, written to the study before it counts, so that nothing is paid for twice.

Entries are attributes of the study and its trials, the one thing that every storage of Optuna has. They are keyed by
candidate, sequence and rollout: whichever trial or worker made an evaluation, the others take it from here.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable
from typing import Literal

import optuna
from optuna.trial import FrozenTrial
from pydantic import Field, JsonValue

from rnnprog.memory import Value
from rnnprog.optimizers.spending import Spent
from rnnprog.trace import Trace

__all__ = ["Entry", "Ledger", "StudyLedger"]

_EVALUATION = "rnnprog:evaluation:"
_OTHER = "rnnprog:spent:"

Kind = Literal["evaluation", "walk", "proposal", "unfinished"]


class Entry(Value):
    """One thing that was paid for.

    Attributes:
        kind: ``evaluation`` of a candidate on a sequence; ``walk`` over a training sequence, for proposals;
            ``proposal`` written by a model; ``unfinished``: broken off by the budget, an error or the user.
        candidate: digest of the candidate; the round for proposals.
        sequence: id of the sequence; the part for proposals.
        rollout: number of the repetition, from 0.
        trial: number of the trial it was made for; -1 for none.
        score: higher is better; ``None`` if there is none.
        steps: number of steps walked.
        calls: model calls.
        tokens: prompt and completion tokens together.
        money: ``None`` where the price is not known.
        seconds: wall time.
        memory_tokens: the longest memory after any step.
        failed_steps: steps without a usable answer.
        cases: scored steps as ``[t, prediction, target]``, where a score over the whole corpus needs them.
        error: what went wrong, if anything did; then there is no score.
    """

    kind: Kind = "evaluation"
    candidate: str
    sequence: str
    rollout: int = 0
    trial: int = -1
    score: float | None = None
    steps: int = 0
    calls: int = 0
    tokens: int = 0
    money: float | None = None
    seconds: float = 0.0
    memory_tokens: int = 0
    failed_steps: int = 0
    cases: tuple[JsonValue, ...] = ()
    error: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """Candidate, sequence and rollout: what an evaluation is known by."""
        return self.candidate, self.sequence, self.rollout


class Ledger(Value):
    """All entries of a study, as a value.

    Example:
        >>> entries = (Entry(candidate="c", sequence="a", calls=6), Entry(candidate="c", sequence="b", calls=4))
        >>> Ledger(entries=entries).spent.calls
        10
    """

    entries: tuple[Entry, ...] = Field(default=())

    @property
    def spent(self) -> Spent:
        """Calls, tokens and money of all entries; seconds are the sum over evaluations, not wall time."""
        return Spent(
            calls=sum(entry.calls for entry in self.entries),
            tokens=sum(entry.tokens for entry in self.entries),
            money=sum(entry.money or 0.0 for entry in self.entries),
            seconds=sum(entry.seconds for entry in self.entries),
        )

    def of(self, kind: Kind) -> tuple[Entry, ...]:
        """Return the entries of one kind."""
        return tuple(entry for entry in self.entries if entry.kind == kind)


class StudyLedger:
    """Reads and writes the ledger of a study; safe to share between threads.

    Args:
        study: the study that holds it.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._storage = study._storage
        self._known: dict[tuple[str, str, int], Entry] = {}
        self._done: dict[int, tuple[Entry, ...]] = {}  # by trial; a finished one gets no more
        self._own, self._lock = Spent(), threading.Lock()

    @property
    def own(self) -> Spent:
        """What this process has booked; counted before it is written, so never less than what others can read."""
        return self._own

    def record(self, entry: Entry, trial: optuna.Trial | None = None, trace: Trace | None = None) -> Entry:
        """Write an entry; when this returns, it is as durable as the storage makes it.

        Args:
            entry: what to write.
            trial: the running trial that it belongs to, if any.
            trace: the walk behind it, kept where later proposals need it.
        """
        with self._lock:
            self._own = Spent(
                calls=self._own.calls + entry.calls,
                tokens=self._own.tokens + entry.tokens,
                money=self._own.money + (entry.money or 0.0),
            )
        data = entry.model_dump(mode="json", exclude_defaults=True)
        if trial is not None:
            name = f"{_EVALUATION}{entry.kind}:{entry.candidate}:{entry.rollout}:{entry.sequence}"
            self._storage.set_trial_system_attr(trial._trial_id, name, data)
        else:
            name = f"{_OTHER}{entry.kind}:{entry.candidate}:{entry.rollout}:{entry.sequence}"
            if entry.kind == "unfinished":
                name = f"{name}:{uuid.uuid4().hex[:8]}"  # may happen to the same walk again, and be paid for again
            if trace is not None:
                data = {**data, "trace": trace.model_dump(mode="json", exclude_defaults=True)}
            self._storage.set_study_system_attr(self._study._study_id, name, data)
        if entry.kind == "evaluation" and not entry.error:
            self._known[entry.key] = entry
        return entry

    def find(self, candidate: str, sequence: str, rollout: int = 0) -> Entry | None:
        """Return a finished evaluation, by whatever trial or worker; ``None`` if there is none yet."""
        return self._known.get((candidate, sequence, rollout))

    def walk(self, candidate: str, sequence: str) -> tuple[Entry, Trace] | None:
        """Return a walk over a training sequence that is on file."""
        data = self._storage.get_study_system_attrs(self._study._study_id).get(f"{_OTHER}walk:{candidate}:0:{sequence}")
        if data is None:
            return None
        return _entry(data), Trace.model_validate(data["trace"])

    def refresh(self, trials: Iterable[FrozenTrial] | None = None) -> Ledger:
        """Read what all workers have written, and return it; from ``trials`` if they were just read."""
        entries: list[Entry] = []
        for trial in self._study.get_trials(deepcopy=False) if trials is None else trials:
            found = self._done.get(trial.number) or _of_trial(trial)
            if trial.state.is_finished():
                self._done[trial.number] = found
            entries += found
            for entry in found:
                if entry.kind == "evaluation" and not entry.error:
                    self._known.setdefault(entry.key, entry)
        entries += _others(self._storage.get_study_system_attrs(self._study._study_id).items())
        return Ledger(entries=tuple(entries))


def _of_trial(trial: FrozenTrial) -> tuple[Entry, ...]:
    items = trial.system_attrs.items()
    return tuple(_entry({**data, "trial": trial.number}) for name, data in items if name.startswith(_EVALUATION))


def _others(attributes: Iterable[tuple[str, dict[str, JsonValue]]]) -> list[Entry]:
    return [_entry(data) for name, data in attributes if name.startswith(_OTHER)]


def _entry(data: dict[str, JsonValue]) -> Entry:
    return Entry.model_validate({name: value for name, value in data.items() if name != "trace"})
