"""Scoring by a judge, after the walk and apart from it: the judge sees the truth, and no walk ever sees the judge.

:class:`rnnprog.JudgeFeedback` is something else: it gives a cell evidence to learn from and is never shown the truth.
What is made here is made from finished records, is metered by itself, and goes into scores alone.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dspy

from rnnprog.attempt import attempt
from rnnprog.effects import Call, Effects, adrive, drive
from rnnprog.errors import ConfigurationError, LMUnavailableError
from rnnprog.judgements import Judged, Judgement, JudgementFile
from rnnprog.lm.formatting import thrifty
from rnnprog.lm.meter import Listener, Meter
from rnnprog.lm.prices import Prices
from rnnprog.lm.verbatim import Verbatim
from rnnprog.memory import neutralise, well_formed
from rnnprog.metrics import Source
from rnnprog.metrics.metric import cases, traces_of
from rnnprog.recording import FailurePolicy
from rnnprog.rubric import Kind, Question, Rubric, read_verdict
from rnnprog.signatures import ScoreAlignment, ScoreMatch
from rnnprog.signatures.rewrite import NO_REMARK
from rnnprog.trace import Timing, Usage

__all__ = ["ajudge_steps", "judge_name", "judge_steps"]

PHASE = "scorer"
_ATTEMPTS = 2
_HISTORY = 200  # entries that dspy keeps of the calls made here
_ASKED: dict[Kind, type[dspy.Signature]] = {"match": ScoreMatch, "alignment": ScoreAlignment}


def judge_steps(
    source: Source,
    lm: dspy.LM,
    rubric: Rubric | None = None,
    *,
    concurrency: int = 8,
    store: str | Path | None = None,
    listeners: Sequence[Listener] = (),
    prices: Prices | None = None,
    patience: int = FailurePolicy().patience,
) -> Judged:
    r"""Put finished predictions before a judge: one call a step, a second one where its final line cannot be read.

    Use it where answers are words that mean the same in many spellings. Where labels are closed or numbers, a metric
    without a model is better. The verdict is read from the judge's last line alone; where that fails twice, the step
    is not scored, the texts are kept and the refusal is counted. Equal questions, of one arm or of several, are
    asked once. Scores go through :func:`rnnprog.judgements.judged_metric`.

    Args:
        source: a result, a trace, or the traces of all arms that are to be compared.
        lm: the judge; it should not be the model that is judged.
        rubric: what is decided, and on which part of a step; by default whether all outputs match.
        concurrency: calls in flight, each in a thread.
        store: JSON lines file; judgements found there are not paid for again, new ones are added as they are made.
        listeners: hear, and may refuse, the judge's calls.
        prices: stated prices, above those of dspy's list.
        patience: questions in a row without any reply that end the judging; see :class:`rnnprog.FailurePolicy`.

    Raises:
        ConfigurationError: a task with several outputs where one must be named.
        LMUnavailableError: the judge refuses credentials or settings, or is down; what was judged until then is in
            the store.

    Example:
        >>> from rnnprog import scripted_lm
        >>> from rnnprog.trace import StepRecord, Trace
        >>> step = StepRecord(t=0, id="a:0", inputs={}, prediction={"is": "flu"}, target={"is": "influenza"})
        >>> judge = scripted_lm(["1. The flu is influenza.\nVERDICT: match"])
        >>> judged = judge_steps(Trace(sequence="a", records=(step,)), judge)
        >>> judged.of("a:0").score, judged.refusals, judged.usage.calls
        (1.0, 0, 1)
    """
    _check(concurrency)
    bench = _Bench(source, lm, rubric or Rubric(), store, tuple(listeners), prices or {})
    bench.patience = patience
    pool = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="rnnprog-judge")
    try:
        waiting = [pool.submit(contextvars.copy_context().run, bench.rule, asked) for asked in bench.open]
        for future in waiting:
            future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return bench.judged()


async def ajudge_steps(
    source: Source,
    lm: dspy.LM,
    rubric: Rubric | None = None,
    *,
    concurrency: int = 8,
    store: str | Path | None = None,
) -> Judged:
    """Put finished predictions before a judge, awaiting it; see :func:`judge_steps`."""
    _check(concurrency)
    bench = _Bench(source, lm, rubric or Rubric(), store)
    room = asyncio.Semaphore(concurrency)

    async def one(asked: Question) -> None:
        async with room:
            await bench.arule(asked)

    tasks = [asyncio.ensure_future(one(asked)) for asked in bench.open]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return bench.judged()


def judge_name(lm: dspy.LM, kind: Kind) -> str:
    """Name a judge by its model, its temperature and its words: another one's verdicts are not its own."""
    words = hashlib.sha256(_ASKED[kind].instructions.encode()).hexdigest()[:8]
    settings = getattr(lm, "kwargs", {})
    return f"{getattr(lm, 'model', '')} temperature={settings.get('temperature')} words={words}"


@dataclass
class _Said:
    """What one question has brought so far."""

    raw: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)


