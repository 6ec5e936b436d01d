"""After a search: is the result better on sequences that no choice was made on?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rnnprog.errors import ConfigurationError
from rnnprog.metrics import MetricLike, get_metric, score_steps
from rnnprog.module import RecurrentModule
from rnnprog.running import run
from rnnprog.statistics import Comparison, compare
from rnnprog.trace import Sequence as StepSequence

__all__ = ["before_after", "windows"]


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
