"""Playbooks of numbered bullets, ``[id] helpful=n harmful=n :: text``: which bullets bear on a step, and what to edit.

A bullet of the embedded model is a rule with one condition. Its two counts say how often the rule held: together with
the step it was made from they are what a sentence with counts would say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rnnprog.lm.learning import AVERAGE_CAP, average_of, flatten_outcomes
from rnnprog.lm.notes import BULLET, Notes
from rnnprog.lm.statements import Average, Rule, Statement, read_statement
from rnnprog.lm.values import flatten, labels, number

__all__ = ["cited", "curate", "rules_of", "tags"]

_RULES = re.compile(r"(?<=\.)\s+(?=When )")
_MOST_ADDED = 8
_MARGIN = 2


def rules_of(text: str) -> list[Rule]:
    """Return the rules in a text of several sentences.

    Example:
        >>> [rule.value for rule in rules_of("When a is b, then c is d. When a is b, then e is f.")]
        ['d', 'f']
    """
    said = [read_statement(sentence) for sentence in _RULES.split(text)]
    return [rule for rule in said if isinstance(rule, Rule)]


def cited(playbook: str, observation: Mapping[str, str]) -> str:
    """Return the ids of the bullets that an answer follows: all whose conditions hold, since all are weighed.

    Example:
        >>> cited("[clu-00001] helpful=0 harmful=2 :: When sky is grey, then tomorrow is sun.", {"sky": "grey"})
        'clu-00001'
    """
    seen = flatten(observation)
    return ", ".join(id_ for id_, _, _, said in _bullets(playbook) if isinstance(said, Rule) and _fits(said, seen))


def tags(playbook: str, observation: Mapping[str, str], truth: Mapping[str, str]) -> list[dict[str, str]]:
    """Tag the bullets that bear on a step: helpful if what they say was true, harmful if not."""
    true = {of: labels(text) for of, text in flatten_outcomes(truth).items()}
    found = []
    for id_, _, _, said in _bullets(playbook):
        if isinstance(said, Rule) and said.of in true and _fits(said, flatten(observation)):
            found.append({"bullet": id_, "tag": "helpful" if said.value in true[said.of] else "harmful"})
    return found


def curate(playbook: str, lesson: str, observation: Mapping[str, str], edits: bool) -> list[dict[str, str]]:
    """Return the operations on a playbook that a step calls for.

    Every condition of the observation gets a rule that says what came out, unless there is one. Where bullets may be
    edited, a rule goes once it misled more often than it helped by two, and the average of a number is kept up.

    Args:
        playbook: the bullets.
        lesson: what the reflection says, rules among it.
        observation: what was seen.
        edits: whether bullets may be changed and removed.
    """
    bullets = list(_bullets(playbook))
    known = {said for _, _, _, said in bullets}
    seen = flatten(observation)
    operations = []
    for taught in rules_of(lesson):
        value = number(taught.value)
        conditions = Notes().conditions(seen, taught.of)
        if value is not None and taught.value not in conditions.values() and not taught.value.isdecimal():
            operations += _average(bullets, taught.of, value) if edits else []
            continue
        for condition in conditions.items():
            rule = Rule(taught.of, (condition,), taught.value)
            if rule not in known and len(operations) < _MOST_ADDED:
                operations.append(_added("clues", str(rule)))
    if edits:
        operations += [
            {"type": "REMOVE", "bullet": id_}
            for id_, helpful, harmful, said in bullets
            if isinstance(said, Rule) and harmful - helpful >= _MARGIN and _fits(said, seen)
        ]
    return operations


def _average(bullets: list[tuple[str, int, int, Statement | None]], of: str, value: float) -> list[dict[str, str]]:
    old = [(id_, said) for id_, _, _, said in bullets if isinstance(said, Average) and said.of == of and not said.when]
    id_, said = old[0] if old else ("", Average(of, (), 0, 0.0, 0.0))
    content = str(average_of(said, value, AVERAGE_CAP))
    return [{"type": "UPDATE", "bullet": id_, "content": content}] if id_ else [_added("formulas", content)]


def _added(section: str, content: str) -> dict[str, str]:
    return {"type": "ADD", "section": section, "content": content}


def _bullets(playbook: str) -> Iterator[tuple[str, int, int, Statement | None]]:
    for line in playbook.splitlines():
        if found := BULLET.match(line):
            said = read_statement(line[found.end() :].strip())
            yield found["id"], int(found["helpful"]), int(found["harmful"]), said


def _fits(rule: Rule, seen: Mapping[str, str]) -> bool:
    conditions = Notes().conditions(dict(seen), rule.of)
    return bool(rule.when) and all(conditions.get(field) == value for field, value in rule.when)
