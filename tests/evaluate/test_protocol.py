"""Delay and warm start do what they say, for every kind of arm."""

from __future__ import annotations

import pytest

import rnnprog
from rnnprog.evaluate import ExamConfig, examine
from rnnprog.evaluate.scoring import horizon
from rnnprog.exam_result import ExamResult
from rnnprog.tasks import TaskData, make_task
from rnnprog.trace import Sequence, Step, Trace
from tests.evaluate.harness import counting_lm

TASK = "x: int -> y: Literal['a', 'b']"


def data(*texts: str) -> TaskData:
    """One sequence for each text; its letters are the outcomes."""
    made = [
        Sequence(
            id=f"s{k}", steps=tuple(Step(inputs={"x": t}, target={"y": y}, time=10 * t) for t, y in enumerate(text))
        )
        for k, text in enumerate(texts)
    ]
    return make_task("letters", TASK, made)


def sit(given: TaskData, **settings: object) -> ExamResult:
    arms = [{"label": "last", "cell": "persistence"}, {"label": "most", "cell": "majority"}]
    return examine(ExamConfig.of(task="x", arms=arms, control="last", **settings), data=given)


def walk(exam: ExamResult, label: str, sequence: int = 0) -> Trace:
    (arm,) = [arm for arm in exam.arms if arm.label == label]
    return arm.runs[0].result.traces[sequence]


def said(exam: ExamResult, label: str, sequence: int = 0) -> str:
    return "".join(str((r.prediction or {}).get("y")) for r in walk(exam, label, sequence).records)


def test_labels_arrive_after_so_many_steps() -> None:
    assert said(sit(data("bbaab")), "last") == "abbaa"
    assert said(sit(data("bbaab"), delay=2), "last") == "aabba"  # step t is known once step t + 2 was predicted
    assert said(sit(data("bbaab"), delay=20, delay_by="time"), "last") == "aabba"
    assert said(sit(data("bbaab"), delay=15, delay_by="time"), "last") == "aabba"  # times are 10 apart


def test_labels_arrive_after_so_many_days() -> None:
    days = ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-09")
    rows = [Step(inputs={"x": 0}, target={"y": y}, time=day) for y, day in zip("baab", days, strict=True)]
    given = make_task("days", TASK, [Sequence(id="s0", steps=tuple(rows))])
    assert said(sit(given, delay=2, delay_by="days"), "last") == "aaba"


@pytest.mark.parametrize(("delay", "by"), [(2, "steps"), (20, "time"), (15, "time")])
def test_a_delay_in_time_looks_as_far_back_as_the_same_one_in_steps(delay: float, by: str) -> None:
    """Else errors that a long delay makes alike would pass for more evidence than they are."""
    exam = sit(data("bbaabbabab"), delay=delay, delay_by=by)
    assert horizon(delay, by, exam.arms[0].runs) == 3
    assert horizon(0, by, exam.arms[0].runs) == 1
    assert horizon(7, "days", ()) == 1


def test_floors_get_their_labels_as_late_as_the_arms() -> None:
    exam = sit(data("bbaabbab"), delay=3)
    floor = next(arm for arm in exam.arms if arm.role == "floor" and arm.label.startswith("persistence"))
    mine, theirs = walk(exam, "last").records, floor.runs[0].result.traces[0].records
    assert [(r.prediction, [u.of for u in r.updates]) for r in mine] == [
        (r.prediction, [u.of for u in r.updates]) for r in theirs
    ]


def test_a_single_sequence_is_learned_from_before_it_is_scored() -> None:
    whole, warm = sit(data("bbbbbaabba")), sit(data("bbbbbaabba"), warm_start=0.5)
    for label in ("last", "most"):
        assert walk(warm, label).records == walk(whole, label).records[5:]
        assert [r.t for r in walk(warm, label).records] == [5, 6, 7, 8, 9]
    assert said(warm, "most") == "bbbbb"
    assert warm.steps == 5 * len(warm.arms)
    assert warm.comparisons[0].n == 5
    assert "50%" in warm.note


def test_whole_sequences_are_learned_from_one_after_the_other() -> None:
    exam = sit(data("bbbb", "bbba", "ab", "aa"), warm_start=0.5)
    assert [trace.sequence for trace in exam.arms[0].runs[0].result.traces] == ["s2", "s3"]
    # seven b and one a were seen; each scored sequence starts from there, and not from the other
    assert said(exam, "most", 0) == "bb"
    assert said(exam, "most", 1) == "bb"
    assert said(exam, "last", 0) == "aa"  # the last outcome of s1, then that of the step before
    assert said(sit(data("ab", "aa")), "most", 0) == "aa"


def test_a_memory_is_carried_from_the_warm_up_into_every_scored_sequence(tmp_path: object) -> None:
    lm, engine = counting_lm()
    task = "n: int -> turn: Literal['left', 'right']"
    rows = tuple(Step(inputs={"n": t}, target={"turn": "left"}) for t in range(2))
    given = make_task("m", task, [Sequence(id=f"s{k}", steps=rows) for k in range(3)])
    config = ExamConfig.of(task="m", cells=["reflective"], warm_start=0.34, floors=())
    exam = examine(config, lm, data=given, out=str(tmp_path))
    traces = exam.arms[0].runs[0].result.traces
    assert [trace.sequence for trace in traces] == ["s1", "s2"]
    for trace in traces:
        assert isinstance(trace.initial, dict)
        assert "Say left." in rnnprog.Memory.model_validate(trace.initial).render()
    assert exam.arms[0].figures["calls of the warm-up"].value == 6
    assert engine.calls == 3 * 6 + 3 * 2
    examine(config, lm, data=given, out=str(tmp_path))
    assert engine.calls == 3 * 6 + 3 * 2  # the warm-up is kept, too


def test_the_audit_trail_of_a_cut_walk_starts_where_it_was_cut() -> None:
    task = "n: int -> turn: Literal['left', 'right']"
    rows = tuple(Step(inputs={"n": t}, target={"turn": "right"}) for t in range(6))
    given = make_task("m", task, [Sequence(id="s", steps=rows)])
    lm = rnnprog.embedded_lm()
    for delay in (0, 2):
        plain = examine(ExamConfig.of(task="m", cells=["reflective"], delay=delay), lm, data=given)
        cut = examine(ExamConfig.of(task="m", cells=["reflective"], delay=delay, warm_start=0.5), lm, data=given)
        whole, part = (e.arms[0].runs[0].result.traces[0] for e in (plain, cut))
        for t in (3, 4, 5):
            assert part.carry_before(t) == whole.carry_before(t)
        assert part.final == whole.final


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_a_warm_start_of_nothing_is_refused(share: float) -> None:
    with pytest.raises(rnnprog.ConfigurationError, match="leaves nothing to learn from"):
        sit(data("ab", "ba"), warm_start=share)
