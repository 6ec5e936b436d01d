"""A memory text as the embedded model sees it: its own sentences as statistics, all others kept word for word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rnnprog.lm.statements import Average, Condition, Last, Miss, Rule, Same, Tally, read_statement
from rnnprog.lm.values import is_code, number, word
from rnnprog.memory import EMPTY_MARK

__all__ = ["BULLET", "Notes", "read_notes"]

BULLET = re.compile(
    r"^\s*\[(?P<id>[a-z]{1,9}-\d{1,9})\] helpful=(?P<helpful>\d{1,9}) harmful=(?P<harmful>\d{1,9}) :: ?"
)
"""How a bullet of a playbook starts: its id, and in how many steps it helped and misled."""

_USED = re.compile(r"\s*\(used \d+ times?\)\.?$", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•+–]|\d{1,3}[.)])\s+")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*$")
_LOW, _MIDDLE, _HIGH = "low", "usual", "high"
_EDGE = 0.4
"""Numbers further than this share of the usual distance from their average are called low or high."""
_SEEN = 3
"""Steps after which a number's average is good enough to call other numbers low or high."""
_MOST_LINES = 4000


@dataclass
class Notes:
    """Working copy of a memory, local to one call.

    Attributes:
        tallies, averages, sames, rules, lasts: statistics by what they are about.
        misses: wrong predictions, newest first.
        foreign: sentences of others, with the heading they stood under.
        titles: headings in order.
    """

    tallies: dict[tuple[str, Condition], Tally] = field(default_factory=dict)
    averages: dict[tuple[str, str, Condition], Average] = field(default_factory=dict)
    sames: dict[tuple[str, str], Same] = field(default_factory=dict)
    rules: dict[tuple[str, Condition], Rule] = field(default_factory=dict)
    lasts: dict[str, Last] = field(default_factory=dict)
    misses: list[Miss] = field(default_factory=list)
    foreign: list[tuple[str, str]] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)

    def add(self, sentence: str, title: str = "") -> None:
        """Take in one sentence."""
        said = read_statement(sentence)
        if isinstance(said, Tally):
            self._count(said)
        elif isinstance(said, Average):
            self.averages.setdefault((said.of, said.minus, said.when), said)
        elif isinstance(said, Same):
            self.sames.setdefault((said.of, said.field), said)
        elif isinstance(said, Rule):
            self.rules.setdefault((said.of, said.when), said)
        elif isinstance(said, Last):
            self.lasts.setdefault(said.of, said)
        elif isinstance(said, Miss):
            self.misses.append(said)
        else:
            self.foreign.append((title, sentence))

    def add_bullet(self, helpful: int, harmful: int, sentence: str) -> None:
        """Take in a bullet of a playbook: a rule counts as often as it was tried, anything else if it did no harm."""
        said = read_statement(sentence)
        if isinstance(said, Rule):
            self._count(Tally(said.of, said.when, helpful + harmful + 1, ((said.value, helpful + 1),)))
        if harmful <= helpful:
            self.add(sentence)

    def _count(self, said: Tally) -> None:
        """Take in counts; sentences on the same condition that count different outcomes make one."""
        old = self.tallies.setdefault((said.of, said.when), said)
        known = dict(old.counts)
        if old is not said and not known.keys() >= dict(said.counts).keys():
            counts = {**dict(said.counts), **known}
            ranked = tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
            total = max(old.total, said.total, ranked[0][1])
            self.tallies[said.of, said.when] = Tally(said.of, said.when, total, ranked)

    def complete(self) -> None:
        """Add what holds unconditionally, where only counts under conditions, or counts of numbers, are told."""
        for of in {of for of, _ in self.tallies}:
            if (of, ()) not in self.tallies and (overall := self._sum(of)) is not None:
                self.tallies[of, ()] = overall
            counts = self.tallies[of, ()].counts if (of, ()) in self.tallies else ()
            values = [(value, n) for text, n in counts if (value := number(text)) is not None]
            if values and len(values) == len(counts) and (of, "", ()) not in self.averages:
                total = sum(n for _, n in values)
                mean = sum(n * value for value, n in values) / total
                spread = sum(n * abs(value - mean) for value, n in values) / total
                self.averages[of, "", ()] = Average(of, (), total, mean, spread)

    def _sum(self, of: str) -> Tally | None:
        """Add up the counts for the values of one field, the one of which most steps are told."""
        by_field: dict[str, list[Tally]] = {}
        for tally in self.tallies.values():
            if tally.of == of and len(tally.when) == 1:
                by_field.setdefault(tally.when[0][0], []).append(tally)
        told = max(by_field.values(), key=lambda each: sum(tally.total for tally in each), default=[])
        counts: Counter[str] = Counter()
        for tally in told:
            counts.update(dict(tally.counts))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return Tally(of, (), sum(tally.total for tally in told), tuple(ranked)) if len(told) > 1 else None

    def conditions(self, observation: dict[str, str], of: str = "") -> dict[str, str]:
        """Return what can be said about an observation: field to word, with numbers as low, usual or high.

        Args:
            observation: flat fields as text.
            of: an output whose last known outcome is a condition too.
        """
        found: dict[str, str] = {}
        for name, text in observation.items():
            value = number(text)
            if value is None or is_code(text):
                if (said := word(text)) is not None:
                    found[name] = said
            elif (level := self._level(name, value)) is not None:
                found[name] = level
        last = self.lasts.get(of)
        named = last is not None and (number(last.value) is None or (of, ()) in self.tallies)
        if last is not None and named and last.value not in found.values():  # else a field says the same already
            found[f"the last {of}"] = last.value
        return found

    def numbers(self, observation: dict[str, str], of: str = "") -> dict[str, float]:
        """Return the numbers of an observation, and the last known outcome of ``of`` if it is one."""
        found = {name: value for name, text in observation.items() if (value := number(text)) is not None}
        if of in self.lasts and (last := number(self.lasts[of].value)) is not None and last not in found.values():
            found[f"the last {of}"] = last
        return found

    def _level(self, name: str, value: float) -> str | None:
        usual = self.averages.get((name, "", ()))
        if usual is None or usual.total < _SEEN:
            return None
        edge = _EDGE * usual.spread
        return _LOW if value < usual.mean - edge else _HIGH if value > usual.mean + edge else _MIDDLE


def read_notes(memory: str | None) -> Notes:
    r"""Read a memory text, whoever wrote it.

    Example:
        >>> notes = read_notes("## Facts\n- The last tomorrow was rain.\n- Bring an umbrella.")
        >>> notes.lasts["tomorrow"].value, notes.foreign
        ('rain', [('Facts', 'Bring an umbrella.')])
    """
    notes = Notes()
    title = ""
    for line in _lines(memory or ""):
        if heading := _HEADING.match(line):
            title = heading[1]
            notes.titles.append(title)
        elif found := BULLET.match(line):
            notes.add_bullet(int(found["helpful"]), int(found["harmful"]), line[found.end() :].strip())
        elif text := _BULLET.sub("", line).strip():
            notes.add(_USED.sub("", text) if text.endswith((")", ").")) else text, title)
    return notes


def _lines(memory: str) -> Iterator[str]:
    for line in memory.splitlines()[:_MOST_LINES]:
        stripped = line.strip()
        if stripped and stripped.lower().strip("-* ") not in (EMPTY_MARK, "empty", "(none)", "(none yet)"):
            yield line
