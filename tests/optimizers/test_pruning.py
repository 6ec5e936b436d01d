from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rnnprog.errors import ConfigurationError
from rnnprog.optimizers.futility import Statistic, look_bounds, rank_bounds, signed_rank_z
from rnnprog.optimizers.halving import HalvingPruner
from rnnprog.optimizers.marks import PRUNED_AFTER
from rnnprog.optimizers.pruning import PairedPruner, make_pruner
from rnnprog.optimizers.second_chance import second_chance


def test_look_bounds_hold_the_error_of_correlated_looks() -> None:
    looks = range(3, 24)
    bounds = look_bounds(0.1, tuple(n / 24 for n in looks))
    sums = np.cumsum(np.random.default_rng(1).normal(size=(200_000, 24)), axis=1)
    crossed = np.zeros(len(sums), dtype=bool)
    for n, bound in zip(looks, bounds, strict=True):
        crossed |= sums[:, n - 1] / math.sqrt(n) > bound
    assert crossed.mean() == pytest.approx(0.1 * math.log1p((math.e - 1) * 23 / 24), abs=0.003)


def test_look_bounds_for_one_look_are_the_normal_ones() -> None:
    assert look_bounds(0.05, (1.0,))[0] == pytest.approx(stats.norm.isf(0.05), abs=0.01)


def prunes(
    pruner: optuna.pruners.BasePruner, best: np.ndarray, mine: np.ndarray, order: np.ndarray, before: Any = ()
) -> int | None:
    """Return after how many sequences a candidate was ended next to a finished best one, and to poorer ones before."""
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for scores in (best, *before):
        values = {i: float(v) for i, v in enumerate(scores)}
        study.add_trial(optuna.trial.create_trial(values=[float(scores.mean())], intermediate_values=values))
    trial = study.ask()
    for seen, step in enumerate(order, start=1):
        trial.report(float(mine[step]), int(step))
        if trial.should_prune():
            return seen
    return None


RUNS = 4000
SPREADS: dict[str, Any] = {
    "normal": lambda random, size: random.normal(size=size),
    "heavy tails": lambda random, size: random.standard_t(3, size=size) / math.sqrt(3),
    "shares": lambda random, size: (
        (random.binomial(5, 0.6, size=size) - random.binomial(5, 0.6, size=size)) / 5 / math.sqrt(0.096)
    ),
    "points": lambda random, size: random.choice([1.0, -1.0, 0.0], p=[0.3414, 0.0586, 0.6], size=size) / 0.5657 - 0.5,
    "few gain": lambda random, size: ((random.random(size) < 0.2) - 0.2) / 0.4,
    "few lose": lambda random, size: (0.2 - (random.random(size) < 0.2)) / 0.4,
}
"""Differences with mean 0 (points: at a candidate better by half a standard deviation) and standard deviation 1."""
WRONGLY_ENDED = {
    "mean": {"normal": 0.1, "heavy tails": 0.1, "shares": 0.1, "points": 0.12, "few gain": 0.1, "few lose": 0.12},
    "signed-rank": {
        "normal": 0.1,
        "heavy tails": 0.1,
        "shares": 0.1,
        "points": 0.2,
        "few gain": 0.39,
        "few lose": 0.1,
    },
}
"""At most, with 8 sequences and with 24: the table in PairedPruner."""


@functools.cache
def ended(statistic: Statistic | None, spread: str, effect: float, n: int) -> tuple[float, float]:
    """Return how often candidates with this effect are ended, and the mean number of sequences they see.

    No statistic stands for the pruner that a search takes by name.
    """
    random = np.random.default_rng(7)
    named = make_pruner("paired", n) if statistic is None else PairedPruner(n, statistic=statistic)
    pruner = named if isinstance(named, PairedPruner) else pytest.fail("'paired' is a PairedPruner")
    draw = SPREADS[spread]
    mine = draw(random, (RUNS, n)) + effect
    usual = (draw(random, (RUNS, n)).var(axis=1, ddof=1) + draw(random, (RUNS, n)).var(axis=1, ddof=1)) / 2
    seen = np.full(RUNS, n)
    for look in reversed(pruner.looks):
        seen[pruner.hopeless(mine[:, :look], usual)] = look
    return float(np.mean(seen < n)), float(np.mean(seen))


