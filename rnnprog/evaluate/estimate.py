"""What an exam will cost, before the first call: a pilot of a few steps with the offline model, drawn out.

The pilot counts the calls of each arm exactly as the exam will make them, and the tokens of prompts that are real but
for the texts that the model writes. It is a guess at the length of those, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import dspy
import numpy as np

from rnnprog.errors import ConfigurationError
from rnnprog.evaluate.entrants import Entrant
from rnnprog.evaluate.frame import Frame
from rnnprog.evaluate.store import Store, WalkKey
from rnnprog.jobs import Job, run_jobs
from rnnprog.judging import judge_steps
from rnnprog.lm.embedded import embedded_lm
from rnnprog.lm.prices import Price, Prices, price_of
from rnnprog.module import RecurrentModule
from rnnprog.rubric import Rubric
from rnnprog.trace import Sequence, StepRecord, Trace

__all__ = ["ArmEstimate", "estimate", "estimate_judge", "estimate_walks"]

PILOT = 8  # steps


@dataclass(frozen=True)
class ArmEstimate:
    """What one arm, or the judge, will cost.

    Attributes:
        label: the arm.
        steps: steps to be walked, or answers to be judged; those that are finished already are not in here.
        calls: model calls.
        prompt_tokens: tokens sent.
        completion_tokens: tokens received.
        usd: money, where the price of the model is known.
    """

    label: str
    steps: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None


def estimate(frame: Frame, store: Store | None = None, prices: Prices | None = None) -> list[ArmEstimate]:
    """Estimate what an exam will cost, arm by arm.

    Args:
        frame: the exam.
        store: finished walks, which cost nothing any more.
        prices: stated prices, above those of dspy's list.

    Example:
        >>> from rnnprog.evaluate import ExamConfig
        >>> from rnnprog.evaluate.frame import frame_of
        >>> config = ExamConfig.of(task="regimes", options={"n_steps": 20}, cells=["zero_shot"])
        >>> [(arm.label, arm.calls) for arm in estimate(frame_of(config, embedded_lm()))]
        [('zero_shot', 20), ('empty_memory', 20)]
    """
    due = {entrant.label: _due(frame, entrant, store) for entrant in frame.asked}
    return _estimates(frame.asked, _walked(frame), due, price_of(frame.lm, prices))


def estimate_walks(
    programs: Mapping[str, RecurrentModule],
    sequences: Iterable[Sequence],
    lm: dspy.LM | None,
    prices: Prices | None = None,
) -> list[ArmEstimate]:
    """Estimate what a run costs, before :func:`rnnprog.run`.

    Args:
        programs: what walks all of the sequences, by label.
        sequences: what is walked.
        lm: the model.
        prices: stated prices, above those of dspy's list.

    Example:
        >>> from rnnprog.tasks import load_task
        >>> data = load_task("regimes", n_steps=20)
        >>> program = RecurrentModule(data.task)
        >>> [(one.label, one.calls) for one in estimate_walks({"mine": program}, data.sequences, embedded_lm())]
        [('mine', 60)]
    """
    walked = list(sequences)
    entrants = [Entrant(label, "arm", program) for label, program in programs.items()]
    return _estimates(entrants, walked, dict.fromkeys(programs, walked), price_of(lm, prices))


def estimate_judge(
    frame: Frame, lm: dspy.LM, rubric: Rubric, known: int = 0, prices: Prices | None = None
) -> ArmEstimate:
    """Estimate what a judge will cost at most: one call for each answer with a known truth, of every arm and floor.

    Equal questions are asked once, so where answers are few it is much less; a verdict that cannot be read is asked
    for a second time.

    Args:
        frame: the exam.
        lm: the judge.
        rubric: what it decides.
        known: judgements that are there already.
        prices: stated prices, above those of dspy's list.

    Raises:
        ConfigurationError: the rubric does not fit the task.
    """
    outputs = list(frame.data.task.outputs)
    if rubric.field is not None and rubric.field not in outputs:
        raise ConfigurationError(f"the judge is to look at {rubric.field!r}, but the task's outputs are {outputs}")
    pilots = [trace for trace in _pilots(frame.asked, _walked(frame)) if trace is not None]
    tried = judge_steps(pilots, embedded_lm(), rubric, concurrency=2)
    sent, told = tried.usage.prompt_tokens, tried.usage.completion_tokens
    steps = [step for part in frame.parts.values() for s in part.scored for step in s.steps[part.offset :]]
    put = max(0, sum(step.target is not None for step in steps) * len(frame.entrants) - known)
    share = put / tried.usage.calls if tried.usage.calls else 0.0
    price = price_of(lm, prices)
    usd = None if price is None else price.of(share * sent, share * told)
    return ArmEstimate(f"judge ({lm.model})", put, put, round(share * sent), round(share * told), usd)


def _estimates(
    entrants: list[Entrant], walked: list[Sequence], due: Mapping[str, list[Sequence]], price: Price | None
) -> list[ArmEstimate]:
    found = []
    for entrant, trace in zip(entrants, _pilots(entrants, walked), strict=True):
        records = trace.records if trace is not None else ()
        found.append(_drawn_out(entrant, list(records), [len(s) for s in due[entrant.label]], price))
    return found


def _walked(frame: Frame) -> list[Sequence]:
    return [s for part in frame.parts.values() for s in (*part.warmup, *part.scored)]


def _pilots(entrants: list[Entrant], walked: list[Sequence]) -> list[Trace | None]:
    """Walk the first steps of the longest sequence with everyone who is asked."""
    longest = max(walked, key=len)
    first = longest.model_copy(update={"steps": longest.steps[:PILOT]})
    with dspy.context(lm=embedded_lm()):
        jobs = [Job(entrant.program, first) for entrant in entrants]
    run_jobs(jobs, concurrency=2)
    return [job.trace for job in jobs]


def _due(frame: Frame, entrant: Entrant, store: Store | None) -> list[Sequence]:
    due = []
    for seed, part in frame.parts.items():
        for sequences, warmup in ((part.warmup, True), (part.scored, False)):
            keys = [(s, WalkKey(entrant.label, seed, s.id, warmup)) for s in sequences]
            due += [s for s, key in keys if store is None or not store.has(key)]
    return due


def _drawn_out(entrant: Entrant, records: list[StepRecord], lengths: list[int], price: Price | None) -> ArmEstimate:
    steps = sum(lengths)
    used = [list(record.total_usage.values()) for record in records]
    if not steps or not used:
        return ArmEstimate(entrant.label, steps, 0, 0, 0, 0.0 if price else None)
    calls = np.array([sum(u.calls for u in step) for step in used], dtype=float)
    sent = np.array([sum(u.prompt_tokens for u in step) for step in used], dtype=float)
    told = np.array([sum(u.completion_tokens for u in step) for step in used], dtype=float)
    late = slice(len(used) // 2, None)  # the first steps have little to say
    growth = float(np.polyfit(np.arange(len(sent)), sent, 1)[0]) if len(sent) > 1 else 0.0
    most = sent[0] + calls[late].mean() * _room(entrant)
    ahead = np.arange(max(lengths))
    by_step = np.minimum(sent[0] + max(growth, 0.0) * ahead, most)
    summed = np.concatenate([[0.0], np.cumsum(by_step)])
    prompt = int(sum(summed[n] for n in lengths))
    completion = round(told[late].mean() * steps)
    usd = None if price is None else price.of(prompt, completion)
    return ArmEstimate(entrant.label, steps, round(calls[late].mean() * steps), prompt, completion, usd)


def _room(entrant: Entrant) -> int:
    """Return the most tokens that memory or history may add to a prompt."""
    settings = getattr(getattr(entrant.program.cell, "settings", None), "value", None)
    return int(getattr(settings, "budget", None) or getattr(settings, "context_budget", None) or 0)
