"""Floors next to a result: same steps, same delay, no model."""

from __future__ import annotations

from itertools import pairwise

import dspy
import pytest

import rnnprog
from rnnprog.errors import ConfigurationError
from rnnprog.floor_runs import FLOOR_NAMES, sequences_of, walk_floors
from rnnprog.metrics import score, summary
from rnnprog.trace import Sequence, Step

TASK = "sky -> tomorrow: Literal['sun', 'rain']"


def sequence(text: str, name: str = "a") -> Sequence:
    words = {"s": "sun", "r": "rain"}
    steps = [Step(inputs={"sky": words[a]}, target={"tomorrow": words[b]}) for a, b in pairwise(text)]
    return Sequence(id=name, steps=tuple(steps))


def test_floors_equal_a_hand_written_loop() -> None:
    text = "srsrrrssrsrrrrssrr"
    runs = walk_floors(TASK, [sequence(text)])
    truth = text[1:]
    persisted = ["s", *truth[:-1]]
    assert score(runs["persistence"], "accuracy") == sum(a == b for a, b in zip(persisted, truth, strict=True)) / len(
        truth
    )
    counted, right = {"r": 0, "s": 0}, 0
    for t, label in enumerate(truth):
        guess = "s" if t == 0 else max("rs", key=lambda c: (counted[c], c == "r"))
        right += guess == label
        counted[label] += 1
    assert score(runs["majority"], "accuracy") == right / len(truth)


def test_each_sequence_starts_anew() -> None:
    both = walk_floors(TASK, [sequence("rrrrr", "a"), sequence("sssss", "b")])
    alone = walk_floors(TASK, [sequence("sssss", "b")])
    assert both["majority"].traces[1] == alone["majority"].traces[0]


def test_no_model_is_needed_and_nothing_is_called() -> None:
    with dspy.context(lm=None):
        runs = walk_floors(
            "x: float -> y: float", [Sequence(id="a", steps=(Step(inputs={"x": 1.0}, target={"y": 2.0}),))]
        )
    assert set(runs) == {"persistence", "running_mean", "predict_zero"}
    assert all(run.usage == {} for run in runs.values())


def test_late_labels_come_late_to_the_floors_too() -> None:
    changing = sequence("s" * 10 + "r" * 10)
    now = score(walk_floors(TASK, [changing])["persistence"], "accuracy")
    late = score(walk_floors(TASK, [changing], feedback=rnnprog.Label(delay=4))["persistence"], "accuracy")
    assert now == pytest.approx(18 / 19)
    assert late == pytest.approx(15 / 19)  # the label of step t is known from step t + 4 on
    informed = walk_floors(
        TASK, [changing], ["persistence"], sources={"tomorrow": "sky"}, feedback=rnnprog.Label(delay=4)
    )
    assert score(informed["persistence"], "accuracy") == pytest.approx(18 / 19)


def test_floors_of_a_result_see_the_very_steps_that_were_walked() -> None:
    program = rnnprog.RecurrentModule(TASK)
    program.set_lm(rnnprog.embedded_lm())
    result = rnnprog.run(program, [sequence("srsrsr")])
    assert sequences_of(result) == [sequence("srsrsr")]
    line = summary(result, "accuracy", walk_floors(TASK, sequences_of(result)))
    assert line["floors"]["persistence"] == 0.0
    assert line["steps"] == 5
    assert line["calls"] > 0


def test_names() -> None:
    assert set(walk_floors(TASK, [sequence("srs")], ["markov"])) == {"markov"}
    assert set(FLOOR_NAMES) <= set(rnnprog.cell_names())
    with pytest.raises(ConfigurationError, match="unknown floor 'markow'"):
        walk_floors(TASK, [sequence("srs")], ["markow"])
    with pytest.raises(ConfigurationError, match="predicts numbers"):
        walk_floors(TASK, [sequence("srs")], ["running_mean"])
