"""What happened, as frozen values: steps in, records out, one JSON line a step, replayable without a model.

Nothing here depends on the clock: two runs of equal configuration give byte-equal traces. Seconds and cache
hits are in :class:`Timing`, which belongs to a :class:`Result`, not to a trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, JsonValue, model_validator

from rnnprog.memory import Value

__all__ = [
    "Failure",
    "Feedback",
    "Result",
    "Sequence",
    "Step",
    "StepRecord",
    "Timing",
    "Trace",
    "Update",
    "Usage",
    "Verdict",
    "add_usage",
]

FORMAT = 1

Fields = dict[str, JsonValue]


class Step(Value):
    """One timestep of a sequence.

    Attributes:
        inputs: the observation, by input field of the task; JSON values.
        target: the true outcome by output field; ``None`` where it is not known.
        time: when the observation was made (a number or an ISO 8601 text); ``None`` counts steps.
    """

    inputs: Fields
    target: Fields | None = None
    time: int | float | str | None = None


class Sequence(Value):
    """An ordered series of steps with one memory of its own.

    Attributes:
        id: unique among the sequences walked together; pairs results across arms.
        steps: in order of time.
        meta: whatever the source says about the sequence as a whole; never shown to the model.
    """

    id: str
    steps: tuple[Step, ...]
    meta: Fields = Field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.steps)


class Usage(Value):
    """Language-model calls and tokens; a pure sum, the same whether answers came from a cache or not."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


UsageByPhase = dict[str, Usage]


def add_usage(*ledgers: Mapping[str, Usage]) -> UsageByPhase:
    """Add ledgers phase by phase.

    Example:
        >>> add_usage({"predictor": Usage(calls=1)}, {"predictor": Usage(calls=2)})["predictor"].calls
        3
    """
    total: UsageByPhase = {}
    for ledger in ledgers:
        for phase, usage in ledger.items():
            total[phase] = total.get(phase, Usage()) + usage
    return total


class Feedback(Value):
    """Evidence from outside about one prediction. What the model makes of it is a critique, not feedback.

    Attributes:
        kind: where it comes from.
        target: the true outcome by output field, for ``label``.
        correct: whether the prediction was right; ``None`` where the question makes no sense.
        score: how good the prediction was by the source's own measure, higher is better.
        text: the evidence in words, as the model will read it.
    """

    kind: Literal["label", "rule", "judge"]
    target: Fields | None = None
    correct: bool | None = None
    score: float | None = None
    text: str = ""


class Failure(Value):
    """A phase that gave no usable answer.

    Attributes:
        phase: which phase failed: ``predictor``, ``reflector``, ``rewriter``, ``judge`` or ``rule``.
        error: type and message of the error.
        raw: the model's text as it came, so that nothing is lost; empty if there was none.
        attempts: how often the phase was asked.
        no_reply: whether the model gave no reply at all: no connection, none in time, a server or rate-limit error.
    """

    phase: str
    error: str
    raw: str = ""
    attempts: int = 1
    no_reply: bool = False


class Verdict(Value):
    """What one check of the guard decided about a proposed memory, and why."""

    check: str
    decision: Literal["accept", "repaired", "kept_old"]
    reason: str = ""


