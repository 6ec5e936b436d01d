"""Rewriting a memory in full, within its budget and past a guard: what all arms that rewrite do alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import dspy

from rnnprog.attempt import attempt
from rnnprog.budget import Fitted, check_budget, fit, memory_tokens
from rnnprog.cells.base import Learned
from rnnprog.cells.remembering import MemorySettings
from rnnprog.edits import edited, numbered
from rnnprog.effects import Call, Effects
from rnnprog.errors import ConfigurationError
from rnnprog.guard import Guard, Reviewed
from rnnprog.memory import Memory, Value, well_formed
from rnnprog.schema import DEFAULT_SCHEMA, MemorySchema
from rnnprog.signatures.rewrite import NO_REMARK
from rnnprog.tokens import get_tokenizer
from rnnprog.trace import Failure, Verdict

__all__ = ["Limits", "RewritingSettings", "Rewritten", "checked_start", "rewriting"]

TOO_LONG = (
    "The notes above take {tokens} tokens; the limit is {budget}. Make them shorter: merge, drop the least useful."
)


class RewritingSettings(MemorySettings):
    """What an arm that rewrites its memory can be told; saved with the program.

    Attributes:
        layout: the sections of the memory.
        guard: may a new memory replace the old one?
    """

    layout: MemorySchema = DEFAULT_SCHEMA
    guard: Guard = Guard()


class Limits(Protocol):
    """What a rewrite must keep to; the settings of any cell that rewrites."""

    @property
    def layout(self) -> MemorySchema:
        """The sections of the memory."""
        ...

    @property
    def guard(self) -> Guard:
        """May a new memory replace the old one?"""
        ...

    @property
    def budget(self) -> int:
        """Most tokens that the memory may take."""
        ...

    @property
    def tokenizer(self) -> str:
        """Name of the ruler."""
        ...

    @property
    def retries(self) -> int:
        """Further attempts where the answer is not usable."""
        ...


class Rewritten(Value):
    """What a rewrite gave; JSON, so that a cell can note it.

    Attributes:
        memory: the next memory, within the budget; the very one that was given if nothing changed.
        operation: ``rewrite``, ``edit``, ``kept_old`` or ``failed``.
        tokens: its length.
        verdicts: decisions of the guard and of the budget.
        dropped: items that the budget removed.
        failure: why there is no new memory.
    """

    memory: Memory
    operation: str
    tokens: int
    verdicts: tuple[Verdict, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()
    failure: Failure | None = None

    def learned(self) -> Learned:
        """Return the rewrite as what a cell's learning gives, where nothing else was learned."""
        return Learned(
            self.memory,
            self.operation,
            verdicts=self.verdicts,
            dropped=self.dropped,
            tokens=self.tokens,
            failure=self.failure,
        )


def checked_start(memory: Memory | str, settings: RewritingSettings) -> Memory:
    """Return a memory to start from; a text is read by the layout.

    Raises:
        ConfigurationError: a budget below the bare headings, a memory of another layout or over the budget.
        MemoryFormatError: the text has none of the layout's headings.
    """
    layout, ruler = settings.layout, get_tokenizer(settings.tokenizer)
    check_budget(layout, settings.budget, ruler)
    read = layout.parse(memory).memory if isinstance(memory, str) else memory
    if not layout.matches(read):
        raise ConfigurationError(
            f"the memory has the sections {[s.key for s in read.sections]}, the layout "
            f"{[s.key for s in layout.sections]}; make it with layout.parse(text)"
        )
    if (tokens := memory_tokens(read, ruler)) > settings.budget:
        raise ConfigurationError(
            f"the memory takes {tokens} tokens, over the budget of {settings.budget}; shorten it or raise the budget"
        )
    return read


def rewriting(
    old: Memory, phase: str, module: dspy.Module, seen: Mapping[str, Any], settings: Limits, *, edits: bool = False
) -> Effects[Rewritten]:
    """Ask for new notes; over budget, ask once for shorter ones, then drop whole items.

    One call, two where the notes are too long: the same chance for every arm. Nothing is kept of a rewrite in which no
    heading of the layout stands.

    Args:
        old: the memory that is to be replaced.
        phase: name under which the calls are booked.
        module: asked with ``memory``, ``headings``, ``budget_tokens``, ``remark`` and ``seen``; answers ``new_memory``.
        seen: what the notes are to take up.
        settings: layout, budget, guard, retries.
        edits: whether the module is shown numbered notes and answers with edits of them; an answer of whole notes is
            taken as such.
    """
    ruler = get_tokenizer(settings.tokenizer)
    reviewed, failure = yield from _ask(old, old, phase, module, seen, settings, NO_REMARK, edits)
    if reviewed is None:
        return Rewritten(memory=old, operation="failed", tokens=memory_tokens(old, ruler), failure=failure)
    verdicts = reviewed.verdicts
    fitted = fit(reviewed.memory, settings.budget, settings.layout, ruler)
    if fitted.dropped:
        tokens = memory_tokens(reviewed.memory, ruler)
        remark = TOO_LONG.format(tokens=tokens, budget=settings.budget)
        draft = fit(reviewed.memory, 2 * settings.budget, settings.layout, ruler).memory
        shorter, _ = yield from _ask(old, draft, phase, module, seen, settings, remark, edits)
        if shorter is not None and not shorter.kept_old:
            fitted = fit(shorter.memory, settings.budget, settings.layout, ruler)
            verdicts = (*verdicts, *shorter.verdicts, _budget(f"{tokens} tokens; asked once for shorter notes"))
        if fitted.dropped:
            reason = f"over {settings.budget} tokens; dropped {len(fitted.dropped)} items"
            verdicts = (*verdicts, _budget(reason))
    operation = "kept_old" if reviewed.kept_old else "edit" if edits else "rewrite"
    return _outcome(old, fitted, verdicts, operation)


def _outcome(old: Memory, fitted: Fitted, verdicts: tuple[Verdict, ...], operation: str) -> Rewritten:
    memory = old if fitted.memory == old else fitted.memory
    return Rewritten(
        memory=memory, operation=operation, tokens=fitted.tokens, verdicts=verdicts, dropped=fitted.dropped
    )


def _budget(reason: str) -> Verdict:
    return Verdict(check="budget", decision="repaired", reason=reason)


def _ask(
    old: Memory,
    draft: Memory,
    phase: str,
    module: dspy.Module,
    seen: Mapping[str, Any],
    settings: Limits,
    remark: str,
    edits: bool,
) -> Effects[tuple[Reviewed | None, Failure | None]]:
    inputs = {
        "memory": numbered(draft) if edits else draft.render(),
        **seen,
        "headings": settings.layout.describe(),
        "budget_tokens": settings.budget,
        "remark": remark,
    }

    def accept(said: dspy.Prediction) -> Reviewed:
        if not isinstance(said.new_memory, str) or not said.new_memory.strip():
            raise ValueError("the rewriter returned no notes")
        text = well_formed(said.new_memory)
        if edits and (new := edited(draft, text)) is not None:
            text = new.render()
        return settings.guard.review(old, text, settings.layout)

    return (yield from attempt(Call(phase, module, inputs), accept, settings.retries))
