"""How much the statistics say beyond chance: what to trust when predicting, what to keep when space is short.

Statistics about the same fields form a family: all values of one field, say. A family is judged as a whole, because
the best of many values looks good by chance alone. Twice the information in its counts is about chi-squared if the
fields say nothing; that has a mean of its degrees of freedom. Half as much again is taken off for counts, three times
as much for averages, of which the best few of many are picked to weigh most.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from rnnprog.lm.notes import Notes
from rnnprog.lm.statements import Average, Condition, Same, Tally

__all__ = ["Family", "Key", "closeness", "draw", "families", "fields_of", "judge_averages", "judge_tallies"]

Key = tuple[str, str, tuple[str, ...]]
"""An output, the number it is compared with (or nothing), and the fields of the condition."""

_GROWN = 12
_CLEAR = 3.0
_IMAGINED = 4.0
_COUNTS_COST = 1.5
_AVERAGES_COST = 3.0


@dataclass
class Family:
    """What the statistics about one set of fields amount to.

    Attributes:
        net: information in units of chi-squared, less what chance would give.
        raw: the same before that is taken off.
        steps: steps behind it.
        size: sentences in it.
    """

    net: float = 0.0
    raw: float = 0.0
    steps: int = 0
    size: int = 0

    @property
    def trust(self) -> float:
        """Share of what the family says that is more than chance, 0 to 1."""
        return max(0.0, self.net / self.raw) if self.raw > 0 else 0.0

    def worth(self, draw: float) -> float:
        """Return the claim on space: clear families first, then young ones as they grow, then the useless.

        Args:
            draw: a number in [0, 1) that decides between families about which nothing is known.
        """
        if self.net >= _CLEAR:
            return 30.0 + self.net / self.size
        if self.steps < _GROWN or self.net > 0.0:
            return 5.0 + min(self.steps, _GROWN) + draw
        return draw


def fields_of(when: Condition) -> tuple[str, ...]:
    """Return the fields of a condition."""
    return tuple(field for field, _ in when)


def families(notes: Notes) -> dict[Key, Family]:
    """Judge everything in the notes."""
    return {
        **judge_averages(notes, notes.averages.values()),
        **judge_tallies(notes, notes.tallies.values()),
        **judge_sames(notes, notes.sames.values()),
    }


def judge_tallies(notes: Notes, tallies: Iterable[Tally]) -> dict[Key, Family]:
    """Judge counts under conditions against the overall counts."""
    found: dict[Key, Family] = {}
    for tally in tallies:
        if tally.when:
            family = found.setdefault((tally.of, "", fields_of(tally.when)), Family())
            family.raw += 2.0 * _information(tally, notes.tallies.get((tally.of, ())))
            family.steps += tally.total
            family.size += 1
    for (of, _, _), family in found.items():
        overall = notes.tallies.get((of, ()))
        outcomes = max(len(overall.counts) - 1, 1) if overall else 1
        family.net = family.raw - _COUNTS_COST * max(family.size - 1, 1) * outcomes
    return found


def judge_averages(notes: Notes, averages: Iterable[Average]) -> dict[Key, Family]:
    """Judge averages under conditions, and differences from other numbers, against the overall average."""
    found: dict[Key, Family] = {}
    for average in averages:
        overall = notes.averages.get((average.of, "", ()))
        if overall is None or overall is average:
            continue
        family = found.setdefault((average.of, average.minus, fields_of(average.when)), Family())
        tiny = 1e-9 + 1e-3 * overall.spread
        if average.minus:
            family.raw += 2.0 * average.total * math.log((overall.spread + tiny) / closeness(average, overall))
        else:
            family.raw += average.total * ((average.mean - overall.mean) / (1.25 * overall.spread + tiny)) ** 2
        family.steps += average.total
        family.size += 1
    for family in found.values():
        family.net = family.raw - _AVERAGES_COST * max(family.size - 1, 1)
    return found


def judge_sames(notes: Notes, sames: Iterable[Same]) -> dict[Key, Family]:
    """Judge how often an output equals a field against how often two draws of the output would be equal."""
    found: dict[Key, Family] = {}
    for same in sames:
        overall = notes.tallies.get((same.of, ()))
        chance = sum((count / overall.total) ** 2 for _, count in overall.counts) if overall else 0.5
        chance = min(max(chance, 0.02), 0.98)
        raw = 2.0 * sum(
            count * math.log(count / same.total / expected)
            for count, expected in ((same.hits, chance), (same.total - same.hits, 1.0 - chance))
            if count > 0
        )
        found[same.of, f"={same.field}", ()] = Family(raw - 1.0, raw, same.total, 1)
    return found


def closeness(average: Average, overall: Average | None) -> float:
    """Return how far off a sentence has been, with a few imagined steps of the overall kind: one hit proves little."""
    usual = overall.spread if overall else average.spread
    off = (average.total * average.spread + _IMAGINED * usual) / (average.total + _IMAGINED)
    return off + 1e-9 + 1e-3 * usual


def draw(text: str) -> float:
    """Return a number in [0, 1) that depends on nothing but the text."""
    return zlib.crc32(text.encode("utf-8", "replace")) / 2**32


def _information(tally: Tally, overall: Tally | None) -> float:
    if overall is None:
        return float(tally.total)
    base, kinds = dict(overall.counts), len(overall.counts) + 1
    total = max(tally.total, 1)
    said = sum(
        count * math.log(count / total * (overall.total + 0.5 * kinds) / (base.get(value, 0) + 0.5))
        for value, count in tally.counts
        if count
    )
    return max(said, 0.0)
