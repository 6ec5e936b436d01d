"""Dynamic Cheatsheet with retrieval: the sheet is rewritten for each observation before it is answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import dspy
from pydantic import JsonValue

from rnnprog.cells.base import Answer, Experience, Learned
from rnnprog.cells.cheatsheet import GUIDE, SHEET
from rnnprog.cells.looking_up import LookingUp, LookUpSettings
from rnnprog.cells.observing import check_observation
from rnnprog.cells.remembering import LEAST_ROOM, NO_ANSWER
from rnnprog.cells.rewriting import RewritingSettings, Rewritten, checked_start, rewriting
from rnnprog.cells.store import Store, dump_store, fitting, load_store
from rnnprog.effects import Effects
from rnnprog.memory import Memory
from rnnprog.schema import MemorySchema
from rnnprog.signatures import TaskLike, as_text
from rnnprog.signatures.rewrite import NO_REMARK
from rnnprog.trace import Fields

__all__ = ["CheatsheetRS", "CheatsheetRSSettings", "CurateFor", "Sheet"]

NO_PAIRS = "(no similar steps so far)"


class CurateFor(dspy.Signature):
    """You keep a cheatsheet for a series of similar questions and are about to answer the one in `observation`. Write
    the complete new cheatsheet: keep what is useful, and take from `pairs`, earlier questions like this one with the
    answers that you gave, what will help with this one and later ones. Nobody has told you whether those answers were
    right; judge that yourself, and write down only what you trust. Do not answer the question here.
    End each entry with how often it was used, as (used n times). What you leave out is lost.
    Use exactly the headings in `headings`, in their order, each as a line that starts with ##, and under each one entry
    a line that starts with "- ". Use at most `budget_tokens` tokens.
    """

    memory: str = dspy.InputField(desc="the cheatsheet so far")
    pairs: str = dspy.InputField(desc="earlier questions with your answers, the most similar last")
    observation: str = dspy.InputField(desc="the question that comes next, one field a line")
    headings: str = dspy.InputField(desc="the headings to use, each with what belongs under it")
    budget_tokens: int = dspy.InputField(desc="the most tokens that the new cheatsheet may take")
    remark: str = dspy.InputField(desc="what was wrong with your last attempt, if anything", default=NO_REMARK)
    new_memory: str = dspy.OutputField(desc="the complete new cheatsheet")


@dataclass(frozen=True)
class Sheet:
    """The carry: the sheet, and the steps answered so far.

    Attributes:
        memory: the sheet as the last observation left it.
        pairs: observations with own answers, oldest first.
    """

    memory: Memory
    pairs: Store = ()


class CheatsheetRSSettings(RewritingSettings, LookUpSettings):
    """Settings of the cheatsheet with retrieval; saved with the program.

    Attributes:
        layout: the sections of the sheet.
        guard: none by default, as in the original.
        k: how many similar steps the curator sees; the original's three.
    """

    layout: MemorySchema = SHEET


class CheatsheetRS(LookingUp):
    """DC-RS (Dynamic Cheatsheet, arXiv 2504.07952): two calls a step, ``curator`` and then ``predictor``; a third where
    the new sheet is over the budget. Learning asks nobody.

    Before an answer the curator rewrites the whole sheet from the old one, the three most similar earlier steps with
    the own answers, and the observation; the answer is given from that sheet, which is noted with the answer and then
    replaces the old one. Labels are never seen, and what the evidence says is not looked at.

    A step is learned, as in all cells, when its evidence arrives or is known never to come. Under a delay of d steps
    (d >= 1) a sheet is therefore written from the one of d steps before, and the sheet of the step told last stands.

    Further differences from the original: those of ``cheatsheet``; BM25 by default in place of embeddings; if the
    curator gives no sheet the old one is used and kept, where there the raw pairs replaced it; if its call fails,
    the step is not stored either.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: all settings as one value.
        embed: texts to vectors, for ``similarity='embedding'``.
        key_function: replaces the key function that ``key`` names.
        **changes: single settings by name, e.g. ``k=5``.

    Raises:
        ConfigurationError: an unusable task or setting, a budget below the bare headings.

    Example:
        >>> cell = CheatsheetRS("rain: float -> tomorrow", similarity="levenshtein")
        >>> cell.initial().pairs
        ()
    """

    name = "cheatsheet_rs"
    kind = CheatsheetRSSettings
    about = "your cheatsheet"
    guidance = GUIDE

    def __init__(self, task: TaskLike, **settings: Any) -> None:
        super().__init__(task, **settings)
        self.curator = dspy.Predict(CurateFor)
        self.initial()

    def start(self, memory: Memory | str | None = None) -> Sheet:
        """Return a given sheet and no pairs; a text is read by the layout."""
        return self.initial() if memory is None else Sheet(checked_start(memory, self.settings.value))

    def initial(self) -> Sheet:
        """Return an empty sheet and no pairs."""
        settings = self.settings.value
        return Sheet(checked_start(settings.layout.initial(), settings))

    def shown(self, carry: Sheet, inputs: Fields) -> str:
        """Return the sheet as it stands before it is rewritten for an observation."""
        return carry.memory.render()

    def predicting(self, carry: Sheet, inputs: Fields) -> Answer | Effects[Answer]:
        """Rewrite the sheet for the observation, and answer from it."""
        failure = check_observation(self.task, inputs, self.room(carry), self.tokenizer)
        return Answer(None, failure) if failure is not None else self._answered(carry, inputs)

    def _answered(self, carry: Sheet, inputs: Fields) -> Effects[Answer]:
        settings = self.settings.value
        near = [entry.text for entry in self.look_up.nearest(carry.pairs, inputs, settings)]
        pairs = reversed(fitting(near, max(settings.budget, LEAST_ROOM), self.tokenizer))
        seen = {"pairs": "\n\n".join(pairs) or NO_PAIRS, "observation": as_text(inputs)}
        new = yield from rewriting(carry.memory, "curator", self.curator, seen, settings)
        answer = yield from self.answering(new.memory.render(), inputs)
        return replace(answer, note=new.model_dump(mode="json", exclude_defaults=True))

    def learning(self, carry: Sheet, experience: Experience) -> Learned:
        """Keep the sheet that the answer was given from, and the step with its answer; nobody is asked."""
        if experience.note is None:
            return Learned(carry, "not_asked")  # no sheet was made for it
        new = Rewritten.model_validate(experience.note)
        if new.failure is not None:
            return Learned(carry, "failed", failure=new.failure)
        answer = as_text(experience.outputs) if experience.outputs is not None else NO_ANSWER
        pairs = self.stored(carry.pairs, experience, f"{as_text(experience.inputs)}\nYour answer:\n{answer}")
        sheet = carry if (new.memory, pairs) == (carry.memory, carry.pairs) else Sheet(new.memory, pairs)
        return Learned(sheet, new.operation, verdicts=new.verdicts, dropped=new.dropped, tokens=new.tokens)

    def dump_carry(self, carry: Sheet) -> JsonValue:
        """Return sheet and pairs as JSON."""
        return {"memory": carry.memory.model_dump(mode="json"), "pairs": dump_store(carry.pairs)}

    def load_carry(self, dumped: JsonValue) -> Sheet:
        """Return the carry that :meth:`dump_carry` wrote."""
        assert isinstance(dumped, dict)
        return Sheet(Memory.model_validate(dumped["memory"]), load_store(dumped["pairs"]))
