"""What an exam will cost, before the first call: a pilot of a few steps with the offline model, drawn out.

The pilot counts the calls of each arm exactly as the exam will make them, and the tokens of prompts that are real but
for the texts that the model writes. It is a guess at the length of those, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import dspy
import numpy as np

from rnnprog.evaluate.entrants import Entrant
from rnnprog.evaluate.frame import Frame
from rnnprog.evaluate.store import Store, WalkKey
from rnnprog.jobs import Job, run_jobs
from rnnprog.lm.embedded import EMBEDDED_MODEL, embedded_lm
from rnnprog.trace import Sequence, StepRecord

__all__ = ["ArmEstimate", "estimate", "price_of"]

PILOT = 8  # steps


@dataclass(frozen=True)
class ArmEstimate:
    """What one arm will cost.

    Attributes:
        label: the arm.
        steps: steps to be walked; those that are finished already are not in here.
        calls: model calls.
        prompt_tokens: tokens sent.
        completion_tokens: tokens received.
        usd: money, where the price list knows the model.
    """

    label: str
    steps: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None


def estimate(frame: Frame, store: Store | None = None) -> list[ArmEstimate]:
    """Estimate what an exam will cost, arm by arm.

    Args:
        frame: the exam.
        store: finished walks, which cost nothing any more.

    Example:
        >>> from rnnprog.evaluate import ExamConfig
        >>> from rnnprog.evaluate.frame import frame_of
        >>> config = ExamConfig.of(task="regimes", options={"n_steps": 20}, cells=["zero_shot"])
        >>> [(arm.label, arm.calls) for arm in estimate(frame_of(config, embedded_lm()))]
        [('zero_shot', 20), ('empty_memory', 20)]
    """
    price = price_of(frame.lm)
    longest = max((s for part in frame.parts.values() for s in (*part.warmup, *part.scored)), key=len)
    pilot = longest.model_copy(update={"steps": longest.steps[:PILOT]})
    found = []
    with dspy.context(lm=embedded_lm()):
        jobs = [Job(entrant.program, pilot) for entrant in frame.asked]
    run_jobs(jobs, concurrency=2)
    for entrant, job in zip(frame.asked, jobs, strict=True):
        records = job.trace.records if job.trace is not None else ()
        lengths = [len(s) for s in _due(frame, entrant, store)]
        found.append(_drawn_out(entrant, list(records), lengths, price))
    return found


def price_of(lm: dspy.LM | None) -> tuple[float, float] | None:
    """Return the price in USD of a token sent and of one received, as far as dspy's price list knows it."""
    if lm is None or lm.model == EMBEDDED_MODEL or not isinstance(getattr(lm, "_engine_spec", "auto"), str):
        return None
    from dspy.clients.model_metadata import model_info, rate

    provider, slash, name = lm.model.partition("/")
    info = model_info(provider, name) if slash else {}
    sent, received = rate(info, "input_cost_per_token"), rate(info, "output_cost_per_token")
    return None if sent is None or received is None else (sent, received)


def _due(frame: Frame, entrant: Entrant, store: Store | None) -> list[Sequence]:
    due = []
    for seed, part in frame.parts.items():
        for sequences, warmup in ((part.warmup, True), (part.scored, False)):
            keys = [(s, WalkKey(entrant.label, seed, s.id, warmup)) for s in sequences]
            due += [s for s, key in keys if store is None or not store.has(key)]
    return due


def _drawn_out(
    entrant: Entrant, records: list[StepRecord], lengths: list[int], price: tuple[float, float] | None
) -> ArmEstimate:
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
    usd = None if price is None else prompt * price[0] + completion * price[1]
    return ArmEstimate(entrant.label, steps, round(calls[late].mean() * steps), prompt, completion, usd)


def _room(entrant: Entrant) -> int:
    """Return the most tokens that memory or history may add to a prompt."""
    settings = getattr(getattr(entrant.program.cell, "settings", None), "value", None)
    return int(getattr(settings, "budget", None) or getattr(settings, "context_budget", None) or 0)
