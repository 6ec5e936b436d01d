"""What tuning changed, in words: unified diffs, sentence by sentence, since an instruction is one long line."""

from __future__ import annotations

import difflib
import json

import dspy

from rnnprog.cells.reflective import Reflective
from rnnprog.optimizers.candidate import cells_of
from rnnprog.optimizers.space import phases_of
from rnnprog.signatures import as_text

__all__ = ["changes", "text_diff"]


def changes(student: dspy.Module, program: dspy.Module) -> dict[str, list[str]]:
    """Return what tuning changed, as unified diffs by part: instructions, demos, start memory, settings.

    Example:
        >>> import rnnprog
        >>> student = rnnprog.RecurrentModule("rain: float -> tomorrow: Literal['sun', 'rain']")
        >>> changes(student, student.deepcopy())
        {}
    """
    found: dict[str, list[str]] = {}
    old, new = phases_of(student), phases_of(program)
    for phase in old:
        found[f"{phase}.instruction"] = text_diff(old[phase].signature.instructions, new[phase].signature.instructions)
        found[f"{phase}.demos"] = text_diff(_demos(old[phase].demos), _demos(new[phase].demos))
    mine, theirs = cells_of(student), cells_of(program)
    for number, (before, after) in enumerate(zip(mine, theirs, strict=True)):
        name = "" if len(mine) == 1 else f"cell {number} "
        found[f"{name}start_memory"] = text_diff(before.initial().render(), after.initial().render())
        found[f"{name}settings"] = text_diff(_settings(before), _settings(after))
    return {part: lines for part, lines in found.items() if lines}


def text_diff(old: str, new: str) -> list[str]:
    """Return the sentences that went (``-``), came (``+``), and the one next to each change.

    Example:
        >>> text_diff("Answer. Be brief.", "Answer. Keep counts.")
        [' Answer.', '-Be brief.', '+Keep counts.']
    """
    lines = list(difflib.unified_diff(_sentences(old), _sentences(new), lineterm="", n=1))
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _sentences(text: str) -> list[str]:
    lines: list[str] = []
    for line in text.splitlines():
        lines += [part.strip() for part in line.replace(". ", ".\n").splitlines() if part.strip()]
    return lines


def _demos(demos: list[dspy.Example]) -> str:
    told = (f"example {n + 1}\n" + as_text(dict(demo)) for n, demo in enumerate(demos))
    return "\n".join(told)


def _settings(cell: Reflective) -> str:
    return "\n".join(f"{k}: {json.dumps(v)}" for k, v in cell.settings.value.model_dump(mode="json").items())
