"""From walks to the one frozen result: arms with figures, comparisons, and every remark that a reader needs."""

from __future__ import annotations

import math
import platform
from importlib.metadata import PackageNotFoundError, version

from rnnprog.errors import LMUnavailableError
from rnnprog.evaluate.entrants import Entrant
from rnnprog.evaluate.frame import Frame
from rnnprog.evaluate.protocol import after_warm_up
from rnnprog.evaluate.scoring import arm_figures, comparisons, horizon, plain_figure, run_scores, scores_of
from rnnprog.evaluate.store import Kept, WalkKey
from rnnprog.evaluate.walking import Walked
from rnnprog.exam_result import Arm, ArmRun, ExamResult, MetricSpec
from rnnprog.lm.embedded import EMBEDDED_MODEL
from rnnprog.statistics import Comparison, Rules
from rnnprog.trace import Fields, Result, Trace, Usage

__all__ = ["STAND_IN", "told_of", "versions"]

STAND_IN = "The model is the embedded stand-in: it shows the machinery at work; its scores say nothing about LLMs."


def told_of(walked: Walked, frame: Frame) -> ExamResult:
    """Return the result of an exam.

    Raises:
        LMUnavailableError: the model cannot be used, and no walk was finished before.
    """
    _require_answers(walked, frame)
    config, metric = frame.config, frame.metrics[0]
    arms, scores = [], {}
    for entrant in frame.entrants:
        runs, spent = _runs(entrant, walked, frame)
        if metric in frame.data.own_metrics:
            runs = [run.model_copy(update={"scores": run_scores(run, metric)}) for run in runs]
        figures = arm_figures(runs, frame.metrics, frame.seeds.data)
        if spent.calls:
            figures["calls of the warm-up"] = plain_figure(spent.calls, 0, "total")
            figures["tokens of the warm-up"] = plain_figure(spent.tokens, 0, "total")
        arms.append(Arm(label=entrant.label, role=entrant.role, runs=tuple(runs), figures=figures))
        if entrant.role != "floor" and runs:
            scores[entrant.label] = scores_of(runs, metric, frame.seeds.data)
    alike = _alike(arms, config.control)
    ahead = horizon(config.delay, config.delay_by, next((arm.runs for arm in arms if arm.label == config.control), ()))
    found = comparisons(scores, config.control, Rules(alpha=config.alpha, horizon=ahead))
    return ExamResult(
        task=frame.data.name,
        metric=MetricSpec.of(metric),
        arms=tuple(arms),
        comparisons=found,
        config=_settings(walked, frame),
        versions=versions(),
        note=" ".join([*_notes(walked, frame), *_hopeless(found), *alike]),
    )


def versions() -> dict[str, str]:
    """Return the versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for name in ("rnnprog", "dspy", "numpy", "scipy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _runs(entrant: Entrant, walked: Walked, frame: Frame) -> tuple[list[ArmRun], Usage]:
    runs, spent = [], Usage()
    for seed, part in frame.parts.items():
        kept = [(s.id, _kept(walked, WalkKey(entrant.label, seed, s.id))) for s in part.scored]
        learned = [_kept(walked, WalkKey(entrant.label, seed, s.id, True)) for s in part.warmup]
        spent = sum((u for k in learned if k for u in k.trace.usage.values()), spent)
        traces: list[Trace] = []
        for _, one in kept:
            if one is not None:
                trace, before = after_warm_up(one.trace, part.offset)
                spent = spent + before
                if trace.records:
                    traces.append(trace)
        if not traces:
            continue
        timings = {name: one.timing for name, one in kept if one is not None}
        seconds = sum(sum(timing.seconds.values()) for timing in timings.values())
        result = Result(program=entrant.program.describe(), traces=tuple(traces), timings=timings, seconds=seconds)
        runs.append(ArmRun(seed=seed, result=result))
    return runs, spent


def _kept(walked: Walked, key: WalkKey) -> Kept | None:
    return walked.done.get(key) or walked.broken.get(key)


def _require_answers(walked: Walked, frame: Frame) -> None:
    asked = {entrant.label for entrant in frame.asked}
    something = any(key.arm in asked and not key.warmup for key in (*walked.done, *walked.broken))
    if walked.stop is not None and walked.stop.kind == "no model" and not something:
        raise LMUnavailableError(f"{walked.stop.why}. No walk was finished yet; the same command begins again")


def _settings(walked: Walked, frame: Frame) -> Fields:
    dumped = frame.config.model_dump(mode="json")
    about = {name: value for name, value in frame.data.describe().items() if name != "floors"}
    return {
        **dumped,
        "data": {**dumped["data"], **about},
        "seeds walked": list(frame.seeds.numbers),
        "correction": "Holm",
        "configuration": frame.config.digest(),
        "complete": walked.stop is None and not walked.broken,
        "stopped": "" if walked.stop is None else walked.stop.why,
        "stopped by": "" if walked.stop is None else walked.stop.kind,
    }


def _notes(walked: Walked, frame: Frame) -> list[str]:
    notes = [STAND_IN] if frame.lm is not None and frame.lm.model == EMBEDDED_MODEL else []
    notes += [frame.seeds.note] if frame.seeds.note else []
    if frame.config.warm_start:
        share = f"{frame.config.warm_start:.0%}"
        told = f"Warm start: every arm learned from the first {share} of the data before it was scored"
        cut = any(part.offset for part in frame.parts.values())
        notes.append(told + ("; seconds and money include that part." if cut else "."))
    if walked.stop is not None:
        due = len(frame.asked) * sum(len(p.scored) for p in frame.parts.values())
        labels = {entrant.label for entrant in frame.asked}
        done = sum(key.arm in labels and not key.warmup for key in walked.done)
        told = f"{done} of {due} walks are finished, and only these are told of"
        ahead = "" if walked.stop.kind == "halted" else "; the same command goes on from here"
        notes.append(f"NOT COMPLETE: {walked.stop.why}; {told}{ahead}.")
    if walked.broken:
        first, kept = next(iter(walked.broken.items()))
        notes.append(
            f"{len(walked.broken)} walks broke off before the end of their sequence, and only their steps until then "
            f"count; the first: {first.arm}, {first.sequence}: {kept.trace.error}"
        )
    return notes


def _alike(arms: list[Arm], control: str) -> list[str]:
    """Return a remark on arms that answered as the control did at every step, if there are any."""
    said = {arm.label: [r.prediction for run in arm.runs for r in run.result.records] for arm in arms}
    like = said.get(control)
    same = [arm.label for arm in arms if arm.role == "arm" and like and said[arm.label] == like]
    if not same:
        return []
    told = f"{', '.join(same)} answered exactly as {control} at every step: "
    return [told + "whatever these arms showed the model changed nothing."]


def _hopeless(found: tuple[Comparison, ...]) -> list[str]:
    """Return a remark if no difference, however large, could have passed the test."""
    ranked = [c for c in found if c.unit == "sequences" and c.test != "mcnemar"]
    if not ranked:
        return []
    n, alpha, tests = ranked[0].n, ranked[0].alpha, ranked[0].comparisons
    need = math.ceil(math.log2(2 * tests / alpha))  # n signs that all agree have p = 2 / 2**n
    if n >= need:
        return []
    return [
        f"With {n} sequences and {tests} comparisons no difference, however large, could have passed the test; "
        f"it takes at least {need} sequences."
    ]
