"""The exam's question: is an arm better than the control, on the same steps?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rnnprog.statistics.choose import Choice, choose_test
from rnnprog.statistics.comparison import Comparison
from rnnprog.statistics.correction import Correction, corrected
from rnnprog.statistics.interval import mean_interval
from rnnprog.statistics.paired import TestResult, diebold_mariano, mcnemar, paired_permutation, wilcoxon
from rnnprog.statistics.pairing import Pair, pair_up
from rnnprog.statistics.power import (
    PERMUTATION_EFFICIENCY,
    WILCOXON_EFFICIENCY,
    detectable_by_error,
    detectable_by_mcnemar,
    detectable_by_sequences,
)
from rnnprog.statistics.runs import Arm, Where, runs_of
from rnnprog.statistics.tallies import draws, portions, tallied

__all__ = ["Arm", "Rules", "compare"]

_MOST_SWAPS = 20_000_000


@dataclass(frozen=True)
class Rules:
    """How comparisons are made; set before looking at the data.

    Attributes:
        where: ``"all"`` steps or the ``"last"`` of each sequence.
        alpha: two-sided level of the tests; intervals cover ``1 - alpha``.
        power: probability behind the smallest detectable difference.
        correction: for the number of arms compared.
        horizon: how many steps ahead was predicted; with delayed feedback the delay plus 1.
        permutations: random flips of a permutation test; for a corpus-level metric also resamples of the interval, and
            of more than a thousand sequences fewer, down to a twentieth.
        resamples: of the bootstrap behind an interval.
        seed: of bootstrap and permutation.
    """

    where: Where = "all"
    alpha: float = 0.05
    power: float = 0.8
    correction: Correction = "holm"
    horizon: int = 1
    permutations: int = 9_999
    resamples: int = 2_000
    seed: int = 0


def compare(
    control: Arm, arms: Mapping[str, Arm], control_name: str = "control", rules: Rules | None = None
) -> list[Comparison]:
    """Compare every arm with the control, step by step on the steps that both scored.

    Several runs of an arm are averaged first: more seeds make a figure steadier, they are not more data. What is
    averaged are the scores of each step, or, for a corpus-level metric, the figures of the runs, seed by seed paired
    with the control's; where the control has fewer seeds than the arm, or more, as many as both have.
    The test is chosen by :func:`rnnprog.statistics.choose_test`; the comparison carries its reason.

    Args:
        control: scores of the control.
        arms: scores by name of the arm, under the same metric.
        control_name: name of the control, for the reader.
        rules: how to compare.

    Raises:
        ConfigurationError: the scores are of different metrics, or there is no run.
    """
    rules = rules or Rules()
    pairs = {
        name: pair_up(runs_of(control, control_name), runs_of(arm, name), rules.where) for name, arm in arms.items()
    }
    results = {name: _test(pair, rules, max(len(arms), 1)) for name, pair in pairs.items()}
    adjusted = corrected([result.test.p for result in results.values()], rules.correction)
    tested = sum(not math.isnan(p) for p in adjusted)
    return [
        _comparison(name, control_name, pairs[name], results[name], p, tested, rules)
        for name, p in zip(arms, adjusted, strict=True)
    ]


@dataclass(frozen=True)
class _Tested:
    choice: Choice
    test: TestResult
    gain: float
    low: float
    high: float
    detectable: float


def _test(pair: Pair, rules: Rules, comparisons: int) -> _Tested:
    steps = pair.differences
    finite = all(np.isfinite(d).all() for d in steps)
    if not steps or not finite:
        why = "no step was scored in both arms" if not steps else "an arm without a single usable answer has no score"
        nothing = TestResult("none", math.nan, math.nan, len(steps))
        return _Tested(Choice("none", "steps", why), nothing, math.nan, math.nan, math.nan, math.nan)
    shares = pair.metric.unit == "share" and bool(np.isin(np.concatenate(pair.old + pair.new), (0.0, 1.0)).all())
    choice = choose_test(steps, shares, pair.metric.corpus is not None)
    alpha = rules.alpha / comparisons if rules.correction == "holm" else rules.alpha
    if choice.test == "corpus permutation" or (choice.test == "none" and pair.metric.corpus is not None):
        return _corpus_test(pair, choice, rules, alpha)
    over_sequences = choice.unit == "sequences"
    d = np.array([x.mean() for x in steps]) if over_sequences else np.concatenate(steps)
    test, detectable = _run_test(choice, pair, d, rules, alpha)
    low, high = mean_interval(d, choice.unit, 1 - rules.alpha, rules.resamples, rules.seed)
    return _Tested(choice, test, float(d.mean()), low, high, detectable)


def _run_test(choice: Choice, pair: Pair, d: np.ndarray, rules: Rules, alpha: float) -> tuple[TestResult, float]:
    if choice.test == "mcnemar":
        old, new = np.concatenate(pair.old), np.concatenate(pair.new)
        detectable = detectable_by_mcnemar(float(np.mean(old != new)), len(old), alpha, rules.power)
        up = pair.metric.sign > 0
        return mcnemar(old if up else 1 - old, new if up else 1 - new), detectable
    if choice.test == "wilcoxon":
        return wilcoxon(d), detectable_by_sequences(d, alpha, rules.power, WILCOXON_EFFICIENCY)
    if choice.test == "paired permutation":
        found = paired_permutation(d, rules.permutations, rules.seed)
        return found, detectable_by_sequences(d, alpha, rules.power, PERMUTATION_EFFICIENCY)
    if choice.test == "diebold-mariano":
        # Memory makes neighbouring differences alike beyond the horizon, so the variance looks further back.
        reach = max(rules.horizon, math.floor(len(d) ** (1 / 3)) + 1)
        found = diebold_mariano(d, min(reach, len(d) - 1), kernel="bartlett")
        return found, detectable_by_error(found.error, len(d) - 1, alpha, rules.power)
    return TestResult("none", math.nan, math.nan, len(d)), math.nan


def _corpus_test(pair: Pair, choice: Choice, rules: Rules, alpha: float) -> _Tested:
    corpus, sign, n = pair.metric.corpus, pair.metric.sign, len(pair.old)
    assert corpus is not None
    rng = np.random.default_rng(rules.seed)
    tallies = [tallied(corpus, [*old, *new]) for old, new in pair.runs]

    def gains(arm: np.ndarray) -> np.ndarray:
        """Mean gain over the seeds where the arm is made of these sequences, and the control of the opposite ones."""
        control = np.roll(arm, n, axis=1)
        return np.asarray(sign * np.mean([t.of_groups(arm) - t.of_groups(control) for t in tallies], axis=0))

    measured = float(gains(np.repeat([[0.0, 1.0]], n, axis=1))[0])
    if choice.test == "none":
        test = TestResult("none", math.nan, math.nan, n)
        return _Tested(choice, test, measured, math.nan, math.nan, math.nan)
    rounds = max(min(rules.permutations, _MOST_SWAPS // (2 * n)), rules.permutations // 20, 99)
    sizes = list(portions(rounds, min(tally.portion for tally in tallies)))
    flips = (rng.random((rows, n)) < 0.5 for rows in sizes)
    swapped = np.concatenate([gains(np.hstack([flip, ~flip]).astype(float)) for flip in flips])
    extreme = int((np.abs(swapped) >= abs(measured) - 1e-12).sum())
    picked = (draws(rows, n, rng) for rows in sizes)
    drawn = np.concatenate([gains(np.hstack([np.zeros_like(pick), pick])) for pick in picked])
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [rules.alpha / 2, 1 - rules.alpha / 2]) if len(drawn) else (math.nan, math.nan)
    test = TestResult("paired permutation", measured, (extreme + 1) / (rounds + 1), n, float(np.std(drawn)))
    detectable = float((stats.norm.isf(alpha / 2) + stats.norm.isf(1 - rules.power)) * test.error)
    return _Tested(choice, test, measured, float(low), float(high), detectable or math.nan)


def _comparison(
    name: str, control: str, pair: Pair, tested: _Tested, p: float, comparisons: int, rules: Rules
) -> Comparison:
    over = tested.choice.unit == "sequences"
    corpus = pair.metric.corpus

    def side(values: list[np.ndarray], which: int) -> float:
        if not values:
            return math.nan
        if corpus is not None:
            return float(np.mean([corpus(case for group in run[which] for case in group) for run in pair.runs]))
        return float(np.mean([v.mean() for v in values]) if over else np.concatenate(values).mean())

    return Comparison(
        arm=name,
        control=control,
        metric=pair.metric.name,
        better=pair.metric.better,
        arm_score=_known(side(pair.new, 1)),
        control_score=_known(side(pair.old, 0)),
        gain=_known(tested.gain),
        low=_known(tested.low),
        high=_known(tested.high),
        level=1 - rules.alpha,
        p=_known(tested.test.p),
        p_corrected=_known(p),
        correction=rules.correction,
        comparisons=comparisons,
        test=tested.test.test,
        reason=tested.choice.reason,
        unit=tested.choice.unit,
        n=tested.test.n,
        unpaired=pair.unpaired,
        alpha=rules.alpha,
        detectable=_known(tested.detectable),
        power=rules.power,
        seeds=pair.seeds,
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
