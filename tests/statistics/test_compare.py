"""The exam's question end to end: planted effects are found with the stated power, absent ones at the stated level."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from rnnprog.errors import ConfigurationError
from rnnprog.metrics import Scores, get_metric, score_steps
from rnnprog.metrics.metric import Case
from rnnprog.statistics import Comparison, Rules, choose_test, compare, detectable_by_mcnemar, detectable_by_sequences
from rnnprog.statistics.power import detectable_by_error
from rnnprog.statistics.runs import Where
from rnnprog.trace import StepRecord, Trace

QUICK = Rules(permutations=999, resamples=20)


def trace(hits: Any, name: str) -> Trace:
    records = [
        StepRecord(t=t, id=f"{name}/{t}", inputs={}, prediction={"y": "a" if hit else "b"}, target={"y": "a"})
        for t, hit in enumerate(hits)
    ]
    return Trace(sequence=name, records=tuple(records))


@lru_cache
def _cases(sequences: int, steps: int) -> tuple[Case, ...]:
    return tuple(Case(str(s), t, {"y": 0.0}, {"y": 0.0}) for s in range(sequences) for t in range(steps))


def scored(table: np.ndarray, metric: str = "accuracy") -> Scores:
    """Make scores from a table of sequences by steps, without the cost of making traces."""
    return Scores(
        get_metric(metric), _cases(*table.shape), table.ravel().astype(float), np.zeros(table.size, dtype=bool), 0
    )


def arms(rng: np.random.Generator, gain: float, sequences: int = 24, steps: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Right-or-wrong answers of a control and an arm; sequences differ in difficulty."""
    ease = rng.uniform(0.3, 0.6, size=(sequences, 1))
    shape = (sequences, steps)
    return rng.uniform(size=shape) < ease, rng.uniform(size=shape) < ease + gain


def found(rng: np.random.Generator, gain: float, rounds: int, **shape: int) -> tuple[int, float]:
    outcomes, detectable = 0, []
    for _ in range(rounds):
        old, new = arms(rng, gain, **shape)
        (result,) = compare(scored(old), {"arm": scored(new)}, rules=QUICK)
        outcomes += result.outcome == "gain"
        detectable.append(result.detectable)
    return outcomes, float(np.median([d for d in detectable if d is not None]))


@pytest.mark.parametrize(
    "shape", [{"sequences": 24, "steps": 10}, {"sequences": 200, "steps": 1}, {"sequences": 1, "steps": 400}]
)
def test_a_planted_effect_is_found_with_the_stated_power_and_none_where_there_is_none(shape: dict[str, int]) -> None:
    rng = np.random.default_rng(30)
    false, detectable = found(rng, 0.0, 200, **shape)
    # A gain is one side of a two-sided test at 5 %; a third more is allowed for variances estimated in short series.
    assert false <= stats.binom.isf(0.001, 200, 0.025 * 4 / 3)
    assert 0.05 < detectable < 0.25
    true, _ = found(rng, detectable, 100, **shape)
    assert stats.binom.isf(0.999, 100, 0.8) <= true <= stats.binom.isf(0.001, 100, 0.85)


def test_with_several_empty_arms_holm_keeps_false_findings_rare() -> None:
    rng, false = np.random.default_rng(31), 0
    for _ in range(60):
        old, *news = (arms(rng, 0.0)[1] for _ in range(6))
        results = compare(scored(old), {str(i): scored(new) for i, new in enumerate(news)}, rules=QUICK)
        false += any(result.outcome in ("gain", "loss") for result in results)
    assert false <= stats.binom.isf(0.001, 60, 0.05)


def test_dependent_errors_in_one_long_series_do_not_pass_for_a_gain() -> None:
    rng, false = np.random.default_rng(32), 0
    for _ in range(150):
        noise = rng.normal(size=(2, 402))
        smooth = np.abs(noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:])
        (result,) = compare(scored(smooth[:1], "mae[y]"), {"arm": scored(smooth[1:], "mae[y]")}, rules=QUICK)
        false += result.outcome != "no evidence"
    assert false <= stats.binom.isf(0.001, 150, 0.08)


