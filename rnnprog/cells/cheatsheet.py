"""Dynamic Cheatsheet: one sheet, rewritten in full by a curator who sees inputs and own answers, never labels."""

from __future__ import annotations

from typing import Any

import dspy

from rnnprog.cells.base import Experience, Learned
from rnnprog.cells.in_words import InWords
from rnnprog.cells.remembering import Remembering, guide
from rnnprog.cells.rewriting import RewritingSettings, checked_start, rewriting
from rnnprog.effects import Effects
from rnnprog.memory import Memory
from rnnprog.schema import MemorySchema, SectionSpec
from rnnprog.signatures import TaskLike
from rnnprog.signatures.rewrite import NO_REMARK

__all__ = ["GUIDE", "SHEET", "Cheatsheet", "CheatsheetSettings", "Curate"]

GUIDE = guide(
    "a cheatsheet that you keep while you go through the steps of the series",
    "Before you answer, look there for a pattern or strategy that fits this observation and use it.",
)
SHEET = MemorySchema(
    sections=(
        SectionSpec(
            key="patterns",
            title="Reusable patterns and solutions",
            about="what worked, with the case that shows it",
            priority=2,
        ),
        SectionSpec(key="edge_cases", title="Edge cases", about="where the usual does not hold", priority=1),
        SectionSpec(key="strategies", title="General strategies", about="how to go about a step", priority=3),
    )
)


class Curate(dspy.Signature):
    """You keep a cheatsheet for a series of similar questions and have just answered one. Write the complete new
    cheatsheet: keep what is useful, improve it, add what `observation` and `answer` show that will help with later
    questions. Nobody tells you whether the answer was right; judge that yourself, and write down only what you trust.
    End each entry with how often it was used, as (used n times). What you leave out is lost.
    Use exactly the headings in `headings`, in their order, each as a line that starts with ##, and under each one entry
    a line that starts with "- ". Use at most `budget_tokens` tokens.
    """

    memory: str = dspy.InputField(desc="the cheatsheet so far")
    observation: str = dspy.InputField(desc="the question, one field a line")
    answer: str = dspy.InputField(desc="your answer, one field a line")
    headings: str = dspy.InputField(desc="the headings to use, each with what belongs under it")
    budget_tokens: int = dspy.InputField(desc="the most tokens that the new cheatsheet may take")
    remark: str = dspy.InputField(desc="what was wrong with your last attempt, if anything", default=NO_REMARK)
    new_memory: str = dspy.OutputField(desc="the complete new cheatsheet")


class CheatsheetSettings(RewritingSettings):
    """Settings of the cumulative cheatsheet; saved with the program.

    Attributes:
        layout: the sections of the sheet.
        guard: none by default, as in the original, so that a placeholder can wipe the sheet as it does there.
    """

    layout: MemorySchema = SHEET


class Cheatsheet(InWords, Remembering):
    """DC-Cu (Dynamic Cheatsheet, arXiv 2504.07952, ``suzgunmirac/dynamic-cheatsheet``): two calls a step, ``predictor``
    and, after the answer, ``curator``; a third where the new sheet is over the budget.

    The curator rewrites the whole sheet from the old one, the observation and the own answer. It never sees a label and
    what the evidence says is not looked at; a sheet without any of its headings, the original's missing tag, keeps the
    old one. It learns when evidence arrives or is known never to come, as all cells do.

    Differences from the original: the budget is counted and held by whole entries (there, words are asked for); entries
    are lines; the curator sees the typed answer, not the whole reply; no code is run and no rounds are repeated; what a
    question quotes cannot pose as a sheet.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: all settings as one value.
        **changes: single settings by name, e.g. ``budget=2048``.

    Raises:
        ConfigurationError: an unusable task or setting, a budget below the bare headings.

    Example:
        >>> cell = Cheatsheet("rain: float -> tomorrow")
        >>> [name for name, _ in cell.named_predictors()]
        ['predictor', 'curator']
    """

    name = "cheatsheet"
    kind = CheatsheetSettings
    about = "your cheatsheet"
    guidance = GUIDE

    def __init__(self, task: TaskLike, **settings: Any) -> None:
        super().__init__(task, **settings)
        self.curator = dspy.Predict(Curate)
        self.initial()

    def start(self, memory: Memory | str | None = None) -> Memory:
        """Return the sheet to start from; a text is read by the layout."""
        return self.initial() if memory is None else checked_start(memory, self.settings.value)

    def initial(self) -> Memory:
        """Return an empty sheet."""
        settings = self.settings.value
        return checked_start(settings.layout.initial(), settings)

    def learning(self, carry: Memory, experience: Experience) -> Effects[Learned]:
        """Rewrite the sheet from observation and own answer."""
        seen = self.seen(carry, experience, evidence=False)
        new = yield from rewriting(carry, "curator", self.curator, seen, self.settings.value)
        return new.learned()