@pytest.mark.parametrize("n", [8, 24])
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("statistic", ["mean", "signed-rank"])
def test_a_candidate_worth_finding_is_ended_at_the_stated_rate_at_most(
    statistic: Statistic, spread: str, n: int
) -> None:
    stated = WRONGLY_ENDED[statistic][spread]
    assert ended(statistic, spread, 0.5, n)[0] <= stats.binom.ppf(0.999, RUNS, stated) / RUNS
    if spread == "normal":
        assert ended(statistic, spread, 1.0, n)[0] <= 0.03


@pytest.mark.parametrize(("n", "equal"), [(8, (0.59, 0.72)), (24, (0.75, 0.83))])
def test_what_a_search_takes_by_name_ends_as_documented(n: int, equal: tuple[float, float]) -> None:
    for spread in SPREADS:
        assert ended(None, spread, 0.6, n)[0] <= 0.2
        assert equal[0] - 0.03 <= ended(None, spread, 0.0, n)[0] <= equal[1] + 0.03
        rate, seen = ended(None, spread, -0.5, n)
        assert rate >= 0.92
        assert seen < 5


@pytest.mark.parametrize("statistic", ["mean", "signed-rank"])
def test_equal_and_worse_candidates_are_ended_as_documented(statistic: Statistic) -> None:
    equal, worse, sees = {"mean": (0.71, 0.99, 5.8), "signed-rank": (0.67, 0.99, 8.1)}[statistic]
    assert ended(statistic, "normal", 0.0, 24)[0] == pytest.approx(equal, abs=0.03)
    rate, seen = ended(statistic, "normal", -0.5, 24)
    assert rate > worse
    assert seen == pytest.approx(sees, abs=0.3)


@pytest.mark.parametrize("statistic", ["mean", "signed-rank"])
def test_a_study_ends_the_candidates_that_the_test_ends(statistic: Statistic) -> None:
    """From the trials of a study, in a random order of sequences, whose difficulty hides what candidates differ by."""
    random = np.random.default_rng(100)
    pruner = PairedPruner(12, statistic=statistic)
    lost = 0
    for _ in range(40):
        best = random.uniform(0.0, 1.0, size=12)
        poorer = [best + random.normal(-0.1, 0.1, size=12) for _ in range(2)]
        mine, order = best + random.normal(0.0, 0.1, size=12), random.permutation(12)
        usual = float(np.mean([np.var(scores - best, ddof=1) for scores in poorer]))
        expected = next((n for n in pruner.looks if pruner.hopeless((mine - best)[np.sort(order[:n])], usual)), None)
        assert prunes(pruner, best, mine, order, poorer) == expected
        lost += expected is not None
    assert 5 < lost < 35


def test_bounds_on_ranks_hold_the_error_over_all_looks_with_few_sequences() -> None:
    looks = tuple(range(3, 8))
    bounds = rank_bounds(0.1, looks, 8)
    drawn = np.random.default_rng(2).laplace(size=(20_000, 7))
    crossed = np.zeros(len(drawn), dtype=bool)
    for n, bound in zip(looks, bounds, strict=True):
        crossed |= signed_rank_z(drawn[:, :n], 0.0, 1.0) <= -bound + 1e-9
    spent = 0.1 * math.log1p((math.e - 1) * 7 / 8)
    assert spent - 0.012 < crossed.mean() < spent + 0.006  # coarse looks cannot spend all


@given(st.lists(st.sampled_from([-0.4, -0.2, 0.0, 0.1, 0.3, 0.6]), min_size=2, max_size=30))
def test_ties_and_zeros_are_those_of_scipy(found: list[float]) -> None:
    """In tenths, where no rounding breaks a tie; scipy drops what is nought."""
    tenths = np.round(np.array(found) * 10 - 1)
    expected = 0.0
    if np.any(tenths):
        expected = stats.wilcoxon(tenths, alternative="less", method="asymptotic", correction=False).zstatistic
    assert float(signed_rank_z(np.array(found), 0.1, 0.3)) == pytest.approx(expected, abs=1e-12)


def test_a_clearly_worse_candidate_is_ended_early_and_one_ahead_never() -> None:
    random = np.random.default_rng(3)
    difficulty = random.uniform(0.3, 0.9, size=30)
    pruner = PairedPruner(30)
    assert (prunes(pruner, difficulty, difficulty - 0.2, random.permutation(30)) or 99) <= 9
    assert prunes(pruner, difficulty, difficulty + 0.01, random.permutation(30)) is None


