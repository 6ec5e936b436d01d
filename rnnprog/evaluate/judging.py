"""An exam scored anew by a judge: the same walks, other scores, and what the judging cost told apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dspy

from rnnprog.errors import LMUnavailableError
from rnnprog.evaluate.caps import CapReached, Gate, check_priced
from rnnprog.evaluate.config import Running
from rnnprog.evaluate.scoring import arm_figures, comparisons, horizon, run_scores, scores_of
from rnnprog.exam_result import Arm, ExamResult, MetricSpec
from rnnprog.jobs import Stop
from rnnprog.judgements import Judged, judged_metric
from rnnprog.judging import judge_steps
from rnnprog.lm.embedded import EMBEDDED_MODEL
from rnnprog.lm.meter import Listener
from rnnprog.metrics import Metric
from rnnprog.rubric import Rubric
from rnnprog.statistics import Rules
from rnnprog.trace import Fields, Trace

__all__ = ["judge_exam"]


def judge_exam(
    exam: ExamResult,
    lm: dspy.LM,
    rubric: Rubric | None = None,
    *,
    store: str | Path | None = None,
    running: Running | None = None,
    gate: Gate | None = None,
    listeners: Sequence[Listener] = (),
) -> ExamResult:
    """Let a judge score a finished exam; all arms, control and floors are put before the same judge.

    The walks stay as they are. Scores, figures and comparisons are those of the judge; what decided before,
    such as a match by ICD code, stands beside as a figure under the name of its metric.

    Args:
        exam: what :func:`rnnprog.evaluate.examine` gave, or a result read back from its file.
        lm: the judge; it should not be the model of the exam.
        rubric: what is decided, and on which part of a step; by default whether all outputs match.
        store: JSON lines file with the judge's texts; what is there is not paid for again.
        running: calls in flight, caps, prices.
        gate: counts and refuses calls; the one of the walks, where the caps are on both together.
        listeners: are told of the judge's calls.

    Returns:
        The exam with the judge's scores; ``config["judge"]`` has its name, its refusals by arm and its cost, and the
        note says them. Where a cap, Ctrl-C or a judge that cannot be used ended the judging, the scores stay as they
        were, since those of a part would compare nothing; ``config["complete"]`` is false, and the judgements made go
        on from the store.

    Raises:
        ConfigurationError: settings that do not go together, or a cap on money that cannot be held.
    """
    running, rubric = running or Running(), rubric or Rubric()
    check_priced(running, lm)
    told: Fields = {**rubric.model_dump(), "model": lm.model}
    gate = gate or Gate(running)
    traces = [trace for arm in exam.arms for trace in _traces(arm)]
    try:
        judged = judge_steps(
            traces,
            lm,
            rubric,
            concurrency=running.concurrency,
            store=store,
            listeners=(gate, *listeners),
            prices=running.prices,
            patience=running.patience,
        )
    except CapReached as halt:
        return _not_judged(exam, told, Stop("halted", gate.reached or str(halt)))
    except KeyboardInterrupt:
        return _not_judged(exam, told, Stop("interrupted", "interrupted"))
    except LMUnavailableError as down:
        return _not_judged(exam, told, Stop("no model", str(down)))
    metric, pooled = judged_metric(judged), _own_data(exam)
    arms = tuple(_scored(arm, metric, exam.metric.name, pooled) for arm in exam.arms)
    scores = {a.label: scores_of(a.runs, metric, pooled) for a in arms if a.runs and a.role != "floor"}
    control = exam.control
    refusals = _refusals(exam, judged)
    told |= {"refusals": dict(refusals), "steps": dict(judged.counts)}
    told["cost"] = {**judged.spent.model_dump(), "usd": judged.usd}
    told["paid this time"] = {**judged.usage.model_dump(), "usd": judged.timing.cost}
    return exam.model_copy(
        update={
            "metric": MetricSpec.of(metric),
            "arms": arms,
            "comparisons": comparisons(scores, control.label, _rules(exam)) if control is not None else (),
            "config": {**exam.config, "judge": told},
            "note": " ".join([*([exam.note] if exam.note else []), _note(judged, refusals)]),
        }
    )


def _not_judged(exam: ExamResult, told: Fields, stop: Stop) -> ExamResult:
    note = (
        f"NOT JUDGED: {stop.why}; the scores are those of before, "
        "and the judgements made so far are not paid for again."
    )
    config = {**exam.config, "judge": {**told, "stopped": stop.why}, "complete": False}
    config["stopped"] = exam.config.get("stopped") or stop.why
    config["stopped by"] = exam.config.get("stopped by") or stop.kind
    return exam.model_copy(update={"config": config, "note": f"{exam.note} {note}".strip()})


def _scored(arm: Arm, metric: Metric, before: str, pooled: bool) -> Arm:
    runs = tuple(run.model_copy(update={"scores": run_scores(run, metric)}) for run in arm.runs)
    former = {before: arm.figures["score"]} if "score" in arm.figures and before != metric.name else {}
    figures = {**arm.figures, **former, **arm_figures(runs, [metric], pooled)}
    kept = {name: figure for name, figure in figures.items() if not _by_letters(name)}
    return arm.model_copy(update={"runs": runs, "figures": kept})


def _by_letters(name: str) -> bool:
    """Tell the figures in which right means equal to the label, letter for letter; a page works them out anew."""
    return name in ("recovery", "after_wrong", "after_right") or name.endswith("per right answer")


def _own_data(exam: ExamResult) -> bool:
    """Tell whether the seeds have data of their own: their sequences are then more data, not repetitions."""
    first = next((arm.runs for arm in exam.arms if len(arm.runs) > 1), ())
    seen = [[(r.inputs, r.target) for r in run.result.records] for run in first]
    return any(other != seen[0] for other in seen[1:])


def _rules(exam: ExamResult) -> Rules:
    alpha, delay, by = (exam.config.get(*of) for of in (("alpha", 0.05), ("delay", 0), ("delay_by", "steps")))
    runs = exam.control.runs if exam.control is not None else ()
    return Rules(alpha=alpha, horizon=horizon(delay, str(by), runs))  # type: ignore[arg-type]


def _traces(arm: Arm) -> list[Trace]:
    return [trace for run in arm.runs for trace in run.result.traces]


def _refusals(exam: ExamResult, judged: Judged) -> dict[str, int]:
    keys = iter(judged.steps)
    found = {}
    for arm in exam.arms:
        said = [next(keys)[1] for trace in _traces(arm) for _ in trace.records]
        found[arm.label] = sum(key is not None and judged.judgements[key].score is None for key in said)
    return found


def _note(judged: Judged, refusals: dict[str, int]) -> str:
    counts, rubric = judged.counts, judged.rubric
    put = counts["scored"] + judged.refusals
    by_arm = ", ".join(f"{name} {number}" for name, number in refusals.items() if number)
    lacking = f", and gave no verdict on {judged.refusals} ({by_arm}), which are not scored" if by_arm else ""
    stand_in = " This judge is the stand-in: it only compares letters." if judged.model == EMBEDDED_MODEL else ""
    money = "" if judged.usd is None else f" and {judged.usd:.4g} USD"
    return (
        f"Scored after the walks by a judge ({judged.model}, {rubric.name}), which saw the truth and which no walk "
        f"saw: it was put {put:,} answers{lacking}. Its {judged.spent.calls:,} calls, {judged.spent.tokens:,} tokens"
        f"{money} stand apart from the costs of the arms; equal questions were asked once.{stand_in}"
    )