class _Bench:
    """One sitting of a judge: the questions, what is known already, and what is said now."""

    def __init__(
        self,
        source: Source,
        lm: dspy.LM,
        rubric: Rubric,
        store: str | Path | None,
        listeners: tuple[Listener, ...] = (),
        prices: Prices | None = None,
    ) -> None:
        self.rubric, self.lm = rubric, lm
        self.listeners, self.prices = listeners, prices or {}
        self.predict = dspy.Predict(_ASKED[rubric.kind])
        self.file = None if store is None else JudgementFile(store, judge_name(lm, rubric.kind))
        traces = list(traces_of(source))
        asked = [rubric.question(case) for case in cases(traces)]
        ids = [record.id for trace in traces for record in trace.records]
        self.steps = tuple((i, q.key if q is not None else None) for i, q in zip(ids, asked, strict=True))
        questions = {question.key: question for question in asked if question is not None}
        known = {} if self.file is None else self.file.known
        self.found = {key: known[key] for key in questions if key in known}
        self.order = list(questions)
        self.open = [question for key, question in questions.items() if key not in known]
        self.made: dict[str, tuple[Judgement, Timing]] = {}
        self._broken, self._silent, self.patience = False, 0, FailurePolicy().patience

    def rule(self, asked: Question) -> None:
        """Put one question before the judge, in this thread; not after another has found the judge out of order."""
        if self._broken:
            return
        said = _Said()
        said.meter.listeners, said.meter.prices = self.listeners, self.prices
        try:
            with self._sitting(), thrifty(), said.meter.listening():
                judgement = drive(self._ruling(asked, said), said.meter.booking)
        except BaseException:
            self._broken = True
            raise
        self._keep(judgement, said)

    async def arule(self, asked: Question) -> None:
        """Put one question before the judge, awaiting it."""
        said = _Said()
        with self._sitting(), thrifty(), said.meter.listening():
            judgement = await adrive(self._ruling(asked, said), said.meter.booking)
        self._keep(judgement, said)

    def judged(self) -> Judged:
        """Return everything that is known now, in the order of the steps, whoever was done first."""
        made = [self.made[asked.key] for asked in self.open]
        all_of = {**self.found, **{judgement.key: judgement for judgement, _ in made}}
        return Judged(
            rubric=self.rubric,
            model=str(getattr(self.lm, "model", "")),
            steps=self.steps,
            judgements={key: all_of[key] for key in self.order},
            usage=sum((judgement.usage for judgement, _ in made), Usage()),
            timing=_together(timing for _, timing in made),
        )

    def _sitting(self) -> AbstractContextManager[Any]:
        kept = min(dspy.settings.max_history_size, _HISTORY)
        return dspy.context(lm=self.lm, adapter=Verbatim(), max_history_size=kept)  # type: ignore[no-any-return]

    def _ruling(self, asked: Question, said: _Said) -> Effects[Judgement]:
        """Ask; if the final line cannot be read, ask once more and say why; then refuse to guess."""
        remark = NO_REMARK
        for number in range(1, _ATTEMPTS + 1):
            call = Call(PHASE, self.predict, {**asked.inputs(), "remark": remark})
            text, failure = yield from attempt(call, _text, retries=0)
            self._silent = self._silent + 1 if failure is not None and failure.no_reply else 0
            if failure is not None and self._silent >= self.patience:
                raise LMUnavailableError(
                    f"the judge gave no reply to {self._silent} questions in a row, the last: {failure.error}; "
                    "see that it runs and can be reached"
                )
            if text is None:
                said.faults.append(failure.error if failure is not None else "the judge said nothing")
                return Judgement(key=asked.key, status="no answer", attempts=number, **_kept(said))
            said.raw.append(text)
            try:
                status, score = read_verdict(asked.kind, text)
            except ValueError as fault:
                said.faults.append(str(fault))
                remark = (
                    f"Your last attempt could not be read: {neutralise(str(fault))}. Compare again and end as asked."
                )
            else:
                return Judgement(key=asked.key, status=status, score=score, attempts=number, **_kept(said))
        return Judgement(key=asked.key, status="unreadable", attempts=_ATTEMPTS, **_kept(said))

    def _keep(self, judgement: Judgement, said: _Said) -> None:
        usage = sum(said.meter.take().values(), Usage())
        timing = said.meter.timing()
        judgement = judgement.model_copy(update={"usage": usage, "usd": timing.cost})
        self.made[judgement.key] = (judgement, timing)
        if self.file is not None:
            self.file.add(judgement)


def _text(said: dspy.Prediction) -> str:
    return well_formed(str(said.ruling))


def _kept(said: _Said) -> dict[str, Any]:
    return {"raw": tuple(said.raw), "faults": tuple(said.faults)}


def _check(concurrency: int) -> None:
    if concurrency < 1:
        raise ConfigurationError(f"concurrency must be at least 1 call in flight, got {concurrency}")


def _together(timings: Iterable[Timing]) -> Timing:
    seconds, cached, costs = 0.0, 0, []
    for timing in timings:
        seconds += timing.seconds.get(PHASE, 0.0)
        cached += timing.cached_calls.get(PHASE, 0)
        costs += [] if timing.cost is None else [timing.cost]
    return Timing(seconds={PHASE: seconds}, cached_calls={PHASE: cached}, cost=sum(costs) if costs else None)
