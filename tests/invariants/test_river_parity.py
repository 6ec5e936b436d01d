"""R9: with a River model inside, our loop gives River's own figures, with and without delay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

import rnnprog
from rnnprog.cells.river_cell import RiverCell
from rnnprog.effects import drive
from rnnprog.feedback import DelayUnit
from rnnprog.metrics import score, score_steps
from rnnprog.steps import as_steps
from rnnprog.trace import Step, Trace

pytest.importorskip("river", reason="River's figures need the extra river: pip install 'rnnprog[exam]'")
from river import datasets, evaluate, linear_model, metrics, preprocessing

PHISHING = (
    "empty_server_form_handler: float, popup_window: float, https: float, request_from_other_domain: float, "
    "anchor_from_other_domain: float, is_popular: float, long_url: float, age_of_domain: int, ip_in_url: int -> "
)
TRUMP = (
    "ordinal_date: int, gallup: float, ipsos: float, morning_consult: float, rasmussen: float, you_gov: float -> "
    "approval: float"
)


def classifier() -> Any:
    return preprocessing.StandardScaler() | linear_model.LogisticRegression()


def regressor() -> Any:
    return preprocessing.StandardScaler() | linear_model.LinearRegression(intercept_lr=0.1)


def walked(cell: RiverCell, steps: Iterable[Step], delay: int = 0, by: DelayUnit = "steps") -> tuple[Trace, list[Any]]:
    """Walk in our loop; return the trace and the answers with their probabilities."""
    program = rnnprog.RecurrentModule(
        cell, feedback=rnnprog.Label(delay=delay, by=by), recording=rnnprog.Recording(every=0)
    )
    walk = program.walk(program.initial())
    drive(walk.steps(as_steps(cell.task, steps)))
    return walk.trace({}), walk.answers


def phishing(one_hot: bool = False) -> list[Step]:
    def target(y: bool) -> Any:
        return {"true": float(y), "false": float(not y)} if one_hot else y

    return [Step(inputs=x, target={"phishing": target(y)}) for x, y in datasets.Phishing()]


def trump(timed: bool = False) -> list[Step]:
    return [
        Step(inputs=x, target={"approval": y}, time=x["ordinal_date"] if timed else None)
        for x, y in datasets.TrumpApproval()
    ]


@pytest.mark.parametrize(("delay", "figure"), [(0, "89.28%"), (50, "88.00%")])
def test_phishing_accuracy(delay: int, figure: str) -> None:
    trace, _ = walked(RiverCell(PHISHING + "phishing: bool", classifier()), phishing(), delay)
    theirs = evaluate.progressive_val_score(
        datasets.Phishing(), classifier(), metrics.Accuracy(), delay=delay or None
    ).get()
    ours = score(trace, "accuracy")
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert f"{ours:.2%}" == figure
    assert len(trace.unanswered) == delay


@pytest.mark.parametrize(("delay", "figure"), [(0, "95.07%"), (50, None)])
def test_phishing_roc_auc(delay: int, figure: str | None) -> None:
    _, answers = walked(RiverCell(PHISHING + "phishing: bool", classifier()), phishing(), delay)
    ours = metrics.ROCAUC()
    for answer, (_, y) in zip(answers, datasets.Phishing(), strict=True):
        chances = answer.prediction.probabilities
        ours.update(y, {True: chances["true"], False: chances["false"]})
    theirs = evaluate.progressive_val_score(datasets.Phishing(), classifier(), metrics.ROCAUC(), delay=delay or None)
    assert ours.get() == theirs.get()
    assert figure is None or f"{ours.get():.2%}" == figure


def test_probabilities_in_the_trace_give_the_exact_area() -> None:
    cell = RiverCell(PHISHING + "phishing: dict[str, float]", classifier())
    trace, _ = walked(cell, phishing(one_hot=True))
    fine = metrics.ROCAUC(n_thresholds=2_000)  # River's area is a sum over thresholds; with many it nears the exact one
    evaluate.progressive_val_score(datasets.Phishing(), classifier(), fine)
    assert score(trace, "roc_auc[phishing:true]") == pytest.approx(fine.get(), abs=1e-3)
    model, squares = classifier(), []
    for x, y in datasets.Phishing():  # the loop by hand
        squares.append((model.predict_proba_one(x)[True] - y) ** 2)
        model.learn_one(x, y)
    assert score(trace, "brier[phishing]") == pytest.approx(sum(squares) / len(squares), rel=1e-12)
    assert score_steps(trace, "brier[phishing]").failures == 0


@pytest.mark.parametrize(
    ("timed", "delay", "figure"), [(False, 0, "0.5587"), (True, 7, "1.2810"), (False, 20, None), (True, 1, None)]
)
def test_trump_approval_error(timed: bool, delay: int, figure: str | None) -> None:
    trace, _ = walked(RiverCell(TRUMP, regressor()), trump(timed), delay, "time" if timed else "steps")
    how = {"moment": "ordinal_date" if timed else None, "delay": delay} if delay else {}
    theirs = evaluate.progressive_val_score(datasets.TrumpApproval(), regressor(), metrics.MAE(), **how).get()
    ours = score(trace, "mae[approval]")
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert figure is None or f"{ours:.4f}" == figure


def test_every_single_prediction_is_rivers() -> None:
    trace, _ = walked(RiverCell(TRUMP, regressor()), trump(timed=True)[:300], 7, "time")
    theirs = [
        state["Prediction"]
        for state in evaluate.iter_progressive_val_score(
            (row for row, _ in zip(datasets.TrumpApproval(), range(300), strict=False)),
            regressor(),
            metrics.MAE(),
            moment="ordinal_date",
            delay=7,
            yield_predictions=True,
        )
    ]
    assert [record.prediction["approval"] for record in trace.records if record.prediction] == theirs
