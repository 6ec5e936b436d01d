"""After a search: is the result better on sequences that no choice was made on, and what was changed?"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence

import dspy

from rnnprog.cells.reflective import Reflective
from rnnprog.errors import ConfigurationError
from rnnprog.metrics import MetricLike, get_metric, score_steps
from rnnprog.module import RecurrentModule
from rnnprog.optimizers.candidate import cells_of
from rnnprog.optimizers.space import phases_of
from rnnprog.run import run
from rnnprog.statistics import Comparison, compare
from rnnprog.trace import Sequence as StepSequence

__all__ = ["before_after", "changes", "windows"]


def windows(sequences: Iterable[StepSequence], steps: int) -> list[StepSequence]:
    """Cut long sequences into windows of ``steps``, so that there is something to judge candidates on.

    Each window is walked from a fresh memory. A last window of less than half the length is left out.

    Args:
        sequences: what to cut.
        steps: length of a window.

    Example:
        >>> from rnnprog.trace import Step
        >>> walk = StepSequence(id="a", steps=(Step(inputs={}),) * 5)
        >>> [(window.id, len(window)) for window in windows([walk], 2)]
        [('a@0', 2), ('a@2', 2), ('a@4', 1)]
    """
    if steps < 1:
        raise ConfigurationError(f"a window of {steps} steps is none")
    cut: list[StepSequence] = []
    for sequence in sequences:
        if len(sequence) <= steps:
            cut.append(sequence)
            continue
        for start in range(0, len(sequence), steps):
            part = sequence.steps[start : start + steps]
            if 2 * len(part) >= steps:
                meta = {**sequence.meta, "offset": start}
                cut.append(StepSequence(id=f"{sequence.id}@{start}", steps=part, meta=meta))
    return cut


def before_after(
    student: RecurrentModule,
    program: RecurrentModule,
    sequences: Sequence[StepSequence],
    metric: MetricLike,
    concurrency: int = 8,
) -> Comparison:
    """Walk both programs over held-out sequences and compare them step by step, with interval and paired test.

    Args:
        student: before.
        program: after.
        sequences: of which neither proposals nor choices saw any.
        metric: a metric of this package or its name.
        concurrency: sequences in flight.
    """
    metric = get_metric(metric)
    before = score_steps(run(student, sequences, concurrency=concurrency), metric)
    after = score_steps(run(program, sequences, concurrency=concurrency), metric)
    return compare(before, {"tuned": after}, "student")[0]


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
        found[f"{phase}.instruction"] = _diff(old[phase].signature.instructions, new[phase].signature.instructions)
        found[f"{phase}.demos"] = _diff(_demos(old[phase].demos), _demos(new[phase].demos))
    mine, theirs = cells_of(student), cells_of(program)
    for number, (before, after) in enumerate(zip(mine, theirs, strict=True)):
        name = "" if len(mine) == 1 else f"cell {number} "
        found[f"{name}start_memory"] = _diff(before.initial().render(), after.initial().render())
        found[f"{name}settings"] = _diff(_settings(before), _settings(after))
    return {part: lines for part, lines in found.items() if lines}


def _diff(old: str, new: str) -> list[str]:
    lines = list(difflib.unified_diff(_sentences(old), _sentences(new), lineterm="", n=1))
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _sentences(text: str) -> list[str]:
    """Cut prose into sentences, since an instruction is one long line to a line diff."""
    lines: list[str] = []
    for line in text.splitlines():
        lines += [part.strip() for part in line.replace(". ", ".\n").splitlines() if part.strip()]
    return lines


def _demos(demos: list[dspy.Example]) -> str:
    return "\n".join(json.dumps(dict(demo), ensure_ascii=False, default=str) for demo in demos)


def _settings(cell: Reflective) -> str:
    return "\n".join(f"{k}: {json.dumps(v)}" for k, v in cell.settings.value.model_dump(mode="json").items())
