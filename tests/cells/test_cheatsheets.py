"""Dynamic Cheatsheet, both forms: who sees what, in which order, and what is kept."""

from __future__ import annotations

from typing import Any

import pytest

import rnnprog
from rnnprog.cells import Cheatsheet, CheatsheetRS, RollingSummary
from rnnprog.cells.base import Experience
from rnnprog.cells.cheatsheet_rs import NO_PAIRS, Sheet
from rnnprog.errors import ConfigurationError

TASK = "sky -> tomorrow: Literal['sun', 'rain']"
TITLES = ("Reusable patterns and solutions", "Edge cases", "General strategies")
EMPTY = "\n".join(f"## {title}\n(empty)" for title in TITLES)


def sheet(*lines: str) -> str:
    return "\n".join([f"## {TITLES[0]}", *(f"- {line}" for line in lines), f"## {TITLES[1]}", f"## {TITLES[2]}"])


def shown(*lines: str) -> str:
    return EMPTY.replace("(empty)", "\n".join(f"- {line}" for line in lines), 1)


def counting(*, wrong: int = -1) -> Any:
    """Return a curator that writes the number of its call; ``wrong`` is one that writes no sheet."""
    calls: list[int] = []

    def curate(prompt: Any) -> str:
        calls.append(len(calls))
        return "I would rather not." if calls[-1] == wrong else sheet(f"Call {calls[-1]}.")

    return curate


STEPS = [{"sky": sky, "tomorrow": "rain"} for sky in ("grey", "blue", "grey fog")]


def test_the_curator_sees_sheet_observation_and_own_answer_after_the_answer(walk: Any) -> None:
    walked = walk(Cheatsheet(TASK, budget=200), STEPS, tomorrow="sun", new_memory=counting())
    assert [{o.name for o in p.outputs} for p in walked.prompts] == [{"tomorrow"}, {"new_memory"}] * 3
    assert walked.memories() == [EMPTY, shown("Call 0."), shown("Call 1.")]
    curated = walked.asking("new_memory")
    assert [p.memory for p in curated] == walked.memories()
    assert [p.inputs["observation"] for p in curated] == ["sky: grey", "sky: blue", "sky: grey fog"]
    assert {p.inputs["answer"] for p in curated} == {"tomorrow: sun"}
    assert set(curated[0].inputs) == {"observation", "answer", "headings", "budget_tokens", "remark"}
    assert curated[0].inputs["budget_tokens"] == "200"
    assert not any("true outcome" in text or "answer was wrong" in text for text in walked.texts)


def test_a_reply_without_the_headings_keeps_the_old_sheet(walk: Any) -> None:
    walked = walk(Cheatsheet(TASK), STEPS, tomorrow="sun", new_memory=counting(wrong=1))
    assert walked.operations == ["rewrite", "kept_old", "rewrite"]
    assert walked.memories() == [EMPTY, shown("Call 0."), shown("Call 0.")]


def test_a_placeholder_wipes_the_sheet_as_it_does_in_the_original(walk: Any) -> None:
    def curate(prompt: Any) -> str:
        return sheet("One.", "Two.") if "Two." not in prompt.memory else sheet("[previous items remain unchanged]")

    walked = walk(Cheatsheet(TASK), STEPS, tomorrow="sun", new_memory=curate)
    assert walked.memories()[2] == shown("[previous items remain unchanged]")
    guarded = walk(Cheatsheet(TASK, guard=rnnprog.DEFAULT_GUARD), STEPS, tomorrow="sun", new_memory=curate)
    assert "Two." in guarded.memories()[2]


@pytest.mark.parametrize("kind", [Cheatsheet, RollingSummary])
def test_over_budget_is_asked_once_for_less_and_then_cut_by_items(kind: Any, walk: Any) -> None:
    def curate(prompt: Any) -> str:
        title = prompt.inputs["headings"].splitlines()[0][3:].partition(":")[0]
        return f"## {title}\n" + "\n".join(f"- Item {n} of this long list." for n in range(40))

    walked = walk(kind(TASK, budget=80), STEPS[:1], tomorrow="sun", new_memory=curate)
    first, second = walked.asking("new_memory")
    assert first.inputs["remark"] == "(none)"
    assert "the limit is 80" in second.inputs["remark"]
    (update,) = walked.updates
    assert update.tokens <= 80
    assert "Item 0 of this long list." in str(update.carry)
    assert update.dropped[0][1] == "Item 39 of this long list."
    assert [verdict.check for verdict in update.verdicts][-1] == "budget"


def test_rs_curates_first_answers_from_it_and_keeps_what_was_used(walk: Any) -> None:
    def curate(prompt: Any) -> str:  # a pure function of the prompt, as a model at temperature 0
        return sheet(
            f"For {prompt.inputs['observation']}.", *[line[2:] for line in prompt.memory.splitlines() if line[0] == "-"]
        )

    walked = walk(CheatsheetRS(TASK), STEPS, tomorrow="sun", new_memory=curate)
    assert [{o.name for o in p.outputs} for p in walked.prompts] == [{"new_memory"}, {"tomorrow"}] * 3
    assert walked.memories()[0] == shown("For sky: grey.")
    assert walked.memories()[1] == shown("For sky: blue.", "For sky: grey.")
    assert walked.calls == {"curator": 3, "predictor": 3}
    for record, memory in zip(walked.trace.records, walked.memories(), strict=True):
        (update,) = record.updates
        for kept in (record.note["memory"], update.carry["memory"]):
            assert rnnprog.Memory.model_validate(kept).render() == memory
    assert next(text for _, text in walked.updates[-1].carry["pairs"]) == "sky: grey\nYour answer:\ntomorrow: sun"


