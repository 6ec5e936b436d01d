"""Each limit is a hard stop, and what was found until then is returned and saved."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rnnprog.errors import ConfigurationError
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Budget, GepaTuner, Instructions, Objective, OptunaTuner, Progress, Schedule, Space
from rnnprog.optimizers.planted import best_instructions, planted_lm, planted_program, planted_sequences

SEQUENCES = planted_sequences(8, steps=3)
WALK = 9  # calls
PRICE = 0.01


def texts(count: int) -> Space:
    more = tuple(f"Text number {n} of many." for n in range(count))
    return Space(parts=(Instructions(phase="predictor", texts=(best_instructions()["predictor"], *more), proposals=0),))


def compiled(student: RecurrentModule, budget: Budget, folder: Path, **given: Any) -> Any:
    schedule = Schedule(trials=40, rounds=0, concurrency=given.pop("concurrency", 1))
    return OptunaTuner(
        "accuracy", space=texts(30), schedule=schedule, budget=budget, folder=folder, pruner="none", **given
    ).compile(student, trainset=SEQUENCES[:2], valset=SEQUENCES[2:])


def saved(folder: Path, found: Any) -> bool:
    again = planted_program()
    again.load(str(folder / "program.json"), allow_unsafe_lm_state=True)
    expected: str = found.cell.predictor.signature.instructions
    return bool(again.cell.predictor.signature.instructions == expected)


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch) -> Callable[[float | None], None]:
    """Give every call a price, as dspy does for the models of its price list."""

    def charge(price: float | None) -> None:
        monkeypatch.setattr("dspy.clients.costs.estimate_cost", lambda *_args, **_given: (price, {}))

    return charge


@pytest.mark.parametrize("concurrency", [1, 3])
def test_money_is_a_hard_stop_and_booked_to_the_cent(
    student: RecurrentModule, tmp_path: Path, priced: Callable[[float | None], None], concurrency: int
) -> None:
    log = tmp_path / "calls"
    student.set_lm(planted_lm(log=log))
    priced(PRICE)
    limit = 1.50
    found = compiled(student, Budget(money=limit), tmp_path / "study", concurrency=concurrency)
    made = len(log.read_text().splitlines())
    assert "of 1.5 in money" in found.stopped
    assert found.ledger.spent.money == pytest.approx(PRICE * made)
    assert limit <= PRICE * made + 1e-9 <= limit + PRICE * concurrency
    assert found.candidate_programs[0]["candidate"].instructions["predictor"] == best_instructions()["predictor"]
    assert saved(tmp_path / "study", found)
    again = compiled(student, Budget(money=limit), tmp_path / "study")
    assert len(log.read_text().splitlines()) == made, "what is spent stays spent after a resume"
    assert again.stopped == found.stopped


def test_money_cannot_be_limited_where_prices_are_not_known(
    student: RecurrentModule, tmp_path: Path, priced: Callable[[float | None], None]
) -> None:
    log = tmp_path / "calls"
    student.set_lm(planted_lm(log=log))
    priced(None)
    with pytest.warns(UserWarning, match="price of a call is not known.*limit calls or tokens"):
        found = compiled(student, Budget(money=5.0), tmp_path / "study")
    assert len(log.read_text().splitlines()) == 1
    assert not found.candidate_programs
    assert saved(tmp_path / "study", student)


@pytest.mark.parametrize("given", [{"objectives": ("score", "money")}, {"constraints": {"money": 1.0}}])
def test_money_that_nobody_knows_is_no_measure(
    student: RecurrentModule, priced: Callable[[float | None], None], given: Any
) -> None:
    def search() -> Any:
        schedule = Schedule(trials=2, rounds=0, concurrency=1)
        tuner = OptunaTuner(Objective("accuracy", **given), space=texts(1), schedule=schedule, folder=None)
        return tuner.compile(student, trainset=SEQUENCES[:2], valset=SEQUENCES[2:])

    priced(None)
    warnings.simplefilter("ignore")  # pytest restores the filters
    with pytest.raises(ConfigurationError, match="price of a call is not known"):
        search()
    priced(PRICE)
    assert search().candidate_programs[0]["measures"]["money"] == pytest.approx(6 * WALK * PRICE)


def test_answers_from_the_cache_are_not_charged(
    student: RecurrentModule, tmp_path: Path, priced: Callable[[float | None], None]
) -> None:
    priced(PRICE)
    lm = student.get_lm().copy(cache=True, rollout_id=7)
    student.set_lm(lm)
    steps = sum(len(sequence.steps) for sequence in SEQUENCES[2:])
    first = compiled(student, Budget(money=PRICE * steps * 3 * 2.5), tmp_path / "one")
    second = compiled(student, Budget(money=PRICE * steps), tmp_path / "two")
    assert first.ledger.spent.money > 0
    assert second.ledger.spent.money < first.ledger.spent.money
    assert second.ledger.spent.calls >= first.ledger.spent.calls


def test_tokens_are_a_hard_stop(student: RecurrentModule, tmp_path: Path) -> None:
    whole = compiled(student, Budget(calls=3 * WALK * 6), tmp_path / "whole")
    one_call = max(entry.tokens for entry in whole.ledger.entries) / WALK * 2
    limit = int(whole.ledger.spent.tokens * 0.8)
    found = compiled(student, Budget(tokens=limit), tmp_path / "study")
    assert f"of {limit} tokens" in found.stopped
    assert limit <= found.ledger.spent.tokens < limit + one_call
    assert found.candidate_programs[0]["candidate"].instructions["predictor"] == best_instructions()["predictor"]
    assert saved(tmp_path / "study", found)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A clock for budgets that a model call moves on by a second; returns the log of calls that it reads."""
    log = tmp_path / "calls"
    log.touch()
    ticking = SimpleNamespace(monotonic=lambda: float(log.read_text().count("\n")))
    monkeypatch.setattr("rnnprog.optimizers.spending.time", ticking)
    return log


