"""A search as plain JSON, for a report that runs no model and knows no study."""

from __future__ import annotations

import bisect
import json
from pathlib import Path
from typing import Any, NamedTuple

import dspy
import optuna
from optuna.trial import TrialState

from rnnprog.folder import put_file
from rnnprog.metrics import Metric
from rnnprog.optimizers.board import refused_proposals
from rnnprog.optimizers.differences import text_diff
from rnnprog.optimizers.journal import JOURNAL
from rnnprog.optimizers.ledger import StudyLedger
from rnnprog.optimizers.marks import AGAIN, CANDIDATE, DUPLICATE, PRUNED_AFTER, RETRY
from rnnprog.optimizers.objective import MEASURES, Objective
from rnnprog.optimizers.options import BASE
from rnnprog.optimizers.ranking import front, ranked
from rnnprog.optimizers.space import Space, phases_of
from rnnprog.optimizers.storage import StorageLike, open_storage
from rnnprog.optimizers.tally import tally

__all__ = ["about", "keep_about", "record_as_it_stands", "record_of", "write_record"]

FORMAT = 2
_ABOUT = "rnnprog:about"
_LEAST_TRIALS = 5  # below this many a share of variance means nothing
_FEW = 6  # different numbers that count as choices; more are a range
_EQUAL = 1e-9  # scores that differ by less differ by rounding


def about(
    objective: Objective,
    sequences: list[str] | None = None,
    student: dspy.Module | None = None,
    space: Space | None = None,
) -> dict[str, Any]:
    """Return what a record tells besides its study's trials, as JSON; see :func:`record_of` for the arguments."""
    phases = phases_of(student) if student is not None else {}
    return {
        "objective": objective.describe(),
        "turned": isinstance(objective.metric, Metric) and objective.metric.sign < 0,
        "sequences": sequences or [],
        "texts": {phase: predictor.signature.instructions for phase, predictor in phases.items()},
        "given": [o.model_dump(mode="json") for o in (space.start().options if space else ()) if o.label != BASE],
    }


def keep_about(study: optuna.Study, told: dict[str, Any]) -> None:
    """Write into a study what a record tells besides it, so that one can be made from the study alone."""
    if _ABOUT not in study._storage.get_study_system_attrs(study._study_id):
        study._storage.set_study_system_attr(study._study_id, _ABOUT, told)


def record_as_it_stands(where: StorageLike, folder: Path, name: str) -> dict[str, Any] | None:
    """Return a search that is running, was killed or is over, as JSON; ``None`` if there is none of that name.

    Args:
        where: its storage.
        folder: where its journal is by default.
        name: of the study.
    """
    if where == "memory" or (where is None and not (folder / JOURNAL).is_file()):
        return None
    try:
        study = optuna.load_study(storage=open_storage(where, folder), study_name=name)
    except KeyError:
        return None
    told = study._storage.get_study_system_attrs(study._study_id).get(_ABOUT)
    return None if told is None else _record(study, told)


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
    return _record(study, about(objective, sequences, student, space))


class _Judged(NamedTuple):
    objectives: tuple[str, ...]


def _record(study: optuna.Study, told: dict[str, Any]) -> dict[str, Any]:
    judged = _Judged(tuple(told["objective"]["objectives"]))
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
    best = ranked(trials, judged)
    return {
        "format": FORMAT,
        "study": study.study_name,
        "objective": told["objective"],
        "turned": told["turned"],
        "directions": [MEASURES[name] for name in judged.objectives],
        "trials": [
            {**_trial(trial), "paid": by_trial.get(trial.number, {"calls": 0, "tokens": 0})} for trial in trials
        ],
        "tally": tally(trials).model_dump(),
        "options": _options(study, told),
        "sequences": told["sequences"],
        "rejected": refused_proposals(study),
        "spent": spent,
        "best": best[0].number if best else None,
        "front": [trial.number for trial in front(study, judged)] if len(judged.objectives) > 1 else [],
        "importance": _importance(trials),
    }


def write_record(record: dict[str, Any], path: str | Path) -> Path:
    """Write a record, replacing an older one in one move."""
    return put_file(path, [json.dumps(record, ensure_ascii=False, indent=1)], errors="replace")


def _options(study: optuna.Study, told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all options but the student's, each instruction with what it changes in the one it came from."""
    options = [dict(option) for option in told["given"]]
    options += [dict(v) for k, v in sorted(study.user_attrs.items()) if k.startswith("option:")]
    texts = {(option["part"], option["label"]): option["value"] for option in options}
    texts.update({(f"{phase}.instruction", BASE): text for phase, text in told["texts"].items()})
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

    For each part: epsilon squared, the variance between the means of its choices over the total, less what as many
    choices without any effect would show. Ranges are cut into quarters. Parts overlap, so shares need not add up to
    one; with few trials for a choice they are rough, with one for each there is none. Optuna's own measures need
    scikit-learn.
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
    if max(scores) - min(scores) < _EQUAL:
        return {}
    shares: dict[str, float] = {}
    for name in sorted({name for trial in done for name in trial.params}):
        asked = [(trial, score) for trial, score in zip(done, scores, strict=True) if name in trial.params]
        choices = _in_quarters([trial.params[name] for trial, _ in asked])
        found = _share(choices, [score for _, score in asked])
        if found is not None:
            shares[name] = found
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


def _in_quarters(values: list[Any]) -> list[Any]:
    """Return to which quarter each of many numbers belongs; other choices as they are."""
    numbers = sorted(value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool))
    if len(numbers) < len(values) or len(set(numbers)) <= _FEW:
        return values
    return [4 * bisect.bisect_left(numbers, value) // len(numbers) for value in values]


def _share(choices: list[Any], scores: list[float]) -> float | None:
    groups: dict[Any, list[float]] = {}
    for choice, score in zip(choices, scores, strict=True):
        groups.setdefault(choice, []).append(score)
    mean, free = sum(scores) / len(scores), len(scores) - len(groups)
    total = sum((score - mean) ** 2 for score in scores)
    between = sum(len(group) * (sum(group) / len(group) - mean) ** 2 for group in groups.values())
    if len(groups) < 2 or free < 1 or max(scores) - min(scores) < _EQUAL:
        return None
    return round(min(1.0, max(0.0, (between - (len(groups) - 1) * (total - between) / free) / total)), 4)
