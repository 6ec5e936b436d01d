"""An exam of 10 arms x 32 sequences x 10 steps with a 100 ms model, beside ``dspy.Evaluate`` with 64 threads.

Every arm makes three calls a step, so the ideal is 9,600 calls x 100 ms / 64 in flight = 15 s. ``dspy.Evaluate`` walks
the same steps with bare Predicts in a hand loop: once all 320 sequences at once (its best), and once arm by arm, as
it is used to compare programs. What becomes of sequences of over 120 s is measured in ``stragglers``.

Targets: at most 1.05x the best of ``dspy.Evaluate``, at most 1.1x the ideal. The two alternate and the best of each
counts, as a machine shared with others is at times half as fast. The ideal knows no processor: whatever walks in one
process, 64 calls of 100 ms stay in flight only below 1.56 ms of processor time a call, so that is printed too. The part
after the walks (figures, intervals, tests) is printed apart.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy
from dspy.lm15 import Request, Response

from benchmarks.engines import FixedEngine
from benchmarks.in_flight import HandLoop
from benchmarks.verdicts import verdict
from benchmarks.walk_overhead import TASK, steps
from rnnprog.evaluate import ExamConfig, Running, examine
from rnnprog.tasks import TaskData, make_task
from rnnprog.trace import Sequence

ARMS, SEQUENCES, STEPS, THREADS, LATENCY = 10, 32, 10, 64, 0.1
ROUNDS = 2


class CountingEngine(FixedEngine):
    """The fixed engine, with a count of what is paid for."""

    calls = 0

    def complete(self, request: Request) -> Response:
        self.calls += 1
        return super().complete(request)


def counting(latency: float) -> tuple[dspy.LM, CountingEngine]:
    engine = CountingEngine(latency)
    return dspy.LM("bench/fixed", engine=engine, cache=False), engine


def data(lengths: list[int]) -> TaskData:
    return make_task("bench", TASK, [Sequence(id=str(k), steps=tuple(steps(n))) for k, n in enumerate(lengths)])


@dataclass
class Took:
    """What an exam took.

    Attributes:
        walks: seconds until the last walk ended.
        rest: seconds of figures and tests after that.
        processor: seconds of processor time until the last walk ended.
    """

    walks: float
    rest: float
    processor: float


def examined(lm: dspy.LM, lengths: list[int], arms: int = 1, running: Running | None = None) -> Took:
    """Examine so many arms over sequences of so many steps."""
    specs = [{"label": f"arm {k}", "cell": "reflective"} for k in range(arms)]
    config = ExamConfig.of(task="bench", arms=specs, control="arm 0", floors=(), metric="accuracy")
    watcher = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        start, processor = time.perf_counter(), time.process_time()
        exam = examine(config, lm, data=data(lengths), out=Path(folder), running=running, watcher=watcher)
        end = time.perf_counter()
    assert exam.steps == arms * sum(lengths)
    return Took(watcher.ended - start, end - watcher.ended, watcher.processor - processor)


def evaluated(lm: dspy.LM, lengths: list[int], threads: int | None = None) -> float:
    """Return the seconds that ``dspy.Evaluate`` takes for sequences of so many steps."""
    start = time.perf_counter()
    examples = [dspy.Example(steps=steps(n)).with_inputs("steps") for n in lengths]
    with dspy.context(lm=lm):
        dspy.Evaluate(devset=examples, metric=_one, num_threads=threads, display_progress=False, display_table=False)(
            HandLoop()
        )
    return time.perf_counter() - start


def _one(*_given: Any) -> float:
    return 1.0


class _Clock:
    """A watcher that only notes when the walks ended."""

    ended = processor = 0.0

    def begin(self, *_given: Any) -> None: ...

    def skipped(self, *_given: Any) -> None: ...

    def stepped(self, *_given: Any) -> None: ...

    def broke_off(self, *_given: Any) -> None: ...

    def end(self) -> None:
        self.ended, self.processor = time.perf_counter(), time.process_time()


def main() -> None:
    running = Running(concurrency=THREADS)
    sequences = [STEPS] * SEQUENCES
    paid = ARMS * SEQUENCES * STEPS * 3
    ideal = paid * LATENCY / THREADS
    examined(counting(0.0)[0], [2]), evaluated(counting(0.0)[0], [2])  # warm
    walks, bests = [], []
    for _ in range(ROUNDS):
        lm, engine = counting(LATENCY)
        took = examined(lm, sequences, ARMS, running)
        rival, other = counting(LATENCY)
        best = evaluated(rival, sequences * ARMS, THREADS)
        assert engine.calls == other.calls == paid
        walks.append(took.walks)
        bests.append(best)
        spent = 1e3 * took.processor / paid
        print(f"examine: {took.walks:.1f} s, {took.walks / ideal:.3f}x the ideal, ", end="")
        print(f"{spent:.2f} ms of processor time a call, {took.rest:.1f} s more for figures and tests; ", end="")
        print(f"dspy.Evaluate: {best:.1f} s, {best / ideal:.3f}x", flush=True)
    lm, _ = counting(LATENCY)
    by_arm = sum(evaluated(lm, sequences, THREADS) for _ in range(ARMS))
    print(f"dspy.Evaluate, all arms at once / ideal: {min(bests) / ideal:.3f}x; arm by arm: {by_arm / ideal:.3f}x")
    verdict("exam, walks / ideal", min(walks) / ideal, 1.1)
    verdict("exam, walks / dspy.Evaluate at its best", min(walks) / min(bests), 1.05)


if __name__ == "__main__":
    main()
