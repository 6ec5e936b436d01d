"""The method: predict from a memory in words, reflect on the outcome, rewrite the memory within its budget.

Follows LLM-as-RNN (arXiv 2601.13352): a frozen model, three phases, one bounded text a sequence, rewritten in full
after feedback. What the paper leaves to the model is done in code here: the budget is counted and enforced after
every rewrite, each rewrite passes a guard, and a failed phase keeps the old memory.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import dspy
from pydantic import Field

from rnnprog.attempt import attempt
from rnnprog.budget import check_budget, memory_tokens
from rnnprog.cells.base import Answer, Cell, Experience, Learned
from rnnprog.cells.gates import Always, Gate
from rnnprog.cells.in_words import InWords
from rnnprog.cells.observing import check_observation, predict_call, shortened
from rnnprog.cells.parameters import InitialMemory, SettingsBox
from rnnprog.cells.rewriting import rewriting
from rnnprog.effects import Call, Effects, Maybe
from rnnprog.errors import ConfigurationError
from rnnprog.feedback import EvidenceForm, evidence_text
from rnnprog.guard import DEFAULT_GUARD, Guard
from rnnprog.lm.adapter import Placement, placed
from rnnprog.memory import Memory, Value, well_formed
from rnnprog.schema import DEFAULT_SCHEMA, MemorySchema
from rnnprog.signatures import Reflect, Revise, Rewrite, TaskLike, as_task, as_text, derive_predict
from rnnprog.tokens import DEFAULT_TOKENIZER, Tokenizer, get_tokenizer
from rnnprog.trace import Fields

__all__ = ["Reflective", "ReflectiveSettings"]

NO_EVIDENCE = "Nothing became known about this answer."
NO_CRITIQUE = "(no critique was written)"
NO_ANSWER = "(no usable answer was given)"
_POLICIES: dict[str, type[dspy.Signature]] = {"whole": Rewrite, "edits": Revise}
LEAST_ROOM = 256  # tokens; room for an answer, for evidence and for a critique where the budget is smaller


class ReflectiveSettings(Value):
    """Settings of the reflective cell; saved with the program.

    Attributes:
        layout: the sections of the memory.
        budget: most tokens that the memory may take after any step.
        context_budget: most tokens that an observation and the memory may take together in one prompt. Answer,
            evidence and critique are cut short at the memory budget (at 256 tokens if that is smaller) each.
        tokenizer: name of the ruler, see :func:`rnnprog.tokens.get_tokenizer`.
        gate: when to learn.
        guard: may a new memory replace the old one?
        evidence: in what form the model reads the evidence: as the source wrote it, the true outcome only, or only
            whether it was right.
        reflect: whether the reflector is asked; without it the rewriter sees the raw evidence.
        learn_without_feedback: whether to rewrite where no evidence arrived (a rolling summary).
        skip_last: leave out learning at the last step of a sequence, where nothing would use it.
        placement: where the memory stands in the prompt of the prediction.
        retries: further attempts where a phase gives no usable answer.
        rewriting: whether the rewriter writes the whole memory anew, or edits single notes: add, update, remove.
    """

    layout: MemorySchema = DEFAULT_SCHEMA
    budget: int = Field(default=512, ge=1)
    context_budget: int = Field(default=16384, ge=1)
    tokenizer: str = DEFAULT_TOKENIZER
    gate: Gate = Field(default_factory=Always)
    guard: Guard = DEFAULT_GUARD
    evidence: EvidenceForm = "full"
    reflect: bool = True
    learn_without_feedback: bool = False
    skip_last: bool = False
    placement: Placement = "user"
    retries: int = Field(default=1, ge=0)
    rewriting: Literal["whole", "edits"] = "whole"


class Reflective(InWords, Cell):
    """A recurrent cell whose carry is a :class:`~rnnprog.Memory` in words.

    Three model calls a step: ``predictor``, ``reflector``, ``rewriter``; any of these attributes may be replaced by
    another dspy module with the same fields. The memory is within ``budget`` after every step, whatever the model
    returns.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        memory: where to start; by default the empty headings of the layout.
        settings: all settings as one value.
        **changes: single settings by name, e.g. ``budget=256``.

    Raises:
        ConfigurationError: an unusable task, a setting of the wrong kind, a budget below the bare headings, a
            memory of another layout or over the budget.

    Example:
        >>> cell = Reflective("rain: float -> tomorrow: Literal['sun', 'rain']", budget=256)
        >>> [name for name, _ in cell.named_predictors()]
        ['predictor', 'reflector', 'rewriter']
    """

    name = "reflective"

    def __init__(
        self,
        task: TaskLike,
        *,
        memory: Memory | str | None = None,
        settings: ReflectiveSettings | None = None,
        **changes: Any,
    ) -> None:
        super().__init__(as_task(task))
        self.settings = SettingsBox(_settings(settings, changes))
        layout = self.settings.value.layout
        self.initial_memory = InitialMemory(layout.parse(memory).memory if isinstance(memory, str) else memory)
        self.predictor = dspy.Predict(derive_predict(self.task))
        self.reflector = dspy.Predict(Reflect)
        self.rewriter = dspy.Predict(_POLICIES[self.settings.value.rewriting])
        check_budget(layout, self.settings.value.budget, self.tokenizer)
        self.initial()

    @property
    def tokenizer(self) -> Tokenizer:
        """The ruler that both budgets are measured with."""
        return get_tokenizer(self.settings.value.tokenizer)

    def initial(self) -> Memory:
        """Return the learned memory, else the given one, else the layout's empty headings.

        Raises:
            ConfigurationError: it is of another layout or over the budget.
        """
        return self._checked(self.initial_memory.value(self.settings.value.layout))

    def start(self, memory: Memory | str | None = None) -> Memory:
        """Return the memory to start from; a text is read by the layout.

        Raises:
            ConfigurationError: it is of another layout or over the budget.
            MemoryFormatError: the text has none of the layout's headings.
        """
        if memory is None:
            return self.initial()
        if not isinstance(memory, (Memory, str)):
            raise ConfigurationError(f"a memory to start from is a Memory or a text, got a {type(memory).__name__}")
        layout = self.settings.value.layout
        return self._checked(layout.parse(memory).memory if isinstance(memory, str) else memory)

    def set_settings(self, settings: ReflectiveSettings) -> None:
        """Take over other settings; where they change the policy of rewriting, the rewriter is asked accordingly.

        An instruction of your own stays; demos of the other policy are dropped.
        """
        before, self.settings.value = self.settings.value.rewriting, settings
        if settings.rewriting == before or not isinstance(self.rewriter, dspy.Predict):
            return
        own = self.rewriter.signature.instructions
        wanted = _POLICIES[settings.rewriting]
        self.rewriter.signature = wanted if own == _POLICIES[before].instructions else wanted.with_instructions(own)
        self.rewriter.demos = []

    def _checked(self, memory: Memory) -> Memory:
        settings = self.settings.value
        if not settings.layout.matches(memory):
            raise ConfigurationError(
                f"the initial memory has the sections {[s.key for s in memory.sections]}, the layout "
                f"{[s.key for s in settings.layout.sections]}; make it with layout.parse(text)"
            )
        tokens = memory_tokens(memory, self.tokenizer)
        if tokens > settings.budget:
            raise ConfigurationError(
                f"the initial memory takes {tokens} tokens, over the budget of {settings.budget}; "
                "shorten it or raise the budget"
            )
        return memory

    def predicting(self, carry: Memory, inputs: Fields) -> Maybe[Answer]:
        """Ask the predictor, with the memory rendered into its ``memory`` field."""
        settings = self.settings.value
        failure = check_observation(self.task, inputs, settings.context_budget - settings.budget, self.tokenizer)
        if failure is not None:
            return Answer(None, failure)
        within = partial(placed, settings.placement)
        return predict_call(self.task, self.predictor, {"memory": carry.render()}, inputs, settings.retries, within)

    def learning(self, carry: Memory, experience: Experience) -> Maybe[Learned]:
        """Reflect on the evidence and rewrite the memory, if the gate opens."""
        settings = self.settings.value
        if experience.feedback is None and not settings.learn_without_feedback:
            return Learned(carry, "no_feedback")
        if settings.skip_last and experience.last:
            return Learned(carry, "skipped_last")
        if not settings.gate.opens(experience):
            return Learned(carry, "gated")
        return self._learn(carry, experience)

    def _learn(self, carry: Memory, experience: Experience) -> Effects[Learned]:
        settings = self.settings.value
        feedback = experience.feedback
        answer = as_text(experience.outputs) if experience.outputs is not None else NO_ANSWER
        seen = {
            "observation": as_text(experience.inputs),
            "answer": self._short(answer),
            "evidence": self._short(
                evidence_text(feedback, settings.evidence) if feedback is not None else NO_EVIDENCE
            ),
        }
        critique: Fields | None = None
        if settings.reflect and feedback is not None:
            critique, failure = yield from attempt(Call("reflector", self.reflector, seen), _critique, settings.retries)
            if failure is not None:
                return Learned(carry, "failed", failure=failure)
        asked = {**seen, "critique": self._short(as_text(critique) if critique else NO_CRITIQUE)}
        new = yield from rewriting(
            carry, "rewriter", self.rewriter, asked, settings, edits=settings.rewriting == "edits"
        )
        tokens = None if new.failure else new.tokens
        return Learned(new.memory, new.operation, critique, new.verdicts, new.dropped, tokens, new.failure)

    def _short(self, text: str) -> str:
        """Bound what answers, evidence and critiques add to a prompt: a memory could not hold more of them anyway."""
        return shortened(text, max(self.settings.value.budget, LEAST_ROOM), self.tokenizer)

    def describe(self) -> Fields:
        """Return task and settings."""
        return {**super().describe(), "settings": self.settings.value.model_dump(mode="json")}


def _critique(said: dspy.Prediction) -> Fields:
    fields: Fields = {name: well_formed(str(value)) for name, value in said.items() if value is not None}
    if not fields:
        raise ValueError("the reflector returned nothing")
    return fields


def _settings(settings: ReflectiveSettings | None, changes: dict[str, Any]) -> ReflectiveSettings:
    base = settings or ReflectiveSettings()
    unknown = sorted(set(changes) - set(ReflectiveSettings.model_fields))
    if unknown:
        raise ConfigurationError(f"unknown settings {unknown}; there are {sorted(ReflectiveSettings.model_fields)}")
    try:
        return ReflectiveSettings.model_validate({**dict(base), **changes})
    except ValueError as error:
        raise ConfigurationError(f"unusable settings: {error}") from error
