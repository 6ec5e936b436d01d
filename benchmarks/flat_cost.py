"""Prompt tokens per step as a sequence grows, and resident memory of many sequences.

Targets: tokens at step 500 at most 1.1x those at step 50 for the reflective cell (full history stands beside it);
1,000 sequences x 20 steps add less than 200 MB.
"""

from __future__ import annotations

import gc
import resource
import statistics

import dspy

import rnnprog
from benchmarks.engines import fixed_lm
from benchmarks.verdicts import verdict
from benchmarks.walk_overhead import TASK, steps
from rnnprog.tasks import load_task

WINDOW = 10  # steps averaged around the two points


def tokens_at(trace: rnnprog.Trace, t: int) -> float:
    """Return the mean prompt tokens of the steps around ``t``."""
    near = [r for r in trace.records if abs(r.t - t) <= WINDOW]
    return statistics.mean(sum(u.prompt_tokens for u in r.total_usage.values()) for r in near)


def growth() -> None:
    data = load_task("weather").limit(n_steps=500 + WINDOW + 1)
    for cell in (rnnprog.Reflective(data.task, budget=512), rnnprog.FullHistory(data.task, context_budget=100_000)):
        program = rnnprog.RecurrentModule(cell, recording=rnnprog.Recording(every=0))
        program.set_lm(rnnprog.embedded_lm())
        (trace,) = rnnprog.run(program, data.sequences).traces
        early, late = tokens_at(trace, 50), tokens_at(trace, 500)
        print(f"{cell.name}: prompt tokens a step {early:.0f} at t=50, {late:.0f} at t=500: {late / early:.2f}x")
        if cell.name == "reflective":
            verdict("prompt tokens of a step, t=500 / t=50", late / early, 1.1)


def resident() -> None:
    program = rnnprog.RecurrentModule(rnnprog.Reflective(TASK))
    given = tuple(steps(20))
    sequences = [rnnprog.Sequence(id=str(i), steps=given) for i in range(1000)]
    with dspy.context(lm=fixed_lm()):
        rnnprog.run(program, sequences[:20])
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = rnnprog.run(program, sequences)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    steps_made = sum(map(len, result.traces))
    print(f"{len(result.traces):,} sequences, {steps_made:,} steps")
    verdict("resident memory of 1,000 x 20 steps", grown, 200, "MB")


if __name__ == "__main__":
    growth()
    resident()
