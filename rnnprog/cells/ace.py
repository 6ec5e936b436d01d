"""ACE: a playbook that grows by itemised edits, as shipped (``ace_repo``) and as described in full (``ace_full``)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import dspy
from pydantic import Field, JsonValue

from rnnprog.attempt import attempt
from rnnprog.cells.ace_asking import Addition, BulletTag, CurateAdditions, CurateEdits, Edit, ReflectOnPlaybook
from rnnprog.cells.base import Answer, Experience, Learned
from rnnprog.cells.playbook import SECTIONS, Mark, Playbook
from rnnprog.cells.playbook_upkeep import merge_twins, prune, trim
from rnnprog.cells.remembering import MemorySettings, Remembering, guide, settled
from rnnprog.effects import Call, Effects
from rnnprog.errors import ConfigurationError
from rnnprog.memory import well_formed
from rnnprog.signatures import TaskLike, as_text
from rnnprog.trace import Fields, Verdict

__all__ = ["AceFull", "AceFullSettings", "AceRepo", "AceRepoSettings"]

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


class AceRepoSettings(AceSettings):
    """Settings of ACE as shipped; saved with the program.

    Attributes:
        budget: only told to the curator, as in the original; half of ``context_budget`` is the wall.
    """


class AceFullSettings(AceSettings):
    """Settings of ACE in full; saved with the program.

    Attributes:
        budget: most tokens that the playbook may take after any step.
        prune_margin: a bullet that was harmful this many times more than helpful goes.
        alike: share of words in which two bullets must agree to be joined.
    """

    prune_margin: int = Field(default=3, ge=1)
    alike: float = Field(default=1.0, gt=0, le=1)


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
    """Base of both forms: predict from the playbook, reflect and count, curate. See :class:`AceRepo`."""

    curates: type[dspy.Signature]

    def __init__(self, task: TaskLike, settings: AceSettings) -> None:
        super().__init__(task, settings, "the playbook of this series", GUIDE)
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


class AceRepo(Ace):
    """ACE as shipped (arXiv 2510.04618, ``ace-agent/ace``): bullets are added, counted, and never changed or removed.

    Three calls a step, right or wrong: ``predictor``, ``reflector``, ``curator``; one where no evidence comes. With its
    answer the predictor names the bullets that it followed (``bullet_ids``). The reflector sees these bullets, as they
    stand when it is asked, and the evidence, so labels once they have arrived, and tags bullets; code counts; the
    curator sees the reflection and the whole playbook and adds bullets. The budget is told to the curator and nothing
    else, as there; so that prompts cannot break, additions stop at half of ``context_budget``.

    Differences from the original: the reflector sees the typed answer without reasoning, since no arm is asked for any;
    no rounds of answering again and no answer after curation, which do not enter a score by steps and which learning
    must not give; strictly step by step in place of windows of 15; numbers go on from a loaded playbook, where there
    they start at 1; line breaks are taken out of content; headings without bullets are not shown; a failed curator
    leaves the counts too.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: all settings as one value.
        **changes: single settings by name, e.g. ``curate_every=5``.

    Raises:
        ConfigurationError: an unusable task or setting.

    Example:
        >>> cell = AceRepo("rain: float -> tomorrow")
        >>> [name for name, _ in cell.named_predictors()]
        ['predictor', 'reflector', 'curator']
    """

    name = "ace_repo"
    curates = CurateAdditions

    def __init__(self, task: TaskLike, *, settings: AceRepoSettings | None = None, **changes: Any) -> None:
        super().__init__(task, settled(AceRepoSettings, settings, changes))

    def wall(self) -> int:
        """Return half of the context budget."""
        return int(self.settings.value.context_budget) // 2

    def edited(self, book: Playbook, operations: list[Addition]) -> Edited:
        """Return the playbook with the new bullets, as far as there is room in a prompt."""
        refused: list[tuple[str, str]] = []
        for operation in operations:
            more = book.add(operation.section, operation.content)
            if self.tokenizer.count(more.render()) <= self.wall():
                book = more
            else:
                refused.append((more.bullets[-1].section, more.bullets[-1].text))
        verdicts = (_repaired("context", f"refused {len(refused)} bullets: no room in a prompt"),) if refused else ()
        return Edited(book, verdicts, tuple(refused))


class AceFull(Ace):
    """ACE in full (arXiv 2510.04618): bullets are added, updated, removed, pruned, joined, and held within the budget.

    Three calls a step, right or wrong: ``predictor``, ``reflector``, ``curator``; one where no evidence comes. Labels
    are seen by the reflector once they have arrived. What the paper describes and the original leaves to do is done by
    code: a bullet that was harmful ``prune_margin`` times more than helpful goes; bullets of the same words become
    one, with counts added up; over the budget whole bullets go, those that helped least first, new ones last.

    Differences from the original: those of ``ace_repo``, but for the wall; twins are found by their words, without a
    model call or embeddings.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: all settings as one value.
        **changes: single settings by name, e.g. ``budget=1024``.

    Raises:
        ConfigurationError: an unusable task or setting.

    Example:
        >>> AceFull("rain: float -> tomorrow", budget=256).describe()["settings"]["budget"]
        256
    """

    name = "ace_full"
    curates = CurateEdits

    def __init__(self, task: TaskLike, *, settings: AceFullSettings | None = None, **changes: Any) -> None:
        super().__init__(task, settled(AceFullSettings, settings, changes))

    def wall(self) -> int:
        """Return the budget."""
        return int(self.settings.value.budget)

    def edited(self, book: Playbook, operations: list[Edit]) -> Edited:
        """Return the playbook after edits, pruning, joining and the budget."""
        settings, ruler, verdicts = self.settings.value, self.tokenizer, list[Verdict]()
        first = book.last
        lost: list[tuple[str, str]] = []
        unknown = [o.bullet for o in operations if o.type != "ADD" and book.find(o.bullet) is None]
        if unknown:
            verdicts.append(_repaired("operations", f"no bullets {unknown[:5]} to edit"))
        for operation in operations:
            book = _applied(book, operation)
        fresh = {bullet.id for bullet in book.bullets if bullet.number > first}
        large = [b.id for b in book.bullets if ruler.count(b.render()) > settings.budget]
        for check, smaller in (
            ("budget", lambda b: b.without(large)),
            ("prune", lambda b: prune(b, settings.prune_margin)),
            ("twins", lambda b: merge_twins(b, settings.alike)),
            ("budget", lambda b: trim(b, settings.budget, ruler, fresh)),
        ):
            less = smaller(book)
            gone = [bullet for bullet in book.bullets if less.find(bullet.id) is None]
            if gone:
                verdicts.append(
                    _repaired(check, f"took out {', '.join(bullet.id for bullet in gone[:5])} ({len(gone)})")
                )
                lost += [(bullet.section, bullet.text) for bullet in gone]
            book = less
        return Edited(book, tuple(verdicts), tuple(lost))


def _applied(book: Playbook, operation: Edit) -> Playbook:
    if operation.type == "ADD":
        return book.add(operation.section, operation.content)
    if operation.type == "UPDATE":
        return book.revise(operation.bullet, operation.content)
    return book.without([operation.bullet])


def _repaired(check: str, reason: str) -> Verdict:
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
