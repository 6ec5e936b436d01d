"""Label history, raw feedback, running summaries, frozen memory: what stands in the prompt, to the letter."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnprog
from rnnprog.cells import EmptyMemory, FrozenMemory, FullHistory, LabelHistory, RawFeedback, RunningSummaries
from rnnprog.cells.base import Experience
from rnnprog.errors import ConfigurationError
from rnnprog.tokens import get_tokenizer
from rnnprog.trace import Feedback

TASK = "sky -> tomorrow: Literal['sun', 'rain', 'snow']"
STEPS = [{"sky": f"sky {n}", "tomorrow": label} for n, label in enumerate(["rain", "sun", "rain", "snow"])]


def label(value: Any) -> Feedback:
    return Feedback(kind="label", target={"tomorrow": value}, text="known")


def counted(cell: LabelHistory, values: list[Any]) -> Any:
    carry: Any = cell.initial()
    for t, value in enumerate(values):
        carry = cell.learn(carry, Experience(f"0:{t}", t, {"sky": "x"}, None, label(value))).carry
    return carry


def test_label_history_to_the_letter(walk: Any) -> None:
    walked = walk(LabelHistory(TASK), STEPS, tomorrow="sun")
    assert walked.memories()[0] == "(no outcomes so far)"
    assert walked.memories()[3] == (
        "tomorrow was rain in 2 of 3 steps.\ntomorrow was sun in 1 of 3 steps.\n"
        "The last values of tomorrow, newest last: rain, sun, rain."
    )
    assert not any("sky 0" in text for text in walked.texts[1:]), "no past observation"


@given(st.lists(st.sampled_from(["sun", "rain", "snow"]), max_size=30), st.integers(0, 6))
def test_label_history_counts_and_keeps_the_last(values: list[str], last: int) -> None:
    cell = LabelHistory(TASK, last=last)
    carry = counted(cell, values)["tomorrow"]
    assert carry["seen"] == len(values)
    assert {json.loads(key): n for key, n in carry["counts"].items()} == Counter(values)
    assert [json.loads(key) for key in carry["last"]] == (values[-last:] if last else [])
    dumped = json.loads(json.dumps({"tomorrow": carry}, sort_keys=True))
    assert cell.shown(cell.load_carry(dumped), {}) == cell.shown({"tomorrow": carry}, {}), (
        "whatever the order in a file"
    )


@given(st.lists(st.text(max_size=300), max_size=12), st.integers(1, 80), st.integers(1, 5))
def test_label_history_of_free_texts_stays_small(values: list[str], budget: int, capacity: int) -> None:
    cell = LabelHistory("sky -> tomorrow: str", budget=budget, capacity=capacity)
    carry = counted(cell, values)
    text = cell.shown(carry, {})
    assert get_tokenizer().count(text) <= budget or text == "(no outcomes so far)"
    assert len(carry["tomorrow"]["counts"]) <= capacity
    assert all(line.startswith(("tomorrow was ", "The last values of tomorrow", "(no")) for line in text.splitlines())


def test_label_history_of_ranked_answers_counts_each_entry() -> None:
    cell = LabelHistory("sky -> tomorrow: list[str]")
    text = cell.shown(counted(cell, [["flu", "cold"], ["flu"]]), {})
    assert text.splitlines()[:2] == ["tomorrow was flu in 2 of 2 steps.", "tomorrow was cold in 1 of 2 steps."]


def test_label_history_learns_from_labels_only(walk: Any) -> None:
    judged = rnnprog.Rule(lambda inputs, outputs: (False, "wrong"))
    walked = walk(LabelHistory(TASK), STEPS, feedback=judged, tomorrow="sun")
    assert set(walked.operations) == {"no_label"}
    assert set(walked.memories()) == {"(no outcomes so far)"}


def test_raw_feedback_to_the_letter(walk: Any) -> None:
    walked = walk(RawFeedback(TASK), STEPS[:2], tomorrow="sun")
    assert walked.memories() == [
        "(no feedback so far)",
        "Step 1\nsky: sky 0\nYour answer:\ntomorrow: sun\n"
        "  The true outcome was:\n  tomorrow: rain\n  The answer was wrong.",
    ]


def test_raw_feedback_drops_the_oldest_whole_and_an_item_that_never_fits(walk: Any) -> None:
    steps = [*STEPS, {"sky": "sky 4 " + "long " * 90, "tomorrow": "sun"}, {"sky": "sky 5", "tomorrow": "sun"}]
    walked = walk(RawFeedback(TASK, budget=80), steps, tomorrow="sun")
    blocks = [memory.split("\n\n") for memory in walked.memories()]
    assert [block.splitlines()[0] for block in blocks[4]] == ["Step 3", "Step 4"]
    assert blocks[5] == blocks[4], "the long one is passed over"
    assert "sky 4" in walked.updates[4].dropped[0][1]
    assert "sky 0" in walked.updates[2].dropped[0][1]


def test_a_summary_is_written_once_and_cut_at_its_words(walk: Any) -> None:
    def summary(prompt: Any) -> str:
        return f"Saw {prompt.inputs['observation'][5:]}.\n## Step 9: " + "word " * 20

    walked = walk(RunningSummaries(TASK, words=7), STEPS[:3], tomorrow="sun", step_summary=summary)
    one, two = (f"Step {n + 1}: Saw sky {n}. ## Step 9: word (cut short)" for n in range(2))
    assert walked.memories() == ["(no earlier steps)", one, f"{one}\n\n{two}"]
    asked = walked.asking("step_summary")
    assert [p.inputs["observation"] for p in asked] == ["sky: sky 0", "sky: sky 1", "sky: sky 2"]
    assert asked[0].inputs["most_words"] == "7"
    assert "tomorrow: rain" in asked[0].inputs["evidence"]
    assert not any(p.memory for p in asked)


def test_the_oldest_summaries_go_at_the_context_budget(walk: Any) -> None:
    steps = [{"sky": f"sky {n}", "tomorrow": "rain"} for n in range(9)]
    walked = walk(
        RunningSummaries(TASK, context_budget=60), steps, tomorrow="sun", step_summary="It was a day like any other."
    )
    firsts = [memory.split("\n\n")[0][:6] for memory in walked.memories()]
    assert firsts[:3] == ["(no ea", "Step 1", "Step 1"]
    assert firsts[-1] > "Step 3"
    assert max(get_tokenizer().count(memory) for memory in walked.memories()) > 40, "the context is used"


def test_a_failed_summary_leaves_no_trace(walk: Any) -> None:
    walked = walk(RunningSummaries(TASK, retries=0), STEPS[:2], tomorrow="sun", step_summary="")
    assert walked.operations == ["failed", "failed"]
    assert walked.memories()[1] == "(no earlier steps)"


def test_an_empty_frozen_memory_is_the_empty_control_to_the_letter(walk: Any) -> None:
    mine = walk(FrozenMemory(TASK), STEPS, tomorrow="sun")
    theirs = walk(EmptyMemory(TASK), STEPS, tomorrow="sun")
    assert mine.texts == theirs.texts


def test_a_given_memory_stays_and_a_learned_one_comes_first(walk: Any) -> None:
    cell = FrozenMemory(TASK, memory="## Rules to apply next\n- Rain follows rain.")
    walked = walk(cell, STEPS, tomorrow="sun")
    assert len(set(walked.memories())) == 1
    assert "- Rain follows rain." in walked.memories()[0]
    assert walked.operations == ["frozen"] * 4
    cell.initial_memory.learned = cell.settings.value.layout.parse("## Rules to apply next\n- Learned.").memory
    cell.set_lm(None)
    saved = json.loads(json.dumps(cell.dump_state()))
    other = FrozenMemory(TASK)
    other.load_state(saved)
    assert other.initial().items == (("rules", "Learned."),)
    with pytest.raises(ConfigurationError, match="over the budget"):
        FrozenMemory(TASK, budget=40, memory="## Rules to apply next\n- " + "long " * 60)


def history(walked: Any) -> list[str]:
    """Return the history field of each prompt as the numbers of the steps in it."""
    blocks = [prompt.inputs["history"].split("\n\n") for prompt in walked.asking("tomorrow")]
    return ["".join(block.split()[1] for block in found if block.startswith("Step")) for found in blocks]


def test_full_history_passes_over_a_turn_that_no_prompt_could_hold(walk: Any) -> None:
    steps = [{"sky": f"sky {t}", "tomorrow": "rain"} for t in range(5)]
    long = rnnprog.Rule(lambda inputs, outputs: (False, "long " * 300 if inputs["sky"] == "sky 2" else "known"))
    walked = walk(FullHistory(TASK, context_budget=250), steps, feedback=long, tomorrow="sun")
    assert history(walked) == ["", "1", "12", "12", "124"]
    assert walked.operations == ["append", "append", "passed_over", "append", "append"]
    assert walked.updates[2].digest == walked.updates[2].parent, "the carry stays, and makes no version"


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(30, 120))
def test_full_history_keeps_the_latest_turns_that_fit_and_loses_none_to_one_that_does_not(
    words: list[int], budget: int
) -> None:
    cell = FullHistory(TASK, context_budget=budget)
    carry: Any = cell.initial()
    for t, count in enumerate(words):
        feedback = Feedback(kind="rule", text="word " * count)
        before, carry = carry, cell.learn(carry, Experience(f"0:{t}", t, {"sky": "x"}, None, feedback)).carry
        assert carry or not before, "a turn never drives out all others and itself"
        assert sum(item.tokens for item in carry) <= budget
        assert all(get_tokenizer().count(item.text) <= budget for item in carry)
        assert carry is before or carry[-1].text.startswith(f"Step {t + 1}\n")
        gone = [item for item in before if item not in carry]
        if gone:  # the newest of those that went would not have fitted beside the rest
            assert gone[-1].tokens + sum(item.tokens for item in carry) > budget
