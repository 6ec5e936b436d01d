"""A scoring judge named on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from rnnprog.cli.models import model
from rnnprog.errors import ConfigurationError

if TYPE_CHECKING:
    from rnnprog.exam_result import ExamResult

__all__ = ["Judge", "judge_of"]

Judge = Callable[["ExamResult", Path], "ExamResult"]


def judge_of(kind: str | None, lm: str | None, top_k: int | None) -> Judge | None:
    """Return what scores a finished exam; ``None`` if no judge is asked for.

    Its texts go into ``judgements.jsonl`` in the exam's folder, and what is there is not paid for again.

    Args:
        kind: ``match`` or ``alignment``.
        lm: the judge, named as models are.
        top_k: entries of a ranked answer that count.

    Raises:
        ConfigurationError: a judge without a model, or settings without a judge.
    """
    if kind is None:
        if lm is not None or top_k is not None:
            raise ConfigurationError("--judge-lm and --judge-top-k need --judge match or --judge alignment")
        return None
    if kind not in ("match", "alignment"):
        raise ConfigurationError(f"--judge {kind}: write --judge match or --judge alignment")
    if kind == "alignment" and top_k is not None:
        raise ConfigurationError("--judge-top-k is for --judge match: an alignment rates the answer as a whole")
    if lm is None:
        raise ConfigurationError(f"--judge {kind} needs --judge-lm: a judge should not be the model that it judges")
    said, judge = cast(Literal["match", "alignment"], kind), model(lm, [])

    def score(exam: ExamResult, out: Path) -> ExamResult:
        from rnnprog.evaluate import judge_exam

        return judge_exam(exam, judge, said, top_k=top_k, store=out / "judgements.jsonl")

    return score
