"""Reading a rendered prompt back: which fields are asked for, of which types, and what they hold.

Only the text is read, as dspy's ChatAdapter and JSONAdapter write it. The memory may stand in the user message or
at the end of the system message.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import dspy

__all__ = ["OutputField", "Prompt", "Turn", "phase_of", "read_prompt", "render_answer", "system_text"]

_OBJECTIVE = "your objective is:"
_FIELD_LINE = re.compile(r"^\d+\. `(\w+)` \((.*?)\):(?: |$)", re.MULTILINE)
_MARKER = re.compile(r"^\[\[ ## (\w+) ## \]\]$", re.MULTILINE)
_NOTE = re.compile(r"\{(\w+)\} {8}# note: the value you produce (.*)")
_NOTE_JSON = re.compile(r'^  "\w+": ("(?:[^"\\]|\\.)*"),?$', re.MULTILINE)
_BOUND = re.compile(r"(greater than or equal to|greater than|less than or equal to|less than): (-?[\d.]+)")
_BOUND_KEYS = {
    "greater than or equal to": "minimum",
    "greater than": "exclusiveMinimum",
    "less than or equal to": "maximum",
    "less than": "exclusiveMaximum",
}
_SCHEMA_MARK = "must adhere to the JSON schema: "
_REQUEST = "\n\nRespond with "


@dataclass(frozen=True)
class OutputField:
    """One field to answer: its name and its type as a JSON schema."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Turn:
    """A worked example: what was seen and what was answered."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Prompt:
    """What a prompt asks.

    Attributes:
        as_json: whether the answer is to be a JSON object.
        instruction: the objective; the only text that gives orders.
        inputs: the fields of the last user message.
        outputs: the fields to answer; empty for a prompt that dspy's adapters did not write.
        turns: worked examples and earlier turns.
        memory: the memory, wherever it stood; ``None`` if there is none.
    """

    as_json: bool
    instruction: str
    inputs: Mapping[str, str]
    outputs: tuple[OutputField, ...]
    turns: tuple[Turn, ...] = field(default=())
    memory: str | None = None


@dataclass(frozen=True)
class _Head:
    as_json: bool
    instruction: str
    inputs: tuple[str, ...]
    outputs: tuple[OutputField, ...]


def read_prompt(request: dspy.lm15.Request) -> Prompt:
    """Read a request that an adapter rendered."""
    text, tail = _split(system_text(request))
    head = _read_head(text)
    user = request.messages[-1].text or ""
    inputs = _sections(user.rpartition(_REQUEST)[0] or user, head.inputs)
    memory = inputs.pop("memory", None)
    if memory is None and tail.strip():
        first, _, rest = tail.strip().partition("\n")
        memory = rest if first.endswith(":") else tail
    answered = tuple(output.name for output in head.outputs)
    turns = []
    for seen, said in zip(request.messages, request.messages[1:], strict=False):
        if seen.role == "user" and said.role == "assistant":
            outputs = _object(said.text or "") if head.as_json else _sections(said.text or "", (*answered, "completed"))
            turns.append(Turn(_sections(seen.text or "", head.inputs), outputs))
    return Prompt(head.as_json, head.instruction, inputs, head.outputs, tuple(turns), memory)


def phase_of(prompt: Prompt) -> str:
    """Tell the phase from the fields that are asked for; whatever is no other phase is a prediction."""
    asked = {output.name for output in prompt.outputs}
    if "new_memory" in asked:
        return "rewriter"
    if {"outcome", "cause", "lesson"} <= asked:
        return "reflector"
    if asked == {"step_summary"}:
        return "summariser"
    if asked == {"operations"} and {"playbook", "reflection"} <= prompt.inputs.keys():
        return "curator"
    if asked == {"ruling"} and {"counts", "truth"} <= prompt.inputs.keys():
        return "scorer"
    return "judge" if {"assessment", "acceptable"} <= asked else "predictor"


def render_answer(prompt: Prompt, values: Mapping[str, Any]) -> str:
    """Write the answer in the format that the prompt asks for."""
    if prompt.as_json:
        return json.dumps(values, ensure_ascii=False)
    lines = [f"[[ ## {name} ## ]]\n{_plain(value)}" for name, value in values.items()]
    return "\n\n".join([*lines, "[[ ## completed ## ]]"])


def system_text(request: dspy.lm15.Request) -> str:
    """Return the system message as text."""
    system = request.system
    if system is None or isinstance(system, str):
        return system or ""
    return "".join(getattr(part, "text", "") for part in system)


def _split(system: str) -> tuple[str, str]:
    """Cut the system message behind the objective, whose lines dspy indents; the memory may follow."""
    start = system.find(_OBJECTIVE)
    if start < 0:
        return system, ""
    end = system.find("\n", start)
    while end >= 0 and (system.startswith(" " * 8, end + 1) or system.startswith("\n", end + 1)):
        end = system.find("\n", end + 1)
    return (system, "") if end < 0 else (system[:end], system[end:])


@lru_cache(maxsize=256)
def _read_head(system: str) -> _Head:
    ins, _, rest = system.partition("Your output fields are:")
    outs, _, structure = rest.partition("All interactions will be structured")
    structure, _, objective = structure.partition(_OBJECTIVE)
    as_json = "Outputs will be a JSON object" in structure
    notes = dict(_NOTE.findall(structure))
    if as_json:
        for line in _NOTE_JSON.findall(structure):
            notes.update(_NOTE.findall(json.loads(line)))
    found = list(_FIELD_LINE.finditer(outs))
    ends = [match.start() for match in found[1:]] + [len(outs)] * bool(found)
    outputs = tuple(
        OutputField(match[1], _schema(match[2], notes.get(match[1], ""), outs[match.end() : end]))
        for match, end in zip(found, ends, strict=True)
    )
    lines = [line.strip() for line in objective.splitlines()]
    return _Head(as_json, " ".join(lines).strip(), tuple(m[1] for m in _FIELD_LINE.finditer(ins)), outputs)


def _schema(kind: str, note: str, about: str) -> dict[str, Any]:
    simple = {"str": "string", "bool": "boolean", "int": "integer", "float": "number"}
    if kind in simple:
        _, mark, bounds = about.rpartition("Constraints: ")
        found = _BOUND.findall(bounds) if mark else []
        return {"type": simple[kind], **{_BOUND_KEYS[name]: float(value.rstrip(".")) for name, value in found}}
    if kind.startswith("Literal["):
        try:
            node = ast.parse(kind, mode="eval").body
            assert isinstance(node, ast.Subscript)
            options = ast.literal_eval(node.slice)
            return {"enum": list(options) if isinstance(options, tuple) else [options]}
        except (SyntaxError, ValueError, AssertionError):
            pass
    if note.startswith(_SCHEMA_MARK):
        try:
            return dict(json.loads(note[len(_SCHEMA_MARK) :]))
        except ValueError:
            pass
    for mark in ("one of: ",):
        if mark in note:
            return {"enum": note.partition(mark)[2].split("; ")}
    return {"type": "string"}


def _sections(text: str, names: tuple[str, ...]) -> dict[str, str]:
    """Read the marked sections; a name counts once, and only if it is one of ``names``."""
    marks: list[re.Match[str]] = []
    for mark in _MARKER.finditer(text):
        if mark[1] in names and all(mark[1] != other[1] for other in marks):
            marks.append(mark)
    ends = [mark.start() for mark in marks[1:]] + [len(text)] * bool(marks)
    found = {mark[1]: text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)}
    found.pop("completed", None)
    return found


def _object(text: str) -> dict[str, str]:
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    return {k: _plain(v) for k, v in data.items()} if isinstance(data, dict) else {}


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
