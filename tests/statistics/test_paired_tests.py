"""Tests against closed forms, other implementations and hand-worked numbers; their level and power by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from rnnprog.errors import ConfigurationError
from rnnprog.statistics import corrected, diebold_mariano, mcnemar, paired_permutation, wilcoxon
from rnnprog.statistics.correction import Correction

ROUNDS = 400


def most_false_positives(rounds: int, level: float = 0.05) -> int:
    """The count that a test of exactly this level exceeds once in a thousand times."""
    return int(stats.binom.isf(0.001, rounds, level))


@pytest.mark.parametrize("seed", range(20))
def test_mcnemar_equals_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    a, b = rng.uniform(size=n) < 0.6, rng.uniform(size=n) < 0.7
    table = [[int((a & b).sum()), int((a & ~b).sum())], [int((~a & b).sum()), int((~a & ~b).sum())]]
    assert mcnemar(a, b).p == pytest.approx(reference_mcnemar(table, exact=True).pvalue)


def test_mcnemar_of_equal_arms_and_of_nothing() -> None:
    assert mcnemar([1, 0, 1], [1, 0, 1]).p == 1.0
    assert mcnemar([], []).p == 1.0
    with pytest.raises(ConfigurationError, match="2 of the control, 3 of the arm"):
        mcnemar([1, 0], [1, 0, 1])


def test_diebold_mariano_one_step_ahead_is_the_t_test() -> None:
    d = np.random.default_rng(1).normal(0.3, 1.0, size=30)
    found, reference = diebold_mariano(d), stats.ttest_1samp(d, 0.0)
    assert found.statistic == pytest.approx(reference.statistic)
    assert found.p == pytest.approx(reference.pvalue)
    assert found.error == pytest.approx(d.std(ddof=1) / math.sqrt(30))


def test_diebold_mariano_by_hand_two_steps_ahead() -> None:
    # d = 1 3 2 4 0 2, mean 2, deviations -1 1 0 2 -2 0: g0 = 10/6, g1 = (-1 + 0 + 0 - 4 + 0)/6 = -5/6,
    # so g0 + 2 g1 = 0 has no positive variance; with deviations 1 1 -1 -1 1 -1 (d = 3 3 1 1 3 1): g0 = 1,
    # g1 = (1 - 1 + 1 - 1 - 1)/6 = -1/6, variance 2/3, error sqrt(2/3/6) = 1/3, statistic 2/(1/3) = 6,
    # factor sqrt((6 + 1 - 4 + 2/6)/6) = sqrt(5/9); corrected statistic 6 sqrt(5)/3.
    found = diebold_mariano([3.0, 3.0, 1.0, 1.0, 3.0, 1.0], horizon=2)
    assert found.statistic == pytest.approx(2 * math.sqrt(5))
    assert found.p == pytest.approx(2 * stats.t.sf(2 * math.sqrt(5), df=5))
    fallback = diebold_mariano([1.0, 3.0, 2.0, 4.0, 0.0, 2.0], horizon=2)
    tapered = 10 / 6 - 5 / 6  # Bartlett weight 1/2 at lag 1
    factor = math.sqrt((6 + 1 - 4 + 2 / 6) / 6)
    assert fallback.statistic == pytest.approx(factor * 2 / math.sqrt(tapered / 6))


def test_diebold_mariano_of_differences_that_never_vary() -> None:
    assert diebold_mariano([0.0] * 9).p == 1.0
    assert math.isnan(diebold_mariano([0.2] * 9).p)
    with pytest.raises(ConfigurationError, match="horizon = 9"):
        diebold_mariano([0.0, 1.0, 2.0], horizon=9)


def test_exact_permutation_by_hand() -> None:
    # Eight ways to flip (1, 2, 3); the mean is as far from zero as measured in two of them.
    assert paired_permutation([1.0, 2.0, 3.0]).p == pytest.approx(2 / 8)
    assert paired_permutation([0.0, 0.0]).p == 1.0
    assert paired_permutation([5.0]).p == 1.0
    assert math.isnan(paired_permutation([]).p)


def test_random_flips_are_seeded() -> None:
    d = np.random.default_rng(0).normal(0.2, 1, size=40)
    assert paired_permutation(d, seed=1).p == paired_permutation(d, seed=1).p
    assert paired_permutation(d, seed=1).p == pytest.approx(paired_permutation(d, seed=2).p, abs=0.02)


def test_wilcoxon_by_hand() -> None:
    # All of 1..6 positive: 2 of the 64 sign patterns are as extreme.
    assert wilcoxon([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).p == pytest.approx(2 / 64)
    assert wilcoxon([0.0, 0.0]).p == 1.0
    assert math.isnan(wilcoxon([]).p)


Draw = Callable[[np.random.Generator, float], float]


def by_wilcoxon(rng: np.random.Generator, effect: float) -> float:
    return wilcoxon(rng.normal(effect, 1.0, size=24)).p


def by_permutation(rng: np.random.Generator, effect: float) -> float:
    # Skewed and tied, as differences of small shares are.
    d = (rng.binomial(10, 0.5, size=24) - rng.binomial(10, 0.5, size=24)) / 10 + effect * 0.22
    return paired_permutation(d, resamples=499, seed=int(rng.integers(1 << 30))).p


def by_mcnemar(rng: np.random.Generator, effect: float) -> float:
    a, b = rng.uniform(size=120) < 0.5, rng.uniform(size=120) < 0.5 + 0.35 * effect
    return mcnemar(a, b).p


def by_diebold_mariano(rng: np.random.Generator, effect: float) -> float:
    noise = rng.normal(size=122)
    return diebold_mariano(noise[:-2] + noise[1:-1] + noise[2:] + effect, horizon=3).p


@pytest.mark.parametrize("draw", [by_wilcoxon, by_permutation, by_mcnemar])
def test_level_and_power(draw: Draw) -> None:
    rng = np.random.default_rng(20)
    false = sum(draw(rng, 0.0) <= 0.05 for _ in range(ROUNDS))
    assert false <= most_false_positives(ROUNDS)
    assert sum(draw(rng, 0.8) <= 0.05 for _ in range(100)) >= 80


def test_diebold_mariano_keeps_its_level_where_the_t_test_does_not() -> None:
    rng = np.random.default_rng(21)
    false = sum(by_diebold_mariano(rng, 0.0) <= 0.05 for _ in range(ROUNDS))
    # Its variance is estimated from few lags, so a little above the level is known and accepted: 8 % at most.
    assert false <= most_false_positives(ROUNDS, 0.08)
    assert sum(by_diebold_mariano(rng, 0.9) <= 0.05 for _ in range(100)) >= 80
    noise = rng.normal(size=(ROUNDS, 122))
    naive = stats.ttest_1samp(noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:], 0.0, axis=1).pvalue
    assert (naive <= 0.05).sum() > most_false_positives(ROUNDS, 0.08)


def test_holm_by_hand_keeps_order_and_leaves_out_what_was_not_tested() -> None:
    assert corrected([0.01, math.nan, 0.04, 0.03])[0] == pytest.approx(0.03)
    assert math.isnan(corrected([0.01, math.nan, 0.04, 0.03])[1])
    assert corrected([0.01, math.nan, 0.04, 0.03])[2:] == pytest.approx([0.06, 0.06])
    assert corrected([0.01, 0.02, 0.03], "benjamini-hochberg") == pytest.approx([0.03, 0.03, 0.03])
    assert corrected([0.9, 0.8], "holm") == [1.0, 1.0]
    assert corrected([0.5], "none") == [0.5]
    assert corrected([]) == []
    with pytest.raises(ConfigurationError, match="unknown correction"):
        corrected([0.5], "bonferoni")  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "theirs"), [("holm", "holm"), ("benjamini-hochberg", "fdr_bh")])
def test_corrections_equal_statsmodels(method: Correction, theirs: str) -> None:
    for p in ([0.2], [0.01, 0.04, 0.03, 0.04], np.random.default_rng(0).uniform(size=12).tolist(), [0.9, 0.5]):
        assert corrected(p, method) == pytest.approx(multipletests(p, method=theirs)[1].tolist())


@pytest.mark.parametrize("seed", range(5))
def test_holm_finds_anything_only_if_the_smallest_p_passes_bonferroni(seed: int) -> None:
    # Hence its familywise level: under the null P(min p <= alpha / m) <= alpha.
    p = np.random.default_rng(seed).uniform(size=9).tolist()
    assert min(corrected(p)) == pytest.approx(min(1.0, 9 * min(p)))
    assert all(new >= old for new, old in zip(corrected(p), p, strict=True))
