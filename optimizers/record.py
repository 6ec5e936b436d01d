"""A search as plain JSON, for a report that runs no model and knows no study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import optuna
from optuna.trial import TrialState

from rnnprog.metrics import Metric
from rnnprog.optimizers.board import refused_proposals
from rnnprog.optimizers.differences import text_diff
from rnnprog.optimizers.ledger import StudyLedger
from rnnprog.optimizers.marks import AGAIN, CANDIDATE, DUPLICATE, PRUNED_AFTER, RETRY
from rnnprog.optimizers.objective import MEASURES, Objective
from rnnprog.optimizers.options import BASE
from rnnprog.optimizers.ranking import front, ranked
from rnnprog.optimizers.space import Space, phases_of
from rnnprog.optimizers.tally import tally

__all__ = ["record_of", "write_record"]

FORMAT = 2
_LEAST_TRIALS = 5  # below this many a share of variance means nothing


def record_of(
    study: optuna.Study,
    objective: Objective,
    sequences: list[str] | None = None,
    student: dspy.Module | None = None,
    space: Space | None = None,
) -> dict[str, Any]:
    """Return a study as JSON: trials with scores by sequence, options with lineage, the ledger's sums, the front.

    Args:
        study: the study.
        objective: what it was judged by.
        sequences: ids of the sequences, in the order of the steps that trials report.
        student: the program that the options are laid over, for telling what each option changes in it.
        space: has the user's own options.
    """
    trials = study.get_trials(deepcopy=False)
    ledger = StudyLedger(study).refresh(trials)
    by_trial: dict[int, dict[str, int]] = {}
    for entry in ledger.entries:
        if entry.trial >= 0:
            paid = by_trial.setdefault(entry.trial, {"calls": 0, "tokens": 0})
            paid["calls"] += entry.calls
            paid["tokens"] += entry.tokens
    spent: dict[str, dict[str, float]] = {}
    for entry in ledger.entries:
        row = spent.setdefault(entry.kind, {"entries": 0, "calls": 0, "tokens": 0, "money": 0.0})
        row["entries"] += 1
        row["calls"] += entry.calls
        row["tokens"] += entry.tokens
        row["money"] += entry.money or 0.0
    best = ranked(trials, objective)
    return {
        "format": FORMAT,
        "study": study.study_name,
        "objective": objective.describe(),
        "turned": isinstance(objective.metric, Metric) and objective.metric.sign < 0,
        "directions": [MEASURES[name] for name in objective.objectives],
        "trials": [
            {**_trial(trial), "paid": by_trial.get(trial.number, {"calls": 0, "tokens": 0})} for trial in trials
        ],
        "tally": tally(trials).model_dump(),
        "options": _options(study, student, space),
        "sequences": sequences or [],
        "rejected": refused_proposals(study),
        "spent": spent,
        "best": best[0].number if best else None,
        "front": [trial.number for trial in front(study, objective)] if len(objective.objectives) > 1 else [],
        "importance": _importance(trials),
    }


def write_record(record: dict[str, Any], path: str | Path) -> Path:
    """Write a record, replacing an older one in one move."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
    partial.replace(path)
    return path


def _options(study: optuna.Study, student: dspy.Module | None, space: Space | None) -> list[dict[str, Any]]:
    """Return all options but the student's, each instruction with what it changes in the one it came from."""
    given = space.start().options if space is not None else ()
    options = [option.model_dump(mode="json") for option in given if option.label != BASE]
    options += [dict(v) for k, v in sorted(study.user_attrs.items()) if k.startswith("option:")]
    texts = {(option["part"], option["label"]): option["value"] for option in options}
    for phase, predictor in (phases_of(student) if student is not None else {}).items():
        texts[f"{phase}.instruction", BASE] = predictor.signature.instructions
    for option in options:
        parent = texts.get((option["part"], (option["parents"] or [BASE])[0]))
        if isinstance(parent, str) and isinstance(option["value"], str):
            option["diff"] = text_diff(parent, option["value"])
    return options


def _trial(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    attributes = trial.user_attrs
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "params": dict(trial.params),
        "values": trial.values,
        "measures": attributes.get("measures", {}),
        "by_sequence": {str(step): value for step, value in sorted(trial.intermediate_values.items())},
        "pruned_after": attributes.get(PRUNED_AFTER),
        "continues": attributes.get(AGAIN),
        "same_as": attributes.get(DUPLICATE),
        "retry_of": attributes.get(RETRY),
        "error": attributes.get("error", ""),
        "constraints": dict(getattr(trial, "constraints", {}) or {}),
        "candidate": trial.system_attrs.get(CANDIDATE, {}),
    }


def _importance(trials: list[optuna.trial.FrozenTrial]) -> dict[str, float]:
    """Return the share of the score's variance that each part explains by itself, between trials.

    For each part: the variance between the means of its choices, over the total. Parts overlap, so shares need not add
    up to one; with few trials for a choice they are rough. Optuna's own measures need scikit-learn.
    """
    continued = {trial.user_attrs.get(AGAIN) for trial in trials if trial.state == TrialState.COMPLETE}
    done = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE
        and "measures" in trial.user_attrs
        and DUPLICATE not in trial.user_attrs
        and trial.number not in continued
    ]
    scores = [float(trial.values[0]) for trial in done]
    if len(scores) < _LEAST_TRIALS:
        return {}
    mean = sum(scores) / len(scores)
    total = sum((score - mean) ** 2 for score in scores)
    shares: dict[str, float] = {}
    for name in sorted({name for trial in done for name in trial.params}):
        groups: dict[Any, list[float]] = {}
        for trial, score in zip(done, scores, strict=True):
            if name in trial.params:
                groups.setdefault(trial.params[name], []).append(score)
        between = sum(len(group) * (sum(group) / len(group) - mean) ** 2 for group in groups.values())
        if len(groups) > 1 and total > 0:
            shares[name] = round(min(1.0, between / total), 4)
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))
