"""A made-up exam, to look at the page and to test it without a model. None of its numbers were measured.

The walks behave as real ones do: notes grow, are rewritten within a budget, a guard refuses or repairs some,
a few answers cannot be read, and one arm gets its labels late.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from pydantic import JsonValue

from rnnprog.exam_result import Arm, ArmRun, ExamResult, MetricSpec
from rnnprog.memory import Memory
from rnnprog.metrics import score_steps
from rnnprog.schema import DEFAULT_SCHEMA
from rnnprog.statistics import compare
from rnnprog.trace import Failure, Feedback, Result, Sequence, Step, StepRecord, Timing, Trace, Update, Usage, Verdict

__all__ = ["NOTE", "sample_exam", "sample_trace"]

NOTE = "Made-up data for looking at the page: nothing here was measured."
_BUDGET = 220
_SKY = ("sun", "rain", "drizzle", "snow", "fog")


def sample_exam(sequences: int = 8, steps: int = 40, seeds: int = 2, seed: int = 7) -> ExamResult:
    """Return a made-up exam of five arms and two floors.

    Args:
        sequences: number of sequences of each run.
        steps: length of each sequence in steps.
        seeds: runs of each arm.
        seed: of the generator; equal seeds give equal exams.

    Example:
        >>> sample_exam(sequences=2, steps=5, seeds=1).steps
        70
    """
    data = [_sequence(f"station-{k:02d}", steps, random.Random(f"{seed}/{k}")) for k in range(sequences)]

    def arm(label: str, cell: str, skill: Callable[[int], float], **options: JsonValue) -> Arm:
        role = "control" if label == "empty memory" else "arm"
        runs = tuple(_run(label, cell, data, skill, s, seed, options) for s in range(seeds))
        return Arm(label=label, role=role, runs=runs)

    arms = (
        arm("reflective", "reflective", lambda t: 0.52 + 0.26 * (1 - 0.9**t), budget=_BUDGET),
        arm("reflective, labels 5 late", "reflective", lambda t: 0.52 + 0.2 * (1 - 0.93**t), budget=_BUDGET, delay=5),
        arm("full history", "full_history", lambda t: 0.56 + 0.14 * (1 - 0.9**t)),
        arm("empty memory", "empty_memory", lambda t: 0.53),
        arm("zero-shot", "zero_shot", lambda t: 0.51),
        _floor("persistence", data, lambda previous: previous),
        _floor("always sun", data, lambda previous: "sun"),
    )
    scored = {
        arm.label: [score_steps(run.result, "accuracy") for run in arm.runs] for arm in arms if arm.role != "floor"
    }
    comparisons = tuple(compare(scored.pop("empty memory"), scored, "empty memory"))
    config: dict[str, JsonValue] = {
        "memory budget": _BUDGET,
        "model": "none (made up)",
        "correction": "Holm",
        "seed": seed,
    }
    return ExamResult(
        task="weather (made up)",
        metric=MetricSpec(),
        arms=arms,
        comparisons=comparisons,
        config=config,
        versions={"rnnprog": "sample"},
        note=NOTE,
    )


def sample_trace(steps: int = 12, seed: int = 7) -> Trace:
    """Return one made-up walk of the reflective arm."""
    data = _sequence("station-00", steps, random.Random(seed))
    return _walk("reflective", data, lambda t: 0.55 + 0.01 * t, random.Random(seed), {"budget": _BUDGET})


def _sequence(name: str, steps: int, rng: random.Random) -> Sequence:
    sky, rows = "sun", []
    for day in range(steps):
        following = sky if rng.random() < 0.55 else rng.choices(_SKY, weights=(48, 36, 7, 3, 6))[0]
        inputs: dict[str, JsonValue] = {
            "sky": sky,
            "rain_mm": round(rng.expovariate(0.2) if sky in ("rain", "drizzle") else 0.0, 1),
            "temp_max": round(rng.gauss(14, 6), 1),
            "wind": round(rng.gammavariate(3, 1), 1),
        }
        rows.append(
            Step(
                inputs=inputs, target={"tomorrow": following}, time=f"2014-{1 + day // 28 % 12:02d}-{1 + day % 28:02d}"
            )
        )
        sky = following
    return Sequence(id=name, steps=tuple(rows))


def _run(
    label: str,
    cell: str,
    data: list[Sequence],
    skill: Callable[[int], float],
    run: int,
    seed: int,
    options: dict[str, JsonValue],
) -> ArmRun:
    traces = tuple(_walk(cell, s, skill, random.Random(f"{seed}/{run}/{label}/{s.id}"), options) for s in data)
    timings = {t.sequence: Timing(seconds={"predictor": 0.4 * len(t), "rewriter": 0.9 * len(t)}) for t in traces}
    program: dict[str, JsonValue] = {"cell": cell, **options}
    return ArmRun(seed=run, result=Result(program=program, traces=traces, timings=timings, seconds=1.3 * len(data)))


def _floor(label: str, data: list[Sequence], rule: Callable[[str], str]) -> Arm:
    traces = []
    for sequence in data:
        records = tuple(
            StepRecord(
                t=t,
                id=f"{sequence.id}:{t}",
                inputs=step.inputs,
                prediction={"tomorrow": rule(str(step.inputs["sky"]))},
                target=step.target,
                time=step.time,
            )
            for t, step in enumerate(sequence.steps)
        )
        traces.append(Trace(sequence=sequence.id, program={"cell": label}, records=records))
    return Arm(label=label, role="floor", runs=(ArmRun(result=Result(program={"cell": label}, traces=tuple(traces))),))


def _walk(
    cell: str, data: Sequence, skill: Callable[[int], float], rng: random.Random, options: dict[str, JsonValue]
) -> Trace:
    learns, delay = cell == "reflective", int(str(options.get("delay", 0)))
    memory = DEFAULT_SCHEMA.initial()
    records: list[StepRecord] = []
    for t, step in enumerate(data.steps):
        assert step.target is not None
        before: list[Update] = []
        if learns and delay and t >= delay:
            memory, update = _learn(memory, records[t - delay], rng)
            before.append(update)
        record = _predict(cell, data.id, t, step, skill(t), rng).model_copy(update={"before": tuple(before)})
        if learns and not delay:
            memory, update = _learn(memory, record, rng)
            record = record.model_copy(update={"after": (update,)})
        records.append(record)
    initial = DEFAULT_SCHEMA.initial()
    return Trace(
        sequence=data.id,
        program={"cell": cell, **options},
        initial=initial.model_dump(mode="json") if learns else None,
        initial_digest=initial.digest if learns else "",
        records=tuple(records),
        unanswered=tuple(r.id for r in records[len(records) - delay :]) if learns and delay else (),
    )


def _predict(cell: str, name: str, t: int, step: Step, skill: float, rng: random.Random) -> StepRecord:
    assert step.target is not None
    truth = str(step.target["tomorrow"])
    wrong = rng.choice([sky for sky in _SKY[:3] if sky != truth])
    said = truth if rng.random() < skill else wrong
    length = 210 + {"full_history": 34 * t, "reflective": 150}.get(cell, 0)
    usage = {"predictor": Usage(calls=1, prompt_tokens=length + rng.randrange(20), completion_tokens=9)}
    failed = rng.random() < 0.015
    failure = Failure(
        phase="predictor", error="ValueError: output 'tomorrow' = 'sunny spells'", raw="sunny spells", attempts=2
    )
    return StepRecord(
        t=t,
        id=f"{name}:{t}",
        inputs=step.inputs,
        prediction=None if failed else {"tomorrow": said},
        target=step.target,
        time=step.time,
        usage=usage,
        failure=failure if failed else None,
    )


def _learn(memory: Memory, record: StepRecord, rng: random.Random) -> tuple[Memory, Update]:
    assert record.target is not None
    right = record.prediction == record.target
    sky, truth = record.inputs["sky"], record.target["tomorrow"]
    said = (record.prediction or {}).get("tomorrow", "nothing readable")
    proposed = _rewritten(memory, str(sky), str(truth), str(said), record, right)
    usage = {
        "reflector": Usage(calls=1, prompt_tokens=320, completion_tokens=70),
        "rewriter": Usage(calls=1, prompt_tokens=560 + rng.randrange(60), completion_tokens=140),
    }
    verdicts: tuple[Verdict, ...] = (Verdict(check="schema", decision="accept"),)
    operation, after = "rewrite", proposed
    chance = rng.random()
    if chance < 0.04:
        reason = "the line '[previous items remain]' stands for notes that would be lost"
        verdicts += (Verdict(check="elision", decision="kept_old", reason=reason),)
        operation, after = "keep", memory
    elif chance < 0.09:
        verdicts += (Verdict(check="forged markers", decision="repaired", reason="a field marker was broken up"),)
    dropped: tuple[tuple[str, str], ...] = ()
    while len(after.render()) // 4 > _BUDGET or len(after.section("errors").items) > 6:
        section = max(
            after.section("errors"), after.section("facts"), key=lambda s: len(s.items) * (1 + (s.key == "errors"))
        )
        dropped += ((section.key, section.items[-1]),)
        after = after.with_items(section.key, section.items[:-1])
    outcome = f"Predicted {said}, and it was {truth}: {'right' if right else 'wrong'}."
    return after, Update(
        of=record.id,
        feedback=Feedback(kind="label", target=record.target, correct=right, text=f"The outcome was {truth}."),
        operation=operation,
        critique={
            "outcome": outcome,
            "cause": f"The sky was {sky}: {record.inputs['rain_mm']} mm of rain, wind {record.inputs['wind']} m/s.",
            "lesson": f"When it is {sky}, then {truth} may follow; check the rain before trusting persistence.",
        },
        parent=memory.digest,
        digest=after.digest,
        carry=after.model_dump(mode="json"),
        tokens=len(after.render()) // 4,
        verdicts=verdicts,
        dropped=dropped,
        usage=usage,
    )


def _rewritten(memory: Memory, sky: str, truth: str, said: str, record: StepRecord, right: bool) -> Memory:
    facts = dict(item.split(": ", 1) for item in memory.section("facts").items)
    name = f"After {sky} came {truth}"
    count = int(facts.get(name, "0 times").split()[0]) + 1
    facts[name] = f"{count} times"
    memory = memory.with_items("facts", tuple(f"{k}: {v}" for k, v in facts.items()))
    if not right:
        line = f"Step {record.t}: said {said}, was {truth}, wind {record.inputs['wind']} m/s."
        memory = memory.with_items("errors", (line, *memory.section("errors").items))
    if count >= 3:
        rules = {item for item in memory.section("rules").items if not item.startswith(f"When it is {sky},")}
        rule = f"When it is {sky}, say {truth} ({count} cases)."
        memory = memory.with_items("rules", (rule, *sorted(rules)))
    return memory
