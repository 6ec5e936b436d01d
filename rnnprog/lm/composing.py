"""Laying statistics out as notes: under the headings asked for, most important first, within the budget."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

from rnnprog.lm.directives import Directives
from rnnprog.lm.notes import Notes
from rnnprog.lm.statements import Average, Rule, Tally
from rnnprog.memory import EMPTY_MARK, neutralise
from rnnprog.tokens import get_tokenizer

__all__ = ["compose", "line_tokens"]

_ERRORS = re.compile(r"error|mistake|miss|wrong|fail|cause|focus|surprise", re.IGNORECASE)
_RULES = re.compile(r"rule|next|apply|advice|consider|watch|lesson|strateg|instruct|future|to do", re.IGNORECASE)
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.+?)\s*$", re.MULTILINE)
_MOST_NOTES = 90
_BRIEF_NOTES = 12
_MOST_RULES = 5
_RULE_SHARE = 0.6
_RULE_STEPS = 3
_SINGLES = 6
_LONGEST_FOREIGN = 2000


@dataclass(frozen=True)
class _Entry:
    section: int
    worth: float
    text: str


def compose(notes: Notes, headings: str, budget: int, orders: Directives, touched: set[object]) -> str:
    """Return the notes as text of at most ``budget`` tokens; the least informative go first.

    Args:
        notes: the statistics.
        headings: the headings to use, one ``## title: about`` a line.
        budget: limit in tokens.
        orders: what the instruction demands.
        touched: statistics that the latest step changed; a young one needs time to prove itself.
    """
    titles = _titles(headings, notes) or ["Notes"]
    facts, errors, rules = _places(titles)
    entries = _facts(notes, facts, touched, orders)
    entries += [_Entry(errors, 900.0 - i, str(m)) for i, m in enumerate(notes.misses[: 1 if orders.brief else 3])]
    entries += _rules(notes, rules, orders)
    home = {title.lower(): index for index, title in enumerate(titles)}
    for title, text in notes.foreign:
        if len(text) <= _LONGEST_FOREIGN:
            entries.append(_Entry(home.get(title.lower(), facts), 5000.0, text))
    entries.sort(key=lambda entry: -entry.worth)
    left = budget - sum(line_tokens(f"## {title}\n{EMPTY_MARK}\n") for title in titles) - 2
    kept: list[list[str]] = [[] for _ in titles]
    for entry in entries[: _BRIEF_NOTES if orders.brief else _MOST_NOTES]:
        cost = line_tokens(f"- {entry.text}\n")
        if cost <= left:
            left -= cost
            kept[entry.section].append(entry.text)
    blocks = [
        "\n".join([f"## {title}", *(f"- {text}" for text in texts)] if texts else [f"## {title}", EMPTY_MARK])
        for title, texts in zip(titles, kept, strict=True)
    ]
    return neutralise("\n".join(blocks))


@lru_cache(maxsize=16384)
def line_tokens(line: str) -> int:
    """Return the length of a line in tokens; lines counted alone never add up to less than the whole."""
    return get_tokenizer().count(line)


def _titles(headings: str, notes: Notes) -> list[str]:
    titles = []
    for heading in _HEADING.findall(headings):
        known = [title for title in notes.titles if heading == title or heading.startswith(f"{title}:")]
        titles.append(max(known, key=len) if known else heading.partition(":")[0].strip())
    return titles


def _places(titles: list[str]) -> tuple[int, int, int]:
    """Tell by their words which heading holds facts, which errors, which rules."""
    errors = [i for i, title in enumerate(titles) if _ERRORS.search(title)]
    rules = [i for i, title in enumerate(titles) if _RULES.search(title) and i not in errors[:1]]
    taken = {*errors[:1], *rules[:1]}
    facts = next((i for i in range(len(titles)) if i not in taken), 0)
    return facts, errors[0] if errors else facts, rules[0] if rules else facts


def _facts(notes: Notes, section: int, touched: set[object], orders: Directives) -> list[_Entry]:
    found: list[_Entry] = [_Entry(section, 8000.0, str(last)) for last in notes.lasts.values()]
    singles: dict[str, int] = {}
    needed: dict[str, float] = {}
    for key, tally in notes.tallies.items():
        worth = gain(tally, notes) + (1.0 if key in touched else 0.0)
        if len(tally.when) == 1 and tally.total == 1 and key not in touched:
            singles[tally.when[0][0]] = singles.get(tally.when[0][0], 0) + 1
            if singles[tally.when[0][0]] > _SINGLES:
                continue
        for name, _ in tally.when:
            needed[name] = max(needed.get(name, 0.0), worth)
        found.append(_Entry(section, worth, str(tally)))
    outcomes = {*notes.lasts, *(of for of, _ in notes.tallies)}
    for (of, minus, when), average in notes.averages.items():
        if of in outcomes:
            worth = _average_gain(average, notes) + (1.0 if (of, minus, when) in touched else 0.0)
            for name, _ in when:
                needed[name] = max(needed.get(name, 0.0), worth)
            found.append(_Entry(section, worth, str(average)))
    for same in notes.sames.values():
        found.append(_Entry(section, same.total * abs(same.hits / max(same.total, 1) - 0.5), str(same)))
    if orders.conditions:
        for (of, minus, when), average in notes.averages.items():
            if of not in outcomes and not minus and not when:
                young = 2.0 if average.total <= 4 else 0.5
                found.append(_Entry(section, max(needed.get(of, 0.0) + 0.01, young), str(average)))
    return found


def gain(tally: Tally, notes: Notes) -> float:
    """Return how much a count says beyond the overall one, in nats over all its steps."""
    if not tally.when:
        return 9000.0
    overall = notes.tallies.get((tally.of, ()))
    if overall is None:
        return float(tally.total)
    base, k = dict(overall.counts), len(overall.counts) + 1
    total = 0.0
    for value, count in tally.counts:
        if count:
            expected = (base.get(value, 0) + 0.5) / (overall.total + 0.5 * k)
            total += count * math.log(count / max(tally.total, 1) / expected)
    return max(total, 0.0)


def _average_gain(average: Average, notes: Notes) -> float:
    overall = notes.averages.get((average.of, "", ()))
    if overall is None or average is overall:
        return 9000.0
    tiny = 1e-9 + 1e-3 * overall.spread
    if average.minus:
        return max(0.0, average.total * math.log((overall.spread + tiny) / (average.spread + tiny)))
    return average.total * min(4.0, ((average.mean - overall.mean) / (overall.spread + tiny)) ** 2 / 2)


def _rules(notes: Notes, section: int, orders: Directives) -> list[_Entry]:
    """Write the strongest counts as rules; a rule of others stays until the counts speak."""
    strong = sorted(
        (
            (gain(tally, notes), Rule(tally.of, tally.when, tally.counts[0][0]))
            for tally in notes.tallies.values()
            if tally.when and tally.total >= _RULE_STEPS and tally.counts[0][1] >= _RULE_SHARE * tally.total
        ),
        key=lambda pair: (-pair[0], str(pair[1])),
    )
    counted = {key for key, tally in notes.tallies.items() if tally.total >= _RULE_STEPS}
    told = [rule for key, rule in notes.rules.items() if key not in counted]
    most = 2 if orders.brief else _MOST_RULES
    written = [rule for _, rule in strong[:most]] if orders.conditions else []
    entries = [_Entry(section, 800.0 - i, str(rule)) for i, rule in enumerate(written)]
    return entries + [_Entry(section, 700.0 - i, str(rule)) for i, rule in enumerate(told)]
