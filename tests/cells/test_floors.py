"""Floors against counts made by hand, and the promises every cell makes."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnprog.cells.base import Experience
from rnnprog.cells.floors import Floor, Majority, Markov, Persistence, PredictZero, RunningMean, floors_for
from rnnprog.errors import ConfigurationError, DataError
from rnnprog.trace import Feedback, Fields

SKY = "wind: float, sky -> tomorrow: Literal['sun', 'rain', 'snow']"
TEMP = "wind: float, now: float -> temp: float"

skies = st.lists(st.sampled_from(["sun", "rain", "snow"]), min_size=1, max_size=30)


def label(**target: Any) -> Feedback:
    return Feedback(kind="label", target=target)


def walk(cell: Floor, inputs: list[dict[str, Any]], targets: list[dict[str, Any]]) -> list[Any]:
    carry, answers = cell.initial(), []
    for x, y in zip(inputs, targets, strict=True):
        answers.append(cell.predict(carry, x).outputs)
        carry = cell.learn(carry, Experience("id", 0, x, answers[-1], label(**y))).carry
    return answers


@given(skies)
def test_persistence_shifts_the_labels_by_one(labels: list[str]) -> None:
    answers = walk(Persistence(SKY), [{"wind": 0.0, "sky": "?"}] * len(labels), [{"tomorrow": s} for s in labels])
    assert [a["tomorrow"] for a in answers] == ["sun", *labels[:-1]]


@given(skies)
def test_persistence_with_a_source_repeats_the_input(values: list[str]) -> None:
    cell = Persistence(SKY, sources={"tomorrow": "sky"})
    answers = walk(cell, [{"wind": 0.0, "sky": s} for s in values], [{"tomorrow": "snow"}] * len(values))
    assert [a["tomorrow"] for a in answers] == values


@given(skies)
def test_majority_is_the_count_so_far(labels: list[str]) -> None:
    answers = walk(Majority(SKY), [{"wind": 0.0, "sky": "?"}] * len(labels), [{"tomorrow": s} for s in labels])
    for t, answer in enumerate(answers[1:], start=1):
        counts = Counter(labels[:t])
        assert counts[answer["tomorrow"]] == max(counts.values())


@given(skies)
def test_markov_follows_the_transition_counts(labels: list[str]) -> None:
    answers = walk(Markov(SKY), [{"wind": 0.0, "sky": "?"}] * len(labels), [{"tomorrow": s} for s in labels])
    for t in range(2, len(labels)):
        rows: dict[str, Counter[str]] = defaultdict(Counter)
        for a, b in pairwise(labels[:t]):
            rows[a][b] += 1
        row = rows[labels[t - 1]] or Counter(labels[:t])
        assert row[answers[t]["tomorrow"]] == max(row.values())


def test_markov_finds_a_cycle_that_majority_cannot() -> None:
    cycle = ["sun", "rain", "snow"] * 10
    inputs, targets = [{"wind": 0.0, "sky": "?"}] * 30, [{"tomorrow": s} for s in cycle]
    right = {
        cell.name: sum(a["tomorrow"] == s for a, s in zip(walk(cell, inputs, targets), cycle, strict=True))
        for cell in (Markov(SKY), Majority(SKY), Persistence(SKY))
    }
    assert right["markov"] >= 26
    assert right["persistence"] == 1  # only the default first answer
    assert right["majority"] <= 15


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_running_mean_is_the_mean_so_far(values: list[float]) -> None:
    answers = walk(RunningMean(TEMP), [{"wind": 0.0, "now": 0.0}] * len(values), [{"temp": v} for v in values])
    assert answers[0] == {"temp": 0.0}
    for t in range(1, len(values)):
        assert answers[t]["temp"] == pytest.approx(sum(values[:t]) / t, abs=1e-6)


def test_running_mean_of_an_int_is_an_int() -> None:
    answers = walk(RunningMean("a: int -> b: int"), [{"a": 0}] * 3, [{"b": 1}, {"b": 4}, {"b": 4}])
    assert [a["b"] for a in answers] == [0, 1, 2]


def test_ranked_majority_gives_the_most_frequent_first() -> None:
    cell = Majority("note: str -> diagnoses: list[str]")
    answers = walk(
        cell, [{"note": ""}] * 3, [{"diagnoses": ["flu", "cold"]}, {"diagnoses": ["cold"]}, {"diagnoses": []}]
    )
    assert [a["diagnoses"] for a in answers] == [[], ["cold", "flu"], ["cold", "flu"]]


@pytest.mark.parametrize("task", [SKY, TEMP, "a: str -> b: bool, c: int, d: list[str]"])
def test_floors_never_mutate_and_carry_json(task: str) -> None:
    for cell in floors_for(task):
        inputs: Fields = dict.fromkeys(cell.task.inputs, 1.0)
        carry = cell.initial()
        for outcome in (cell.first, cell.first):
            before = json.dumps(cell.dump_carry(carry))
            answer = cell.predict(carry, inputs)
            assert answer.outputs == cell.task.validate(answer.outputs or {})
            after = cell.learn(carry, Experience("i", 0, inputs, answer.outputs, label(**outcome))).carry
            assert json.dumps(cell.dump_carry(carry)) == before, f"{cell.name} changed the carry it was given"
            loaded = cell.load_carry(json.loads(json.dumps(cell.dump_carry(after))))
            assert loaded == after
            assert cell.predict(loaded, inputs).outputs == cell.predict(after, inputs).outputs
            carry = after


@pytest.mark.parametrize("feedback", [None, Feedback(kind="judge", correct=True), label(tomorrow=None), label(other=1)])
def test_without_a_label_the_very_same_carry_comes_back(feedback: Feedback | None) -> None:
    for cell in floors_for(SKY):
        carry = cell.learn(cell.initial(), Experience("i", 0, {"sky": "sun"}, None, label(tomorrow="rain"))).carry
        learned = cell.learn(carry, Experience("j", 1, {"sky": "sun"}, None, feedback))
        assert learned.carry is carry
        assert learned.operation == "keep"


def test_majority_does_not_depend_on_the_order() -> None:
    cell, carries = Majority(SKY), []
    for labels in (["sun", "rain"], ["rain", "sun"]):
        carry = cell.initial()
        for text in labels:
            carry = cell.learn(carry, Experience("i", 0, {}, None, label(tomorrow=text))).carry
        carries.append(carry)
    assert cell.digest(carries[0]) == cell.digest(carries[1])
    assert cell.predict(carries[0], {}).outputs == cell.predict(carries[1], {}).outputs


def test_floors_that_fit() -> None:
    assert [type(cell) for cell in floors_for(SKY)] == [Persistence, Majority, Markov]
    assert [type(cell) for cell in floors_for(TEMP)] == [Persistence, RunningMean, PredictZero]


def test_the_first_answer_respects_the_range() -> None:
    import dspy

    class Warm(dspy.Signature):
        """Predict."""

        day: int = dspy.InputField()
        kelvin: float = dspy.OutputField(ge=200, le=350)

    assert PredictZero(Warm).first == {"kelvin": 200.0}
    with pytest.raises(ConfigurationError, match="give start="):
        PredictZero(Warm, start={"kelvin": 5.0})


def test_bad_configuration_says_what_is_wrong() -> None:
    with pytest.raises(ConfigurationError, match="'tomorow'"):
        Persistence(SKY, sources={"tomorow": "sky"})
    with pytest.raises(ConfigurationError, match="use majority"):
        RunningMean(SKY)
    with pytest.raises(ConfigurationError, match="does not predict"):
        Majority(SKY, start={"yesterday": "sun"})
    with pytest.raises(DataError, match="not a number"):
        RunningMean(TEMP).learn({"temp": {}}, Experience("i", 0, {}, None, label(temp="warm")))