class Update(Value):
    """One act of learning: a carry, the experience that changed it, and the carry after.

    Attributes:
        of: id of the prediction that the feedback is about.
        feedback: the evidence; ``None`` where the cell learns without.
        operation: what was done, e.g. ``rewrite``, ``keep``, ``append``, ``gated``, ``failed``.
        critique: the model's reading of the evidence, by field.
        parent: digest of the carry before.
        digest: digest of the carry after.
        carry: the carry after, as JSON; ``None`` where the recording policy left it out.
        tokens: length of the carry in tokens where it is a text.
        verdicts: decisions of the guard, in order.
        dropped: items that the budget removed, as (section, text).
        usage: calls and tokens of this update by phase.
        failure: set if a phase gave no usable answer; the carry is then the old one.
    """

    of: str
    operation: str
    parent: str
    digest: str
    feedback: Feedback | None = None
    critique: Fields | None = None
    carry: JsonValue = None
    tokens: int | None = None
    verdicts: tuple[Verdict, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()
    usage: UsageByPhase = Field(default_factory=dict)
    failure: Failure | None = None


class StepRecord(Value):
    """Everything that happened at one timestep.

    Attributes:
        t: index of the step in its sequence, from 0.
        id: key of the prediction; unique within a run.
        inputs: the observation as the model saw it.
        prediction: typed outputs by field; ``None`` if the step failed.
        target: the true outcome as the data has it, known or not to the model by then; ``None`` if unknown.
        time: the step's time as given.
        usage: calls and tokens of the prediction by phase.
        failure: set if there is no prediction.
        note: what the cell attached to its answer, for learning from it.
        before: updates from feedback that arrived before this step was predicted.
        after: updates from feedback that arrived right after.
    """

    t: int
    id: str
    inputs: Fields
    prediction: Fields | None = None
    target: Fields | None = None
    time: int | float | str | None = None
    usage: UsageByPhase = Field(default_factory=dict)
    failure: Failure | None = None
    note: JsonValue = None
    before: tuple[Update, ...] = ()
    after: tuple[Update, ...] = ()

    @property
    def updates(self) -> tuple[Update, ...]:
        """All updates of this step, in the order in which they were made."""
        return self.before + self.after

    @property
    def total_usage(self) -> UsageByPhase:
        """Calls and tokens of the prediction and of all updates."""
        return add_usage(self.usage, *(update.usage for update in self.updates))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The phases that gave no usable answer: the prediction, then the updates."""
        found = (self.failure, *(update.failure for update in self.updates))
        return tuple(failure for failure in found if failure is not None)

    @property
    def no_reply(self) -> bool:
        """Whether the model was asked and not one call came back: the step says nothing about it."""
        silent = bool(self.failures) and all(failure.no_reply for failure in self.failures)
        return silent and not any(used.calls for used in self.total_usage.values())


class Trace(Value):
    """The walk over one sequence.

    Attributes:
        sequence: id of the sequence.
        program: what walked: cell, task, settings; enough to tell two runs apart.
        initial: the carry before the first step, as JSON.
        initial_digest: names that carry in the audit trail.
        records: one for each step walked.
        final: the carry after the last step, as JSON; ``None`` in a trace that was cut off.
        unanswered: ids of predictions whose feedback had not arrived at the end.
        error: why the walk ended early, if it did.
    """

    sequence: str
    program: Fields = Field(default_factory=dict)
    initial: JsonValue = None
    initial_digest: str = ""
    records: tuple[StepRecord, ...] = ()
    final: JsonValue = None
    unanswered: tuple[str, ...] = ()
    error: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Trace:
        for earlier, later in zip(self.records, self.records[1:], strict=False):
            if later.t != earlier.t + 1:
                raise ValueError(f"trace {self.sequence!r}: step {later.t} follows step {earlier.t}")
        return self

    def __len__(self) -> int:
        return len(self.records)

    @property
    def updates(self) -> Iterator[Update]:
        """All updates in order."""
        return (update for record in self.records for update in record.updates)

    @property
    def usage(self) -> UsageByPhase:
        """Calls and tokens by phase over the whole walk."""
        return add_usage(*(record.total_usage for record in self.records))

    def carry_before(self, t: int) -> JsonValue:
        """Return the carry that step ``t`` was predicted from, as JSON, from the records alone.

        Raises:
            KeyError: no step ``t`` was walked, or the recording policy left the carry out.
        """
        carry, digest, known = self.initial, self.initial_digest, True
        for record in self.records:
            for update in record.before if record.t == t else record.updates if record.t < t else ():
                if update.digest != digest:
                    carry, digest, known = update.carry, update.digest, update.carry is not None
            if record.t == t:
                if not known:
                    raise KeyError(f"trace {self.sequence!r} has no carry for step {t}: it was not recorded")
                return carry
        raise KeyError(f"trace {self.sequence!r} has no step {t}; it has {len(self.records)} steps")

    def __repr__(self) -> str:
        return f"Trace(sequence={self.sequence!r}, {len(self.records)} steps)"

    __str__ = __repr__

    def carry_after(self) -> JsonValue:
        """Return the carry after the last step as JSON; of a trace that was cut off, the last one recorded."""
        if self.final is not None:
            return self.final
        carry = self.initial
        for update in self.updates:
            carry = carry if update.carry is None else update.carry
        return carry


class Timing(Value):
    """What the clock and the cache said about one sequence; differs between equal runs.

    Attributes:
        seconds: time spent waiting for each phase.
        cached_calls: calls of each phase that dspy's cache answered.
        cost: money by phase as the provider's price list has it; ``None`` where it is not known.
    """

    seconds: dict[str, float] = Field(default_factory=dict)
    cached_calls: dict[str, int] = Field(default_factory=dict)
    cost: float | None = None


class Result(Value):
    """What a run over many sequences gave.

    Attributes:
        program: as in the traces.
        traces: one for each sequence, in the order given; a sequence that broke off is there as far as it came.
        timings: by sequence id.
        seconds: wall time of the whole run.
        interrupted: whether the run was stopped before every sequence was done.
    """

    program: Fields = Field(default_factory=dict)
    traces: tuple[Trace, ...] = ()
    timings: dict[str, Timing] = Field(default_factory=dict)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def usage(self) -> UsageByPhase:
        """Calls and tokens by phase over all sequences."""
        return add_usage(*(trace.usage for trace in self.traces))

    @property
    def records(self) -> Iterator[StepRecord]:
        """All step records, sequence by sequence."""
        return (record for trace in self.traces for record in trace.records)
