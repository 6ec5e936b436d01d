"""Answering from notes: what the sentences say about this observation, as a value of the type asked for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rnnprog.lm.directives import Directives
from rnnprog.lm.notes import Notes
from rnnprog.lm.statements import Average, Condition, Rule, Tally
from rnnprog.lm.values import labels, number, word
from rnnprog.lm.worth import closeness, fields_of, judge_averages, judge_tallies

__all__ = ["Predictor"]

_SHRINK = 2.0
_RULE_COUNT = 3
_IMAGINED = 8.0
_ZERO_COST = 3.0
_TOP = 5
_ERROR_BONUS = 1.5
_DEEPEST = 8


class Predictor:
    """Predicts every output of one observation from notes.

    Without a note that fits, the answer says nothing: an observed field whose name the output's name contains, else
    one of the options by a hash of the observation (so that an empty memory is right at the rate of chance, whatever
    stands first), 0 or ``"unknown"``.

    Args:
        notes: what the memory says.
        seen: the observation, flat.
        orders: what the instruction demands.
    """

    def __init__(self, notes: Notes, seen: Mapping[str, str], orders: Directives) -> None:
        self._notes = notes
        self._seen = dict(seen)
        self._orders = orders

    def value(self, name: str, schema: Mapping[str, Any], depth: int = 0, root: Mapping[str, Any] | None = None) -> Any:
        """Return a value of the given JSON schema for the output called ``name``."""
        root = root or schema
        if any(each.get("type") == "null" for each in schema.get("anyOf", ())) and not self._known(name):
            return None
        schema = _resolved(schema, root)
        kind = schema.get("type")
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._option(name, schema["enum"])
        if kind == "boolean":
            return self._option(name, [False, True])
        if kind in ("number", "integer"):
            return _bounded(self._number(name), schema)
        if kind == "array":
            return self._ranked(name, schema, root)
        if kind == "object" and depth < _DEEPEST:
            parts = schema.get("properties", {}).items()
            return {key: self.value(f"{name}.{key}", part, depth + 1, root) for key, part in parts}
        return self._text(name) if kind in ("string", None) else None

    def _known(self, name: str) -> bool:
        notes = self._notes
        told = [*notes.tallies, *notes.rules, *((of, when) for of, _, when in notes.averages)]
        return any(of == name or of.startswith(f"{name}.") for of, _ in told)

    def _option(self, name: str, options: Sequence[Any]) -> Any:
        by_word = {word(str(option)) or str(option): option for option in options}
        scores = self._scores(name, list(by_word))
        if not scores:
            return by_word.get(self._namesake(name) or "", options[self._toss(name, len(options))])
        return by_word[max(scores, key=lambda each: scores[each])]  # the first of equals

    def _toss(self, name: str, sides: int) -> int:
        """Return a side of a die that depends on the observation and the output alone."""
        seen = f"{name} {sorted(self._seen.items())}".encode("utf-8", "replace")
        return int.from_bytes(hashlib.blake2b(seen, digest_size=8).digest(), "big") % max(sides, 1)

    def _text(self, name: str) -> str:
        known = [value for tally in self._notes.tallies.values() if tally.of == name for value, _ in tally.counts]
        known += [rule.value for rule in self._notes.rules.values() if rule.of == name]
        scores = self._scores(name, list(dict.fromkeys(known)))
        return max(scores, key=lambda each: scores[each]) if scores else self._namesake(name) or "unknown"

    def _ranked(self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[Any]:
        items = _resolved(schema.get("items", {}), root)
        size = int(schema.get("maxItems", schema.get("minItems", _TOP)))
        if items.get("type") in ("number", "integer", "object", "array"):
            return [self.value(name, items, 1, root)] * max(1, int(schema.get("minItems", 1)))
        options = items.get("enum") or (["false", "true"] if items.get("type") == "boolean" else [])
        known = {word(str(option)) or str(option): option for option in options}
        if not known:
            seen = [value for tally in self._notes.tallies.values() if tally.of == name for value, _ in tally.counts]
            known = {value: value for value in seen} or {"unknown": "unknown"}
        scores = self._scores(name, list(known))
        first = 0 if scores else self._toss(name, len(known))
        turned = [*list(known)[first:], *list(known)[:first]]
        order = sorted(turned, key=lambda each: -scores.get(each, 0.0))
        return [known[each] for each in order[: max(size, 1)]]

    def _scores(self, name: str, options: Sequence[str]) -> dict[str, float]:
        """Add up, in nats, what every fitting sentence says about each option; empty if none says anything."""
        notes, orders = self._notes, self._orders
        conditions = notes.conditions(self._seen, name)
        rules = [rule for rule in notes.rules.values() if rule.of == name and _fits(rule.when, conditions)]
        if orders.rules_first and rules and rules[0].value in options:
            return {option: float(option == rules[0].value) for option in options}
        fitting = list(self._fitting(name, conditions, rules))
        overall = notes.tallies.get((name, ()))
        if overall is None and not fitting:
            return self._from_numbers(name, options)
        base = _base(overall, options)
        scores = {option: math.log(base[option]) for option in options}
        judged = judge_tallies(notes, (tally for tally in notes.tallies.values() if tally.of == name))
        families = [judged.get((name, "", fields_of(tally.when))) for tally in fitting]
        trusts = [family.trust if family else 1.0 for family in families]
        # Fields say in part the same: what many say together counts for less than its sum.
        share = (0.5 if orders.hedge else 1.0) / math.sqrt(max(sum(trusts), 1.0))
        for tally, trust in zip(fitting, trusts, strict=True):
            weight = trust * share
            counts, total = dict(tally.counts), max(tally.total, sum(n for _, n in tally.counts))
            for option in options:
                seen = (counts.get(option, 0) + _SHRINK * base[option]) / (total + _SHRINK)
                scores[option] += weight * math.log(seen / base[option])
        if orders.errors_first:
            self._heed_misses(name, conditions, scores)
        return scores

    def _fitting(self, name: str, conditions: Mapping[str, str], rules: Sequence[Rule]) -> Iterator[Tally]:
        told: set[Condition] = set()
        for tally in self._notes.tallies.values():
            if tally.of == name and tally.when and _fits(tally.when, conditions):
                told.add(tally.when)
                yield tally
        for rule in rules:
            if rule.when not in told:
                yield Tally(name, rule.when, _RULE_COUNT, ((rule.value, _RULE_COUNT),))
        for same in self._notes.sames.values():
            value = word(self._seen.get(same.field, ""))
            if same.of == name and value and same.total and ((same.field, value),) not in told:
                yield Tally(name, ((same.field, value),), same.total, ((value, same.hits),))

    def _heed_misses(self, name: str, conditions: Mapping[str, str], scores: dict[str, float]) -> None:
        for miss in self._notes.misses:
            alike = sum(conditions.get(field) == value for field, value in miss.when)
            if miss.of == name and 2 * alike > len(miss.when):
                if miss.was in scores:
                    scores[miss.was] += _ERROR_BONUS
                if miss.said in scores:
                    scores[miss.said] -= _ERROR_BONUS

    def _from_numbers(self, name: str, options: Sequence[str]) -> dict[str, float]:
        """Where only averages are noted and the options are numbers, the nearest is the best."""
        values = {option: value for option in options if (value := number(option)) is not None}
        if not values or (name, "", ()) not in self._notes.averages:
            return {}
        guess = self._number(name)
        return {option: -abs(value - guess) for option, value in values.items()}

    def _number(self, name: str) -> float:
        """Average what every fitting sentence says, by how close to the truth it has been."""
        notes = self._notes
        conditions, numbers = notes.conditions(self._seen, name), notes.numbers(self._seen, name)
        overall = notes.averages.get((name, "", ()))
        if self._orders.rules_first or overall is None:
            told = (rule for rule in notes.rules.values() if rule.of == name and _fits(rule.when, conditions))
            if (first := next((value for rule in told if (value := number(rule.value)) is not None), None)) is not None:
                return first
        centre = _clear_of_zero(overall) if overall else 0.0
        mine = [average for average in notes.averages.values() if average.of == name]
        fitting = [
            average
            for average in mine
            if _fits(average.when, conditions) and (not average.minus or average.minus in numbers)
        ]
        if not fitting:
            return self._without_notes(name)
        judged = judge_averages(notes, mine)
        guesses, weights = [], []
        for average in fitting:
            family = judged.get((name, average.minus, fields_of(average.when)))
            trust = family.trust if family else 1.0
            guesses.append(_guess(average, overall, centre, numbers, trust))
            weights.append(trust * closeness(average, overall) ** -4.0)
        total = sum(weights)
        if total <= 0.0:  # nothing to lean on: all alike
            weights, total = [1.0] * len(guesses), float(len(guesses))
        mean = sum(weight * guess for weight, guess in zip(weights, guesses, strict=True)) / total
        return float((mean + centre) / 2 if self._orders.hedge and overall else mean)

    def _without_notes(self, name: str) -> float:
        if name in self._notes.lasts and (last := number(self._notes.lasts[name].value)) is not None:
            return last
        return number(self._namesake(name) or "") or 0.0

    def _namesake(self, name: str) -> str | None:
        """Return the observed value of a field whose name is part of the output's name."""
        parts = set(name.lower().replace(".", "_").split("_"))
        for field, text in self._seen.items():
            if set(field.lower().split("_")) <= parts and (found := labels(text)):
                return found[0]
        return None


