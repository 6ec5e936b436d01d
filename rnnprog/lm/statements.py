"""The sentences of the embedded model: each kind has one written form, and what it writes it reads back exactly.

A memory written by the embedded model is plain English; these patterns are all the grammar there is. A sentence
that fits none of them is somebody else's and is kept as it stands.

Counts fade: once there are many, older steps count half (see ``learning``). So sentences speak of "recent steps", and
their number is what still counts. Where nothing is forgotten they speak of "steps". "Lately" and "over all steps", in
a memory somebody wrote, read the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Union

__all__ = [
    "Average",
    "Condition",
    "Last",
    "Miss",
    "Rule",
    "Same",
    "Statement",
    "Tally",
    "conditions_text",
    "read_conditions",
    "read_statement",
    "rounded",
]

Condition = tuple[tuple[str, str], ...]
"""Field and value pairs that hold together; empty for "lately", whatever was observed."""

_LONGEST = 400
_FIELD = r"(?:the last )?[A-Za-z_][\w.]*"
_VALUE = r'(?:"(?:[^"\\]|\\.)*"|[^",;]+?)'
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_PAIR = rf"{_FIELD} (?:is|was) {_VALUE}"
_HEAD = rf"(?:lately, |over all steps, |when (?P<when>{_PAIR}(?: and {_PAIR})*), )?"
_STEPS = r"(?:recent )?(?:steps?|days?|times|cases)"
_PLAIN = re.compile(r"[\w%/+:-](?:[\w.%/+:-]*[\w%/+:-])?")
_ONE_PAIR = re.compile(rf"({_FIELD}) (?:is|was) ({_VALUE})(?= and {_FIELD} (?:is|was) |$)", re.IGNORECASE)
_ONE_COUNT = re.compile(rf", ({_VALUE}) in (\d+)")


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text + r"\.?", re.IGNORECASE)


_TALLY = _pattern(
    rf"{_HEAD}(?P<of>{_FIELD}) (?:was|is) (?P<top>{_VALUE}) in (?P<hits>\d+) of (?P<total>\d+) {_STEPS}"
    rf"(?P<rest>(?:, {_VALUE} in \d+)*)"
)
_AVERAGE = _pattern(
    rf"{_HEAD}(?P<of>{_FIELD})(?: minus (?P<minus>{_FIELD}))? averaged (?P<mean>{_NUMBER}) over (?P<total>\d+) {_STEPS}"
    rf"(?:, give or take (?P<spread>{_NUMBER}))?"
)
_SAME = _pattern(
    rf"(?P<of>{_FIELD}) (?:equals|equalled) (?P<field>{_FIELD}) in (?P<hits>\d+) of (?P<total>\d+) {_STEPS}"
)
_RULE = _pattern(rf"{_HEAD}then (?P<of>{_FIELD}) (?:is|was|will be) (?P<value>{_VALUE})")
_MISS = _pattern(
    rf"said (?P<of>{_FIELD}) is (?P<said>{_VALUE})(?: when (?P<when>{_PAIR}(?: and {_PAIR})*))?"
    rf", but it was (?P<was>{_VALUE})"
    r"(?:; cause: (?P<cause>.+?))?"
)
_LAST = _pattern(rf"the last (?P<of>[A-Za-z_][\w.]*) was (?P<value>{_VALUE})")
_LATEST = _pattern(r"the last values of (?P<of>[A-Za-z_][\w.]*), newest last: (?:.*, )?(?P<value>[^,]+?)")


def rounded(number: float) -> float:
    """Return ``number`` with the four digits that a sentence shows.

    Example:
        >>> rounded(12.34567)
        12.35
    """
    return float(f"{number:.4g}") + 0.0


@dataclass(frozen=True)
class Tally:
    """How often an output had each value under a condition."""

    of: str
    when: Condition
    total: int
    counts: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        (top, hits), *rest = self.counts
        more = "".join(f", {_quote(value)} in {count}" for value, count in rest)
        return f"{_head(self.when)}{self.of} was {_quote(top)} in {hits} of {self.total} recent steps{more}."


@dataclass(frozen=True)
class Average:
    """Mean and mean distance from it: of a number, or of its difference from another number."""

    of: str
    when: Condition
    total: int
    mean: float
    spread: float
    minus: str = ""

    def __str__(self) -> str:
        minus = f" minus {self.minus}" if self.minus else ""
        return (
            f"{_head(self.when)}{self.of}{minus} averaged {self.mean:.4g} over {self.total} recent steps, "
            f"give or take {self.spread:.4g}."
        )


@dataclass(frozen=True)
class Same:
    """How often an output had the value of an observed field."""

    of: str
    field: str
    hits: int
    total: int

    def __str__(self) -> str:
        return f"{self.of} equals {self.field} in {self.hits} of {self.total} recent steps."


@dataclass(frozen=True)
class Rule:
    """What to predict under a condition."""

    of: str
    when: Condition
    value: str

    def __str__(self) -> str:
        return f"When {conditions_text(self.when)}, then {self.of} is {_quote(self.value)}."


@dataclass(frozen=True)
class Miss:
    """A wrong prediction."""

    of: str
    when: Condition
    said: str
    was: str
    cause: str = ""

    def __str__(self) -> str:
        when = f" when {conditions_text(self.when)}" if self.when else ""
        cause = f"; cause: {self.cause}" if self.cause else ""
        return f"Said {self.of} is {_quote(self.said)}{when}, but it was {_quote(self.was)}{cause}."


@dataclass(frozen=True)
class Last:
    """The latest known outcome."""

    of: str
    value: str

    def __str__(self) -> str:
        return f"The last {self.of} was {_quote(self.value)}."


Statement = Union[Tally, Average, Same, Rule, Miss, Last]


@lru_cache(maxsize=8192)
def read_statement(sentence: str) -> Statement | None:
    """Read one sentence of a memory; ``None`` if it is not one that the embedded model writes.

    Example:
        >>> read_statement("When sky is grey, tomorrow was rain in 7 of 9 steps, sun in 2.")
        Tally(of='tomorrow', when=(('sky', 'grey'),), total=9, counts=(('rain', 7), ('sun', 2)))
        >>> read_statement("Bring an umbrella.") is None
        True
    """
    if len(sentence) > _LONGEST:
        return None
    if found := _LAST.fullmatch(sentence) or _LATEST.fullmatch(sentence):
        return Last(found["of"], _unquote(found["value"]))
    if found := _MISS.fullmatch(sentence):
        return Miss(
            found["of"],
            read_conditions(found["when"]),
            _unquote(found["said"]),
            _unquote(found["was"]),
            found["cause"] or "",
        )
    if found := _RULE.fullmatch(sentence):
        return Rule(found["of"], read_conditions(found["when"]), _unquote(found["value"]))
    if found := _SAME.fullmatch(sentence):
        return Same(found["of"], found["field"], int(found["hits"]), int(found["total"]))
    if found := _TALLY.fullmatch(sentence):
        rest = [(_unquote(value), int(count)) for value, count in _ONE_COUNT.findall(found["rest"])]
        counts = ((_unquote(found["top"]), int(found["hits"])), *rest)
        return Tally(found["of"], read_conditions(found["when"]), int(found["total"]), counts)
    if found := _AVERAGE.fullmatch(sentence):
        spread = rounded(float(found["spread"] or 0))
        mean, minus = rounded(float(found["mean"])), found["minus"] or ""
        return Average(found["of"], read_conditions(found["when"]), int(found["total"]), mean, spread, minus)
    return None


def _quote(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _unquote(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def conditions_text(when: Condition) -> str:
    """Return fields and values as they stand in a sentence."""
    return " and ".join(f"{field} is {_quote(value)}" for field, value in when)


def _head(when: Condition) -> str:
    return f"When {conditions_text(when)}, " if when else ""


def read_conditions(text: str | None) -> Condition:
    """Read fields and values from a part of a sentence."""
    return tuple((field, _unquote(value)) for field, value in _ONE_PAIR.findall(text or ""))
