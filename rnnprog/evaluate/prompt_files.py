"""The prompts of an exam beside its result: one file for each arm and seed."""

from __future__ import annotations

import re
from pathlib import Path

from rnnprog.evaluate.walking import Walked
from rnnprog.exam_result import Arm, ArmRun, ExamResult
from rnnprog.folder import put_file

__all__ = ["write_prompts"]

_NOT_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def write_prompts(exam: ExamResult, walked: Walked, folder: str | Path) -> ExamResult:
    """Write the prompts that were kept, and return the result with the paths of the files.

    Args:
        exam: the result.
        walked: the walks it was told from.
        folder: where ``result.json`` will be.
    """
    arms = [_arm(index, arm, walked, Path(folder)) for index, arm in enumerate(exam.arms)]
    return exam.model_copy(update={"arms": tuple(arms)})


def _arm(index: int, arm: Arm, walked: Walked, folder: Path) -> Arm:
    runs: list[ArmRun] = []
    for run in arm.runs:
        lines = [
            line
            for key, kept in {**walked.done, **walked.broken}.items()
            if (key.arm, key.seed, key.warmup) == (arm.label, run.seed, False)
            for line in kept.lines
        ]
        name = f"prompts/{index:02d}-{_NOT_NAME.sub('-', arm.label)[:80]}-seed{run.seed}.jsonl"
        if lines:
            put_file(folder / name, (line + "\n" for line in lines))
        runs.append(run.model_copy(update={"prompts": name if lines else None}))
    return arm.model_copy(update={"runs": tuple(runs)})
