"""Scores against closed forms and hand counts; failed steps, missing targets, corpus-level figures."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from rnnprog.errors import ConfigurationError
from rnnprog.metrics import METRIC_NAMES, Running, calibration, default_metric, get_metric, same, score, score_steps
from rnnprog.metrics.numeric import crps_of_quantiles, crps_of_samples
from rnnprog.trace import Feedback, Fields, Result, StepRecord, Trace, Update


def trace(pairs: list[tuple[Any, Any]], name: str = "a", field: str = "y") -> Trace:
    """Make a trace of (answer, truth) pairs; an answer of ``...`` is a failed step."""
    return Trace(
        sequence=name,
        records=tuple(
            StepRecord(
                t=t,
                id=f"{name}/{t}",
                inputs={},
                prediction=None if said is ... else said if isinstance(said, dict) and field in said else {field: said},
                target=None if true is None else true if isinstance(true, dict) and field in true else {field: true},
            )
            for t, (said, true) in enumerate(pairs)
        ),
    )


def test_failed_steps_are_wrong_and_missing_targets_are_not_scored() -> None:
    walk = trace([("a", "a"), (..., "a"), ("b", "a"), ("a", None), ("a", float("nan"))])
    scores = score_steps(walk, "accuracy")
    assert scores.overall == pytest.approx(1 / 3)
    assert (len(scores), scores.failures, scores.unscored) == (3, 1, 2)


def test_accuracy_needs_every_known_output() -> None:
    both: Fields = {"y": "a", "z": 1}
    walk = trace([(both, {"y": "a", "z": 1}), (both, {"y": "a", "z": 2}), (both, {"y": "a", "z": None})])
    assert score(walk, "accuracy") == pytest.approx(2 / 3)
    assert score(walk, "accuracy[y]") == 1.0
    assert score(walk, "accuracy[z]") == 0.5


def test_overall_last_and_by_step() -> None:
    walks = [trace([("a", "a"), ("a", "b")], "one"), trace([("a", "b"), ("a", "a"), ("a", "a")], "two")]
    scores = score_steps(Result(traces=tuple(walks)), "accuracy")
    assert scores.overall == pytest.approx(3 / 5)
    assert scores.by_step() == {0: 0.5, 1: 0.5, 2: 1.0}
    assert scores.by_sequence() == {"one": 0.5, "two": pytest.approx(2 / 3)}
    assert scores.last == 0.5
    assert score(walks, "accuracy", where="last") == 0.5
    assert score(walks, "accuracy", where=2) == 1.0
    assert math.isnan(score(walks, "accuracy", where=9))
    with pytest.raises(ConfigurationError, match="'first'"):
        score(walks, "accuracy", where="first")


def test_acc_at_k_and_first_of_a_ranked_list() -> None:
    walk = trace([(["flu", "cold"], "cold"), (["flu"], ["cold", "flu"]), ([], "cold"), (..., "cold")])
    assert score(walk, "acc@1[y]") == 0.25
    assert score(walk, "acc@2[y]") == 0.5
    assert score(trace([(["flu", "cold"], "flu")]), "accuracy") == 1.0


def test_macro_f1_by_hand() -> None:
    # a: hits 2, answered 3, true 2 -> 4/5; b: hits 0, answered 1, true 2 -> 0; c: hits 1, answered 1, true 2 -> 2/3
    walk = trace([("a", "a"), ("a", "a"), ("a", "b"), ("b", "c"), ("c", "c"), (..., "b")])
    assert score(walk, "macro_f1[y]") == pytest.approx((4 / 5 + 0 + 2 / 3) / 3)


def test_errors_by_hand_and_a_failed_step_is_charged_the_worst() -> None:
    walk = trace([(1.0, 2.0), (5, 2), (..., 7.0), ("many", 7.0), (float("inf"), 7.0)])
    scores = score_steps(walk, "mse[y]")
    assert list(scores.values) == [1.0, 9.0, 9.0, 9.0, 9.0]
    assert scores.failures == 3
    assert score(walk, "mae[y]") == pytest.approx((1 + 3 * 4) / 5)
    assert math.isnan(score(trace([(..., 1.0)]), "mae[y]"))


def test_an_answer_beyond_all_numbers_is_a_failed_step_and_no_end_of_the_exam() -> None:
    walk = trace([(1.0, 2.0), (1e200, 2.0), (10**400, 2)])
    scores = score_steps(walk, "mse[y]")
    assert list(scores.values) == [1.0, 1.0, 1.0]
    assert scores.failures == 2
    assert score_steps(trace([(-1e308, 1e308), (1.0, 2.0)]), "mae[y]").failures == 1


def test_a_metric_of_numbers_on_labels_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="use accuracy"):
        score(trace([("sun", "rain")]), "mae[y]")


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20), st.floats(-100, 100))
def test_crps_of_samples_is_the_integral_of_the_squared_distance(samples: list[float], truth: float) -> None:
    points = np.unique(np.array([*samples, truth]))
    below = np.array([(np.array(samples) <= p).mean() for p in points[:-1]])
    integral = float(np.sum(np.diff(points) * (below - (points[:-1] >= truth)) ** 2))
    assert crps_of_samples(samples, truth) == pytest.approx(integral, abs=1e-7)


@pytest.mark.parametrize("truth", [-1.5, 0.0, 0.3, 2.0])
def test_crps_of_quantiles_approaches_the_closed_form_of_the_normal(truth: float) -> None:
    exact = truth * (2 * norm.cdf(truth) - 1) + 2 * norm.pdf(truth) - 1 / math.sqrt(math.pi)
    levels = (np.arange(2000) + 0.5) / 2000
    assert crps_of_quantiles(dict(zip(levels, norm.ppf(levels), strict=True)), truth) == pytest.approx(exact, abs=1e-3)


def test_pinball_over_levels_and_at_one() -> None:
    walk = trace([({"0.1": 0.0, "0.9": 10.0}, 5.0)])
    assert score(walk, "pinball[y]") == pytest.approx((0.1 * 5 + 0.1 * 5) / 2)
    assert score(walk, "pinball@0.9[y]") == pytest.approx(0.5)
    assert score_steps(walk, "pinball@0.5[y]").failures == 1
    assert score(trace([(10.0, 12.0)]), "pinball@0.9[y]") == pytest.approx(1.8)
    with pytest.raises(ConfigurationError, match="which quantile"):
        score(trace([(10.0, 12.0)]), "pinball[y]")


def test_crps_refuses_what_is_no_distribution() -> None:
    walk = trace([([], 1.0), ({"a": 1.0}, 1.0), ({"1.5": 1.0}, 1.0), ([1.0, "x"], 1.0), (3.0, 1.0), ([0.0, 2.0], 1.0)])
    scores = score_steps(walk, "crps[y]")
    assert list(scores.failed) == [True] * 4 + [False] * 2
    assert list(scores.values[4:]) == [2.0, 0.5]


def test_brier_agrees_between_its_forms() -> None:
    single = trace([(0.8, True), (0.8, False)])
    object_ = trace([({"true": 0.8, "false": 0.2}, True), ({"true": 0.8, "false": 0.2}, False)])
    stated = trace([({"y": "a", "sure": 0.8}, "a"), ({"y": "a", "sure": 0.8}, "b")])
    expected = (0.04 + 0.64) / 2
    assert score(single, "brier[y]") == pytest.approx(expected)
    assert score(object_, "brier[y]") == pytest.approx(expected)
    assert score(stated, "brier[y:sure]") == pytest.approx(expected)
    three = trace([({"a": 0.5, "b": 0.3, "c": 0.2}, "b"), ({"a": 1.0}, "z")])
    assert list(score_steps(three, "brier[y]").values) == pytest.approx([(0.25 + 0.49 + 0.04) / 2, 1.0])


def test_a_target_may_be_the_distribution_that_gives_the_truth_1() -> None:
    plain = trace([({"a": 0.7, "b": 0.3}, "b"), ({"a": 0.7, "b": 0.3}, "a")])
    one_hot = trace([({"a": 0.7, "b": 0.3}, {"a": 0.0, "b": 1.0}), ({"a": 0.7, "b": 0.3}, {"a": 1.0})])
    for name in ("brier[y]", "ece[y]", "roc_auc[y:a]"):
        assert score(plain, name) == score(one_hot, name)


def test_no_probability_is_a_failed_step_with_the_worst_brier() -> None:
    walk = trace([(1.3, True), (..., True), (0.5, True)])
    scores = score_steps(walk, "brier[y]")
    assert scores.failures == 2
    assert scores.overall == pytest.approx((1 + 1 + 0.25) / 3)
    assert score_steps(trace([({"a": 0.2, "b": 0.2}, "a")]), "brier[y]").failures == 1
    with pytest.raises(ConfigurationError, match="CONFIDENCE"):
        score(trace([("a", "b")]), "brier[y]")


def test_calibration_of_a_calibrated_and_an_overconfident_forecaster() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20_000)
    came = [bool(b) for b in rng.uniform(size=20_000) < p]
    calibrated = trace(list(zip(p.tolist(), came, strict=True)))
    assert score(calibrated, "ece[y]") < 0.02
    assert all(row.low <= row.stated <= row.high for row in calibration(calibrated, "y"))
    sure = trace([(0.9, True)] * 6 + [(0.9, False)] * 4)
    assert score(sure, "ece[y]") == pytest.approx(0.3)
    assert [(row.count, round(row.true, 9)) for row in calibration(sure, "y")] == [(10, 0.6)]


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=30))
def test_roc_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    ups = [p for p, hit in pairs if hit]
    downs = [p for p, hit in pairs if not hit]
    got = score(trace([(p / 4, hit) for p, hit in pairs]), "roc_auc[y]")
    if not ups or not downs:
        assert math.isnan(got)
    else:
        wins = sum((u > d) + (u == d) / 2 for u in ups for d in downs)
        assert got == pytest.approx(wins / (len(ups) * len(downs)))


def test_roc_auc_of_a_label_and_of_failed_steps() -> None:
    walk = trace([({"a": 0.9, "b": 0.1}, "a"), ({"a": 0.2, "b": 0.8}, "b")])
    assert score(walk, "roc_auc[y:a]") == 1.0
    assert score(trace([(0.9, True), (0.1, False), (..., False)]), "roc_auc[y]") == 0.5
    with pytest.raises(ConfigurationError, match="LABEL"):
        score(walk, "roc_auc[y]")


def test_judge_metrics_read_the_recorded_verdicts_and_guess_nothing() -> None:
    def judged(t: int, correct: bool | None, value: float | None, late: int = 0) -> StepRecord:
        feedback = Feedback(kind="judge", correct=correct, score=value)
        update = Update(of=f"a/{t - late}", operation="keep", parent="", digest="", feedback=feedback)
        return StepRecord(t=t, id=f"a/{t}", inputs={}, prediction={"y": "text"}, after=(update,))

    walk = Trace(
        sequence="a",
        records=(
            judged(0, True, 0.9),
            judged(1, None, None),
            StepRecord(t=2, id="a/2", inputs={}),
            StepRecord(t=3, id="a/3", inputs={}, prediction={"y": "late"}),
            judged(4, False, 0.3, late=1),
        ),
    )
    scores = score_steps(walk, "judged")
    assert scores.overall == pytest.approx(1 / 3)
    assert (scores.failures, scores.unscored) == (1, 2)
    assert score(walk, "alignment") == pytest.approx((90 + 0 + 30) / 3)


@given(
    st.lists(st.tuples(st.one_of(st.just(...), st.floats(-9, 9)), st.one_of(st.none(), st.floats(-9, 9))), max_size=20)
)
def test_running_equals_the_final_figure(pairs: list[tuple[Any, float | None]]) -> None:
    walk = trace(pairs)
    for name in ("mae[y]", "accuracy", "macro_f1[y]"):
        running = Running(name)
        for record in walk.records:
            running.add(record)
        scores = score_steps(walk, name)
        assert running.value == pytest.approx(scores.overall, nan_ok=True)
        assert running.failures == scores.failures


def test_equality_of_json_values() -> None:
    assert same("a ", "a")
    assert not same("A", "a")
    assert not same(True, 1)
    assert same(1, 1.0)
    assert not same([1, 2], [2, 1])
    assert not same([], "a")
    assert same({"code": "J10"}, {"code": "J10"})


def test_every_listed_name_is_a_metric() -> None:
    for form in METRIC_NAMES:
        name = form.replace("@K", "@5").replace("LEVEL", "0.9").replace("CONFIDENCE", "sure").replace("FIELD", "y")
        metric = get_metric(name)
        assert metric.name == name
        assert get_metric(metric) is metric


@pytest.mark.parametrize(
    "name", ["acuracy", "mae", "acc@0[y]", "acc@x[y]", "pinball@2[y]", "mae@3[y]", "acc@1.5[y]", ""]
)
def test_bad_names_say_what_there_is(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"metric|acc@|pinball"):
        get_metric(name)


def test_default_metric() -> None:
    assert default_metric({"y": float}).name == "mae[y]"
    assert default_metric({"y": list[str]}).name == "acc@1[y]"
    assert default_metric({"y": bool}).name == "accuracy"
    assert default_metric({"y": float, "z": float}).name == "mae[y]"
    assert default_metric({"y": float, "z": bool}).name == "accuracy[z]"
    assert default_metric({"y": str, "z": bool}).name == "accuracy"
    assert default_metric({"y": Annotated[int, "days"]}).name == "mae[y]"


def test_scores_do_not_depend_on_the_order_of_sequences() -> None:
    walks = [trace([("a", "a"), ("a", "b")], "one"), trace([("b", "b")], "two"), trace([(..., "c")], "three")]
    for name in ("accuracy", "macro_f1[y]"):
        assert score(walks, name) == score(walks[::-1], name)


def test_series_of_one_sequence() -> None:
    walks = [trace([("a", "a"), ("a", "b")], "one"), trace([("b", "b")], "two")]
    scores = score_steps(walks, "accuracy")
    assert list(scores.series("one")) == [1.0, 0.0]
    with pytest.raises(KeyError, match="three"):
        scores.series("three")
