"""The value that holds a task's data: checks, limits, and splits that never look ahead."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.signatures import as_task
from rnnprog.tasks import TaskData, make_task
from rnnprog.tasks.base import default_floors, default_metrics
from rnnprog.trace import Sequence, Step

TASK = "x: int -> y: Literal['a', 'b']"


def data_of(*lengths: int, starts: tuple[int, ...] | None = None) -> TaskData:
    begins = starts or tuple(0 for _ in lengths)
    return make_task(
        "made",
        TASK,
        [
            Sequence(
                id=f"s{i}",
                steps=tuple(Step(inputs={"x": t}, target={"y": "a"}, time=begin + t) for t in range(length)),
            )
            for i, (length, begin) in enumerate(zip(lengths, begins, strict=True))
        ],
    )


lengths = st.lists(st.integers(1, 12), min_size=1, max_size=6)
shares = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda p: (p[0], p[1] * (1 - p[0])))


@given(lengths, shares, st.sampled_from(["auto", "steps", "sequences", "time"]))
@settings(max_examples=60, deadline=None)
def test_parts_put_together_are_the_whole(sizes: list[int], share: tuple[float, float], by: str) -> None:
    data = data_of(*sizes)
    parts = data.split(*share, by=by)  # type: ignore[arg-type]
    for sequence in data:
        pieces = [s for part in parts for s in part if s.id == sequence.id]
        assert tuple(step for piece in pieces for step in piece.steps) == sequence.steps
        offset = 0
        for piece in pieces:
            assert len(pieces) == 1 or piece.meta["offset"] == offset
            offset += len(piece)


@given(lengths, shares, st.data())
@settings(max_examples=60, deadline=None)
def test_a_split_by_time_puts_no_step_before_an_earlier_part(
    sizes: list[int], share: tuple[float, float], draw: st.DataObject
) -> None:
    starts = tuple(draw.draw(st.integers(0, 20)) for _ in sizes)
    data = data_of(*sizes, starts=starts)
    times = [[step.time for s in part for step in s.steps] for part in data.split(*share, by="time")]
    before = -math.inf
    for part in times:
        numbers = [float(str(time)) for time in part]
        assert not numbers or before < min(numbers)
        before = max([before, *numbers])


@given(lengths, st.data())
@settings(max_examples=60, deadline=None)
def test_whole_sequences_go_by_their_start(sizes: list[int], draw: st.DataObject) -> None:
    starts = tuple(draw.draw(st.permutations(range(len(sizes)))))
    parts = data_of(*sizes, starts=starts).split(0.5, 0.3, by="sequences")
    begins = [s.steps[0].time for part in parts for s in part]
    assert begins == sorted(begins, key=lambda time: float(str(time)))


@given(lengths, st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_a_limit_keeps_the_beginning(sizes: list[int], n_steps: int) -> None:
    data = data_of(*sizes)
    limited = data.limit(n_steps)
    flat = [step for sequence in data for step in sequence.steps]
    assert [step for sequence in limited for step in sequence.steps] == flat[:n_steps]
    assert limited.limit(n_steps) == limited


def test_splitting_twice_keeps_counting() -> None:
    late = data_of(10).split(0.5, 0).test
    later = late.split(0.4, 0).test
    assert (later.sequences[0].meta["offset"], later.sequences[0].steps[0].inputs) == (7, {"x": 7})


def test_limits_and_shares_that_cannot_be() -> None:
    data = data_of(3)
    for wrong in ((0.7, 0.7), (-0.1, 0.2), (1.1, 0.0)):
        with pytest.raises(ConfigurationError, match="shares must lie in"):
            data.split(*wrong)
    with pytest.raises(ConfigurationError, match="n_steps=0"):
        data.limit(0)
    with pytest.raises(ConfigurationError, match="choose 'auto'"):
        data.split(by="random")  # type: ignore[arg-type]
    timeless = make_task("made", TASK, [Sequence(id="s", steps=(Step(inputs={"x": 1}),))])
    with pytest.raises(ConfigurationError, match="order_by="):
        timeless.split(by="time")


@pytest.mark.parametrize(
    ("sequences", "told"),
    [
        ([Sequence(id="s", steps=(Step(inputs={"x": 1}),))] * 2, "two sequences are called 's'"),
        ([Sequence(id="s", steps=())], "'s' is empty"),
        ([Sequence(id="s", steps=(Step(inputs={"z": 1}),))], r"'s', step 0: .*missing \['x'\] and unknown \['z'\]"),
        ([Sequence(id="s", steps=(Step(inputs={"x": math.nan}),))], r"'s', step 0: inputs \['x'\] are not finite"),
        ([Sequence(id="s", steps=(Step(inputs={"x": 1}, target={"y": "c"}),))], "'s', step 0: output 'y' = 'c'"),
        ([Sequence(id="s", steps=(Step(inputs={"x": 1}, target={"y": "a", "z": 1}),))], "not typed as the task says"),
    ],
)
def test_data_that_does_not_fit_its_task(sequences: list[Sequence], told: str) -> None:
    with pytest.raises(DataError, match=told):
        make_task("made", TASK, sequences)


@pytest.mark.parametrize(
    ("output", "metric", "floor"),
    [
        ("y: float", "mae[y]", "persistence"),
        ("y: int", "mae[y]", "persistence"),
        ("y: bool", "accuracy", "persistence"),
        ("y: list[str]", "acc@1[y]", "persistence"),
        ("y: str", "accuracy", "persistence"),
    ],
)
def test_scores_fit_the_output(output: str, metric: str, floor: str) -> None:
    task = as_task(f"x -> {output}")
    assert (default_metrics(task)[0], default_floors(task)[0]) == (metric, floor)
