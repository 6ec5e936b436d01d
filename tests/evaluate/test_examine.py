"""The exam as a whole: what is there is found, what is not is not, and equal arms differ by nothing."""

from __future__ import annotations

from typing import Any

import pytest

import rnnprog
from rnnprog.errors import ConfigurationError, LMUnavailableError
from rnnprog.evaluate import ExamConfig, examine
from rnnprog.exam_result import ExamResult, read_exam, write_exam
from rnnprog.metrics import score_steps
from tests.evaluate.harness import coin_data, counting_lm


def arms(coin: str, **skills: float) -> list[dict[str, Any]]:
    return [
        {"label": label, "cell": coin, "settings": {"skill": skill, "salt": label}} for label, skill in skills.items()
    ]


def coins(coin: str, start: int = 0, sequences: int = 24, **skills: float) -> ExamResult:
    config = ExamConfig.of(task="coins", arms=arms(coin, **skills), control="control", floors=())
    return examine(config, data=coin_data(sequences, start=start))


def test_a_planted_effect_is_found_and_its_size_is_right(coin: str) -> None:
    (found,) = coins(coin, control=0.55, better=0.8).comparisons
    assert found.outcome == "gain"
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.25 < found.high
    (lost,) = coins(coin, control=0.8, worse=0.55).comparisons
    assert lost.outcome == "loss"


def test_of_twenty_arms_without_effect_none_is_found(coin: str) -> None:
    """Twenty comparisons at the level of .05 together: a single find has a chance of 5 %, and the dice are fixed."""
    skills = dict.fromkeys(["control", *(f"arm{k}" for k in range(20))], 0.6)
    config = ExamConfig.of(task="coins", arms=arms(coin, **skills), control="control", floors=())
    exam = examine(config, data=coin_data(24))
    assert [c.outcome for c in exam.comparisons] == ["no evidence"] * 20
    assert sum((c.p or 0) < 0.05 for c in exam.comparisons) <= 4
    assert all(c.p_corrected is not None and c.p_corrected >= (c.p or 0) for c in exam.comparisons)


def test_an_effect_of_the_detectable_size_is_found_about_as_often_as_stated(coin: str) -> None:
    """In closed form: (z(.975) + z(.8)) standard errors of 192 independent differences of two fair coins."""
    effect = 2.8 * (0.5 / 192) ** 0.5
    exams = [coins(coin, start=1000 * k, control=0.5, arm=0.5 + effect).comparisons[0] for k in range(1, 11)]
    assert [c.outcome for c in exams].count("gain") in range(6, 11)  # 80 % of 10, give or take
    assert "loss" not in [c.outcome for c in exams]
    told = [c.detectable or 0 for c in exams]
    assert sum(told) / len(told) == pytest.approx(effect, rel=0.15)


def test_identical_arms_differ_by_exactly_nothing(coin: str) -> None:
    twins = [{"label": n, "cell": coin, "settings": {"skill": 0.6, "salt": "same"}} for n in ("control", "twin")]
    (same,) = examine(ExamConfig.of(task="c", arms=twins, control="control"), data=coin_data()).comparisons
    assert (same.gain, same.p, same.outcome) == (0.0, 1.0, "no evidence")
    assert "no evidence of a gain" in same.words


def test_what_the_data_could_never_show_is_said(coin: str) -> None:
    few = coins(coin, sequences=6, control=0.1, a=0.9, b=0.9)
    assert [c.outcome for c in few.comparisons] == ["no evidence", "no evidence"]
    assert "With 6 sequences and 2 comparisons no difference, however large" in few.note
    assert "at least 7 sequences" in few.note
    enough = coins(coin, sequences=7, control=0.1, a=0.9, b=0.9)
    assert [c.outcome for c in enough.comparisons] == ["gain", "gain"]
    assert "however large" not in enough.note


def test_arms_that_answer_as_the_control_are_named() -> None:
    exam = examine(ExamConfig.of(task="c", cells=["zero_shot", "raw_feedback"]), counting_lm()[0], data=coin_data(2, 3))
    assert "zero_shot, raw_feedback answered exactly as empty_memory at every step" in exam.note


def test_the_control_is_the_method_s_own_prompt() -> None:
    config = ExamConfig.of(
        task="c", cells=["reflective"], cell_options={"reflective": {"placement": "system"}}, budget=99, floors=()
    )
    exam = examine(config, counting_lm()[0], data=coin_data(1, 2))
    method, control = (arm.runs[0].result.program["settings"] for arm in exam.arms)
    assert method == control
    assert isinstance(control, dict)
    assert (control["budget"], control["placement"]) == (99, "system")