def test_words_for_a_gain_a_loss_and_no_evidence() -> None:
    rng = np.random.default_rng(33)
    old, new = arms(rng, 0.3)
    gain, none = compare(scored(old), {"good": scored(new), "same": scored(old)}, "empty memory", QUICK)
    assert gain.outcome == "gain"
    assert gain.words.startswith("gain of 0.")
    assert "(Holm)" in gain.words
    assert "over 24 sequences" in gain.words
    assert none.outcome == "no evidence"
    assert none.words.startswith("no evidence of a gain")
    (loss,) = compare(scored(new), {"bad": scored(old)}, rules=QUICK)
    assert loss.outcome == "loss"
    assert loss.gain == pytest.approx(-(gain.gain or 0))
    assert "Holm" not in loss.words
    assert loss.words.startswith("loss of 0.")
    assert "-" not in loss.words.split("]")[0]
    for result in (gain, none, loss):
        assert Comparison.model_validate_json(result.model_dump_json()) == result


def test_the_sentence_says_what_the_data_could_have_shown() -> None:
    rng = np.random.default_rng(34)
    old, new = arms(rng, 0.0)
    (result,) = compare(scored(old), {"arm": scored(new)}, rules=QUICK)
    assert result.detectable is not None
    assert f"(the data could have shown {result.detectable:.2g})" in result.words


def test_lower_is_better_turns_the_sign() -> None:
    rng = np.random.default_rng(35)
    old = rng.uniform(1, 2, size=(12, 8))
    (result,) = compare(scored(old, "mse[y]"), {"arm": scored(old - 0.5, "mse[y]")}, rules=QUICK)
    assert result.gain == pytest.approx(0.5)
    varied = old - rng.uniform(0.3, 0.7, size=(12, 8))
    (result,) = compare(scored(old, "mse[y]"), {"arm": scored(varied, "mse[y]")}, rules=QUICK)
    assert result.outcome == "gain"
    assert result.low is not None
    assert result.low > 0
    assert (result.arm_score or 0) < (result.control_score or 0)


def test_the_test_follows_from_the_data() -> None:
    rng = np.random.default_rng(36)

    def test_of(pair: np.ndarray, metric: str = "accuracy", where: Where = "all") -> Comparison:
        old, new = (scored(table, metric) for table in pair)
        return compare(old, {"arm": new}, rules=Rules(where=where, permutations=199))[0]

    single = rng.uniform(size=(2, 40, 1)) < 0.5
    assert test_of(single).test == "exact McNemar"
    long = rng.uniform(size=(2, 1, 60)) < 0.5
    assert test_of(long).test == "Diebold-Mariano"
    smooth = rng.normal(size=(2, 12, 5))
    assert test_of(smooth, metric="mae[y]").test == "Wilcoxon"
    tied = rng.uniform(size=(2, 12, 2)) < 0.5
    assert test_of(tied).test == "paired permutation"
    assert test_of(rng.uniform(size=(2, 12, 9)) < 0.5, where="last").test == "exact McNemar"
    few = test_of(rng.uniform(size=(2, 2, 5)) < 0.5)
    assert few.outcome == "not tested"
    assert few.p is None
    assert "needs 20, there are 10" in few.words
    for data in (single, long, smooth, tied):
        assert choose_test(list(data[1].astype(float) - data[0]), shares=True).reason


def test_corpus_level_arms_are_swapped_in_whole_sequences() -> None:
    rng = np.random.default_rng(37)

    def run(share: float) -> list[Trace]:
        return [trace(rng.uniform(size=8) < share, str(i)) for i in range(14)]

    old, new = score_steps(run(0.4), "macro_f1[y]"), score_steps(run(0.85), "macro_f1[y]")
    (result,) = compare(old, {"arm": new}, rules=Rules(permutations=4_000))
    assert result.outcome == "gain"
    assert result.gain == pytest.approx(new.overall - old.overall)
    assert result.low is not None
    assert result.low > 0
    (same,) = compare(old, {"arm": old}, rules=Rules(permutations=2_000))
    assert same.p == 1.0
    (few,) = compare(score_steps(run(0.4)[:3], "macro_f1[y]"), {"arm": score_steps(run(0.9)[:3], "macro_f1[y]")})
    assert few.outcome == "not tested"


