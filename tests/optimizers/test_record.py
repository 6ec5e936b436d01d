"""What mattered, and the slices: no share where there is nothing to share, none for chance, and ranges as ranges."""

from __future__ import annotations

import random
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from rnnprog.optimizers import Objective, record_of
from rnnprog.report.tuning_charts import importance, slices


def record(rows: list[tuple[dict[str, Any], float]]) -> dict[str, Any]:
    study = optuna.create_study(direction="maximize")
    for params, score in rows:
        made: dict[str, Any] = {
            name: CategoricalDistribution(sorted({row[name] for row, _ in rows}))
            if isinstance(value, str)
            else FloatDistribution(0.0, 1.0)
            for name, value in params.items()
        }
        study.add_trial(
            optuna.create_trial(
                params=params, distributions=made, value=score, user_attrs={"measures": {"score": score}}
            )
        )
    return record_of(study, Objective("accuracy"))


def test_where_all_score_alike_nothing_mattered() -> None:
    rows: list[tuple[dict[str, Any], float]] = [
        ({"a": "xy"[n % 2], "b": n / 10}, 0.1 + 0.2 - 0.3 * 1e-17) for n in range(9)
    ]
    told = record(rows)
    assert told["importance"] == {}
    assert "all of them scored alike" in importance(told)


def test_a_choice_that_decides_has_all_of_it_and_one_tried_once_each_has_no_share() -> None:
    rows: list[tuple[dict[str, Any], float]] = [
        ({"decides": "ab"[n % 2], "once": f"text-{n}"}, 0.4 + 0.2 * (n % 2)) for n in range(10)
    ]
    assert record(rows)["importance"] == {"decides": 1.0}


def test_chance_has_no_share_on_average() -> None:
    draw = random.Random(0)
    shares = []
    for _ in range(60):
        rows: list[tuple[dict[str, Any], float]] = [
            ({"idle": draw.choice("abcdefgh"), "range": draw.random()}, draw.random()) for _ in range(24)
        ]
        found = record(rows)["importance"]
        shares.append((found.get("idle", 0.0), found.get("range", 0.0)))
    # The plain share of eight idle choices among 24 trials would be about 7/23 = 0.30.
    assert sum(idle for idle, _ in shares) / 60 < 0.1
    assert sum(range_ for _, range_ in shares) / 60 < 0.1


def test_a_range_is_told_by_quarters_and_drawn_over_its_numbers() -> None:
    draw = random.Random(1)
    rows: list[tuple[dict[str, Any], float]] = []
    for _ in range(40):
        x = draw.random()
        rows.append(({"range": x, "few": "ab"[x > 0.9]}, x))
    told = record(rows)
    assert told["importance"]["range"] == pytest.approx(0.9375, abs=0.05)  # of a uniform: 1 - 1/16
    drawn = slices(told)
    assert drawn.count("<svg") == 2
    assert drawn.count("<circle") == 80
    assert ">range</text>" in drawn, "the axis is the number itself"
