"""What a scoring judge said, as frozen values and JSON lines, and the metric that is made of it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Literal, Union

from pydantic import Field, ValidationError, model_validator

from rnnprog.errors import ConfigurationError, TraceError
from rnnprog.memory import Value
from rnnprog.metrics import Case, Metric
from rnnprog.rubric import Rubric
from rnnprog.trace import Timing, Usage

__all__ = ["Judged", "Judgement", "JudgementFile", "judged_metric"]

JUDGEMENT_FORMAT = 1
Status = Literal["scored", "cannot tell", "unreadable", "no answer"]


class Judgement(Value):
    """What a judge said to one question.

    Attributes:
        key: of the question.
        status: ``scored``; ``cannot tell``, by the judge's own word; ``unreadable``, its final line was never of the
            fixed form; ``no answer``, the model failed. Only the first has a score.
        score: 1 or 0 for a match, 0 to 100 for an alignment.
        raw: the judge's texts in full, one for each attempt that gave one.
        faults: what was wrong with each attempt that failed.
        attempts: how often the judge was asked.
        usage: calls and tokens that this judgement took when it was made.
        usd: money that it took then, as far as prices are known.
    """

    key: str
    status: Status
    score: float | None = None
    raw: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    attempts: int = 1
    usage: Usage = Usage()
    usd: float | None = None

    @model_validator(mode="after")
    def _scored_or_not(self) -> Judgement:
        if (self.score is not None) != (self.status == "scored"):
            raise ValueError(f"a judgement that is {self.status!r} cannot have the score {self.score}")
        return self


class Judged(Value):
    """The judgements of one or several walks.

    Attributes:
        rubric: what was decided.
        model: name of the judge.
        steps: (prediction id, key of its question) in the order of the records; no key for a step without an answer
            or a known truth, which no judge is asked about. Arms over the same data share ids.
        judgements: by key of the question; equal questions share one.
        usage: calls and tokens of this call, without what a store already held; never part of a walk's cost.
        timing: seconds, cache hits and money of the same calls.
    """

    rubric: Rubric
    model: str = ""
    steps: tuple[tuple[str, Union[str, None]], ...] = ()
    judgements: dict[str, Judgement] = Field(default_factory=dict)
    usage: Usage = Usage()
    timing: Timing = Timing()

    def of(self, id: str) -> Judgement | None:
        """Return the judgement of a prediction; ``None`` if no judge was asked about it.

        Raises:
            KeyError: no such prediction, or it stands for different answers of several arms.
        """
        keys = {key for step, key in self.steps if step == id}
        if len(keys) != 1:
            told = "several arms answered it differently; judge one arm" if keys else "no such prediction was judged"
            raise KeyError(f"prediction {id!r}: {told}")
        key = keys.pop()
        return None if key is None else self.judgements[key]

    @property
    def counts(self) -> dict[str, int]:
        """Number of steps by what became of them; ``not judged`` had no answer or no known truth."""
        found = Counter("not judged" if key is None else self.judgements[key].status for _, key in self.steps)
        return {name: found[name] for name in ("scored", "cannot tell", "unreadable", "no answer", "not judged")}

    @property
    def refusals(self) -> int:
        """Number of steps that were put before the judge and got no score."""
        return sum(count for name, count in self.counts.items() if name not in ("scored", "not judged"))

    @property
    def spent(self) -> Usage:
        """Calls and tokens of all these judgements, whenever they were made."""
        return sum((judgement.usage for judgement in self.judgements.values()), Usage())

    @property
    def usd(self) -> float | None:
        """Money of all these judgements, whenever they were made, as far as prices are known."""
        known = [judgement.usd for judgement in self.judgements.values() if judgement.usd is not None]
        return sum(known) if known else None


def judged_metric(judged: Judged) -> Metric:
    """Return a metric that scores steps by what a judge said, for ``score_steps`` and ``compare``.

    It looks a step up by its answer and truth, so it is right for every arm that was put before the judge. A failed
    step counts 0. A step to which the judge gave no verdict is not scored, and is counted in ``Scores.unscored``.

    Raises:
        ConfigurationError: while scoring: a step whose answer was never put before this judge.

    Example:
        >>> judged_metric(Judged(rubric=Rubric(top_k=5, field="diagnosis"))).name
        'judge_match@5[diagnosis]'
    """
    rubric, said = judged.rubric, judged.judgements

    def score(case: Case) -> float | None:
        question = rubric.question(case)
        if question is None:
            return None
        if question.key not in said:
            raise ConfigurationError(
                f"{rubric.name}: step {case.t} of sequence {case.sequence!r} was never put before the judge; "
                "give judge_steps the traces of every arm that is to be scored"
            )
        return said[question.key].score

    return Metric(
        name=rubric.name,
        better="higher",
        unit="percent" if rubric.kind == "alignment" else "share",
        scorable=lambda c: score(c) is not None if c.prediction is not None else rubric.known(c) is not None,
        step=score,
    )


class JudgementFile:
    """Judgements as JSON lines, one each, written as they are made: what was judged is not paid for again.

    A file may hold the judgements of several judges; only those made by the same judge with the same words are read.
    Refusals are kept, too; a judge that could not be reached is not, and is asked again. A line that a crash cut
    short is dropped.

    Args:
        path: the file; it is made, with its folder, at the first judgement.
        judge: what identifies the judge: its model and its instructions.

    Raises:
        TraceError: a damaged line that was not cut off.
    """

    def __init__(self, path: str | Path, judge: str) -> None:
        self.path, self.judge = Path(path), judge
        self._lock = threading.Lock()
        self.known: dict[str, Judgement] = {}
        whole = 0
        lines = self.path.read_bytes().split(b"\n") if self.path.is_file() else [b""]
        for number, line in enumerate(lines[:-1], start=1):
            whole += len(line) + 1
            if line.strip():
                self._read(number, line)
        self._keep = whole if lines[-1] else None

    def add(self, judgement: Judgement) -> None:
        """Write a judgement, from whatever thread."""
        if judgement.status == "no answer":
            return
        head = {"format": JUDGEMENT_FORMAT, "judge": self.judge}
        line = json.dumps({**head, **judgement.model_dump(mode="json")}) + "\n"
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                if self._keep is not None:
                    file.truncate(self._keep)
                    self._keep = None
                file.write(line.encode())
            self.known[judgement.key] = judgement

    def _read(self, number: int, line: bytes) -> None:
        try:
            read = json.loads(line)
            if read.pop("format") != JUDGEMENT_FORMAT:
                raise ValueError(f"its format is not {JUDGEMENT_FORMAT}; it is of another version")
            if read.pop("judge") == self.judge:
                judgement = Judgement.model_validate(read)
                self.known[judgement.key] = judgement
        except (ValueError, KeyError, AttributeError, TypeError, ValidationError) as error:
            raise TraceError(f"{self.path}, line {number}: not a judgement ({error}); delete the line") from error
