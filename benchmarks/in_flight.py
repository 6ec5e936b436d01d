"""64 sequences x 20 steps in flight with a 100 ms model, beside ``dspy.Evaluate`` over a hand loop of bare Predicts.

Ideal: 60 calls in a row x 100 ms = 6 s. Target: at most 1.08x the ideal. The two alternate and the best of each counts.
The ideal knows no processor: in one process 64 calls stay in flight only below 1.56 ms of processor time a call.
"""

from __future__ import annotations

import time
from typing import Any

import dspy

import rnnprog
from benchmarks.engines import fixed_lm
from benchmarks.verdicts import verdict
from benchmarks.walk_overhead import TASK, hand_walk, steps

SEQUENCES, STEPS, LATENCY = 64, 20, 0.1
ROUNDS = 2


class HandLoop(dspy.Module):
    """Three bare Predict calls a step, for ``dspy.Evaluate``."""

    def __init__(self) -> None:
        super().__init__()
        self.walk = hand_walk()

    def forward(self, steps: list[Any]) -> dspy.Prediction:
        return dspy.Prediction(memory=self.walk(steps))


def main() -> None:
    lm = fixed_lm(LATENCY)
    ideal = 3 * STEPS * LATENCY
    given = steps(STEPS)
    program = rnnprog.RecurrentModule(rnnprog.Reflective(TASK))
    sequences = [rnnprog.Sequence(id=str(i), steps=tuple(given)) for i in range(SEQUENCES)]
    with dspy.context(lm=lm):
        program(steps=given[:2])
        examples = [dspy.Example(steps=given).with_inputs("steps") for _ in sequences]
        evaluate = dspy.Evaluate(
            devset=examples, metric=lambda *_: 1.0, num_threads=SEQUENCES, display_progress=False, display_table=False
        )
        ours, theirs = [], []
        for _ in range(ROUNDS):
            start, cpu = time.perf_counter(), time.process_time()
            result = rnnprog.run(program, sequences, concurrency=SEQUENCES)
            ours.append(time.perf_counter() - start)
            spent = (time.process_time() - cpu) / (3 * SEQUENCES * STEPS)
            assert sum(usage.calls for usage in result.usage.values()) == 3 * SEQUENCES * STEPS
            start = time.perf_counter()
            evaluate(HandLoop())
            theirs.append(time.perf_counter() - start)
            print(f"{ours[-1] / ideal:.3f}x the ideal, {1e3 * spent:.2f} ms of processor time a call; ", end="")
            print(f"dspy.Evaluate over bare Predicts: {theirs[-1] / ideal:.3f}x")
    print(f"{SEQUENCES * STEPS / min(ours):.0f} steps a second")
    verdict("64 sequences in flight / ideal", min(ours) / ideal, 1.08)


if __name__ == "__main__":
    main()
