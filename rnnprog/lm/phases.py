"""What the embedded model answers in each phase; the phase shows in the fields that the prompt asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rnnprog.lm.cases import RIGHT, TOLD, WRONG, learn_cases, split_cases, write_case
from rnnprog.lm.composing import compose
from rnnprog.lm.directives import read_directives
from rnnprog.lm.editing import as_edits, asks_for_edits, without_numbers
from rnnprog.lm.learning import Lesson, flatten_outcomes, learn
from rnnprog.lm.notes import Notes, read_notes
from rnnprog.lm.playbooks import cited, curate, tags
from rnnprog.lm.predicting import Predictor
from rnnprog.lm.prompts import OutputField, Prompt, phase_of
from rnnprog.lm.statements import Condition, Rule, read_statement
from rnnprog.lm.values import flatten, labels, named_values, number, word
from rnnprog.memory import neutralise

__all__ = ["answer"]

_THINKING = {"reasoning", "rationale", "explanation", "thought", "thoughts"}
_CITED = "bullet_ids"
_NOT_SEEN = {"memory", "hint_", "history"}
_PAST = ("history", "past", "past_steps", "examples", "cases")
_TOO_LONG = re.compile(r"\b(?:long|longer|budget|tokens|short|shorter)\b", re.IGNORECASE)
_WORDS = re.compile(r"[A-Za-z]{4,}")
_DOUBT = "; the notes on such steps may no longer hold."
_UNASKED = "(not asked for)"
_DEFAULT_BUDGET = 500
_DEFAULT_WORDS = 100
_SHOWN = 4


def answer(prompt: Prompt) -> dict[str, Any]:
    """Return a value for every field that the prompt asks for."""
    phases = {
        "predictor": _predict,
        "reflector": _reflect_on_playbook if "bullets" in prompt.inputs else _reflect,
        "rewriter": _rewrite,
        "summariser": _summarise,
        "curator": _curate,
        "judge": _judge,
        "scorer": _score,
    }
    special = phases[phase_of(prompt)](prompt)
    return {
        output.name: special[output.name] if output.name in special else _plain(prompt, output)
        for output in prompt.outputs
    }


def _plain(prompt: Prompt, output: OutputField) -> Any:
    if output.schema.get("type") == "string":
        return "This follows from the fields given and from the notes."
    return Predictor(Notes(), flatten(prompt.inputs), read_directives("")).value(output.name, output.schema)


def _predict(prompt: Prompt) -> dict[str, Any]:
    orders = read_directives(prompt.instruction)
    outputs = {output.name for output in prompt.outputs}
    told = ["" if orders.ignore_memory else prompt.memory or ""]
    told += [prompt.inputs[name] for name in _PAST if name in prompt.inputs]
    cases, rest = zip(*(split_cases(text, _seen(prompt.inputs), outputs) for text in told), strict=True)
    notes = read_notes(rest[0])
    steady = read_directives("Keep counts. State conditions.")
    for turn in prompt.turns:  # worked examples are evidence like any other
        learn(notes, Lesson(_seen(turn.inputs), truth=turn.outputs), steady)
    for each in cases:
        learn_cases(notes, each)
    notes.complete()
    predictor = Predictor(notes, flatten(_seen(prompt.inputs)), orders)
    return {
        output.name: cited(told[0], _seen(prompt.inputs))
        if output.name == _CITED
        else predictor.value(output.name, output.schema)
        for output in prompt.outputs
        if output.name not in _THINKING
    }


def _seen(inputs: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in inputs.items() if name not in _NOT_SEEN and name not in _PAST}


def _lesson(prompt: Prompt) -> Lesson:
    said = named_values(prompt.inputs.get("answer", ""))
    evidence = prompt.inputs.get("evidence", "")
    told = named_values(evidence)
    truth = {name: value for name, value in told.items() if name in said or (not said and TOLD.search(evidence))}
    wrong = True if WRONG.search(evidence) else False if RIGHT.search(evidence) else None
    if not truth and wrong is False:
        truth = said
    return Lesson(named_values(prompt.inputs.get("observation", "")), said, truth, wrong)


def _rewrite(prompt: Prompt) -> dict[str, Any]:
    orders = read_directives(prompt.instruction)
    old = without_numbers(prompt.memory or "") if asks_for_edits(prompt.instruction) else prompt.memory
    notes = read_notes(old)
    critique = named_values(prompt.inputs.get("critique", ""))
    lesson = replace(_lesson(prompt), explained=critique.get("cause") != _UNASKED)
    doubted = critique.get("cause", "").endswith(_DOUBT) and not orders.lasting
    learn(notes, lesson, replace(orders, recent=True) if doubted else orders)
    if not lesson.truth:
        rule = read_statement(critique.get("lesson", ""))
        if isinstance(rule, Rule):
            notes.rules[rule.of, rule.when] = rule
    budget = int(number(prompt.inputs.get("budget_tokens", "")) or _DEFAULT_BUDGET)
    if _TOO_LONG.search(prompt.inputs.get("remark", "")):
        budget = budget * 4 // 5
    headings = prompt.inputs.get("headings", "")
    new = compose(notes, headings, budget, orders, prompt.inputs.get("observation", ""))
    return {"new_memory": as_edits(old or "", new, headings) if asks_for_edits(prompt.instruction) else new}


def _reflect(prompt: Prompt) -> dict[str, Any]:
    lesson, orders = _lesson(prompt), read_directives(prompt.instruction)
    said, truth = flatten_outcomes(lesson.answer), flatten_outcomes(lesson.truth)
    when = _named(lesson.observation)[:_SHOWN]
    shown = ", ".join(f"{name} {text}" for name, text in when) or "nothing that can be named"
    if not truth:
        verdict = "wrong" if lesson.wrong else "not settled"
        outcome = f"The answer {_listed(said)} was {verdict}; what would have been right was not told."
        if orders.outcome_only:
            return {"outcome": outcome, "cause": _UNASKED, "lesson": _UNASKED}
        return {
            "outcome": outcome,
            "cause": f"The observation showed {shown}.",
            "lesson": f"When such a step comes again ({shown}), then the same answer needs a second look.",
        }
    missed = {of: text for of, text in truth.items() if labels(said.get(of, "")) != labels(text)}
    outcome = f"Predicted {_listed(said)}, true was {_listed(truth)}: {'wrong' if missed else 'right'}."
    link = "did not lead to what was predicted" if missed else "was the sign to follow"
    rules = [Rule(of, when, value[0]) for of, text in truth.items() if (value := labels(text))]
    if orders.outcome_only:
        return {"outcome": outcome, "cause": _UNASKED, "lesson": _UNASKED}
    link += _DOUBT if missed and orders.doubt else "."
    rule = str(rules[0]) if rules and when else f"When nothing else is known, then {_listed(truth)}."
    return {"outcome": outcome, "cause": f"The observation showed {shown}, which {link}", "lesson": rule}


def _reflect_on_playbook(prompt: Prompt) -> dict[str, Any]:
    """Reflect as without a playbook, with a rule for every outcome; and tag the bullets that bear on the step."""
    lesson = _lesson(prompt)
    said = _reflect(prompt)
    when = _named(lesson.observation)[:_SHOWN]
    truth = flatten_outcomes(lesson.truth)
    rules = [str(Rule(of, when, value[0])) for of, text in truth.items() if when and (value := labels(text))]
    return {
        **said,
        "lesson": said["lesson"] if said["lesson"] == _UNASKED else " ".join(rules) or said["lesson"],
        "approach": "Follow the bullets that fit the observation and helped more often than they misled.",
        "bullet_tags": tags(prompt.inputs["bullets"], lesson.observation, lesson.truth),
    }


def _curate(prompt: Prompt) -> dict[str, Any]:
    types = json.dumps(prompt.outputs[0].schema)
    said = named_values(prompt.inputs["reflection"])
    seen = named_values(prompt.inputs.get("observation", ""))
    return {"operations": curate(prompt.inputs["playbook"], said.get("lesson", ""), seen, "REMOVE" in types)}


def _summarise(prompt: Prompt) -> dict[str, Any]:
    most = int(number(prompt.inputs.get("most_words", "")) or _DEFAULT_WORDS)
    return {"step_summary": neutralise(write_case(_lesson(prompt), most))}


def _named(observation: Mapping[str, str]) -> Condition:
    return tuple((name, text) for name, value in flatten(observation).items() if (text := word(value)) is not None)


def _listed(fields: Mapping[str, str]) -> str:
    parts = [f"{name} {word(text) or '(a long text)'}" for name, text in fields.items()]
    return neutralise(", ".join(parts)) or "nothing"


def _judge(prompt: Prompt) -> dict[str, Any]:
    """Take a criterion as met if the answer shares a word with it: crude, fixed, and open about it."""
    said = {found.lower() for found in _WORDS.findall(prompt.inputs.get("answer", "")[:20_000])}
    lines = [line.strip(" -*\t") for line in prompt.inputs.get("criteria", "")[:20_000].splitlines()]
    verdicts = [(line, any(found.lower() in said for found in _WORDS.findall(line))) for line in lines if line]
    missed = [line for line, met in verdicts if not met]
    told = " ".join(f"{'Met' if met else 'Missed'}: {line.rstrip('.')}." for line, met in verdicts)
    advice = f"Next time meet: {missed[0].rstrip('.')}." if missed else "Nothing to change."
    return {"assessment": neutralise(f"{told} {advice}".strip()), "acceptable": bool(verdicts) and not missed}


def _score(prompt: Prompt) -> dict[str, Any]:
    """Take an answer as right if one of its lines is, letter for letter, a line of the truth; open about it."""
    said, true = (set(prompt.inputs.get(name, "")[:20_000].splitlines()) for name in ("answer", "truth"))
    same = bool(said & true)
    verdict = (
        f"ALIGNMENT: {100 * same}%" if "ALIGNMENT:" in prompt.instruction else f"VERDICT: {'' if same else 'no '}match"
    )
    return {"ruling": f"The lines were compared letter for letter.\n{verdict}"}
