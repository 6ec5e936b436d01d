from __future__ import annotations

import itertools
import math

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rnnprog.errors import ConfigurationError
from rnnprog.optimizers.pruning import HalvingPruner, PairedPruner, look_levels, make_pruner, signed_rank_p


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
@settings(max_examples=80, deadline=None)
def test_signed_rank_p_equals_all_sign_patterns_counted(differences: list[int]) -> None:
    values = [d for d in differences if d]
    if not values:
        assert signed_rank_p(differences) == 1.0
        return
    ranks = stats.rankdata(np.abs(values))
    observed = sum(rank for rank, value in zip(ranks, values, strict=True) if value > 0)
    patterns = list(itertools.product((0, 1), repeat=len(values)))
    below = sum(sum(r for r, s in zip(ranks, p, strict=True) if s) <= observed + 1e-9 for p in patterns)
    assert math.isclose(signed_rank_p(differences), below / len(patterns), rel_tol=1e-9)


def test_signed_rank_p_equals_scipy_where_scipy_is_exact() -> None:
    values = np.random.default_rng(0).normal(size=12)
    assert math.isclose(signed_rank_p(list(values)), stats.wilcoxon(values, alternative="less", method="exact").pvalue)


def test_look_levels_hold_the_error_of_correlated_looks() -> None:
    fractions = (0.2, 0.4, 0.6, 0.8, 0.95)
    levels = look_levels(0.1, fractions)
    steps = np.random.default_rng(1).normal(size=(200_000, 100))
    walk = np.cumsum(steps, axis=1)
    crossed = np.zeros(len(walk), dtype=bool)
    for fraction, level in zip(fractions, levels, strict=True):
        n = round(100 * fraction)
        crossed |= walk[:, n - 1] / math.sqrt(n) > stats.norm.isf(level)
    assert crossed.mean() == pytest.approx(0.1 * math.log1p((math.e - 1) * 0.95), abs=0.004)
    assert all(level < 0.1 for level in levels)


def prunes(pruner: optuna.pruners.BasePruner, best: np.ndarray, mine: np.ndarray, order: np.ndarray) -> int | None:
    """Return after how many sequences a candidate was ended next to a finished best one."""
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.add_trial(
        optuna.trial.create_trial(
            values=[float(best.mean())], intermediate_values={i: float(v) for i, v in enumerate(best)}
        )
    )
    trial = study.ask()
    for seen, step in enumerate(order, start=1):
        trial.report(float(mine[step]), int(step))
        if trial.should_prune():
            return seen
    return None


def test_a_candidate_as_good_as_the_best_is_ended_at_the_stated_rate() -> None:
    random = np.random.default_rng(2)
    pruner = PairedPruner(30, alpha=0.1)
    ended = 0
    for _ in range(400):
        difficulty = random.uniform(0.2, 0.8, size=30)
        best = random.binomial(10, difficulty) / 10
        mine = random.binomial(10, difficulty) / 10
        ended += prunes(pruner, best, mine, random.permutation(30)) is not None
    # The binomial bound of 400 trials at 0.1 is 0.1 + 0.035.
    assert ended / 400 <= 0.135


def test_a_clearly_worse_candidate_is_ended_early_and_a_better_one_never() -> None:
    random = np.random.default_rng(3)
    pruner = PairedPruner(30)
    difficulty = random.uniform(0.3, 0.9, size=30)
    assert (prunes(pruner, difficulty, difficulty - 0.2, random.permutation(30)) or 99) <= 11
    assert prunes(pruner, difficulty, difficulty + 0.01, random.permutation(30)) is None


def test_the_paired_test_sees_what_the_spread_between_sequences_hides() -> None:
    difficulty = np.linspace(0.0, 1.0, 40)
    worse = difficulty - 0.01
    assert prunes(PairedPruner(40), difficulty, worse, np.arange(40)) is not None


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


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"alpha": 1.5}, {"min_sequences": 1}, {"looks": 0}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        PairedPruner(20, **wrong)  # type: ignore[arg-type]


def test_too_few_sequences_leave_no_room_for_a_look() -> None:
    assert PairedPruner(3).looks == ()
    with pytest.raises(ConfigurationError, match="no pruner is called"):
        make_pruner("median", 10)
