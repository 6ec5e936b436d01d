"""A River cell keeps a cell's promises: old carries stay what they were, the carry is JSON, learning off is frozen."""

from __future__ import annotations

import copy
import json
import sys
from typing import Any

import pytest

import rnnprog
from rnnprog.cells.base import Experience
from rnnprog.cells.river_cell import RiverCarry, RiverCell
from rnnprog.errors import ConfigurationError
from rnnprog.trace import Feedback, Fields, Step

pytest.importorskip("river", reason="needs the extra river: pip install 'rnnprog[river]'")
from river import compose, dummy, linear_model, preprocessing, stats, tree

TASK = "wind: float, rain: float -> temp: float"
CLASSES = "wind: float, rain: float -> sky: Literal['sun', 'rain', 'snow']"


def regressor() -> Any:
    return preprocessing.StandardScaler() | linear_model.LinearRegression()


def seen(t: int, truth: Any, field: str = "temp") -> Experience:
    feedback = Feedback(kind="label", target={field: truth})
    return Experience(str(t), t, {"wind": float(t % 5), "rain": float(t % 3)}, None, feedback)


def grown(cell: RiverCell, n: int) -> list[RiverCarry]:
    carries = [cell.initial()]
    for t in range(n):
        carries.append(cell.learn(carries[-1], seen(t, 3.0 * (t % 5))).carry)
    return carries


X: Fields = {"wind": 4.0, "rain": 2.0}


def test_every_older_carry_still_predicts_as_it_did() -> None:
    cell = RiverCell(TASK, regressor())
    carry, answers, carries = cell.initial(), [], []
    for t in range(12):
        answers.append(cell.predict(carry, X).outputs)
        carries.append(carry)
        carry = cell.learn(carry, seen(t, 3.0 * (t % 5))).carry
    assert [cell.predict(old, X).outputs for old in carries] == answers
    assert len({json.dumps(a) for a in answers}) > 6


def test_branches_from_one_carry_do_not_touch_each_other() -> None:
    cell = RiverCell(TASK, regressor())
    trunk = grown(cell, 5)[-1]
    left = cell.learn(trunk, seen(5, 100.0)).carry
    right = cell.learn(trunk, seen(5, -100.0)).carry
    again = cell.learn(trunk, seen(5, 100.0)).carry
    assert cell.predict(left, X).outputs == cell.predict(again, X).outputs
    assert cell.predict(left, X).outputs != cell.predict(right, X).outputs
    assert cell.digest(left) == cell.digest(again) != cell.digest(right)
    assert trunk.length == 5


def test_json_round_trip_and_deep_copy() -> None:
    cell = RiverCell(TASK, regressor())
    carry = grown(cell, 8)[-1]
    loaded = cell.load_carry(json.loads(json.dumps(cell.dump_carry(carry))))
    assert loaded == carry
    assert cell.predict(loaded, X).outputs == cell.predict(carry, X).outputs
    copied = copy.deepcopy(carry)
    cell.learn(copied, seen(8, 50.0))
    assert cell.predict(carry, X).outputs == cell.predict(loaded, X).outputs


def test_going_on_costs_no_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = RiverCell(TASK, regressor())
    replays: list[int] = []
    trained = cell._trained

    def counted(examples: list[Any]) -> Any:
        replays.append(len(examples))
        return trained(examples)

    monkeypatch.setattr(cell, "_trained", counted)
    carries = grown(cell, 30)
    cell.predict(carries[-1], X)
    assert replays == []
    cell.predict(carries[10], X)
    assert replays == [10]


def test_no_label_no_learning_and_the_prototype_is_never_touched() -> None:
    model = regressor()
    before = repr(model["LinearRegression"].weights)
    cell = RiverCell(TASK, model)
    carry = grown(cell, 3)[-1]
    assert cell.learn(carry, Experience("x", 9, X, None, None)).carry is carry
    assert repr(model["LinearRegression"].weights) == before


def test_with_learning_off_the_carry_never_changes() -> None:
    steps = [Step(inputs={"wind": float(t), "rain": 0.0}, target={"temp": 2.0 * t}) for t in range(6)]
    walk = rnnprog.RecurrentModule(RiverCell(TASK, regressor()), learning=False)(steps=steps)
    assert walk.memory.length == 0
    assert {output["temp"] for output in walk.outputs} == {0.0}


