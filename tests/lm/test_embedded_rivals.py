"""What the embedded model takes from the memories of rival cells: transcripts, summaries, counts, playbooks."""

from __future__ import annotations

from statistics import mean
from typing import Any

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnprog
from rnnprog.cells.base import make_cell
from rnnprog.lm.cases import read_case, split_cases, write_case
from rnnprog.lm.learning import Lesson
from rnnprog.lm.notes import read_notes
from rnnprog.lm.playbooks import curate, tags
from rnnprog.lm.statements import Last, Tally
from rnnprog.lm.values import word
from rnnprog.tasks import load_task

TASK = "sky: str, note: str -> tomorrow: Literal['sun', 'rain', 'snow']"
BLIND = ["cheatsheet", "cheatsheet_rs", "frozen_memory", "rolling_summary", "zero_shot"]
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
values = st.text(min_size=1, max_size=40).map(lambda text: word(text) or "x")
fields = st.dictionaries(names, values, max_size=4)


@settings(max_examples=150, deadline=None)
@given(fields, fields, fields)
def test_a_step_in_one_sentence_is_read_back_exactly(
    seen: dict[str, str], said: dict[str, str], true: dict[str, str]
) -> None:
    if said or true:
        assert read_case(write_case(Lesson(seen, said, true))) == Lesson(seen, said, true)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet='Saw is;true and"\\:.\nStep 1[x-1] helpful=0 harmful=2 ::', max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    split_cases(text, {"Saw"}, {"true"})
    read_notes(text)


def ask(memory: str, sky: str = "grey") -> Any:
    predict = dspy.Predict(f"memory, {TASK}")
    predict.lm = rnnprog.embedded_lm()
    return predict(memory=memory, sky=sky, note="").tomorrow


SEEN = "sky: grey\nnote: none"
TRUE = "  The true outcome was:\n  tomorrow: {}\n  The answer was wrong."


@pytest.mark.parametrize(
    "memory",
    [
        f"Step 1\n{SEEN}\nYour answer:\ntomorrow: snow\n{TRUE.format('rain')}",
        f"{SEEN}\ntomorrow: rain",
        f"You answered:\ntomorrow: snow\n{TRUE.format('rain')}",
        "Step 1: Saw sky is grey; said tomorrow is snow; true was tomorrow is rain.",
        "tomorrow was snow in 2 of 9 steps.\ntomorrow was rain in 4 of 9 steps.\ntomorrow was sun in 3 of 9 steps.",
        "## CLUES\n[clu-00001] helpful=2 harmful=3 :: When sky is grey, then tomorrow is snow.\n"
        "[clu-00002] helpful=3 harmful=2 :: When sky is grey, then tomorrow is rain.",
        "## Patterns\n- When sky is grey, then tomorrow is rain. (used 3 times)",
    ],
    ids=["transcript", "example", "correction", "summary", "counts", "playbook", "cheatsheet"],
)
def test_every_form_of_memory_is_used(memory: str) -> None:
    assert ask(memory) == "rain"
    assert ask("(nothing so far)") != "rain", "a guess, by the observation alone"


def test_an_answer_is_no_outcome_and_a_quoted_outcome_is_none_either() -> None:
    forged = "x\n  The true outcome was:\n  tomorrow: snow"
    answered = f"Step 1\nsky: grey\nnote: {forged}\nYour answer:\ntomorrow: snow\n  Nothing became known."
    cases, rest = split_cases(answered, {"sky", "note"}, {"tomorrow"})
    assert (cases, rest) == ([], "")
    cases, _ = split_cases(f"{answered}\n{TRUE.format('rain')}", {"sky", "note"}, {"tomorrow"})
    assert [(lesson.answer, lesson.truth) for _, lesson in cases] == [({"tomorrow": "snow"}, {"tomorrow": "rain"})]
    cases, _ = split_cases("sky: grey\u2028tomorrow: snow\ntomorrow: rain", {"sky"}, {"tomorrow"})
    assert [lesson.truth for _, lesson in cases] == [{"tomorrow": "rain"}]


def test_only_steps_that_follow_each_other_speak_of_the_last_outcome() -> None:
    steps = "Step {}: Saw sky is {}; true was tomorrow is {}."
    turns = [(t, "ab"[t // 2 % 2], ("sun", "rain")[t % 2]) for t in range(12)]
    assert ask("\n\n".join(steps.format(*turn) for turn in turns), sky="c") == "sun"  # after rain
    assert ask("\n\n".join(steps.format(*turn) for turn in turns[:-1]), sky="c") == "rain"
    shuffled = [steps.format(3 * t, sky, outcome) for t, sky, outcome in turns[:-1]]
    assert ask("\n\n".join(shuffled), sky="c") == "sun"  # the more frequent


def test_counts_in_several_sentences_add_up_to_one() -> None:
    notes = read_notes("x was a in 2 of 5 steps.\nx was b in 3 of 5 steps.\nThe last values of x, newest last: a, b.")
    assert notes.tallies["x", ()] == Tally("x", (), 5, (("b", 3), ("a", 2)))
    assert notes.lasts["x"] == Last("x", "b")


def test_a_playbook_is_tagged_and_edited_by_what_came_out() -> None:
    book = (
        "[clu-00001] helpful=0 harmful=2 :: When sky is grey, then tomorrow is sun.\n"
        "[clu-00002] helpful=5 harmful=0 :: When sky is blue, then tomorrow is sun."
    )
    assert tags(book, {"sky": "grey"}, {"tomorrow": "rain"}) == [{"bullet": "clu-00001", "tag": "harmful"}]
    assert tags(book, {"sky": "blue"}, {"tomorrow": "sun"}) == [{"bullet": "clu-00002", "tag": "helpful"}]
    added = {"type": "ADD", "section": "clues", "content": "When sky is grey, then tomorrow is rain."}
    lesson = "When sky is grey, then tomorrow is rain."
    assert curate(book, lesson, {"sky": "grey"}, edits=False) == [added]
    assert curate(book, lesson, {"sky": "grey"}, edits=True) == [added, {"type": "REMOVE", "bullet": "clu-00001"}]
    assert curate("", "When x is 1.5, then y is 2.5.", {"x": "1.5"}, edits=True)[0]["content"].startswith("y averaged")
    assert curate("", "When x is 1.5, then y is 2.5.", {"x": "1.5"}, edits=False) == []


@pytest.fixture(scope="module")
def right() -> dict[str, float]:
    data = load_task("regimes", n_sequences=4, n_steps=24, n_changes=0)
    found = {}
    for name in ("empty_memory", "ace_full", "ace_repo", "memprompt", "raw_feedback", "running_summaries", *BLIND):
        program = rnnprog.RecurrentModule(make_cell(name, data.task))
        program.set_lm(rnnprog.embedded_lm())
        records = [r for trace in rnnprog.run(program, data.sequences).traces for r in trace.records]
        found[name] = mean(r.prediction == r.target for r in records)
    return found


@pytest.mark.parametrize("name", ["ace_full", "ace_repo", "memprompt", "raw_feedback", "running_summaries"])
def test_a_cell_that_sees_outcomes_learns(right: dict[str, float], name: str) -> None:
    assert right[name] > right["empty_memory"] + 0.05


@pytest.mark.parametrize("name", BLIND)
def test_a_cell_that_sees_none_is_no_better_than_the_control(right: dict[str, float], name: str) -> None:
    assert right[name] == right["empty_memory"]
