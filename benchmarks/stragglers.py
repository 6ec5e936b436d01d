"""Sequences that outlast the 120 s after which ``dspy.Evaluate`` hands the last ones to a second thread.

Takes six minutes, in which all runs only wait, so they go at the same time and other work may go beside them. Both
sides have the same sequences, the same model, its cache off, and their own default of 8 threads.

* One prompt at a time: a model on one's own machine (Ollama's default), eight sequences of 2, 4, ... 16 steps, 216
  calls of 1 s. The calls made twice stand in the queue with the others. Target: back sooner than ``dspy.Evaluate``.
* As many prompts as are asked: four sequences of 127.5 s each. Both are back at the same time, but what
  ``dspy.Evaluate`` has begun again goes on after it has returned, and until then the process does not end. Target: the
  last call ends sooner.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import dspy
from dspy.lm15 import Request, Response

from benchmarks.engines import FixedEngine
from benchmarks.exam_speed import evaluated, examined
from benchmarks.verdicts import verdict

SCENES = {  # lengths of the sequences in steps, seconds a call, prompts that the model answers at once
    "a model that takes one prompt at a time": ([2, 4, 6, 8, 10, 12, 14, 16], 1.0, 1),
    "a model that takes any number of prompts": ([5, 5, 5, 5], 8.5, 1000),
}


class Server(FixedEngine):
    """Answers so many prompts at once; the others wait their turn. Knows what it was asked and when it was done."""

    def __init__(self, latency: float, at_once: int) -> None:
        super().__init__(latency)
        self.slots = threading.Semaphore(at_once)
        self.calls, self.ended = 0, 0.0

    def complete(self, request: Request) -> Response:
        with self.slots:
            self.calls += 1
            response = super().complete(request)
        self.ended = time.perf_counter()
        return response


def measured(walk: Callable[..., float], lengths: list[int], latency: float, at_once: int) -> tuple[float, float, int]:
    """Return seconds until it is back, seconds until the last call has ended, and calls."""
    server = Server(latency, at_once)
    start = time.perf_counter()
    back = walk(dspy.LM("bench/fixed", engine=server, cache=False), lengths)
    calls = -1
    while calls != server.calls:
        calls = server.calls
        time.sleep(3 * latency)
    return back, server.ended - start, calls


def _examined(lm: dspy.LM, lengths: list[int]) -> float:
    return examined(lm, lengths).walks


def main() -> None:
    with ThreadPoolExecutor() as pool:
        runs = {
            (scene, name): pool.submit(measured, walk, *given)
            for scene, given in SCENES.items()
            for name, walk in (("examine", _examined), ("dspy.Evaluate", evaluated))
        }
        found = {key: run.result() for key, run in runs.items()}
    for scene, (lengths, _, _) in SCENES.items():
        print(f"{scene}; {3 * sum(lengths)} calls to make:")
        for name in ("examine", "dspy.Evaluate"):
            back, ended, calls = found[scene, name]
            print(f"  {name:13} back after {back:.1f} s, last call ended after {ended:.1f} s, {calls} calls paid")
    one, any_number = SCENES
    for scene, what, figure in ((one, "back", 0), (any_number, "last call ended", 1)):
        ours, theirs = found[scene, "examine"][figure], found[scene, "dspy.Evaluate"][figure]
        verdict(f"exam, {scene}, {what}: examine / dspy.Evaluate", ours / theirs, 1.0)


if __name__ == "__main__":
    main()
