"""ACE, a playbook that grows by itemised edits: what both forms share."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import dspy
from pydantic import Field, JsonValue

from rnnprog.attempt import attempt
from rnnprog.cells.ace_asking import BulletTag, ReflectOnPlaybook
from rnnprog.cells.base import Answer, Experience, Learned
from rnnprog.cells.playbook import SECTIONS, Mark, Playbook
from rnnprog.cells.remembering import MemorySettings, Remembering, guide
from rnnprog.effects import Call, Effects
from rnnprog.errors import ConfigurationError
from rnnprog.memory import well_formed
from rnnprog.signatures import TaskLike, as_text
from rnnprog.trace import Fields, Verdict

__all__ = ["Ace", "AceSettings", "Edited", "repaired"]

CITED = "bullet_ids"
CITED_ABOUT = "ids of the bullets that your answer follows, as they stand in brackets, comma-separated; may be empty"
_CRITIQUE = ("outcome", "cause", "approach", "lesson")
_ID = re.compile(r"[a-z]+-\d+")
_TITLES = "\n".join(f"{key}: {title}" for key, (_, title) in SECTIONS.items())
GUIDE = guide(
    "a playbook for the series: bullets with an id, with counts of the steps in which each was helpful or harmful",
    "Before you answer, look there for bullets that fit this observation and follow those that helped more than they "
    "harmed.",
)


class AceSettings(MemorySettings):
    """What both forms of ACE can be told; saved with the program.

    Attributes:
        playbook: what to start from; see :meth:`~rnnprog.cells.playbook.Playbook.parse`.
        curate_every: period in steps of the curator; the reflector is asked at every step.
    """

    playbook: Playbook = Playbook()
    curate_every: int = Field(default=1, ge=1)


@dataclass(frozen=True)
class Edited:
    """A playbook after the operations of a curator.

    Attributes:
        book: the playbook.
        verdicts: what was refused, pruned, joined or dropped.
        dropped: the bullets that code took out, as (section, text).
    """

    book: Playbook
    verdicts: tuple[Verdict, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()


class Ace(Remembering):
    """Base of both forms: predict from the playbook, reflect and count, curate. See :class:`~rnnprog.cells.AceRepo`."""

    about = "the playbook of this series"
    guidance = GUIDE
    curates: type[dspy.Signature]

    def __init__(self, task: TaskLike, **settings: Any) -> None:
        super().__init__(task, **settings)
        if CITED in {*self.task.inputs, *self.task.outputs}:
            raise ConfigurationError(f"the field name {CITED!r} is taken by this cell; rename it, e.g. {CITED}_value")
        asked: Any = self.predictor.signature
        self.predictor.signature = asked.prepend(CITED, dspy.OutputField(desc=CITED_ABOUT), type_=str)
        self.reflector = dspy.Predict(ReflectOnPlaybook)
        self.curator = dspy.Predict(self.curates)
        self.initial()

    def edited(self, book: Playbook, operations: list[Any]) -> Edited:
        """Return the playbook after the operations and whatever upkeep follows."""
        raise NotImplementedError(f"{type(self).__name__} must define edited(book, operations)")

    def wall(self) -> int:
        """Return the most tokens that a playbook may take."""
        raise NotImplementedError(f"{type(self).__name__} must define wall() -> tokens")

    def start(self, memory: Playbook | str | None = None) -> Playbook:
        """Return the playbook to start from; a text is read as :meth:`Playbook.parse` does.

        Raises:
            ConfigurationError: it takes more tokens than there is room for.
        """
        if memory is None:
            return self.initial()
        return self._checked(Playbook.parse(memory) if isinstance(memory, str) else memory)

    def initial(self) -> Playbook:
        """Return the playbook of the settings."""
        return self._checked(self.settings.value.playbook)

    def _checked(self, book: Playbook) -> Playbook:
        if (tokens := self.tokenizer.count(book.render())) > self.wall():
            raise ConfigurationError(
                f"the playbook takes {tokens} tokens, over the {self.wall()} there is room for; shorten it, or raise "
                "budget or context_budget"
            )
        return book

    def room(self, carry: Playbook) -> int:
        """Return what the wall leaves of the context budget."""
        return int(self.settings.value.context_budget) - self.wall()

    def shown(self, carry: Playbook, inputs: Fields) -> str:
        """Return the whole playbook."""
        return carry.render()

    def answering(self, memory: str, inputs: Fields) -> Effects[Answer]:
        """Ask the predictor, and note the bullets that it names."""
        answer = yield from super().answering(memory, inputs)
        said = str(answer.prediction.get(CITED) or "") if answer.prediction is not None else ""
        return replace(answer, note=list(dict.fromkeys(_ID.findall(said.lower()))))

    def learning(self, carry: Playbook, experience: Experience) -> Learned | Effects[Learned]:
        """Reflect on the evidence, count, and let the curator edit."""
        return Learned(carry, "no_feedback") if experience.feedback is None else self._learn(carry, experience)

    def _learn(self, carry: Playbook, experience: Experience) -> Effects[Learned]:
        settings = self.settings.value
        seen = self.seen(carry, experience, evidence=True)
        cited = experience.note if isinstance(experience.note, list) else []
        asked = {"bullets": carry.only(map(str, cited)).render(), **seen}
        said, failure = yield from attempt(Call("reflector", self.reflector, asked), _reflection, settings.retries)
        if said is None:
            return Learned(carry, "failed", failure=failure)
        critique, marks = said
        counted = carry.mark(marks)
        if (experience.t + 1) % settings.curate_every:
            return self._learned(carry, Edited(counted), "count", critique)
        asked = {
            "playbook": counted.render(),
            "statistics": _statistics(counted, self.tokenizer.count(counted.render())),
            "reflection": as_text(critique),
            "observation": seen["observation"],
            "sections": _TITLES,
            "budget_tokens": settings.budget,
        }
        operations, failure = yield from attempt(Call("curator", self.curator, asked), _operations, settings.retries)
        if operations is None:
            return Learned(carry, "failed", critique=critique, failure=failure)
        return self._learned(carry, self.edited(counted, operations), "edit", critique)

    def _learned(self, carry: Playbook, edited: Edited, operation: str, critique: Fields) -> Learned:
        book = carry if edited.book == carry else edited.book
        tokens = self.tokenizer.count(book.render())
        return Learned(book, operation, critique, edited.verdicts, edited.dropped, tokens)

    def dump_carry(self, carry: Playbook) -> JsonValue:
        """Return the playbook as JSON."""
        return carry.model_dump(mode="json")

    def load_carry(self, dumped: JsonValue) -> Playbook:
        """Return the playbook that :meth:`dump_carry` wrote."""
        return Playbook.model_validate(dumped)


def repaired(check: str, reason: str) -> Verdict:
    """Return the verdict that says what code took out or refused."""
    return Verdict(check=check, decision="repaired", reason=well_formed(reason[:500]))


def _reflection(said: dspy.Prediction) -> tuple[Fields, dict[str, Mark]]:
    critique: Fields = {name: well_formed(str(said.get(name) or "")) for name in _CRITIQUE}
    if not any(critique.values()):
        raise ValueError("the reflector returned nothing")
    tags = said.get("bullet_tags") or []
    if not isinstance(tags, list):
        raise ValueError(f"bullet_tags is no list: {tags!r}")
    return critique, {tag.bullet.strip(" []"): tag.tag for tag in map(BulletTag.model_validate, tags)}


def _operations(said: dspy.Prediction) -> list[Any]:
    operations = said.get("operations")
    if not isinstance(operations, list):
        raise ValueError(f"operations is no list: {operations!r}")
    return operations


def _statistics(book: Playbook, tokens: int) -> str:
    good = sum(bullet.helpful > bullet.harmful for bullet in book.bullets)
    bad = sum(bullet.harmful > bullet.helpful for bullet in book.bullets)
    parts = {"bullets": len(book.bullets), "helped more": good, "harmed more": bad, "tokens": tokens}
    sections = {key: sum(bullet.section == key for bullet in book.bullets) for key in SECTIONS}
    return as_text({**parts, **{f"in {key}": count for key, count in sections.items() if count}})
