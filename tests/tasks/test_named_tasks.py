"""The tasks that come with the package: their data, their floors, and what is known about them in closed form."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
import pytest

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.tasks import TaskData, load_task, make_task, register_task, task_names
from rnnprog.tasks import sp500 as load_sp500
from rnnprog.tasks import weather as load_weather
from rnnprog.tasks.regimes import FIELDS, LABELS, best_accuracy, chance_accuracy, regimes
from rnnprog.tasks.sp500 import TICKERS, how_to_get_river
from rnnprog.trace import Sequence, Step

NEEDS_311 = pytest.mark.skipif(sys.version_info < (3, 11), reason="NOT TESTED: river with the file of sp500 needs 3.11")


def only(data: TaskData) -> tuple[Step, ...]:
    (sequence,) = data.sequences
    return sequence.steps


@pytest.fixture(scope="module")
def seattle() -> TaskData:
    return load_task("weather")


@pytest.mark.parametrize("name", ["weather", pytest.param("sp500", marks=NEEDS_311), "regimes"])
def test_every_task_keeps_its_word(name: str) -> None:
    data = load_task(name)
    assert data.check() is data
    assert data.instructions
    assert [metric.name for metric in data.scoring()] == list(data.metrics)
    assert data.floors
    json.dumps(data.describe())
    for sequence in data:
        assert Sequence.model_validate_json(sequence.model_dump_json()) == sequence
        assert sum(step.target is None for step in sequence.steps) <= 1
    assert [example.steps for example in data.examples()] == [sequence.steps for sequence in data]
    assert set(data.examples()[0].inputs().keys()) == {"steps"}


def test_weather_is_seattle_2012_to_2015(seattle: TaskData) -> None:
    steps = only(seattle)
    assert (len(steps), steps[0].time, steps[-1].time) == (1461, "2012-01-01", "2015-12-31")
    assert steps[-1].target is None
    assert Counter(step.inputs["weather"] for step in steps) == {
        "rain": 646,
        "sun": 637,
        "fog": 101,
        "drizzle": 54,
        "snow": 23,
    }
    assert all(a.target == {"tomorrow": b.inputs["weather"]} for a, b in pairwise(steps))


def test_weather_as_packaged_calls_wet_days_fog() -> None:
    steps = only(load_task("weather", labels="packaged"))
    wet = Counter(step.inputs["weather"] for step in steps if float(str(step.inputs["precipitation"])) > 0)
    assert (wet["fog"], wet["sun"]) == (310, 77)
    corrected = only(load_task("weather"))
    assert sum(a.inputs["weather"] != b.inputs["weather"] for a, b in zip(steps, corrected, strict=True)) == 387


def persistence(steps: tuple[Step, ...], today: str, outcome: str) -> float:
    pairs = [(step.inputs[today], step.target[outcome]) for step in steps if step.target]
    return sum(a == b for a, b in pairs) / len(pairs)


def test_weather_floors(seattle: TaskData) -> None:
    """All over the 1,460 days with an outcome; Markov is prequential: counts so far, the class itself if unseen."""
    steps = only(seattle)
    assert persistence(steps, "weather", "tomorrow") == pytest.approx(920 / 1460)  # 63.0 %
    assert persistence(only(load_task("weather", labels="packaged")), "weather", "tomorrow") == pytest.approx(
        955 / 1460
    )
    outcomes = Counter(str(step.target["tomorrow"]) for step in steps if step.target)
    assert outcomes.most_common(1)[0] == ("rain", 646)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    right = 0
    for step in steps[:-1]:
        assert step.target
        today, tomorrow = str(step.inputs["weather"]), str(step.target["tomorrow"])
        right += (counts[today].most_common(1)[0][0] if counts[today] else today) == tomorrow
        counts[today][tomorrow] += 1
    assert right / 1460 == pytest.approx(0.633, abs=5e-4)


def test_temp_max_floor() -> None:
    steps = only(load_task("weather", target="temp_max"))
    errors = [abs(s.inputs["temp_max"] - s.target["temp_max_tomorrow"]) for s in steps if s.target]  # type: ignore[operator]
    assert len(errors) == 1460
    assert np.mean(errors) == pytest.approx(2.2248, abs=5e-5)


def test_weather_by_year() -> None:
    data = load_task("weather", by="year")
    assert [(s.id, len(s)) for s in data] == [("2012", 366), ("2013", 365), ("2014", 365), ("2015", 365)]
    assert all(s.steps[-1].target is None for s in data)
    assert [[s.id for s in part] for part in data.split(0.5, 0.25)] == [["2012", "2013"], ["2014"], ["2015"]]


@pytest.mark.parametrize("options", [{"target": "wind"}, {"by": "month"}, {"labels": "new"}])
def test_weather_refuses_other_options(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="choose"):
        load_task("weather", **options)


@NEEDS_311
def test_sp500_predicts_the_next_row_of_the_portfolio() -> None:
    steps = only(load_task("sp500"))
    assert (len(steps), steps[0].time, steps[-1].time) == (1257, "2013-02-11", "2018-02-06")
    today = np.array([[float(str(s.inputs[name])) for name in TICKERS] for s in steps])
    portfolio = np.array([float(str(s.inputs["portfolio"])) for s in steps])
    after = np.array([float(str(s.target["next_day_return"])) for s in steps if s.target])
    assert len(after) == 1257
    np.testing.assert_allclose(portfolio, today.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(portfolio[1:], after[:-1], atol=2e-6)


@NEEDS_311
def test_sp500_floors() -> None:
    """Over all 1,257 days, in percent squared."""
    steps = only(load_task("sp500"))
    portfolio = np.array([float(str(s.inputs["portfolio"])) for s in steps])
    after = np.array([float(str(s.target["next_day_return"])) for s in steps if s.target])
    assert np.mean(after**2) == pytest.approx(0.61345, abs=5e-6)
    assert np.mean((after - portfolio) ** 2) == pytest.approx(1.24863, abs=5e-6)
    assert np.mean(np.abs(after)) == pytest.approx(0.56143, abs=5e-6)


def test_regimes_are_reproducible_and_each_sequence_stands_alone() -> None:
    assert regimes(3, 50, seed=4) == regimes(3, 50, seed=4)
    assert regimes(1, 50, seed=4).sequences[0] == regimes(3, 50, seed=4).sequences[0]
    assert regimes(1, 50, seed=4).sequences != regimes(1, 50, seed=5).sequences
    assert len({s.model_dump_json(exclude={"id"}) for s in regimes(3, 50)}) == 3


def accuracy_of_rule(sequence: Sequence, regime: int, start: int, stop: int) -> float:
    rules: Any = sequence.meta["rules"]
    rule = rules[regime]
    steps = sequence.steps[start:stop]
    said = [rule["labels"][step.inputs[rule["decides"]]] for step in steps]
    return sum(step.target == {"turn": label} for step, label in zip(steps, said, strict=True)) / len(steps)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5, 0.9])
def test_regimes_reach_the_accuracy_known_in_closed_form(noise: float) -> None:
    n = 6000
    (sequence,) = regimes(n_steps=n, noise=noise, seed=11)
    changes: Any = sequence.meta["changes"]
    (change,) = changes
    tolerance = 4 * sqrt(0.25 / (n - change))
    for regime, start, stop in ((0, 0, change), (1, change, n)):
        by_rule = accuracy_of_rule(sequence, regime, start, stop)
        assert by_rule == pytest.approx(1 - noise, abs=tolerance if noise else 0)
        # Above a noise of 2/3 the best predictor says one of the labels that the rule excludes.
        assert max(by_rule, (1 - by_rule) / 2) == pytest.approx(best_accuracy(noise), abs=tolerance)
    assert accuracy_of_rule(sequence, 0, change, n) == pytest.approx(chance_accuracy(), abs=tolerance)
    labels = Counter(str(step.target["turn"]) for step in sequence.steps if step.target)
    assert all(count / n == pytest.approx(1 / len(LABELS), abs=4 * sqrt(0.25 / n)) for count in labels.values())


def test_no_other_input_tells_anything() -> None:
    (sequence,) = regimes(n_steps=6000, n_changes=0, noise=0.1, seed=2)
    decides = sequence.meta["rules"][0]["decides"]  # type: ignore[index, call-overload]
    for name in FIELDS:
        table = Counter((str(s.inputs[name]), str(s.target["turn"])) for s in sequence.steps if s.target)
        best = sum(max(table[value, label] for label in LABELS) for value in FIELDS[name]) / 6000
        assert best == pytest.approx(0.9 if name == decides else 1 / 3, abs=0.03)


def test_every_change_changes_the_deciding_input() -> None:
    for sequence in regimes(20, 100, n_changes=4):
        rules: Any = sequence.meta["rules"]
        changes: Any = sequence.meta["changes"]
        assert len(changes) == 4
        assert [rule["from"] for rule in rules] == [0, *changes]
        assert changes == sorted(set(changes))
        assert all(10 <= b - a <= 30 for a, b in zip([0, *changes], [*changes, 100], strict=True))
        assert all(a["decides"] != b["decides"] for a, b in pairwise(rules))


@pytest.mark.parametrize(
    ("options", "due"),
    [({"n_steps": "abc"}, "int"), ({"noise": [1]}, "float"), ({"n_steps": None}, "int"), ({"seed": True}, "int")],
)
def test_an_option_of_another_type_is_no_traceback(options: dict[str, Any], due: str) -> None:
    with pytest.raises(ConfigurationError, match=f"of the wrong type; give {due}"):
        load_task("regimes", **options)
    assert load_task("regimes", n_steps=np.int64(9), noise=0).n_steps == 9


@pytest.mark.parametrize("options", [{"noise": 1.5}, {"n_steps": 0}, {"n_steps": 5, "n_changes": 3}, {"seed": -1}])
def test_regimes_refuse_what_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="at least"):
        regimes(**options)


def test_an_unknown_task_names_its_neighbours() -> None:
    with pytest.raises(ConfigurationError, match=r"no task called 'wether'; did you mean 'weather'.*from_file"):
        load_task("wether")
    with pytest.raises(ConfigurationError, match="its options are: n_sequences"):
        load_task("regimes", steps=3)
    assert {"weather", "sp500", "regimes"} <= set(task_names())


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ConfigurationError, match="registered already"):
        register_task("weather")(lambda: make_task("x", "a -> b", []))


@pytest.mark.parametrize(
    ("module", "load"), [("weather", load_weather), pytest.param("sp500", load_sp500, marks=NEEDS_311)]
)
def test_a_missing_extra_says_what_to_install(module: str, load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[load.__module__], "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r'pip install .*"rnnprog\[data\]"'):
        load()


def test_nothing_heavy_is_imported_with_the_tasks() -> None:
    code = (
        "import sys, dspy; before = set(sys.modules); import rnnprog.tasks; "
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before} & "
        "{'datasets', 'pandas', 'pyarrow', 'river', 'vega_datasets', 'torch', 'optuna', 'litellm'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("python", "way_out"), [((3, 10), "this is 3.10. Use a newer Python"), ((3, 12), "pip install")]
)
def test_without_river_the_way_out_fits_the_python(python: tuple[int, int], way_out: str) -> None:
    assert way_out in how_to_get_river(python)
    assert ("pip install" in how_to_get_river(python)) == (python >= (3, 11))