def _guess(
    average: Average, overall: Average | None, centre: float, numbers: Mapping[str, float], trust: float
) -> float:
    if average.minus:
        return numbers[average.minus] + average.mean
    if overall is None:
        return average.mean
    if not average.when:
        return centre
    shrunk = math.sqrt(trust) * average.total / (average.total + _IMAGINED)
    return centre + shrunk * (average.mean - centre)


def _clear_of_zero(overall: Average) -> float:
    """Return the overall mean, drawn to zero as far as chance alone could have moved it from there."""
    chance = (1.25 * overall.spread) ** 2 / max(overall.total, 1)
    return overall.mean * max(0.0, 1.0 - _ZERO_COST * chance / overall.mean**2) if overall.mean else 0.0


def _fits(when: Condition, conditions: Mapping[str, str]) -> bool:
    return all(conditions.get(field) == value for field, value in when)


def _base(overall: Tally | None, options: Sequence[str]) -> dict[str, float]:
    counts = dict(overall.counts) if overall else {}
    total = sum(counts.get(option, 0) for option in options) + 0.5 * len(options)
    return {option: (counts.get(option, 0) + 0.5) / total for option in options}


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(_DEEPEST):
        if "$ref" in schema:
            schema = root.get("$defs", {}).get(str(schema["$ref"]).rpartition("/")[2], {"type": "string"})
        elif "anyOf" in schema:
            schema = next((s for s in schema["anyOf"] if s.get("type") != "null"), {"type": "string"})
        else:
            break
    return schema


def _bounded(value: float, schema: Mapping[str, Any]) -> float | int:
    whole = schema.get("type") == "integer"
    number_ = round(value) if whole else round(value, 4)
    step = 1 if whole else 1e-6
    low = schema.get("minimum", schema["exclusiveMinimum"] + step if "exclusiveMinimum" in schema else None)
    high = schema.get("maximum", schema["exclusiveMaximum"] - step if "exclusiveMaximum" in schema else None)
    number_ = number_ if low is None else max(number_, math.ceil(low) if whole else low)
    return number_ if high is None else min(number_, math.floor(high) if whole else high)
