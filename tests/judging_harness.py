"""Walks to be judged, and a judge that answers from a script."""

from __future__ import annotations

from typing import Any

from rnnprog import scripted_lm
from rnnprog.judgements import Judged
from rnnprog.judging import judge_steps
from rnnprog.metrics import Source
from rnnprog.rubric import Kind, Rubric
from rnnprog.trace import StepRecord, Trace

YES, NO, UNSURE = "VERDICT: match", "VERDICT: no match", "VERDICT: cannot tell"


def walked(*pairs: tuple[Any, Any], sequence: str = "a", field: str = "is") -> Trace:
    """Return a walk with these (answer, truth) pairs; ``None`` for a failed step or an unknown truth."""
    records = tuple(
        StepRecord(
            t=t,
            id=f"{sequence}:{t}",
            inputs={"saw": t},
            prediction=None if said is None else {field: said},
            target=None if true is None else {field: true},
        )
        for t, (said, true) in enumerate(pairs)
    )
    return Trace(sequence=sequence, records=records)


ONE = walked(("flu", "influenza"))


def judged_by(*texts: Any, trace: Source = ONE, kind: Kind = "match", **named: Any) -> Judged:
    lm = scripted_lm(list(texts))
    how = {name: named.pop(name) for name in ("store", "listeners", "prices") if name in named}
    judged = judge_steps(trace, lm, Rubric.of(kind=kind, **named), concurrency=1, **how)
    lm.engine.assert_done()
    return judged