@pytest.mark.parametrize("concurrency", [1, 3])
def test_minutes_are_a_hard_stop_in_the_middle_of_a_walk(
    student: RecurrentModule, tmp_path: Path, clock: Path, concurrency: int
) -> None:
    student.set_lm(planted_lm(log=clock))
    seconds = 3 * 6 * WALK + 4  # three candidates over six sequences each, and some steps of the next
    found = compiled(student, Budget(minutes=seconds / 60), tmp_path / "study", concurrency=concurrency)
    assert "minutes" in found.stopped
    assert seconds <= clock.read_text().count("\n") < seconds + concurrency
    assert found.candidate_programs
    assert saved(tmp_path / "study", found)


def test_ctrl_c_does_not_wait_for_the_walks_in_flight(student: RecurrentModule, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    student.set_lm(planted_lm(delay=0.02, log=log))
    before: list[int] = []

    def stop(progress: Progress) -> None:
        if progress.trials >= 1 and not before:
            before.append(len(log.read_text().splitlines()))
            raise KeyboardInterrupt

    found = compiled(student, Budget(), tmp_path / "study", concurrency=3, on_progress=stop)
    assert found.stopped == "interrupted"
    assert len(log.read_text().splitlines()) - before[0] <= 2 * 3, "each walk in flight may end its call, not its steps"
    assert len(log.read_text().splitlines()) == found.ledger.spent.calls
    assert threading.active_count() < 20
    assert saved(tmp_path / "study", found)


@pytest.mark.parametrize("budget", [Budget(money=1.2), Budget(tokens=30_000), Budget(minutes=2.0)], ids=str)
def test_gepa_keeps_the_same_limits(
    student: RecurrentModule, priced: Callable[[float | None], None], clock: Path, budget: Budget
) -> None:
    student.set_lm(planted_lm(log=clock, restless=True))
    priced(PRICE)
    found: Any = GepaTuner("accuracy", metric_calls=900, budget=budget, concurrency=1).compile(
        student, trainset=SEQUENCES[:2], valset=SEQUENCES[2:6]
    )
    spent, made = found.ledger.spent, clock.read_text().count("\n")
    assert spent.calls == made
    assert spent.money == pytest.approx(PRICE * made)
    if budget.money:
        assert budget.money <= spent.money + 1e-9 < budget.money + 2 * PRICE
    if budget.tokens:
        assert budget.tokens <= spent.tokens < budget.tokens + 2_000
    if budget.minutes:
        assert made == 60 * budget.minutes
    assert found.candidate_programs


def test_a_limit_below_one_evaluation_is_refused_before_any_call(student: RecurrentModule, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    student.set_lm(planted_lm(log=log))
    with pytest.raises(ConfigurationError, match="below one evaluation"):
        compiled(student, Budget(calls=2), tmp_path / "study")
    assert not log.exists()
