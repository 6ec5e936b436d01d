"""Corpus-level figures counted by kinds against going through the steps: figures, intervals, tests, several seeds."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnprog.errors import ConfigurationError
from rnnprog.metrics import calibration, get_metric
from rnnprog.metrics.metric import Case
from rnnprog.metrics.score import Scores
from rnnprog.statistics import Rules, block_length, compare, interval, stationary_indices
from rnnprog.statistics.runs import aligned, grouped
from rnnprog.statistics.tallies import Tallies
from rnnprog.trace import StepRecord, Trace

LEVELS = (0.025, 0.975)


def macro_f1(cases: list[Case]) -> float:
    """The definition, step by step: what the counted figure must equal."""
    hits, answers, truths = Counter[Any](), Counter[Any](), Counter[Any]()
    for case in cases:
        truth = (case.target or {})["y"]
        truths[truth] += 1
        if case.prediction is not None:
            answers[case.prediction["y"]] += 1
            hits[case.prediction["y"]] += case.prediction["y"] == truth
    classes = {*truths, *answers}
    return sum(2 * hits[c] / (answers[c] + truths[c]) for c in classes) / len(classes) if classes else math.nan


def roc_auc(cases: list[Case]) -> float:
    belief = [(case.prediction or {}).get("y") for case in cases]
    came = [bool((case.target or {})["y"]) for case in cases]
    value: list[Any] = [(-1 if hit else 2) if p is None else p for p, hit in zip(belief, came, strict=True)]
    pairs = [(u, d) for u, a in zip(value, came, strict=True) if a for d, b in zip(value, came, strict=True) if not b]
    return sum((u > d) + (u == d) / 2 for u, d in pairs) / len(pairs) if pairs else math.nan


def ece(cases: list[Case]) -> float:
    records = [
        StepRecord(t=t, id=str(t), inputs={}, prediction=c.prediction, target=c.target) for t, c in enumerate(cases)
    ]
    table = calibration(Trace(sequence="a", records=tuple(records)), "y")
    total = sum(row.count for row in table)
    return sum(row.count * abs(row.stated - row.true) for row in table) / total if total else math.nan


SLOW = {"macro_f1[y]": macro_f1, "roc_auc[y]": roc_auc, "ece[y]": ece}


def scored(metric: str, sequences: int, steps: int, seed: int, skill: float = 0.5) -> Scores:
    rng, cases = np.random.default_rng(seed), []
    for s in range(sequences):
        for t in range(steps - s % 2):
            true = str(rng.choice(list("abc")))
            said: Any = true if rng.random() < skill else str(rng.choice(list("abcd")))
            target: Any = true
            if not metric.startswith("macro"):
                target = true == "a"
                said = round(float(np.clip(rng.normal(0.3 + 0.4 * target * skill, 0.2), 0, 1)), 2)
            cases.append(Case(str(s), t, None if rng.random() < 0.1 else {"y": said}, {"y": target}))
    found = get_metric(metric)
    values = np.array([found.of(case) or 0.0 for case in cases])
    return Scores(found, tuple(cases), values, np.zeros(len(cases), dtype=bool), 0)


cases_of = st.lists(st.tuples(st.sampled_from(["a", "b", "", None]), st.sampled_from(["a", "b", ""])), max_size=25)


@given(cases_of)
def test_macro_f1_counted_is_the_definition(pairs: list[tuple[Any, str]]) -> None:
    cases = [Case("a", t, None if said is None else {"y": said}, {"y": true}) for t, (said, true) in enumerate(pairs)]
    corpus = get_metric("macro_f1[y]").corpus
    assert corpus is not None
    assert corpus(cases) == pytest.approx(macro_f1(cases), abs=1e-12, nan_ok=True)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.95, 1.0, None]), st.booleans()), max_size=25))
def test_probabilities_counted_are_the_definition(pairs: list[tuple[Any, bool]]) -> None:
    cases = [Case("a", t, None if p is None else {"y": p}, {"y": came}) for t, (p, came) in enumerate(pairs)]
    for name in ("roc_auc[y]", "ece[y]"):
        corpus = get_metric(name).corpus
        assert corpus is not None
        assert corpus(cases) == pytest.approx(SLOW[name](cases), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("metric", SLOW)
def test_interval_over_sequences_equals_the_slow_form(metric: str) -> None:
    scores = scored(metric, 9, 8, 1)
    groups, rng = grouped(scores, "all"), np.random.default_rng(4)
    drawn = []
    for _ in range(60):
        picked = [groups[g] for g in rng.integers(0, 9, size=9)]
        drawn.append(SLOW[metric]([scores.cases[i] for index in picked for i in index]))
    found = interval(scores, resamples=60, seed=4)
    assert found.value == pytest.approx(SLOW[metric](list(scores.cases)), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(np.nanquantile(drawn, LEVELS)), abs=1e-12)


@pytest.mark.parametrize("metric", SLOW)
def test_interval_over_blocks_of_steps_equals_the_slow_form(metric: str) -> None:
    scores = scored(metric, 2, 40, 2)
    groups, rng = grouped(scores, "all"), np.random.default_rng(5)
    rows = [stationary_indices(len(g), block_length(scores.values[g]), 60, rng) for g in groups]
    drawn = [
        SLOW[metric]([scores.cases[i] for g, row in zip(groups, rows, strict=True) for i in g[row[r]]])
        for r in range(60)
    ]
    found = interval(scores, resamples=60, seed=5)
    assert (found.low, found.high) == pytest.approx(tuple(np.nanquantile(drawn, LEVELS)), abs=1e-12)


def slow_comparison(metric: str, control: list[Scores], arm: list[Scores], rounds: int) -> tuple[Any, ...]:
    """Swap and resample whole sequences, step by step, in all seeds alike: gain, interval and p-value."""
    both = aligned([*control, *arm])
    old, new = both[: len(control)], both[len(control) :]
    groups = grouped(both[0], "all")
    n, sign, rng = len(groups), get_metric(metric).sign, np.random.default_rng(0)

    def gain(of_control: list[tuple[int, bool]], of_arm: list[tuple[int, bool]]) -> float:
        gains = []
        for a, b in zip(old, new, strict=False):
            sides = [
                SLOW[metric]([(b if arms else a).cases[i] for g, arms in chosen for i in groups[g]])
                for chosen in (of_control, of_arm)
            ]
            gains.append(sign * (sides[1] - sides[0]))
        return float(np.mean(gains))

    measured = gain([(g, False) for g in range(n)], [(g, True) for g in range(n)])
    flips = rng.random((rounds, n)) < 0.5
    swapped = [
        gain([(g, bool(f)) for g, f in enumerate(row)], [(g, not f) for g, f in enumerate(row)]) for row in flips
    ]
    extreme = sum(abs(value) >= abs(measured) - 1e-12 for value in swapped)
    picks = [rng.integers(0, n, size=n).tolist() for _ in range(rounds)]
    drawn = [gain([(g, False) for g in picked], [(g, True) for g in picked]) for picked in picks]
    return measured, *np.quantile(drawn, LEVELS), (extreme + 1) / (rounds + 1)


@pytest.mark.parametrize("metric", SLOW)
@pytest.mark.parametrize("seeds", [(1, 1), (3, 3), (2, 3)])
def test_comparison_equals_the_slow_form(metric: str, seeds: tuple[int, int]) -> None:
    control = [scored(metric, 7, 6, 10 + s) for s in range(seeds[0])]
    arm = [scored(metric, 7, 6, 20 + s, 0.8) for s in range(seeds[1])]
    (found,) = compare(control, {"arm": arm}, rules=Rules(permutations=99))
    slow = slow_comparison(metric, control, arm, 99)
    assert (found.gain, found.low, found.high, found.p) == pytest.approx(slow, abs=1e-12)
    assert found.seeds == min(seeds)


def test_every_seed_counts_and_none_twice() -> None:
    runs = [scored("macro_f1[y]", 8, 10, seed) for seed in range(3)]
    each = [macro_f1(list(run.cases)) for run in runs]
    found = interval(runs)
    assert found.value == pytest.approx(np.mean(each))
    assert found.method == "bootstrap over sequences, mean of 3 seeds"
    assert found.n == 8
    one, thrice = interval(runs[0]), interval([runs[0]] * 3)
    assert (thrice.value, thrice.low, thrice.high) == pytest.approx((one.value, one.low, one.high))
    better = [replace(run) for run in runs[:1]] + [scored("macro_f1[y]", 8, 10, seed, 0.9) for seed in (1, 2)]
    (same_first,) = compare(runs, {"arm": better})
    assert same_first.gain == pytest.approx(np.mean([macro_f1(list(r.cases)) for r in better]) - np.mean(each))
    assert same_first.arm_score == pytest.approx(np.mean([macro_f1(list(r.cases)) for r in better]))
    assert same_first.gain is not None
    assert same_first.gain > 0.1


def test_averaging_seeds_narrows_the_interval_only_by_the_noise_of_the_seeds() -> None:
    runs = [scored("macro_f1[y]", 12, 10, seed) for seed in range(6)]
    widths = [(e.high or 0) - (e.low or 0) for e in (interval(runs[0]), interval(runs))]
    assert widths[1] < widths[0], "these seeds share nothing but their length, so that averaging helps"
    (one,) = compare([runs[0]] * 4, {"arm": [runs[1]] * 4})
    (alone,) = compare(runs[0], {"arm": runs[1]})
    assert (one.p, one.low, one.high) == (alone.p, alone.low, alone.high), "a seed repeated is no news"


def test_only_steps_that_every_seed_scored_are_averaged() -> None:
    full = [scored("accuracy", 7, 6, seed) for seed in range(2)]
    short = replace(full[1], cases=full[1].cases[:-3], values=full[1].values[:-3], failed=full[1].failed[:-3])
    found = interval([full[0], short])
    assert found.value == pytest.approx((full[0].values[:-3].mean() + short.values.mean()) / 2)


def test_a_corpus_that_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="give a Corpus"):
        replace(get_metric("accuracy"), corpus=len)  # type: ignore[arg-type]


def test_portions_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [scored("roc_auc[y]", 8, 10, seed) for seed in range(2)]
    whole = interval(runs), compare(runs[:1], {"arm": runs[1:]}, rules=Rules(permutations=200))[0]
    monkeypatch.setattr(Tallies, "portion", 7)
    assert (interval(runs), compare(runs[:1], {"arm": runs[1:]}, rules=Rules(permutations=200))[0]) == whole
