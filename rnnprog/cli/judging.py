"""A scoring judge named on the command line or in a file."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnprog.cli.models import model
from rnnprog.errors import ConfigurationError

if TYPE_CHECKING:
    import dspy
    from rich.status import Status

    from rnnprog.lm.meter import Heard
    from rnnprog.rubric import Rubric

__all__ = ["JUDGEMENTS", "Counted", "Judge", "judge_of"]

_KNOWN = ("kind", "lm", "lm_options", "field", "top_k", "truth")
JUDGEMENTS = "judgements.jsonl"
"""Name of the file in an exam's folder that holds the judge's texts; what is there is not paid for again."""


@dataclass(frozen=True)
class Judge:
    """What scores a finished exam.

    Attributes:
        lm: the judge.
        rubric: what it decides.
    """

    lm: dspy.LM
    rubric: Rubric

    def known(self, out: Path) -> int:
        """Return how many judgements of this judge an exam's folder holds."""
        from rnnprog.judgements import JudgementFile
        from rnnprog.judging import judge_name

        return len(JudgementFile(out / JUDGEMENTS, judge_name(self.lm, self.rubric.kind)).known)


class Counted:
    """Shows how many calls a judge has made; a listener of its calls.

    Args:
        status: what is shown on the terminal.
        name: of the judge.
    """

    def __init__(self, status: Status, name: str) -> None:
        self.status, self.name, self.calls = status, name, 0

    def calling(self, phase: str) -> None:
        """Let every call pass."""

    def called(self, call: Heard) -> None:
        """Show one call more."""
        self.calls += 1
        self.status.update(f"judging with {self.name}: {self.calls:,} calls")

    def left(self, phase: str) -> None:
        """Nothing is left to do."""


def judge_of(given: Mapping[str, Any]) -> Judge | None:
    """Return what scores a finished exam; ``None`` if no judge is asked for.

    Args:
        given: ``kind`` (match or alignment), ``lm`` (named as models are), ``lm_options``, ``field``, ``top_k`` and
            ``truth`` (any or first), by name; ``None`` where not given.

    Raises:
        ConfigurationError: a judge without a model, settings without a judge, or some that do not go together.
    """
    rest = {name: value for name, value in given.items() if value is not None}
    if not rest:
        return None
    if unknown := [name for name in rest if name not in _KNOWN]:
        near = difflib.get_close_matches(unknown[0], _KNOWN, n=1)
        guess = f" (did you mean {near[0]!r}?)" if near else ""
        raise ConfigurationError(f"a judge has no setting {unknown[0]!r}{guess}; it has {', '.join(_KNOWN)}")
    kind, lm, options = rest.get("kind"), rest.pop("lm", None), rest.pop("lm_options", {})
    if kind not in ("match", "alignment"):
        said = "which kind is missing" if kind is None else f"not {kind!r}"
        raise ConfigurationError(f"a judge is of the kind match or alignment, {said}: write --judge match")
    if lm is None:
        raise ConfigurationError(f"--judge {kind} needs --judge-lm: a judge should not be the model that it judges")
    from rnnprog.rubric import Rubric

    rubric = Rubric.of(**rest)
    return Judge(model(str(lm), [f"{name}={json.dumps(value)}" for name, value in _table(options).items()]), rubric)


def _table(options: Any) -> Mapping[str, Any]:
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"the judge's lm_options are {options!r}; give a table such as {{temperature = 0}}")
    return options
