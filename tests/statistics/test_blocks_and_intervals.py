"""Block lengths and intervals against the closed forms of an AR(1) series, and their coverage."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.signal import lfilter

from rnnprog.errors import ConfigurationError
from rnnprog.metrics import score_steps
from rnnprog.statistics import Estimate, block_length, interval, stationary_indices
from rnnprog.statistics.blocks import autocovariance, resampled_means
from rnnprog.statistics.interval import mean_interval
from rnnprog.trace import StepRecord, Trace


def ar1(n: int, rho: float, rng: np.random.Generator) -> np.ndarray:
    start = rng.normal() / math.sqrt(1 - rho**2)
    filtered, _ = lfilter([1.0], [1.0, -rho], rng.normal(size=n), zi=[rho * start])
    return np.asarray(filtered)


def walk(values: list[Any], name: str = "a", field: str = "y", truth: Any = 0.0) -> Trace:
    records = [
        StepRecord(
            t=t, id=f"{name}/{t}", inputs={}, prediction=None if v is None else {field: v}, target={field: truth}
        )
        for t, v in enumerate(values)
    ]
    return Trace(sequence=name, records=tuple(records))


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.8])
def test_block_length_is_near_the_closed_form_of_an_autoregression(rho: float) -> None:
    n = 4_000
    best = (2 * rho / (1 - rho**2)) ** (2 / 3) * n ** (1 / 3)
    rng = np.random.default_rng(5)
    found = float(np.median([block_length(ar1(n, rho, rng)) for _ in range(9)]))
    assert found == pytest.approx(best, rel=0.35)


def test_block_length_without_dependence_is_short_and_always_usable() -> None:
    rng = np.random.default_rng(6)
    assert np.median([block_length(rng.normal(size=500)) for _ in range(9)]) < 5
    assert block_length([1.0] * 50) == 1.0
    assert block_length([1.0, 2.0]) == 1.0
    assert 1.0 <= block_length(np.arange(30.0)) <= 10.0


def test_autocovariance_equals_the_textbook_sum() -> None:
    x = np.random.default_rng(7).normal(size=12)
    c = x - x.mean()
    assert autocovariance(x, 2) == pytest.approx([np.sum(c[k:] * c[: 12 - k]) / 12 for k in range(3)])


@given(st.integers(1, 40), st.floats(1.0, 20.0), st.integers(0, 99))
def test_stationary_indices_are_runs_of_the_series(n: int, block: float, seed: int) -> None:
    rows = stationary_indices(n, block, 3, np.random.default_rng(seed))
    assert rows.shape == (3, n)
    assert rows.min() >= 0
    assert rows.max() < n


def test_stationary_blocks_have_the_mean_length_asked_for() -> None:
    rows = stationary_indices(1_000, 8.0, 50, np.random.default_rng(8))
    breaks = (np.diff(rows, axis=1) % 1_000 != 1).mean()
    assert 1 / breaks == pytest.approx(8.0, rel=0.05)
    with pytest.raises(ConfigurationError, match="below 1"):
        stationary_indices(10, 0.5, 1, np.random.default_rng(0))


def test_stationary_bootstrap_finds_the_long_run_variance() -> None:
    rho, n, rng = 0.6, 4_000, np.random.default_rng(9)
    errors = [resampled_means([ar1(n, rho, rng)], 300, rng).std() for _ in range(5)]
    assert np.mean(errors) == pytest.approx(1 / (1 - rho) / math.sqrt(n), rel=0.15)


def test_resampling_stays_inside_each_run() -> None:
    means = resampled_means([[0.0] * 10, [1.0] * 30], 50, np.random.default_rng(0))
    assert means == pytest.approx([0.75] * 50)


def test_coverage_inside_one_dependent_series() -> None:
    covered = 0
    for seed in range(200):
        series = ar1(300, 0.5, np.random.default_rng(seed))
        low, high = mean_interval(series, "steps", 0.95, 300, seed)
        covered += low <= 0.0 <= high
    # Percentile intervals of a dependent mean cover a little less than they aim at; an independent bootstrap, 0.74.
    assert covered >= stats.binom.isf(0.999, 200, 0.90)


def test_coverage_over_sequences() -> None:
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        low, high = mean_interval(rng.normal(size=24), "sequences", 0.95, 500, seed)
        covered += low <= 0.0 <= high
    assert covered >= stats.binom.isf(0.999, 200, 0.92)


def test_interval_over_sequences_contains_the_figure_and_is_seeded() -> None:
    rng = np.random.default_rng(10)
    walks = [walk(rng.normal(size=8).tolist(), str(i)) for i in range(12)]
    scores = score_steps(walks, "mae[y]")
    found = interval(scores, seed=3)
    assert found == interval(scores, seed=3)
    assert found.value == pytest.approx(scores.overall)
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert found.low < found.value < found.high
    assert (found.n, found.unit) == (12, "sequences")
    assert Estimate.model_validate_json(found.model_dump_json()) == found


def test_one_long_sequence_is_resampled_in_blocks() -> None:
    rng = np.random.default_rng(11)
    found = interval(score_steps(walk(np.abs(ar1(400, 0.8, rng)).tolist()), "mae[y]"))
    assert found.unit == "steps"
    assert "blocks" in found.method
    assert found.n == 400
    single = interval(score_steps(walk([1.0] * 5), "mae[y]"))
    assert single.low is None
    assert "fewer than 10" in str(single)


def test_very_many_sequences_take_neither_the_memory_nor_the_time_of_pairs() -> None:
    """BCa leaves out each sequence once: of 40,000 that would be a table of 12 GB, twice."""
    rng = np.random.default_rng(5)
    many = rng.normal(size=40_000)
    low, high = mean_interval(many, "sequences", 0.95, 2_000, 0)
    assert (low, high) == pytest.approx((many.mean() - 1.96 / 200, many.mean() + 1.96 / 200), abs=1e-3)
    some = rng.normal(size=3_000)
    low, high = mean_interval(some, "sequences", 0.95, 2_000, 0)
    half = 1.96 * some.std() / 3_000**0.5
    assert (low, high) == pytest.approx((some.mean() - half, some.mean() + half), abs=3e-3)


def test_all_right_is_not_certain() -> None:
    walks = [walk(["a"], str(i), truth="a") for i in range(20)]
    found = interval(score_steps(walks, "accuracy"))
    assert found.value == 1.0
    assert found.high == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / 20), abs=1e-6)


def test_corpus_level_interval_and_last_step() -> None:
    rng = np.random.default_rng(12)
    walks = [walk([str(rng.choice(["a", "b"])) for _ in range(5)], str(i), truth="a") for i in range(10)]
    found = interval(score_steps(walks, "macro_f1[y]"))
    assert found.low is not None
    assert found.value is not None
    assert found.low <= found.value <= (found.high or 0)
    last = interval(score_steps(walks, "accuracy"), where="last")
    assert last.value == pytest.approx(score_steps(walks, "accuracy").last)


def test_nothing_scored_and_nothing_usable() -> None:
    assert str(interval(score_steps([], "accuracy"))) == "not scored"
    broken = interval(score_steps([walk([None], str(i)) for i in range(8)], "mae[y]"))
    assert broken.value is None
    with pytest.raises(ConfigurationError, match="level = 95"):
        interval(score_steps([], "accuracy"), level=95)