def test_a_warm_start_is_kept() -> None:
    model = dummy.StatisticRegressor(stats.Mean())
    model.learn_one(X, 10.0)
    cell = RiverCell(TASK, model)
    assert cell.predict(cell.initial(), X).outputs == {"temp": 10.0}


def test_classes_probabilities_and_the_first_answer() -> None:
    cell = RiverCell(CLASSES, tree.HoeffdingTreeClassifier())
    assert cell.predict(cell.initial(), X).outputs == {"sky": "sun"}
    carry = cell.initial()
    for t in range(20):
        carry = cell.learn(carry, seen(t, "rain" if t % 3 else "snow", "sky")).carry
    answer = cell.predict(carry, X)
    assert answer.outputs == {"sky": "rain"}
    assert answer.prediction is not None
    assert sum(answer.prediction.probabilities.values()) == pytest.approx(1.0)
    many = RiverCell("wind: float, rain: float -> sky: dict[str, float]", tree.HoeffdingTreeClassifier())
    learned = many.learn(many.initial(), seen(0, {"sun": 0.0, "rain": 1.0}, "sky")).carry
    assert many.predict(learned, X).outputs == {"sky": {"rain": 1.0}}


def test_sequences_walked_together_equal_sequences_walked_alone() -> None:
    sequences = [
        rnnprog.Sequence(
            id=name,
            steps=tuple(Step(inputs={"wind": float(t), "rain": 1.0}, target={"temp": f * t}) for t in range(30)),
        )
        for name, f in (("a", 1.0), ("b", -2.0), ("c", 0.5))
    ]
    program = rnnprog.RecurrentModule(RiverCell(TASK, regressor()))
    together = rnnprog.run(program, sequences, concurrency=3).traces
    assert together == tuple(rnnprog.run(program, [s]).traces[0] for s in sequences)


