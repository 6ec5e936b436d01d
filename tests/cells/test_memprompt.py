"""MemPrompt: what is written, what is found, and what the prompt then says; Self-StreamICL beside it."""

from __future__ import annotations

from typing import Any

import pytest

import rnnprog
from rnnprog.cells import MemPrompt, SelfStreamICL
from rnnprog.cells.base import Experience
from rnnprog.cells.memprompt import NOTHING_LIKE_IT
from rnnprog.cells.store import Entry
from rnnprog.trace import Feedback

TASK = "sky -> tomorrow: Literal['sun', 'rain']"
WRONG = Feedback(kind="label", target={"tomorrow": "rain"}, correct=False, text="It rained.")
RIGHT = Feedback(kind="label", target={"tomorrow": "sun"}, correct=True, text="It was sunny.")
UNKNOWN = Feedback(kind="judge", correct=None, text="Hard to say.")


def step(sky: str, feedback: Feedback | None = WRONG, id: str = "0:0") -> Experience:
    return Experience(id, 0, {"sky": sky}, {"tomorrow": "sun"}, feedback)


def test_only_errors_are_written() -> None:
    cell = MemPrompt(TASK, write_probability=1.0)
    for feedback, operation in ((RIGHT, "gated"), (UNKNOWN, "gated"), (None, "no_feedback")):
        learned = cell.learn((), step("grey", feedback))
        assert (learned.carry, learned.operation) == ((), operation)
    learned = cell.learn((), step("grey"))
    assert learned.carry == (Entry("sky grey", "You answered:\ntomorrow: sun\n  It rained."),)


def test_the_chance_of_writing_is_kept_and_depends_on_seed_and_id_alone() -> None:
    def written(p: float, seed: int) -> list[bool]:
        cell = MemPrompt(TASK, write_probability=p, seed=seed)
        return [bool(cell.learn((), step("grey", id=f"s:{n}")).carry) for n in range(400)]

    assert not any(written(0.0, 0))
    assert all(written(1.0, 0))
    half = written(0.5, 0)
    assert 160 <= sum(half) <= 240  # four standard deviations
    assert half == written(0.5, 0)
    assert half != written(0.5, 1)
    assert all(often or not seldom for seldom, often in zip(written(0.2, 0), written(0.7, 0), strict=True))


def test_the_same_key_overwrites_and_the_oldest_goes() -> None:
    cell = MemPrompt(TASK, write_probability=1.0, capacity=2)
    carry: Any = ()
    for sky in ("grey", "blue", "Grey!", "red"):
        carry = cell.learn(carry, step(sky)).carry
    assert [entry.key for entry in carry] == ["sky grey", "sky red"]
    again = cell.learn(carry, step("red"))
    assert again.carry is carry


@pytest.mark.parametrize(("sky", "found"), [("abcdefgh12345", True), ("abcdefgh123456", False)])
def test_the_originals_threshold_is_a_distance_below_six(sky: str, found: bool) -> None:
    carry = (Entry("sky abcdefgh", "feedback"),)
    assert MemPrompt(TASK).shown(carry, {"sky": sky}) == ("feedback" if found else NOTHING_LIKE_IT)
    assert MemPrompt(TASK, threshold=-4).shown(carry, {"sky": sky}) == NOTHING_LIKE_IT


def test_k_pieces_nearest_first() -> None:
    carry = (
        Entry("sky grex", "near"),
        Entry("sky grey", "same"),
        Entry("sky grxx", "far"),
        Entry("sky gray", "near too"),
    )
    assert MemPrompt(TASK).shown(carry, {"sky": "grey"}) == "same"
    assert MemPrompt(TASK, k=3).shown(carry, {"sky": "grey"}) == "same\n\nnear too\n\nnear"
    assert [entry.text for entry in MemPrompt(TASK, k=9).recalled(carry, {"sky": "grey"})][-1] == "far"


def test_embeddings_count_from_a_cosine_of_nine_tenths() -> None:
    def embed(texts: list[str]) -> list[list[float]]:
        return [[1.0, {"sky a": 0.0, "sky b": 0.4, "sky c": 0.5}[text]] for text in texts]

    cell = MemPrompt(TASK, similarity="embedding", embed=embed)
    assert cell.shown((Entry("sky b", "close"),), {"sky": "a"}) == "close"  # cosine 0.928
    assert cell.shown((Entry("sky c", "far"),), {"sky": "a"}) == NOTHING_LIKE_IT  # cosine 0.894


def test_a_key_function_of_ones_own() -> None:
    cell = MemPrompt(TASK, key_function=lambda inputs: str(inputs["sky"])[0], write_probability=1.0)
    carry = cell.learn((), step("grey")).carry
    assert carry[0].key == "g"
    assert "It rained." in cell.shown(carry, {"sky": "green and gone"})


def test_the_prompt_holds_the_feedback_and_not_the_past_observation(walk: Any) -> None:
    steps = [{"sky": sky, "tomorrow": "rain"} for sky in ("grey and low", "grey and loww", "a wholly different one")]
    walked = walk(MemPrompt(TASK, write_probability=1.0), steps, tomorrow="sun")
    assert walked.memories() == [
        NOTHING_LIKE_IT,
        "You answered:\ntomorrow: sun\n  The true outcome was:\n  tomorrow: rain\n  The answer was wrong.",
        NOTHING_LIKE_IT,
    ]
    assert walked.operations == ["store", "store", "store"]


def test_self_stream_keeps_right_answers_and_shows_the_nearest_last(walk: Any) -> None:
    steps = [
        {"sky": "grey clouds", "tomorrow": "sun"},
        {"sky": "blue", "tomorrow": "rain"},
        {"sky": "grey fog", "tomorrow": "sun"},
        {"sky": "grey clouds", "tomorrow": "sun"},
    ]
    walked = walk(SelfStreamICL(TASK, k=2), steps, tomorrow="sun")
    assert walked.operations == ["store", "gated", "store", "store"]
    cases = ["sky: grey clouds\ntomorrow: sun", "sky: grey fog\ntomorrow: sun"]
    assert walked.memories() == ["(no right answers so far)", cases[0], cases[0], f"{cases[1]}\n\n{cases[0]}"]


def test_self_stream_never_holds_what_it_got_wrong(walk: Any) -> None:
    task = "sky -> tomorrow: str"
    steps = [{"sky": f"sky {n}", "tomorrow": f"secret {n}"} for n in range(4)]
    walked = walk(SelfStreamICL(task), steps, tomorrow=lambda p: "secret 1")
    assert walked.operations == ["gated", "store", "gated", "gated"]
    assert not any("secret" in text and "secret 1" not in text for text in walked.texts)
    nothing = walk(SelfStreamICL(task), steps, feedback=rnnprog.Nobody(), tomorrow="secret 1")
    assert set(nothing.memories()) == {"(no right answers so far)"}
