"""Laying statistics out as notes: under the headings asked for, most important first, within the budget."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from rnnprog.lm.directives import Directives
from rnnprog.lm.lengths import text_tokens
from rnnprog.lm.notes import Notes
from rnnprog.lm.statements import Rule, Statement
from rnnprog.lm.worth import Family, Key, closeness, draw, families, fields_of
from rnnprog.memory import EMPTY_MARK, neutralise

__all__ = ["compose"]

_ERRORS = re.compile(r"error|mistake|miss|wrong|fail|cause|focus|surprise", re.IGNORECASE)
_RULES = re.compile(r"rule|next|apply|advice|consider|watch|lesson|strateg|instruct|future|to do", re.IGNORECASE)
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.+?)\s*$", re.MULTILINE)
_RECENT = re.compile(r"\b(of \d+|over \d+) recent steps\b")
_MOST_NOTES = 120
_BRIEF_NOTES = 12
_MOST_RULES = 5
_SURE_RULES = 2
_RULE_SHARE = 0.6
_RULE_STEPS = 3
_LONGEST_FOREIGN = 2000
_MOST_FOREIGN = 1000
_KEPT = 7000.0


@dataclass(frozen=True)
class _Entry:
    section: int
    worth: float
    text: str


def compose(notes: Notes, headings: str, budget: int, orders: Directives, salt: str = "") -> str:
    """Return the notes as text of at most ``budget`` tokens; the least informative go first.

    Args:
        notes: the statistics.
        headings: the headings to use, one ``## title: about`` a line.
        budget: limit in tokens.
        orders: what the instruction demands.
        salt: any text of the step; decides which of the untried conditions are given a try where not all fit.
    """
    titles = _titles(headings, notes) or ["Notes"]
    facts, errors, rules = _places(titles)
    judged = families(notes)
    entries = _facts(notes, judged, facts, orders, salt)
    misses = notes.misses[: 1 if orders.brief else 3]
    entries += [_Entry(errors, 20.0 - i if i else 900.0, str(miss)) for i, miss in enumerate(misses)]
    entries += _rules(notes, judged, rules, orders)
    entries += _foreign(notes, titles, facts, budget)
    entries.sort(key=lambda entry: -entry.worth)
    if orders.lasting:
        entries = [replace(entry, text=_RECENT.sub(r"\1 steps", entry.text)) for entry in entries]
    left = budget - sum(text_tokens(f"## {title}\n{EMPTY_MARK}\n") for title in titles) - 2
    kept: list[list[str]] = [[] for _ in titles]
    for entry in entries[: _BRIEF_NOTES if orders.brief else _MOST_NOTES]:
        cost = text_tokens(f"- {entry.text}\n")
        if cost <= left:
            left -= cost
            kept[entry.section].append(entry.text)
    blocks = [
        "\n".join([f"## {title}", *(f"- {text}" for text in texts)] if texts else [f"## {title}", EMPTY_MARK])
        for title, texts in zip(titles, kept, strict=True)
    ]
    return neutralise("\n".join(blocks))


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


def _foreign(notes: Notes, titles: list[str], facts: int, budget: int) -> list[_Entry]:
    """Keep the notes of others first, but let them take no more than half while there is something of one's own."""
    home = {title.lower(): index for index, title in enumerate(titles)}
    found, room = [], budget // 2
    for title, text in notes.foreign[:_MOST_FOREIGN]:
        if len(text) <= _LONGEST_FOREIGN:
            room -= text_tokens(f"- {text}\n")
            found.append(_Entry(home.get(title.lower(), facts), 5000.0 if room >= 0 else 2.0, text))
    return found


def _facts(notes: Notes, judged: Mapping[Key, Family], section: int, orders: Directives, salt: str) -> list[_Entry]:
    found = [_Entry(section, 8000.0, str(last)) for last in notes.lasts.values()]
    outcomes = {*notes.lasts, *(of for of, _ in notes.tallies)}
    worth = {key: family.worth(draw(f"{key}{salt}")) for key, family in judged.items()}
    needed: dict[str, float] = {}
    for tally in notes.tallies.values():
        claim = worth.get((tally.of, "", fields_of(tally.when)), 9000.0)
        found.append(_Entry(section, claim + min(tally.total, 99) / 1000, str(tally)))
        for name, _ in tally.when:
            needed[name] = max(needed.get(name, 0.0), claim)
    closest = _closest(notes, outcomes)
    for average in notes.averages.values():
        if average.of in outcomes:
            claim = worth.get((average.of, average.minus, fields_of(average.when)), 9000.0)
            claim = _KEPT if average in closest else claim
            found.append(_Entry(section, claim + min(average.total, 99) / 1000, str(average)))
            for name, _ in average.when:
                needed[name] = max(needed.get(name, 0.0), claim)
    for same in notes.sames.values():
        claim = _KEPT if same in closest else worth[same.of, f"={same.field}", ()]
        found.append(_Entry(section, claim, str(same)))
    if orders.conditions:
        for average in notes.averages.values():
            if average.of not in outcomes:  # what an input usually is: conditions on it are nothing without
                start = Family(steps=average.total).worth(draw(f"{average.of}{salt}"))
                found.append(_Entry(section, max(needed.get(average.of, 0.0), start) + 0.5, str(average)))
    return found


def _closest(notes: Notes, outcomes: Collection[str]) -> list[Statement]:
    """Return what each outcome has been closest to: a comparison speaks at every step, so the best is always kept."""
    best: list[Statement] = []
    for of in outcomes:
        overall = notes.averages.get((of, "", ()))
        near = [average for average in notes.averages.values() if average.of == of and average.minus]
        equal = [same for same in notes.sames.values() if same.of == of]
        best += sorted(near, key=lambda average: (closeness(average, overall), average.minus))[:1]
        best += sorted(equal, key=lambda same: (-same.hits / max(same.total, 1), same.field))[:1]
    return best


def _rules(notes: Notes, judged: Mapping[Key, Family], section: int, orders: Directives) -> list[_Entry]:
    """Write the strongest counts as rules; a rule of others stays until the counts speak."""
    strong = sorted(
        (
            (-judged[tally.of, "", fields_of(tally.when)].net, -tally.total, str(rule))
            for tally in notes.tallies.values()
            if tally.when and tally.total >= _RULE_STEPS and tally.counts[0][1] >= _RULE_SHARE * tally.total
            if (rule := Rule(tally.of, tally.when, tally.counts[0][0]))
            if judged[tally.of, "", fields_of(tally.when)].net > 0
        ),
    )
    counted = {key for key, tally in notes.tallies.items() if tally.total >= _RULE_STEPS}
    told = [str(rule) for key, rule in notes.rules.items() if key not in counted]
    most = 2 if orders.brief else _MOST_RULES
    written = [text for *_, text in strong[:most]] if orders.conditions else []
    entries = [_Entry(section, (800.0 if i < _SURE_RULES else 29.0) - i, text) for i, text in enumerate(written)]
    return entries + [_Entry(section, 700.0 - i, text) for i, text in enumerate(told)]
