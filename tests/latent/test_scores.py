"""Numbers of the exam against hand-worked cases."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnprog.latent.errors import LatentError
from rnnprog.latent.examination import Examination, pooled, verdict
from rnnprog.latent.scores import PAPER_EDGES, buckets, clustered, falling_fit, recall_rate, token_f1


@pytest.mark.parametrize(
    ("answer", "gold", "score"),
    [
        ("dog", "dog", 1.0),
        ("The Dog!", "a dog", 1.0),
        ("black dog", "dog", 2 / 3),
        ("dog dog cat", "dog cat cat", 2 / 3),
        ("cat", "dog", 0.0),
        ("", "", 1.0),
        ("", "dog", 0.0),
        ("the", "", 1.0),
        ("7 May 2023", "7 May", 0.8),
    ],
)
def test_token_f1(answer: str, gold: str, score: float) -> None:
    assert token_f1(answer, gold) == pytest.approx(score)


def test_recall_rate_by_hand() -> None:
    rate = recall_rate(np.array([0.6, 0.2, 1.0, 0.5]), np.array([0.2, 0.6, 1.0, 0.5]))
    assert rate.tolist() == pytest.approx([0.5, 0.0, 0.0, 0.0])


def test_recall_rate_rewards_mere_change() -> None:
    """Answers that only swap right for wrong have no gain, yet a positive published rate."""
    memory, zero = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert (memory - zero).mean() == 0.0
    assert recall_rate(memory, zero).mean() == 0.5


def test_falling_fit_by_hand() -> None:
    assert falling_fit([4, 2, 3, 1], [1, 1, 1, 1]) == pytest.approx([4, 2.5, 2.5, 1])
    assert falling_fit([1, 2, 9], [1, 1, 2]) == pytest.approx([5.25] * 3)
    fitted = falling_fit([3, float("nan"), 5], [1, 0, 1])
    assert fitted[0] == fitted[2] == pytest.approx(4)
    assert math.isnan(fitted[1])


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50)), min_size=1, max_size=8))
def test_falling_fit_never_rises_and_keeps_the_weighted_mean(pairs: list[tuple[float, int]]) -> None:
    values, weights = [p[0] for p in pairs], [float(p[1]) for p in pairs]
    fitted = falling_fit(values, weights)
    assert all(a >= b - 1e-9 for a, b in pairwise(fitted))
    assert np.average(fitted, weights=weights) == pytest.approx(np.average(values, weights=weights), abs=1e-9)


def test_buckets() -> None:
    assert buckets(np.array([0, 31, 32, 63, 64, 255, 256, 700]), PAPER_EDGES).tolist() == [0, 0, 1, 1, 2, 3, 4, 4]
    with pytest.raises(LatentError, match="must start at 0"):
        buckets(np.array([1]), (3, 9))


def test_clustered_error_grows_when_questions_of_a_conversation_agree() -> None:
    random = np.random.default_rng(0)
    values = random.random(200)
    alone = clustered(values, list(range(200)))
    grouped = clustered(np.sort(values), [n // 20 for n in range(200)])
    assert alone.mean == pytest.approx(grouped.mean)
    assert grouped.error > 2 * alone.error
    assert alone.low < alone.mean < alone.high
    assert alone.error == pytest.approx(values.std() / math.sqrt(200), rel=0.15)


def exam(memory: list[float], shuffled: list[float], seed: int = 0, zero: list[float] | None = None) -> Examination:
    count = len(memory)
    f1 = {
        "memory": np.array(memory),
        "shuffled": np.array(shuffled),
        "zero": np.array(zero or [0.0] * count),
        "stateless": np.full(count, 0.25),
    }
    lags = np.arange(count) * 2
    return Examination(
        "M.3", 8, seed, 10, "abc", tuple(f"c{n // 2}" for n in range(count)), lags, np.array([1, 5] * (count // 2)), f1,
        (0.1, 0.4),
    )  # fmt: skip


def test_verdicts() -> None:
    recall = exam([1.0] * 20, [0.0, 0.2] * 10)
    assert verdict(recall).startswith("recall (gain over another conversation's bank +90.0 points")
    empty = exam([0.0, 1.0] * 10, [1.0, 0.0] * 10)
    assert verdict(empty).startswith("no recall shown")
    assert verdict(exam([0.0] * 20, [1.0] * 20)).startswith("worse than")
    assert verdict(exam([0.3, 0.1] * 10, [0.1, 0.1] * 10), between=0.2).startswith("no recall shown")


def test_tax_benefit_and_growth() -> None:
    one = exam([0.5] * 4, [0.1] * 4, zero=[0.2] * 4)
    assert one.tax.mean == pytest.approx(0.05)
    assert one.net_benefit.mean == pytest.approx(0.25)
    assert one.delta_k == pytest.approx(0.3)
    with pytest.raises(LatentError, match="no condition 'text'"):
        one.mean("text")


def test_curve_by_hand() -> None:
    curve = exam([0.2, 0.8, 0.5, 0.5], [0.1] * 4, zero=[0.0, 0.0, 0.5, 0.6]).curve((0, 4))
    assert curve.names == ("0-3", "4+")
    assert curve.counts == (2, 2)
    assert curve.memory == pytest.approx((0.5, 0.5))
    assert curve.rate == pytest.approx((0.5, 0.0))
    assert curve.gain_zero == pytest.approx((0.5, -0.05))
    assert curve.gain_shuffled == pytest.approx((0.4, 0.4))
    assert curve.rate_mean == pytest.approx(0.25)


def test_adversarial_questions_are_kept_apart() -> None:
    one = exam([1.0, 0.0] * 4, [0.0] * 8)
    assert one.answerable.mean("memory").mean == 1.0
    assert one.adversarial.mean("memory").mean == 0.0


def test_pooling_seeds_and_storage(tmp_path) -> None:  # type: ignore[no-untyped-def]
    one, two = exam([1.0] * 4, [0.0] * 4), exam([0.5] * 4, [0.1] * 4, seed=1)
    whole, between = pooled([one, two])
    assert whole.gain("shuffled").mean == pytest.approx(0.7)
    assert between == pytest.approx(np.std([1.0, 0.4], ddof=1) / math.sqrt(2))
    with pytest.raises(LatentError, match="cannot be pooled"):
        pooled([one, exam([1.0] * 6, [0.0] * 6)])
    one.save(tmp_path / "exam.json")
    again = Examination.load(tmp_path / "exam.json")
    assert again.owners == one.owners
    assert all(np.array_equal(values, again.f1[name]) for name, values in one.f1.items())
