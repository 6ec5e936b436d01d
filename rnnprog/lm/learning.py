"""How one step changes the statistics: counts, means, sameness, misses, rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

from rnnprog.lm.directives import Directives
from rnnprog.lm.notes import Notes
from rnnprog.lm.statements import Average, Condition, Last, Miss, Rule, Same, Tally, rounded
from rnnprog.lm.values import flatten, is_code, labels, number, word

__all__ = ["AVERAGE_CAP", "Lesson", "average_of", "flatten_outcomes", "learn"]

DEFAULT_CAP = 16
AVERAGE_CAP = 40
RECENT_AVERAGE_CAP = 10
LASTING_CAP = 100_000
_PROFILE_CAP = 60
_MISSES = 3
_SURE = 0.6
_MISS_FIELDS = 3
_PAIR_FIELDS = 6
_MOST_VALUES = 12
_UNKNOWN = "something else"


@dataclass(frozen=True)
class Lesson:
    """What one step taught.

    Attributes:
        observation: the fields seen.
        answer: the fields predicted.
        truth: the true fields, as far as they are known.
        wrong: whether the answer was called wrong; ``None`` if nobody said.
        explained: whether an error is noted with its likely cause.
    """

    observation: Mapping[str, str]
    answer: Mapping[str, str] = field(default_factory=dict)
    truth: Mapping[str, str] = field(default_factory=dict)
    wrong: bool | None = None
    explained: bool = True


def learn(notes: Notes, lesson: Lesson, orders: Directives) -> None:
    """Change ``notes`` by one step."""
    cap = RECENT_AVERAGE_CAP if orders.recent else LASTING_CAP if orders.lasting else AVERAGE_CAP
    seen = flatten(lesson.observation)
    truth = flatten_outcomes(lesson.truth)
    answer = flatten_outcomes(lesson.answer)
    for of, text in truth.items():
        conditions = notes.conditions(seen, of)
        _note_miss(notes, of, answer.get(of), text, conditions, lesson.explained)
        whens = _whens(conditions, orders)
        if orders.counts:
            _count(notes, of, text, whens, orders)
            _average(notes, of, text, whens, notes.numbers(seen, of), cap)
            _compare(notes, of, text, seen, cap)
        _rules(notes, of, text, whens, orders)
    if not truth and lesson.wrong:
        for of, text in answer.items():
            _note_miss(notes, of, text, _UNKNOWN, notes.conditions(seen, of), lesson.explained)
    for name, value in notes.numbers(seen).items():
        if is_code(seen[name].strip()):
            continue  # taken by name, so what is usual does not matter
        _update_average(notes, Average(name, (), 0, 0.0, 0.0), value, _PROFILE_CAP)
    for of, text in truth.items():
        values = labels(text)
        if len(values) == 1:
            notes.lasts[of] = Last(of, values[0])


def flatten_outcomes(fields: Mapping[str, str]) -> dict[str, str]:
    """Spread out objects, but keep lists: a ranked answer or several labels are one outcome."""
    return {name: text for key, value in fields.items() for name, text in _outcome(key, value)}


def _outcome(name: str, text: str) -> list[tuple[str, str]]:
    return list(flatten({name: text}).items()) if text[:1] == "{" else [(name, text)]


def _whens(conditions: Mapping[str, str], orders: Directives) -> list[Condition]:
    whens: list[Condition] = [()]
    if orders.conditions:
        whens += [((name, value),) for name, value in conditions.items()]
        if orders.pairs:
            fields = sorted(conditions)[:_PAIR_FIELDS]
            whens += [((a, conditions[a]), (b, conditions[b])) for a, b in combinations(fields, 2)]
    return whens


def _count(notes: Notes, of: str, text: str, whens: list[Condition], orders: Directives) -> None:
    cap = LASTING_CAP if orders.lasting else DEFAULT_CAP
    value = number(text)
    values = labels(text)
    if not values or (value is not None and not is_code(text.strip())):
        return
    for when in whens:
        old = notes.tallies.get((of, when), Tally(of, when, 0, ()))
        counts = dict(old.counts)
        if orders.recent and when and _sure(old) and old.counts[0][0] not in values:
            counts = {v: n // 2 for v, n in counts.items()}  # surprised: what was counted before weighs half
        for each in values:
            counts[each] = counts.get(each, 0) + 1
        total = old.total + 1 if len(values) > 1 else sum(counts.values())
        if total > cap:  # older steps count half from here on, so that a change shows
            counts = {v: (n + 1) // 2 if v in values else n // 2 for v, n in counts.items()}
            total = (total + 1) // 2 if len(values) > 1 else sum(counts.values())
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        kept = tuple((v, n) for v, n in ranked if n)[:_MOST_VALUES]
        notes.tallies[of, when] = Tally(of, when, max(total, kept[0][1]), kept)


def _sure(tally: Tally) -> bool:
    return bool(tally.counts) and tally.counts[0][1] >= _SURE * tally.total


def _average(notes: Notes, of: str, text: str, whens: list[Condition], others: Mapping[str, float], cap: int) -> None:
    value = number(text)
    if value is None:
        return
    for when in whens:
        _update_average(notes, Average(of, when, 0, 0.0, 0.0), value, cap)
    for name, other in others.items():
        _update_average(notes, Average(of, (), 0, 0.0, 0.0, name), value - other, cap)


def _update_average(notes: Notes, blank: Average, value: float, cap: int) -> None:
    key = (blank.of, blank.minus, blank.when)
    notes.averages[key] = average_of(notes.averages.get(key, blank), value, cap)


def average_of(old: Average, value: float, cap: int) -> Average:
    """Return an average with one value more; beyond ``cap`` steps older ones fade."""
    total = min(old.total + 1, cap)
    away = abs(value - old.mean) if old.total else 0.0
    spread = old.spread + (away - old.spread) / max(total - 1, 1)
    mean = old.mean + (value - old.mean) / total
    return replace(old, total=total, mean=rounded(mean), spread=rounded(max(spread, 0.0)))


def _compare(notes: Notes, of: str, text: str, seen: Mapping[str, str], cap: int) -> None:
    truth = labels(text)
    overall = notes.tallies.get((of, ()))
    known = {value for value, _ in overall.counts} if overall else set()
    for name, raw in seen.items():
        value = word(raw)
        if value is None or number(raw) is not None or value not in known or name == of:
            continue
        old = notes.sames.get((of, name), Same(of, name, 0, 0))
        hits, total = old.hits + (value in truth), old.total + 1
        if total > cap:
            hits, total = hits // 2, total // 2
        notes.sames[of, name] = Same(of, name, hits, total)


def _rules(notes: Notes, of: str, text: str, whens: list[Condition], orders: Directives) -> None:
    """Drop what this step contradicts and no count supports; without counts, the last outcome is the rule."""
    values = labels(text)
    if len(values) != 1:
        return
    for when in whens[1:]:
        if not orders.counts:
            notes.rules[of, when] = Rule(of, when, values[0])
        elif (of, when) in notes.rules and notes.rules[of, when].value != values[0]:
            notes.rules.pop((of, when))


def _note_miss(
    notes: Notes, of: str, said: str | None, was: str, conditions: Mapping[str, str], explained: bool
) -> None:
    if said is None or labels(said) == labels(was):
        return
    told, true = number(said), number(was)
    usual = notes.averages.get((of, "", ()))
    if told is not None and true is not None and usual is not None and abs(told - true) <= usual.spread:
        return  # within what is usual: no error worth a note
    if (first := (labels(said) or [""])[0]) == (real := (labels(was) or [""])[0]) or not first or not real:
        return
    when = tuple(list(conditions.items())[:_MISS_FIELDS])
    cause = _cause(notes, of, real, conditions) if explained else ""
    notes.misses.insert(0, Miss(of, when, first, real, cause))
    del notes.misses[_MISSES:]


def _cause(notes: Notes, of: str, real: str, conditions: Mapping[str, str]) -> str:
    """Say from the counts before this step why the outcome was not expected."""
    usual = [a for pair in conditions.items() if (a := notes.averages.get((of, "", (pair,)))) is not None]
    if usual and number(real) is not None:
        return f"such a step usually ends near {min(usual, key=lambda average: average.spread).mean:.4g}"
    tallies = [t for pair in conditions.items() if (t := notes.tallies.get((of, (pair,)))) is not None]
    if not tallies:
        return "nothing was noted about such a step yet"
    most = max(tallies, key=lambda tally: (tally.counts[0][1] / tally.total, tally.total))
    if sum(miss.of == of and miss.was == real for miss in notes.misses) >= 2:
        return "the pattern may be changing"
    if most.total < 4:
        return "too few such steps so far"
    return f"such a step usually ends otherwise, {dict(most.counts).get(real, 0)} of {most.total} ended like this"
