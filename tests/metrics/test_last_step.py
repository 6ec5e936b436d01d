"""The score on the last step: of each sequence its last scored step, under means and corpus-level figures alike."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnprog.metrics import score, score_steps
from rnnprog.statistics import Rules, compare, interval
from rnnprog.trace import StepRecord, Trace

LABELS = ["a", "b", "c"]
answers = st.sampled_from([*LABELS, None])
walks_of = st.lists(st.lists(st.tuples(answers, answers), min_size=1, max_size=6), min_size=1, max_size=9)


def walk(pairs: list[tuple[Any, Any]], name: str) -> Trace:
    records = [
        StepRecord(
            t=t,
            id=f"{name}:{t}",
            inputs={},
            prediction=None if said is None else {"y": said},
            target=None if true is None else {"y": true},
        )
        for t, (said, true) in enumerate(pairs)
    ]
    return Trace(sequence=name, records=tuple(records))


def by_hand(sequences: list[list[tuple[Any, Any]]]) -> list[tuple[Any, Any]]:
    ends = []
    for pairs in sequences:
        scored = [pair for pair in pairs if pair[1] is not None]
        ends += scored[-1:]
    return ends


def test_last_is_neither_first_nor_overall_nor_a_step_index() -> None:
    # last steps: right, right, wrong; first steps all wrong; at index 1: wrong, right, wrong
    sequences = ["wwr", "wr", "wwww"]
    walks = [
        walk([("a" if letter == "r" else "b", "a") for letter in letters], str(i))
        for i, letters in enumerate(sequences)
    ]
    scores = score_steps(walks, "accuracy")
    assert score(walks, "accuracy", where="last") == scores.last == pytest.approx(2 / 3)
    assert score(walks, "accuracy", where=0) == 0.0
    assert scores.by_step() == {0: 0.0, 1: pytest.approx(1 / 3), 2: 0.5, 3: 0.0}
    assert scores.overall == pytest.approx(2 / 9)
    assert interval(scores, where="last").value == pytest.approx(2 / 3)


def test_a_last_step_without_a_target_is_passed_over_and_a_failed_one_counts() -> None:
    unknown = walk([("a", "a"), ("b", None)], "unknown")
    failed = walk([("a", "a"), (None, "a")], "failed")
    assert score([unknown], "accuracy", where="last") == 1.0
    assert score([failed], "accuracy", where="last") == 0.0
    assert score([unknown, failed], "accuracy", where="last") == 0.5
    assert math.isnan(score([walk([("a", None)], "none")], "accuracy", where="last"))


@given(walks_of)
def test_last_by_hand_for_any_walks(sequences: list[list[tuple[Any, Any]]]) -> None:
    walks = [walk(pairs, str(i)) for i, pairs in enumerate(sequences)]
    ends = by_hand(sequences)
    scores = score_steps(walks, "accuracy")
    hits = [said == true for said, true in ends]
    if not ends:
        assert math.isnan(scores.last)
        return
    assert scores.last == pytest.approx(sum(hits) / len(hits))
    assert interval(scores, where="last", resamples=9).value == pytest.approx(scores.last)
    # the corpus-level figure of the last steps is that of a walk which consists of them
    ends_alone = score_steps([walk([end], str(i)) for i, end in enumerate(ends)], "macro_f1[y]")
    assert score_steps(walks, "macro_f1[y]").last == pytest.approx(ends_alone.overall)
    assert score_steps(walks[::-1], "accuracy").last == pytest.approx(scores.last)


@given(walks_of)
def test_a_step_before_the_last_scored_one_changes_nothing(sequences: list[list[tuple[Any, Any]]]) -> None:
    def last(changed: list[list[tuple[Any, Any]]]) -> float:
        return score([walk(pairs, str(i)) for i, pairs in enumerate(changed)], "accuracy", where="last")

    early = []
    for pairs in sequences:
        known = [t for t, (_, true) in enumerate(pairs) if true is not None]
        early.append([("z", true) if known and t < known[-1] else (said, true) for t, (said, true) in enumerate(pairs)])
    assert last(early) == pytest.approx(last(sequences), nan_ok=True)


def test_comparing_on_the_last_step_looks_at_nothing_else() -> None:
    # the arm loses on every step but the last of each sequence, which it wins
    control = [walk([("a", "a")] * 4 + [("b", "a")], str(i)) for i in range(12)]
    arm = [walk([("b", "a")] * 4 + [("a", "a")], str(i)) for i in range(12)]
    old, new = score_steps(control, "accuracy"), score_steps(arm, "accuracy")
    (everywhere,) = compare(old, {"arm": new})
    (last,) = compare(old, {"arm": new}, rules=Rules(where="last"))
    assert everywhere.gain == pytest.approx(-0.6)
    assert (last.gain, last.test, last.n) == (1.0, "exact McNemar", 12)
    assert last.outcome == "gain"
