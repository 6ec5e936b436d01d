from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import optuna
import pytest
from scipy import stats

from rnnprog.errors import ConfigurationError
from rnnprog.optimizers.pruning import (
    PRUNED_AFTER,
    HalvingPruner,
    PairedPruner,
    look_bounds,
    make_pruner,
    second_chance,
)

EQUAL = (0.4, 0.8)


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


@functools.lru_cache
def ended(effect: float, runs: int = 300, n: int = 24) -> tuple[float, float]:
    """Return how often a candidate with this effect is ended, and the mean number of sequences it sees.

    Sequences differ far more in difficulty than candidates do; differences have a standard deviation of one tenth.
    """
    random = np.random.default_rng(round(10 * effect) + 100)
    pruner = PairedPruner(n)
    seen = []
    for _ in range(runs):
        best = random.uniform(0.0, 1.0, size=n)
        poorer = [best + random.normal(-0.1, 0.1, size=n) for _ in range(2)]
        mine = best + random.normal(0.1 * effect, 0.1, size=n)
        seen.append(prunes(pruner, best, mine, random.permutation(n), poorer) or n)
    return float(np.mean(np.array(seen) < n)), float(np.mean(seen))


def test_a_candidate_worth_finding_is_ended_at_the_stated_rate_at_most() -> None:
    pruner = PairedPruner(24)
    rate, _ = ended(pruner.effect)
    assert rate <= stats.binom.ppf(0.999, 300, pruner.error) / 300
    assert ended(2 * pruner.effect)[0] <= 0.02


def test_candidates_as_good_or_worse_are_ended_as_documented() -> None:
    equal, equal_seen = ended(0.0)
    worse, worse_seen = ended(-PairedPruner(24).effect)
    assert EQUAL[0] < equal < EQUAL[1]
    assert equal_seen < 20
    assert worse > 0.98
    assert worse_seen < 9


def test_the_stated_rate_holds_for_coarse_scores() -> None:
    """Shares of right steps: most differences are nought, the rest are whole steps."""
    random = np.random.default_rng(5)
    pruner, lost = PairedPruner(24), 0
    for _ in range(300):
        best = random.binomial(5, 0.6, size=24) / 5
        poorer = [best - random.binomial(5, 0.06, size=24) / 5 for _ in range(2)]
        mine = best + random.binomial(5, 0.06, size=24) / 5  # better by 0.56 standard deviations
        lost += prunes(pruner, best, mine, random.permutation(24), poorer) is not None
    assert lost / 300 <= pruner.error + 0.03


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


@pytest.mark.parametrize("wrong", [{"error": 0.0}, {"error": 1.5}, {"min_sequences": 1}, {"effect": 0.0}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        PairedPruner(20, **wrong)  # type: ignore[arg-type]


def test_too_few_sequences_leave_no_room_for_a_look() -> None:
    assert PairedPruner(3).looks == ()
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
