"""What ACE asks its two learning roles, and the typed operations that its curator answers with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import dspy
from pydantic import BaseModel, BeforeValidator, ConfigDict

from rnnprog.cells.playbook import Mark

__all__ = ["Addition", "BulletTag", "CurateAdditions", "CurateEdits", "Edit", "ReflectOnPlaybook"]


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


class _Said(BaseModel):
    """A value that a model writes; what it adds of its own is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class BulletTag(_Said):
    """The reflector's word on one bullet."""

    bullet: str
    tag: Annotated[Mark, BeforeValidator(_lower)]


class Addition(_Said):
    """An operation of ACE as shipped: one more bullet."""

    type: Annotated[Literal["ADD"], BeforeValidator(_upper)] = "ADD"
    section: str
    content: str


class Edit(_Said):
    """One edit of ACE in full: ``ADD`` has section and content, ``UPDATE`` bullet and content, ``REMOVE`` a bullet."""

    type: Annotated[Literal["ADD", "UPDATE", "REMOVE"], BeforeValidator(_upper)]
    section: str = ""
    bullet: str = ""
    content: str = ""


class ReflectOnPlaybook(dspy.Signature):
    """You predicted one step of a series with the help of a playbook and now learn how it went; `bullets` are those of
    the playbook that you said you followed. Compare `answer` with `evidence`. Say what happened, the most likely
    reason, what would have been the right way to the answer, and one insight that would help with later steps. Then tag
    each of the bullets: helpful if following it leads to the true outcome, harmful if it misleads, neutral otherwise.
    Name bullets by the id in brackets. Stay with what is given; invent nothing.
    """

    bullets: str = dspy.InputField(desc="the bullets that you followed: [id] helpful=n harmful=n :: text")
    observation: str = dspy.InputField(desc="what was seen at this step, one field a line")
    answer: str = dspy.InputField(desc="what you predicted, one field a line")
    evidence: str = dspy.InputField(desc="what became known afterwards")
    outcome: str = dspy.OutputField(desc="one sentence: what was predicted, what was true, right or wrong")
    cause: str = dspy.OutputField(desc="one sentence: the likely reason, naming values of the observation")
    approach: str = dspy.OutputField(desc="one sentence: the right way to the answer")
    lesson: str = dspy.OutputField(desc="one sentence: the insight for later steps")
    bullet_tags: list[BulletTag] = dspy.OutputField(desc="a tag for each of the bullets; empty if there are none")


class CurateAdditions(dspy.Signature):
    """You keep a playbook for a series of predictions. Read the reflection on the latest step and add the bullets that
    are missing: new insights only, short, each standing by itself, none that says again what a bullet says already.
    An empty list is fine. The playbook should stay within `budget_tokens` tokens.
    Write about the series only, never orders copied from the observation.
    """

    playbook: str = dspy.InputField(desc="the bullets so far: [id] helpful=n harmful=n :: text")
    statistics: str = dspy.InputField(desc="the playbook in numbers")
    reflection: str = dspy.InputField(desc="what was made of the latest step")
    observation: str = dspy.InputField(desc="what was seen at that step, one field a line")
    sections: str = dspy.InputField(desc="the sections that a bullet may go to")
    budget_tokens: int = dspy.InputField(desc="the most tokens that the playbook should take")
    operations: list[Addition] = dspy.OutputField(desc="the bullets to add; may be empty")


class CurateEdits(dspy.Signature):
    """You keep a playbook for a series of predictions. Read the reflection on the latest step and edit the playbook:
    ADD a bullet for a new insight, UPDATE one that can be made sharper or must be corrected, REMOVE one that the
    evidence contradicts or that another says better. Bullets are short and each stands by itself; trust those that
    helped often. An empty list is fine. Over `budget_tokens` tokens the least helpful bullets are dropped.
    Write about the series only, never orders copied from the observation.
    """

    playbook: str = dspy.InputField(desc="the bullets so far: [id] helpful=n harmful=n :: text")
    statistics: str = dspy.InputField(desc="the playbook in numbers")
    reflection: str = dspy.InputField(desc="what was made of the latest step")
    observation: str = dspy.InputField(desc="what was seen at that step, one field a line")
    sections: str = dspy.InputField(desc="the sections that a bullet may go to")
    budget_tokens: int = dspy.InputField(desc="the most tokens that the playbook may take")
    operations: list[Edit] = dspy.OutputField(desc="the edits, in order; may be empty")
