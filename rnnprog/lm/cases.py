"""Worked steps in a text: what was seen, what was answered and what was true, as transcripts or as one sentence each.

A transcript holds a field a line, as ``name: value``; an empty line, a line ``Step n`` or a field of the observation
after an outcome starts the next step. "Your answer:" heads what was answered, "The true outcome was:" what was true;
without such a line the outputs are taken as true, as in worked examples. A sentence for one step reads
``Saw sky is grey; said tomorrow is sun; true was tomorrow is rain.``

Steps that carry consecutive numbers follow each other, so that the outcome of one may tell about the next.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from rnnprog.lm.directives import read_directives
from rnnprog.lm.learning import Lesson, learn
from rnnprog.lm.notes import Notes
from rnnprog.lm.statements import Condition, conditions_text, read_conditions
from rnnprog.lm.values import word

__all__ = ["RIGHT", "TOLD", "WRONG", "learn_cases", "read_case", "split_cases", "write_case"]

WRONG = re.compile(r"\b(?:wrong|incorrect|not acceptable|not correct|false|missed|failed)\b", re.IGNORECASE)
RIGHT = re.compile(r"\b(?:right|correct|acceptable|true|met|passed)\b", re.IGNORECASE)
TOLD = re.compile(r"\btrue outcome|\bactual|\bturned out|\btruth\b", re.IGNORECASE)
_FIELD = re.compile(r"([ \t]*)([A-Za-z_]\w*):(?: (.*)|$)")
_STEP = re.compile(r"Step (\d{1,9})(?:: (.*))?$")
_ANSWERED = re.compile(r"(?:your answer|you answered|the answer was)\s*:\s*$", re.IGNORECASE)
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|(?:^Saw|; said|; true was) ')
_MOST_LINES = 20_000
_STEADY = "Keep counts. State conditions."


@dataclass
class _Case:
    """One step as far as it has been read."""

    number: int | None = None
    seen: dict[str, str] = field(default_factory=dict)
    plain: dict[str, str] = field(default_factory=dict)
    truth: dict[str, str] = field(default_factory=dict)
    zone: str = "seen"
    wrong: bool | None = None

    def lesson(self, told: bool) -> Lesson:
        truth = self.truth
        if not truth and (self.wrong is False or not (told or self.wrong or self.zone == "said")):
            truth = self.plain
        return Lesson(self.seen, self.plain, truth, self.wrong)


def split_cases(
    text: str, inputs: Collection[str], outputs: Collection[str]
) -> tuple[list[tuple[int | None, Lesson]], str]:
    r"""Return the worked steps in a text, each with its number if it has one, and the lines that belong to none.

    Args:
        text: a memory or history, whoever wrote it.
        inputs: names of observed fields.
        outputs: names of the outcomes.

    Example:
        >>> cases, rest = split_cases("- Take care.\nsky: grey\ntomorrow: rain", {"sky"}, {"tomorrow"})
        >>> cases[0][1].observation, cases[0][1].truth, rest
        ({'sky': 'grey'}, {'tomorrow': 'rain'}, '- Take care.')
    """
    cases: list[_Case] = []
    lessons: list[tuple[int | None, Lesson]] = []
    rest: list[str] = []
    for case in _cases(text.split("\n")[:_MOST_LINES], inputs, outputs, rest, lessons):
        cases.append(case)
    told = any(case.truth for case in cases)
    lessons += [(case.number, lesson) for case in cases if (lesson := case.lesson(told)).truth or lesson.wrong]
    return lessons, "\n".join(rest)


def _cases(
    lines: list[str],
    inputs: Collection[str],
    outputs: Collection[str],
    rest: list[str],
    lessons: list[tuple[int | None, Lesson]],
) -> Iterator[_Case]:
    case = _Case()
    for line in [*lines, ""]:
        number, text = None, line
        if step := _STEP.match(line):
            number, text = int(step[1]), step[2] or ""
        if step or not line:
            if case.plain or case.truth or case.wrong is not None:
                yield case
            case = _Case(number)
            if not text:
                continue
        found = _FIELD.match(text)
        name = found[2] if found else ""
        if found and name in inputs and not found[1] and case.zone == "seen":
            if case.plain:
                yield case
                case = _Case()
            case.seen.setdefault(name, found[3] or "")
        elif found and name in outputs and (not found[1] or case.zone == "true"):
            (case.truth if case.zone == "true" else case.plain).setdefault(name, found[3] or "")
        elif found and name in inputs and not found[1]:
            yield case
            case = _Case(seen={name: found[3] or ""})
        elif _ANSWERED.match(text):
            case.zone = "said"
        elif case.zone != "seen" or case.seen or case.plain:
            _heed(case, text)
        elif (lesson := read_case(text.lstrip("-* "))) is not None:
            lessons.append((case.number, lesson))
        else:
            rest.append(text)


def _heed(case: _Case, line: str) -> None:
    """Take in a line of a step that is no field: an announcement, or a verdict; none that a value quotes."""
    if TOLD.search(line) and not (case.zone == "seen" and line[:1].isspace()):
        case.zone = "true"
    elif case.zone != "seen" and case.wrong is None:
        case.wrong = True if WRONG.search(line) else False if RIGHT.search(line) else None


def learn_cases(notes: Notes, cases: list[tuple[int | None, Lesson]]) -> None:
    """Count worked steps; only one that follows its forerunner by number may speak of "the last" outcome."""
    steady = read_directives(_STEADY)
    before: int | None = None
    for number, lesson in cases:
        if number is None or before is None or number != before + 1:
            notes.lasts.clear()
        learn(notes, lesson, steady)
        before = number
    if cases and before is None:
        notes.lasts.clear()


def write_case(lesson: Lesson, most_words: int = 100) -> str:
    """Return one step as a sentence; fields of the observation are left out, the last first, where it gets too long.

    Example:
        >>> write_case(Lesson({"sky": "grey"}, {"tomorrow": "sun"}, {"tomorrow": "rain"}))
        'Saw sky is grey; said tomorrow is sun; true was tomorrow is rain.'
    """
    seen, said, true = (_pairs(fields) for fields in (lesson.observation, lesson.answer, lesson.truth))
    while True:
        text = f"Saw {conditions_text(seen) or 'nothing'}"
        text += f"; said {conditions_text(said)}" if said else ""
        text += f"; true was {conditions_text(true)}." if true else "."
        if not seen or len(text.split()) <= most_words:
            return text
        seen = seen[:-1]


def read_case(sentence: str) -> Lesson | None:
    """Read a sentence of :func:`write_case`; ``None`` if it is not one.

    Example:
        >>> read_case("Saw sky is grey; true was tomorrow is rain.").truth
        {'tomorrow': 'rain'}
    """
    if not sentence.startswith("Saw ") or not sentence.endswith("."):
        return None
    marks = [mark for mark in _PART.finditer(sentence) if mark[0][0] != '"']
    ends = [mark.start() for mark in marks[1:]] + [len(sentence) - 1]
    parts = {mark[0].strip("; "): sentence[mark.end() : end] for mark, end in zip(marks, ends, strict=True)}
    seen, said, true = (dict(read_conditions(parts.get(name, ""))) for name in ("Saw", "said", "true was"))
    return Lesson(seen, said, true) if said or true else None


def _pairs(fields: Mapping[str, str]) -> Condition:
    return tuple((name, told) for name, text in fields.items() if (told := word(text)) is not None)
