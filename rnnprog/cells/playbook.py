"""ACE's playbook: numbered one-line bullets under headings, with counts of where each helped and where it harmed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field, field_validator, model_validator

from rnnprog.cells.remembering import one_line
from rnnprog.memory import Value

__all__ = ["SECTIONS", "Bullet", "Mark", "Playbook", "section_key"]

EMPTY = "(empty)"
SECTIONS: Mapping[str, tuple[str, str]] = {
    "strategies": ("str", "STRATEGIES & INSIGHTS"),
    "formulas": ("cal", "FORMULAS & CALCULATIONS"),
    "templates": ("tem", "CODE SNIPPETS & TEMPLATES"),
    "mistakes": ("mis", "COMMON MISTAKES TO AVOID"),
    "heuristics": ("heu", "PROBLEM-SOLVING HEURISTICS"),
    "clues": ("clu", "CONTEXT CLUES & INDICATORS"),
    "others": ("oth", "OTHERS"),
}
"""The headings of a playbook: key to (slug of its bullets' ids, title)."""

Mark = Literal["helpful", "harmful", "neutral"]
_BULLET = re.compile(r"^\[([a-z]+)-(\d+)\] helpful=(\d+) harmful=(\d+) ::(.*)$")
_LETTERS = re.compile(r"[^a-z]+")


def _fold(name: str) -> str:
    return _LETTERS.sub("", name.lower().replace("and", ""))


_BY_NAME = {_fold(name): key for key, (_, title) in SECTIONS.items() for name in (key, title)}


def section_key(name: str) -> str:
    """Return the key of a section by key or title; ``others`` if there is none of that name.

    Example:
        >>> section_key("Strategies and insights"), section_key("Poetry")
        ('strategies', 'others')
    """
    return _BY_NAME.get(_fold(name), "others")


class Bullet(Value):
    """One entry of a playbook.

    Attributes:
        id: slug and number; the number is unique in the playbook.
        section: key of its section.
        text: what it says, one line.
        helpful: in how many steps it helped.
        harmful: in how many it misled.
    """

    id: str = Field(pattern=r"^[a-z]+-\d+$")
    section: str
    text: str = Field(min_length=1)
    helpful: int = Field(default=0, ge=0)
    harmful: int = Field(default=0, ge=0)

    @field_validator("text", mode="before")
    @classmethod
    def _single(cls, text: str) -> str:
        return one_line(text)  # a line break could start a forged bullet or heading

    @field_validator("section")
    @classmethod
    def _known(cls, section: str) -> str:
        return section_key(section)

    @property
    def number(self) -> int:
        """The number in the id."""
        return int(self.id.rpartition("-")[2])

    def render(self) -> str:
        """Return the bullet as the line that stands in the prompt."""
        return f"[{self.id}] helpful={self.helpful} harmful={self.harmful} :: {self.text}"


class Playbook(Value):
    """Bullets in the order in which they came; a transform returns a new playbook.

    Attributes:
        bullets: the entries.
        last: the highest number ever given, so that none is given twice, also after a removal or a warm start.

    Example:
        >>> book = Playbook().add("strategies", "When it rained, expect rain.")
        >>> print(book.mark({"str-00001": "helpful"}).render())
        ## STRATEGIES & INSIGHTS
        [str-00001] helpful=1 harmful=0 :: When it rained, expect rain.
    """

    bullets: tuple[Bullet, ...] = ()
    last: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _numbered(self) -> Playbook:
        numbers = [bullet.number for bullet in self.bullets]
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"bullet numbers must differ, got {sorted(numbers)}")
        if numbers and self.last < max(numbers):
            object.__setattr__(self, "last", max(numbers))
        return self

    def render(self) -> str:
        """Return the playbook as text, section by section; headings without bullets are left out."""
        lines: list[str] = []
        for key, (_, title) in SECTIONS.items():
            bullets = [bullet.render() for bullet in self.bullets if bullet.section == key]
            lines += [f"## {title}", *bullets] if bullets else []
        return "\n".join(lines) or EMPTY

    @classmethod
    def parse(cls, text: str) -> Playbook:
        """Read a playbook from its text, such as a file of ACE's own; numbers that stand twice are given anew.

        Lines that are neither a heading nor a bullet are left out.
        """
        section, found, twice = "others", dict[int, Bullet](), list[tuple[str, re.Match[str]]]()
        for line in text.split("\n"):
            if line.startswith("#"):
                section = section_key(line)
            elif match := _BULLET.match(line.rstrip("\r")):
                if not one_line(match[5]):
                    continue
                if int(match[2]) in found:
                    twice.append((section, match))
                else:
                    found[int(match[2])] = _bullet(int(match[2]), section, match)
        for section, match in twice:
            number = max(found) + 1
            found[number] = _bullet(number, section, match)
        return cls(bullets=tuple(found.values()))

    def add(self, section: str, text: str) -> Playbook:
        """Return the playbook with one more bullet; the same one if the text is empty."""
        if not one_line(text):
            return self
        key, number = section_key(section), self.last + 1
        bullet = Bullet(id=f"{SECTIONS[key][0]}-{number:05d}", section=key, text=text)
        return Playbook(bullets=(*self.bullets, bullet), last=number)

    def revise(self, id: str, text: str) -> Playbook:
        """Return the playbook with another text in one bullet; its counts stay."""
        if not one_line(text):
            return self
        return self._with(b.model_copy(update={"text": one_line(text)}) if b.id == id else b for b in self.bullets)

    def without(self, ids: Iterable[str]) -> Playbook:
        """Return the playbook without some bullets."""
        gone = set(ids)
        return self._with(bullet for bullet in self.bullets if bullet.id not in gone)

    def only(self, ids: Iterable[str]) -> Playbook:
        """Return the playbook with nothing but some bullets."""
        kept = set(ids)
        return self._with(bullet for bullet in self.bullets if bullet.id in kept)

    def mark(self, marks: Mapping[str, Mark]) -> Playbook:
        """Return the playbook with counts raised by one; unknown ids and neutral marks count for nothing."""
        return self._with(_marked(bullet, marks.get(bullet.id, "neutral")) for bullet in self.bullets)

    def find(self, id: str) -> Bullet | None:
        """Return the bullet of that id, if there is one."""
        return next((bullet for bullet in self.bullets if bullet.id == id), None)

    def _with(self, bullets: Iterable[Bullet]) -> Playbook:
        kept = tuple(bullets)
        return self if kept == self.bullets else Playbook(bullets=kept, last=self.last)


def _bullet(number: int, section: str, match: re.Match[str]) -> Bullet:
    return Bullet(
        id=f"{match[1]}-{number:05d}", section=section, text=match[5], helpful=int(match[3]), harmful=int(match[4])
    )


def _marked(bullet: Bullet, mark: Mark) -> Bullet:
    return bullet if mark == "neutral" else bullet.model_copy(update={mark: getattr(bullet, mark) + 1})