@pytest.mark.parametrize(
    ("output", "truths"),
    [
        ("y: float", [1.5, 3.0]),
        ("y: int", [1, 3]),
        ("y: bool", [True, False]),
        ("y: Literal['a', 'b']", ["a", "b"]),
        ("y: dict[str, float]", [{"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}]),
    ],
)
def test_a_default_model_for_every_output_learns_from_numbers_and_texts(output: str, truths: list[Any]) -> None:
    cell = rnnprog.make_cell("river", f"sky: str, wind: float, gust: bool -> {output}")
    carry = cell.initial()
    inputs: list[Fields] = [{"sky": "grey", "wind": 1.0, "gust": True}, {"sky": "blue", "wind": 9.0, "gust": False}]
    assert cell.task.validate(cell.predict(carry, inputs[0]).outputs or {})
    for t in range(200):
        feedback = Feedback(kind="label", target={"y": truths[t % 2]})
        carry = cell.learn(carry, Experience(str(t), t, inputs[t % 2], None, feedback)).carry
    one, other = (cell.predict(carry, x).outputs or {} for x in inputs)
    assert one != other
    assert cell.task.validate(one) == one


def test_no_default_for_lists() -> None:
    with pytest.raises(ConfigurationError, match="give model="):
        RiverCell("a: float -> b: list[str]")


def test_a_model_that_cannot_be_written_or_is_written_with_its_address_is_described_all_the_same() -> None:
    shy = compose.SelectType(float, int) | linear_model.LinearRegression()
    assert RiverCell(TASK, shy).describe()["model"]
    odd = compose.FuncTransformer(lambda x: x) | linear_model.LinearRegression()
    assert "0x" not in str(RiverCell(TASK, odd).describe()["model"])


def test_wrong_use_says_so() -> None:
    with pytest.raises(ConfigurationError, match="one output"):
        RiverCell("a: float -> b: float, c: float", regressor())
    with pytest.raises(ConfigurationError, match="not its class"):
        RiverCell(TASK, object())
    with pytest.raises(ConfigurationError, match="predicts none"):
        RiverCell("a: float -> b: dict[str, float]", linear_model.LinearRegression())


# by name


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        ("linear_model.LinearRegression", ["StandardScaler", "LinearRegression"]),
        ("preprocessing.MinMaxScaler | tree.HoeffdingTreeRegressor", ["MinMaxScaler", "HoeffdingTreeRegressor"]),
        ([{"preprocessing.MinMaxScaler": {}}, "neighbors.KNNRegressor"], ["MinMaxScaler", "KNNRegressor"]),
        ({"linear_model.LinearRegression": {"intercept_lr": 0.1}}, ["StandardScaler", "LinearRegression"]),
    ],
)
def test_any_regressor_by_name(written: Any, steps: list[str]) -> None:
    cell = rnnprog.make_cell("river", TASK, model=written)
    assert list(cell.model.steps) == steps
    carry = grown(cell, 60)[-1]
    assert cell.predict(carry, X).outputs != cell.predict(cell.initial(), X).outputs


def test_parameters_are_handed_on_also_estimators_and_what_is_random_has_a_seed() -> None:
    written = {"linear_model.LinearRegression": {"intercept_lr": 0.1, "optimizer": {"optim.SGD": {"lr": 0.07}}}}
    model = RiverCell(TASK, written).model["LinearRegression"]
    assert (model.intercept_lr.learning_rate, model.optimizer.lr.learning_rate) == (0.1, 0.07)
    forest = {"ensemble.BaggingRegressor": {"model": {"tree.HoeffdingTreeRegressor": {}}, "n_models": 3}}
    one, other = (grown(RiverCell(TASK, forest), 40)[-1] for _ in range(2))
    assert RiverCell(TASK, forest).predict(one, X).outputs == RiverCell(TASK, forest).predict(other, X).outputs
    assert RiverCell(TASK, forest).model["BaggingRegressor"].seed == 0


@pytest.mark.parametrize("name", ["linear_model.LogisticRegression", "linear_model.SoftmaxRegression"])
@pytest.mark.parametrize("labels", ["'sun', 'rain', 'snow'", "'sun', 'rain'"])
def test_a_classifier_by_name_tells_every_class_from_the_others(name: str, labels: str) -> None:
    known = [label.strip(" '") for label in labels.split(",")]
    cell = RiverCell(f"wind: float, rain: float -> sky: Literal[{labels}]", name)
    carry = cell.initial()
    at: list[Fields] = [{"wind": float(10 * (k == 0)), "rain": float(10 * (k == 1))} for k in range(3)]
    for t in range(300):
        k = t % len(known)
        feedback = Feedback(kind="label", target={"sky": known[k]})
        carry = cell.learn(carry, Experience(str(t), t, at[k], None, feedback)).carry
    assert [(cell.predict(carry, at[k]).outputs or {})["sky"] for k in range(len(known))] == known


@pytest.mark.parametrize(
    ("task", "written", "said"),
    [
        (TASK, "linear_model.LinearRegresion", "did you mean linear_model.LinearRegression"),
        (TASK, "LinearRegression", "did you mean linear_model.LinearRegression"),
        (TASK, "os.system", "write module.Class"),
        (TASK, "datasets.Phishing", "River has no"),
        (TASK, "linear_model.SoftmaxRegression", "that is a number, and this is a classifier"),
        (TASK, "preprocessing.StandardScaler", "a River estimator that predicts"),
        (TASK, "preprocessing.StandardScaler|preprocessing.MinMaxScaler", "predicts neither labels nor numbers"),
        (TASK, {"linear_model.LinearRegression": {"speed": 1}}, r"does not take \['speed'\]"),
        (TASK, {"a.B": {}, "c.D": {}}, "one name and its parameters"),
        (TASK, [], "empty list"),
        (CLASSES, "linear_model.LinearRegression", "that is a label, and this is a regressor"),
        (CLASSES, "preprocessing.StandardScaler|linear_model.LogisticRegression", "only false from true"),
    ],
)
def test_names_that_do_not_do_say_why(task: str, written: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        RiverCell(task, written)


def test_without_river_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "river.base", None)
    with pytest.raises(ConfigurationError, match=r"rnnprog\[river\]"):
        RiverCell(TASK, "linear_model.LinearRegression")