def test_budget_goes_to_every_cell_that_has_one() -> None:
    cells = ["reflective", "memprompt", "full_history", "zero_shot"]
    exam = examine(ExamConfig.of(task="c", cells=cells, budget=77), counting_lm()[0], data=coin_data(1, 2))
    settings = [arm.runs[0].result.program.get("settings") for arm in exam.arms if arm.role != "floor"]
    budgets = [s["budget"] for s in settings if isinstance(s, dict) and "budget" in s]
    assert budgets == [77, 77, 77]  # reflective, memprompt, empty_memory


def test_figures_are_those_of_the_walks_and_survive_the_file(coin: str, tmp_path: Any) -> None:
    exam = coins(coin, control=0.5, arm=0.7)
    for arm in exam.arms:
        assert arm.figures["score"].value == pytest.approx(score_steps(arm.runs[0].result, "accuracy").overall)
        assert arm.figures["last"].value == pytest.approx(score_steps(arm.runs[0].result, "accuracy").last)
        assert arm.figures["recovery"].n > 0
        assert arm.figures["calls per step"].value == 0
    assert read_exam(write_exam(exam, tmp_path)) == exam


def test_seeds_that_would_vary_nothing_are_not_walked() -> None:
    lm, engine = counting_lm()
    exam = examine(ExamConfig.of(task="c", cells=["zero_shot"], seeds=3), lm, data=coin_data(2, 3))
    assert engine.calls == 2 * 6
    assert exam.config["seeds walked"] == [0]
    assert "not 3" in exam.note


def test_seeds_of_generated_data_are_more_data() -> None:
    config = ExamConfig.of(task="regimes", options={"n_steps": 8}, cells=["zero_shot"], seeds=3)
    exam = examine(config, rnnprog.embedded_lm())
    names = [trace.sequence for run in exam.arms[0].runs for trace in run.result.traces]
    assert names == ["regimes-0", "regimes-0~1", "regimes-0~2"]
    assert exam.comparisons[0].n == 24
    floors = [arm for arm in exam.arms if arm.role == "floor"]
    assert floors
    assert all(len(arm.runs) == 3 for arm in floors)


def test_a_task_may_bring_a_metric_of_its_own(coin: str) -> None:
    from dataclasses import replace

    from rnnprog.metrics import get_metric

    own = replace(get_metric("accuracy"), name="house points")
    data = coin_data(8).with_metrics(own)
    exam = examine(ExamConfig.of(task="c", arms=arms(coin, control=0.5, arm=0.9), control="control"), data=data)
    run = exam.arms[0].runs[0]
    assert exam.metric.name == "house points"
    assert list(run.scores["s00"]) == [float(r.prediction == r.target) for r in run.result.traces[0].records]


def test_a_model_that_cannot_be_used_is_an_error_not_a_result() -> None:
    import dspy

    with dspy.context(lm=None), pytest.raises(LMUnavailableError):
        examine(ExamConfig.of(task="c", cells=["zero_shot"]), data=coin_data(1, 2))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cells": ["reflektive"]}, "did you mean 'reflective'"),
        ({"cells": []}, "empty_memory"),
        ({"cells": ["zero_shot", "zero_shot"]}, "two arms are called"),
        ({"cells": ["zero_shot"], "cell_options": {"memprompt": {"k": 3}}}, "no cells of this exam"),
        ({"cells": ["zero_shot"], "delay": 1.5}, "not whole"),
        ({"cells": ["zero_shot"], "floors": ["cellar"]}, "unknown floor .cellar."),
        ({"cells": ["zero_shot"], "warm_start": 0.01}, "nothing to score"),
        ({"cells": ["zero_shot"], "colour": "red"}, "colour"),
        ({"cells": ["zero_shot"], "metric": "mae"}, "not a finite number"),
        ({"cells": ["zero_shot"], "metric": "accuracy[fruit]"}, "nothing to score"),
    ],
)
def test_what_cannot_work_is_said_before_the_first_call(given: dict[str, Any], said: str) -> None:
    lm, engine = counting_lm()
    if given == {"cells": []}:  # the control alone is an exam, if a dull one
        assert [arm.label for arm in ExamConfig.of(task="c", **given).arms] == ["empty_memory"]
        return
    with pytest.raises(ConfigurationError, match=said):
        examine(ExamConfig.of(task="c", **given), lm, data=coin_data(2, 3))
    assert engine.calls == 0
