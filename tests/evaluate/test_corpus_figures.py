"""Figures of an arm under a corpus-level metric: every seed counts, on all steps and on the last ones."""

from __future__ import annotations

import pytest

from rnnprog.evaluate.scoring import arm_figures, comparisons, scores_of
from rnnprog.exam_result import ArmRun
from rnnprog.metrics import get_metric, score_steps
from rnnprog.statistics import Rules
from rnnprog.trace import Result, StepRecord, Trace

METRIC = get_metric("macro_f1[y]")
TRUE = "abba"


def run(seed: int, *said: str, tag: str = "") -> ArmRun:
    def walked(name: str, answers: str) -> Trace:
        steps = enumerate(zip(answers, TRUE, strict=True))
        records = [
            StepRecord(t=t, id=f"{name}:{t}", inputs={}, prediction={"y": a}, target={"y": b}) for t, (a, b) in steps
        ]
        return Trace(sequence=name, records=tuple(records))

    traces = tuple(walked(f"{k}{tag}", answers) for k, answers in enumerate(said))
    return ArmRun(seed=seed, result=Result(traces=traces))


GOOD, BAD = ("abba", "abba", "abbb", "abba", "aaba", "abba", "abba"), ("baab", "aaaa", "bbbb", "abab", "baab", "b" * 4)


def test_every_seed_is_in_score_and_last_with_an_interval() -> None:
    runs = [run(0, *GOOD), run(1, *BAD, "abba")]
    figures = arm_figures(runs, [METRIC], pooled=False)
    each = [score_steps(one.result, METRIC) for one in runs]
    assert figures["score"].value == pytest.approx(sum(s.overall for s in each) / 2)
    assert figures["last"].value == pytest.approx(sum(s.last for s in each) / 2)
    assert each[0].overall > each[1].overall + 0.3, "the seeds differ, so that the first alone would be found out"
    score = figures["score"]
    assert score.low is not None
    assert score.high is not None
    assert score.value is not None
    assert score.low < score.value < score.high
    assert score.n == 7
    assert "mean of 2 seeds" in score.method


def test_seeds_with_data_of_their_own_are_one_corpus() -> None:
    runs = [run(0, *GOOD), run(1, *BAD, tag="~1")]
    figures = arm_figures(runs, [METRIC], pooled=True)
    (scores,) = scores_of(runs, METRIC, pooled=True)
    assert figures["score"].value == pytest.approx(scores.overall)
    assert figures["score"].n == 13


def test_a_gain_in_the_second_seed_alone_is_half_a_gain() -> None:
    control, arm = [run(0, *BAD), run(1, *BAD)], [run(0, *BAD), run(1, *GOOD[:6])]
    scores = {name: scores_of(runs, METRIC, pooled=False) for name, runs in (("control", control), ("arm", arm))}
    (found,) = comparisons(scores, "control", Rules(permutations=999))
    gain = scores["arm"][1].overall - scores["control"][1].overall
    assert gain > 0.3
    assert found.gain == pytest.approx(gain / 2)
    assert found.seeds == 2
