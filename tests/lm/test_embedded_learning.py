"""Walks with the embedded model: it learns from its notes alone, recovers from a change, and obeys its orders."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any

import dspy
import pytest

from rnnprog.signatures import Rewrite

Steps = Sequence[tuple[dict[str, Any], dict[str, Any]]]
TASK = "sky: str, wind: str, noise: str -> tomorrow: Literal['sun', 'rain', 'snow']"
BEFORE = {"grey": "rain", "blue": "sun", "white": "snow"}
AFTER = {"grey": "sun", "blue": "snow", "white": "rain"}
DEFAULT = Rewrite.instructions
RECENT = DEFAULT + " Weigh recent evidence more."
SEEDS = (0, 1, 2)


def skies(n: int, seed: int, flip: int | None = None, noise: float = 0.2) -> Steps:
    draw, steps = random.Random(seed), []
    for t in range(n):
        seen = {"sky": draw.choice(list(BEFORE)), "wind": draw.choice("nse"), "noise": draw.choice("abcd")}
        truth = (AFTER if flip is not None and t >= flip else BEFORE)[seen["sky"]]
        if draw.random() < noise:
            truth = draw.choice([value for value in BEFORE.values() if value != truth])
        steps.append((seen, {"tomorrow": truth}))
    return steps


def accuracy(walk: Any, steps: Steps, start: int, end: int | None = None) -> float:
    pairs = list(zip(walk.answers, steps, strict=True))[start:end]
    return float(mean(answer == truth for answer, (_, truth) in pairs))


def best(steps: Steps, start: int) -> float:
    return float(mean(BEFORE[seen["sky"]] == truth["tomorrow"] for seen, truth in steps[start:]))


def test_a_noisy_rule_is_learned_nearly_as_well_as_it_can_be(walk: Callable[..., Any]) -> None:
    reached, possible, empty = [], [], []
    for seed in SEEDS:
        steps = skies(160, seed)
        reached.append(accuracy(walk(TASK, steps), steps, 80))
        empty.append(accuracy(walk(TASK, steps, learn=False), steps, 80))
        possible.append(best(steps, 80))
    assert mean(reached) > mean(possible) - 0.08
    assert mean(reached) > mean(empty) + 0.25


def test_through_dspy_both_adapters_give_the_same_walk_as_without(
    walk: Callable[..., Any], by_dspy: Callable[..., Any]
) -> None:
    steps = skies(25, 3)
    plain = walk(TASK, steps)
    for adapter in (dspy.ChatAdapter(), dspy.JSONAdapter()):
        through = walk(TASK, steps, ask=by_dspy(None, adapter))
        assert through.answers == plain.answers
        assert through.memories == plain.memories
        assert through.critiques == plain.critiques


def test_it_recovers_from_a_change_and_faster_when_told_to_weigh_recent_evidence(walk: Callable[..., Any]) -> None:
    early: dict[str, list[float]] = {"default": [], "recent": []}
    late: dict[str, list[float]] = {"default": [], "recent": []}
    for seed in SEEDS:
        steps = skies(170, seed, flip=80, noise=0.1)
        for name, rewriter in (("default", DEFAULT), ("recent", RECENT)):
            done = walk(TASK, steps, rewriter=rewriter)
            early[name].append(accuracy(done, steps, 85, 115))
            late[name].append(accuracy(done, steps, 130))
    assert mean(late["default"]) > 0.7
    assert mean(early["recent"]) > mean(early["default"]) + 0.1


def test_never_forgetting_helps_a_steady_series_and_ruins_one_that_changes(walk: Callable[..., Any]) -> None:
    lasting = DEFAULT + " Weigh all steps equally."
    steps = skies(150, 1, flip=80, noise=0.1)
    assert accuracy(walk(TASK, steps, rewriter=lasting), steps, 110) < accuracy(walk(TASK, steps), steps, 110) - 0.2


@pytest.mark.parametrize("gone", ["Keep counts.", "State conditions."])
def test_without_counts_or_conditions_it_does_worse(walk: Callable[..., Any], gone: str) -> None:
    assert gone in DEFAULT
    steps = skies(120, 2)
    poorer = walk(TASK, steps, rewriter=DEFAULT.replace(gone, ""))
    assert accuracy(poorer, steps, 60) < accuracy(walk(TASK, steps), steps, 60) - 0.15


def test_orders_to_the_predictor_change_its_answers(walk: Callable[..., Any]) -> None:
    steps = skies(120, 4, flip=60, noise=0.1)
    plain = walk(TASK, steps)
    errors = walk(TASK, steps, predictor_order="Trust the recent errors over the counts.")
    ignore = walk(TASK, steps, predictor_order="Ignore the notes.")
    assert accuracy(errors, steps, 62, 85) > accuracy(plain, steps, 62, 85)
    assert accuracy(errors, steps, 30, 60) < accuracy(plain, steps, 30, 60)
    guesses = {str(seen): answer for (seen, _), answer in zip(steps, ignore.answers, strict=True)}
    assert [guesses[str(seen)] for seen, _ in steps] == ignore.answers, "the same day, the same guess"
    assert abs(accuracy(ignore, steps, 0) - 0.5) < 0.15, "the rate of chance"


def test_a_reflection_that_doubts_the_notes_makes_the_rewrite_forget_what_failed(walk: Callable[..., Any]) -> None:
    plain: list[float] = []
    doubting: list[float] = []
    for seed in SEEDS:
        steps = skies(120, seed, flip=80, noise=0.0)
        for order, found in (("", plain), ("Say whether the notes still hold.", doubting)):
            done = walk(TASK, steps, reflector_order=order)
            found.append(accuracy(done, steps, 80))
            doubts = [c["cause"].endswith("; the notes on such steps may no longer hold.") for c in done.critiques]
            wrong = [answer != truth for answer, (_, truth) in zip(done.answers, steps, strict=True)]
            assert doubts == (wrong if order else [False] * len(steps))
    assert mean(doubting) > mean(plain) + 0.05


def test_a_reflection_without_causes_leaves_them_out_of_the_notes(walk: Callable[..., Any]) -> None:
    steps = skies(40, 1)
    plain, short = (walk(TASK, steps, reflector_order=order) for order in ("", "Say only what the outcome was."))
    assert "; cause: " in plain.memories[-1]
    assert "; cause: " not in short.memories[-1]
    assert "Said tomorrow is" in short.memories[-1]
    assert {(c["cause"], c["lesson"]) for c in short.critiques} == {("(not asked for)", "(not asked for)")}


def test_two_fields_that_only_count_together_need_the_order_to_pair(walk: Callable[..., Any]) -> None:
    draw, steps = random.Random(5), []
    for _ in range(100):
        seen = {"sky": draw.choice("gb"), "wind": draw.choice("ns")}
        steps.append((seen, {"tomorrow": "sun" if (seen["sky"] == "g") == (seen["wind"] == "n") else "rain"}))
    task = "sky, wind -> tomorrow: Literal['sun', 'rain']"
    paired = walk(task, steps, rewriter=DEFAULT + " Note pairs of conditions.")
    assert accuracy(paired, steps, 50) > 0.95
    assert accuracy(walk(task, steps), steps, 50) < 0.75


def test_a_number_that_depends_on_a_condition(walk: Callable[..., Any]) -> None:
    draw, levels, steps = random.Random(6), {"a": 10.0, "b": 15.0, "c": 22.0}, []
    for _ in range(100):
        kind = draw.choice("abc")
        seen = {"kind": kind, "x": round(draw.gauss(0, 1), 2)}
        steps.append((seen, {"level": round(levels[kind] + draw.gauss(0, 2), 2)}))
    done = walk("kind: str, x: float -> level: float", steps)
    truths = [truth["level"] for _, truth in steps[50:]]
    error = mean(abs(a["level"] - t) for a, t in zip(done.answers[50:], truths, strict=True))
    constant = mean(abs(t - mean(truths)) for t in truths)
    assert error < 0.6 * constant


def test_a_number_that_stays_near_its_last_value(walk: Callable[..., Any]) -> None:
    draw, value = random.Random(7), 20.0
    steps: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for _ in range(100):
        old, value = value, round(20 + 0.95 * (value - 20) + draw.gauss(0, 1), 2)
        steps.append(({"day": draw.choice("ab"), "temp": old}, {"later": value}))
    done = walk("day: str, temp: float -> later: float", steps)
    truths = [truth["later"] for _, truth in steps[50:]]
    error = mean(abs(a["later"] - t) for a, t in zip(done.answers[50:], truths, strict=True))
    constant = mean(abs(t - mean(truths)) for t in truths)
    staying = mean(abs(seen["temp"] - truth["later"]) for seen, truth in steps[50:])
    assert error < 0.8 * constant
    assert error < 1.35 * staying


def test_a_class_that_stays_as_it_is_although_no_field_shows_it(walk: Callable[..., Any]) -> None:
    draw, state, steps = random.Random(8), "sun", []
    for _ in range(120):
        if draw.random() < 0.1:
            state = "rain" if state == "sun" else "sun"
        steps.append(({"day": draw.choice("ab")}, {"tomorrow": state}))
    done = walk("day -> tomorrow: Literal['sun', 'rain']", steps)
    assert accuracy(done, steps, 40) > 0.8


def test_future_steps_change_nothing_before_them(walk: Callable[..., Any]) -> None:
    steps = skies(30, 9)
    other = [*steps[:20], *[(seen, {"tomorrow": "snow"}) for seen, _ in steps[20:]]]
    first, second = walk(TASK, steps), walk(TASK, other)
    assert first.answers[:21] == second.answers[:21]
    assert first.memories[:20] == second.memories[:20]
    assert first.memories[20:] != second.memories[20:]


def test_no_answer_holds_a_label_that_its_prompt_does_not_hold(walk: Callable[..., Any]) -> None:
    steps = [({"sky": "grey"}, {"tomorrow": f"label{t}"}) for t in range(12)]
    done = walk("sky -> tomorrow", steps)
    for t, answer in enumerate(done.answers):
        told = {f"label{k}" for k in range(t)} | {"unknown"}
        assert answer["tomorrow"] in told