def test_rs_keeps_the_sheet_that_was_used_even_if_the_curator_would_now_write_another(walk: Any) -> None:
    walked = walk(CheatsheetRS(TASK), STEPS, tomorrow="sun", new_memory=counting())
    assert walked.memories() == [shown("Call 0."), shown("Call 1."), shown("Call 2.")]
    assert [rnnprog.Memory.model_validate(u.carry["memory"]).render() for u in walked.updates] == walked.memories()
    assert [p.memory for p in walked.asking("new_memory")] == [EMPTY, *walked.memories()[:2]]


def test_rs_under_delay_writes_from_the_last_sheet_that_was_told(walk: Any) -> None:
    steps = [*STEPS, {"sky": "red", "tomorrow": "sun"}]
    walked = walk(CheatsheetRS(TASK), steps, feedback=rnnprog.Label(delay=2), tomorrow="sun", new_memory=counting())
    assert [p.memory for p in walked.asking("new_memory")] == [EMPTY, EMPTY, shown("Call 0."), shown("Call 1.")]
    assert walked.calls == {"curator": 4, "predictor": 4}


def test_rs_told_of_a_prediction_without_a_note_keeps_all_as_it_is() -> None:
    cell = CheatsheetRS(TASK)
    told = cell.learn(cell.initial(), Experience("0:0", 0, {"sky": "grey"}, {"tomorrow": "sun"}))
    assert told.operation == "not_asked"


def test_rs_shows_three_pairs_the_most_similar_last(walk: Any) -> None:
    skies = ["grey fog low", "blue", "grey fog", "grey", "grey fog low"]
    steps = [{"sky": sky, "tomorrow": "rain"} for sky in skies]
    walked = walk(CheatsheetRS(TASK), steps, tomorrow="sun", new_memory=sheet("One."))
    asked = [p.inputs["pairs"] for p in walked.asking("new_memory")]
    assert asked[0] == NO_PAIRS
    assert [block.splitlines()[0] for block in asked[4].split("\n\n")] == [
        "sky: grey",
        "sky: grey fog",
        "sky: grey fog low",
    ]
    assert "rain" not in "".join(asked), "own answers, never outcomes"


def test_rs_goes_on_with_the_old_sheet_where_the_curator_fails(walk: Any) -> None:
    walked = walk(CheatsheetRS(TASK, retries=0), STEPS[:2], tomorrow="sun", new_memory="")
    assert walked.memories() == [EMPTY, EMPTY]
    assert walked.operations == ["failed", "failed"]
    assert all(update.failure.phase == "curator" for update in walked.updates)


def test_predicting_with_rs_leaves_the_carry_alone() -> None:
    cell = CheatsheetRS(TASK)
    cell.set_lm(rnnprog.embedded_lm())
    carry = cell.initial()
    before = cell.dump_carry(carry)
    cell.predict(carry, {"sky": "grey"})
    assert cell.dump_carry(carry) == before
    assert isinstance(carry, Sheet)


@pytest.mark.parametrize("kind", [Cheatsheet, CheatsheetRS, RollingSummary])
def test_where_to_start(kind: Any, walk: Any) -> None:
    layout = kind(TASK).settings.value.layout
    title = layout.sections[0].title
    walked = walk(kind(TASK), STEPS[:1], memory=f"## {title}\n- Known before.", tomorrow="sun", new_memory="no sheet")
    assert "- Known before." in walked.memories()[0]
    with pytest.raises(ConfigurationError, match="too small"):
        kind(TASK, budget=3)
    with pytest.raises(ConfigurationError, match="over the budget"):
        kind(TASK, budget=60).start(f"## {title}\n- {'long ' * 99}")
    with pytest.raises(ConfigurationError, match="sections"):
        kind(TASK).start(rnnprog.MemorySchema(sections=(rnnprog.SectionSpec(key="x", title="X"),)).initial())


def test_the_rolling_summary_asks_as_the_reflective_cell_does_but_for_the_evidence(walk: Any) -> None:
    def notes(prompt: Any) -> str:
        titles = [line[3:].partition(":")[0] for line in prompt.inputs["headings"].splitlines()]
        return "\n".join(f"## {title}\n- Grey skies stay." for title in titles)

    mine = walk(RollingSummary(TASK), STEPS[:1], tomorrow="sun", new_memory=notes)
    theirs = walk(rnnprog.Reflective(TASK), STEPS[:1], tomorrow="sun", new_memory=notes)
    assert mine.texts[0] == theirs.texts[0], "the prediction, to the letter"
    one, other = mine.asking("new_memory")[0], theirs.asking("new_memory")[0]
    assert set(other.inputs) - set(one.inputs) == {"evidence", "critique"}
    assert {name: other.inputs[name] for name in one.inputs} == dict(one.inputs)
    assert mine.updates[0].carry == theirs.updates[0].carry