def test_a_candidate_that_never_differs_is_ended_on_the_way() -> None:
    scores = np.random.default_rng(4).uniform(size=24)
    assert 3 < (prunes(PairedPruner(24), scores, scores, np.arange(24)) or 99) < 24


def test_the_paired_test_sees_what_the_spread_between_sequences_hides() -> None:
    difficulty = np.linspace(0.0, 1.0, 40)
    noise = np.random.default_rng(6).normal(0.0, 0.005, size=40)
    before = [difficulty - 0.01 + noise[::-1]]
    assert (prunes(PairedPruner(40), difficulty, difficulty - 0.01 + noise, np.arange(40), before) or 99) < 12


def test_without_values_of_the_best_or_with_nan_nothing_is_ended() -> None:
    pruner = PairedPruner(10)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.add_trial(optuna.trial.create_trial(values=[1.0]))
    trial = study.ask()
    for step in range(10):
        trial.report(0.0, step)
        assert not trial.should_prune()
    assert prunes(pruner, np.ones(10), np.full(10, np.nan), np.arange(10)) is None


def test_halving_lets_one_in_eta_go_on() -> None:
    pruner = HalvingPruner(27, eta=3, min_sequences=3)
    assert pruner.rungs == (3, 9)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for value in (0.2, 0.5, 0.8):
        study.add_trial(optuna.trial.create_trial(values=[value], intermediate_values=dict.fromkeys(range(27), value)))
    ended = {}
    for value in (0.1, 0.6, 0.9):
        trial = study.ask()
        for step in range(3):
            trial.report(value, step)
        ended[value] = trial.should_prune()
    assert ended == {0.1: True, 0.6: True, 0.9: False}


@pytest.mark.parametrize(
    "wrong", [{"error": 0.0}, {"error": 1.5}, {"min_sequences": 1}, {"effect": 0.0}, {"statistic": "sign"}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        PairedPruner(20, **wrong)


def test_too_few_sequences_leave_no_room_for_a_look() -> None:
    assert PairedPruner(3).looks == ()
    assert PairedPruner(3, statistic="signed-rank").looks == ()
    assert getattr(make_pruner("wilcoxon", 10), "statistic", "") == "signed-rank"
    with pytest.raises(ConfigurationError, match="no pruner is called"):
        make_pruner("median", 10)


def searched(pruner: optuna.pruners.BasePruner, *ended: tuple[float, ...]) -> optuna.Study:
    """A study whose best trial scores a half on each of eight sequences, and trials that were ended early."""
    study = optuna.create_study(direction="maximize", pruner=pruner)
    choices: dict[str, optuna.distributions.BaseDistribution] = {
        "text": optuna.distributions.CategoricalDistribution(tuple(range(9)))
    }

    def add(scores: tuple[float, ...], text: int, **attrs: Any) -> None:
        study.add_trial(
            optuna.trial.create_trial(
                values=[float(np.mean(scores))],
                params={"text": text},
                distributions=choices,
                intermediate_values=dict(enumerate(scores)),
                user_attrs=attrs,
            )
        )

    add((0.4, 0.6) * 4, 0)
    for text, scores in enumerate(ended, start=1):
        add(scores, text, **{PRUNED_AFTER: len(scores)})
    return study


def test_the_most_promising_of_the_ended_gets_a_second_chance_in_its_turn() -> None:
    study = searched(PairedPruner(8, revisit=3), (0.0, 0.5, 0.1), (0.4, 0.5, 0.4), (0.2, 0.1, 0.3))
    chosen = [second_chance(study, place) for place in range(9)]
    assert [None if trial is None else trial.number for trial in chosen] == [None, None, 2] * 3
    study.add_trial(
        optuna.trial.create_trial(
            values=[0.45],
            params={"text": 2},
            distributions=study.trials[0].distributions,
            intermediate_values={0: 0.45},
        )
    )
    again = second_chance(study, 2)
    assert again is None or again.number != 2, "a candidate that was walked to the end is settled"


def test_hopeless_ones_get_no_second_chance_and_other_pruners_give_none() -> None:
    hopeless = (0.0, 0.1, 0.05, 0.1, 0.0, 0.1)
    assert second_chance(searched(PairedPruner(8, revisit=3), hopeless), 2) is None
    near = (0.4, 0.5, 0.4)
    assert second_chance(searched(PairedPruner(8, revisit=0), near), 2) is None
    assert second_chance(searched(HalvingPruner(8), near), 2) is None