def test_seeds_are_averaged_not_counted() -> None:
    rng = np.random.default_rng(38)
    old, new = arms(rng, 0.2, sequences=10)
    (one,) = compare(scored(old), {"arm": scored(new)}, rules=QUICK)
    (many,) = compare([scored(old)] * 5, {"arm": [scored(new)] * 5}, rules=QUICK)
    assert many.p == one.p
    assert many.n == 10
    assert (one.seeds, many.seeds) == (1, 5)


def test_only_steps_that_both_scored_are_compared() -> None:
    full = [trace([1, 0, 1], "a"), trace([1, 1], "b")]
    short = [trace([1, 1], "a")]
    (result,) = compare(score_steps(full, "accuracy"), {"arm": score_steps(short, "accuracy")})
    assert result.unpaired == 3
    assert result.gain == pytest.approx(0.5)
    (nothing,) = compare(score_steps(full, "accuracy"), {"arm": score_steps([trace([1], "z")], "accuracy")})
    assert nothing.outcome == "not tested"
    assert "no step was scored in both" in nothing.words


def test_an_arm_without_any_answer_is_not_tested() -> None:
    records = [StepRecord(t=t, id=str(t), inputs={}, target={"y": 1.0}) for t in range(30)]
    dead = score_steps(Trace(sequence="a", records=tuple(records)), "mae[y]")
    alive = [record.model_copy(update={"prediction": {"y": 0.5 + record.t}}) for record in records]
    control = score_steps(Trace(sequence="a", records=tuple(alive)), "mae[y]")
    dead_result, same = compare(control, {"dead": dead, "same": control})
    assert dead_result.outcome == "not tested"
    assert "no score" in dead_result.words
    assert same.p_corrected == 1.0
    assert same.comparisons == 1


def test_wrong_use_says_so() -> None:
    rng = np.random.default_rng(39)
    old, new = arms(rng, 0.0)
    with pytest.raises(ConfigurationError, match=r"cannot compare mae\[y\] with accuracy"):
        compare(scored(old), {"arm": scored(new, "mae[y]")})
    with pytest.raises(ConfigurationError, match="'arm' has no run"):
        compare(scored(old), {"arm": []})
    with pytest.raises(ConfigurationError, match="different metrics"):
        compare(scored(old), {"arm": [scored(new), scored(new, "mae[y]")]})


def test_detectable_differences_against_simulated_power() -> None:
    rng = np.random.default_rng(40)
    d = rng.normal(size=20)
    least = detectable_by_sequences(d)
    draws = rng.normal(least, d.std(ddof=1), size=(2_000, 20))
    assert (stats.ttest_1samp(draws, 0, axis=1).pvalue <= 0.05).mean() == pytest.approx(0.8, abs=0.03)
    theirs = TTestPower().solve_power(nobs=20, alpha=0.05, power=0.8, alternative="two-sided")
    assert least == pytest.approx(float(np.squeeze(theirs)) * d.std(ddof=1), rel=1e-4)
    assert detectable_by_sequences(d, alpha=0.01) > least
    assert np.isnan(detectable_by_sequences([0.5, 0.5, 0.5]))
    assert detectable_by_error(0.1, 10_000) == pytest.approx(0.28, abs=0.001)


@pytest.mark.parametrize(("discordant", "n"), [(0.2, 200), (0.4, 100), (0.02, 60)])
def test_detectable_share_against_simulated_power(discordant: float, n: int) -> None:
    least = detectable_by_mcnemar(discordant, n)
    share = max(discordant, least)
    rng, hits = np.random.default_rng(41), 0
    for _ in range(1_000):
        gained, lost, _rest = rng.multinomial(n, [(share + least) / 2, (share - least) / 2, 1 - share])
        hits += gained > lost and stats.binomtest(int(gained), int(gained + lost)).pvalue <= 0.05
    # The approximation is a little hopeful for the exact test, which is conservative.
    assert 0.68 <= hits / 1_000 <= 0.86
    assert np.isnan(detectable_by_mcnemar(0.5, 3))
