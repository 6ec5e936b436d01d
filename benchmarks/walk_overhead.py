"""One reflective step against three bare ``dspy.Predict`` calls in a hand loop; the engine answers at once.

Target: at most 1.25x.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import dspy

import rnnprog
from benchmarks.engines import MEMORY, fixed_lm
from benchmarks.verdicts import verdict
from rnnprog.signatures import Reflect, Rewrite, as_task, derive_predict

TASK = "rain: float, wind: float, today: str -> tomorrow: Literal['sun', 'rain']"
STEPS = 100


def steps(n: int = STEPS) -> list[rnnprog.Step]:
    return [
        rnnprog.Step(inputs={"rain": i % 7 / 2, "wind": i % 5 + 0.5, "today": "sun"}, target={"tomorrow": "rain"})
        for i in range(n)
    ]


def hand_walk() -> Callable[[list[rnnprog.Step]], str]:
    """Three Predict calls a step, with the memory passed along as text and nothing else done."""
    predict, reflect, rewrite = (
        dspy.Predict(derive_predict(as_task(TASK))),
        dspy.Predict(Reflect),
        dspy.Predict(Rewrite),
    )
    headings = rnnprog.DEFAULT_SCHEMA.describe()

    def walk(given: list[rnnprog.Step]) -> str:
        memory = MEMORY
        for step in given:
            said = predict(memory=memory, **step.inputs)
            observation = "\n".join(f"{name}: {value}" for name, value in step.inputs.items())
            answer, evidence = (
                f"tomorrow: {said.tomorrow}",
                "The true outcome was:\ntomorrow: rain\nThe answer was wrong.",
            )
            critique = reflect(observation=observation, answer=answer, evidence=evidence)
            memory = rewrite(
                memory=memory,
                observation=observation,
                answer=answer,
                evidence=evidence,
                critique=f"outcome: {critique.outcome}\ncause: {critique.cause}\nlesson: {critique.lesson}",
                headings=headings,
                budget_tokens=512,
                remark="(none)",
            ).new_memory
        return memory

    return walk


def hand_loop(lm: dspy.LM) -> Callable[[], None]:
    walk, given = hand_walk(), steps()

    def loop() -> None:
        with dspy.context(lm=lm):
            walk(given)

    return loop


def reflective(lm: dspy.LM) -> Callable[[], None]:
    program = rnnprog.RecurrentModule(rnnprog.Reflective(TASK, memory=MEMORY))
    program.set_lm(lm)
    given = steps()
    return lambda: program(steps=given) and None


def main() -> None:
    lm = fixed_lm()
    ours, theirs = reflective(lm), hand_loop(lm)
    ours(), theirs()
    best = {ours: float("inf"), theirs: float("inf")}
    for _ in range(15):  # alternating, so that a slow moment of the machine hits both; the best of each counts
        for walk in best:
            gc.collect()
            start = time.process_time()
            walk()
            best[walk] = min(best[walk], time.process_time() - start)
    ratio, step = best[ours] / best[theirs], best[ours] / STEPS * 1e3
    print(f"{step:.2f} ms of processor time a step")
    verdict("reflective step / three bare Predict calls", ratio, 1.25)


if __name__ == "__main__":
    main()
