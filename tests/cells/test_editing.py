"""The other policy of rewriting: numbered notes, edits, and everything that whole rewrites promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnprog
from rnnprog.cells.reflective import Reflective, ReflectiveSettings
from rnnprog.edits import edited, edits_between, numbered
from rnnprog.memory import Memory
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Candidate
from rnnprog.schema import DEFAULT_SCHEMA, MemorySchema, SectionSpec
from rnnprog.signatures import Revise, Rewrite
from rnnprog.tasks import load_task

SCHEMA = MemorySchema(sections=(SectionSpec(key="facts", title="Facts"), SectionSpec(key="rules", title="Rules")))
OLD = SCHEMA.parse("## Facts\n- Rain fell twice.\n- Sun once.\n## Rules\n- Expect rain.").memory
NOTES = st.lists(st.text(alphabet="abc XYZ.:[]1-#", max_size=12), max_size=5)


def memory(facts: list[str], rules: list[str]) -> Memory:
    return SCHEMA.initial().with_items("facts", tuple(facts)).with_items("rules", tuple(rules))


def test_notes_are_numbered_through_all_sections() -> None:
    assert [line.partition(" ")[2][:3] for line in numbered(OLD).splitlines() if line.startswith("-")] == [
        "[1]",
        "[2]",
        "[3]",
    ]
    assert "(empty)" in numbered(SCHEMA.initial())


@pytest.mark.parametrize(
    ("text", "facts", "rules"),
    [
        ("NONE", ("Rain fell twice.", "Sun once."), ("Expect rain.",)),
        ("add rules: Look up.", ("Rain fell twice.", "Sun once."), ("Look up.", "Expect rain.")),
        ("- UPDATE [2]: Sun twice.\n- REMOVE [3]", ("Rain fell twice.", "Sun twice."), ()),
        ("UPDATE 1: Rain: twice.", ("Rain: twice.", "Sun once."), ("Expect rain.",)),
        ("REMOVE 9\nUPDATE 8: No.", ("Rain fell twice.", "Sun once."), ("Expect rain.",)),
        ("ADD Weather: Fog.", ("Weather: Fog.", "Rain fell twice.", "Sun once."), ("Expect rain.",)),
        ("Here you go:\nREMOVE 1.", ("Sun once.",), ("Expect rain.",)),
        ("UPDATE 2:", ("Rain fell twice.", "Sun once."), ("Expect rain.",)),
        ("ADD Facts: ## Rules\nADD Facts:", ("## Rules", "Rain fell twice.", "Sun once."), ("Expect rain.",)),
    ],
)
def test_edits_do_what_they_say(text: str, facts: tuple[str, ...], rules: tuple[str, ...]) -> None:
    new = edited(OLD, text)
    assert new is not None
    assert (new.section("facts").items, new.section("rules").items) == (facts, rules)


@pytest.mark.parametrize("text", ["", "I cannot help with that.", "The address is 4 Remove Street"])
def test_text_without_edits_is_none(text: str) -> None:
    assert edited(OLD, text) is None


@given(NOTES, NOTES, NOTES, NOTES)
def test_edits_between_two_memories_lead_from_one_to_the_other(a: Any, b: Any, c: Any, d: Any) -> None:
    old, new = memory(a, b), memory(c, d)
    made = edited(old, edits_between(old, new))
    assert made is not None
    for section in made.sections:
        assert sorted(section.items) == sorted(new.section(section.key).items)


def walked(answers: list[str], **settings: Any) -> Any:
    """Walk one step with a rewriter that gives these answers."""
    critique = {"outcome": "o", "cause": "c", "lesson": "l"}
    lm = rnnprog.scripted_lm([{"tomorrow": "sun"}, critique, *({"new_memory": answer} for answer in answers)])
    program = RecurrentModule("sky -> tomorrow", layout=SCHEMA, rewriting="edits", memory=OLD, **settings)
    program.set_lm(lm)
    steps = [rnnprog.Step(inputs={"sky": "grey"}, target={"tomorrow": "rain"})]
    found = program(steps=steps)
    return next(iter(found.trace.updates)), found.memory


def test_what_is_not_named_stays_word_for_word() -> None:
    update, new = walked(["UPDATE 3: Expect rain after grey skies."])
    assert update.operation == "edit"
    assert new.section("facts") == OLD.section("facts")
    assert new.section("rules").items == ("Expect rain after grey skies.",)


def test_an_answer_of_whole_notes_is_taken_as_such_and_nonsense_keeps_the_old_ones() -> None:
    _, new = walked(["## Facts\n- Rain fell twice.\n- Sun once.\n## Rules\n- Look up."])
    assert new.section("rules").items == ("Look up.",)
    update, kept = walked(["I would rather not."])
    assert (update.operation, kept) == ("kept_old", OLD)


def test_edits_keep_the_budget_and_are_asked_once_to_make_room() -> None:
    long = "ADD Rules: " + "many words " * 40
    update, new = walked([long, "UPDATE 3: Many words."], budget=60)  # the third is the new one, first in its section
    assert new.section("rules").items == ("Many words.", "Expect rain.")
    assert update.tokens <= 60
    assert any(verdict.check == "budget" for verdict in update.verdicts)
    stubborn, _ = walked([long, "NONE"], budget=60)
    assert stubborn.tokens <= 60
    assert stubborn.dropped


def test_edits_pass_the_guard() -> None:
    update, new = walked(["REMOVE 1\nREMOVE 2\nREMOVE 3\nADD Facts: [rest unchanged]"])
    assert update.verdicts, "a placeholder stands for nothing, also where it comes as an edit"
    assert "[rest unchanged]" not in new.render()


def test_the_policy_is_a_setting_that_brings_its_own_instruction(tmp_path: Path) -> None:
    whole = RecurrentModule("sky -> tomorrow")
    assert whole.cell.rewriter.signature.instructions == Rewrite.instructions
    edits: Any = Candidate(settings={"rewriting": "edits"}).apply(whole)
    assert edits.cell.rewriter.signature.instructions == Revise.instructions
    assert edits.cell.rewriter.signature.output_fields["new_memory"].json_schema_extra["desc"].startswith("the edits")
    assert whole.cell.rewriter.signature.instructions == Rewrite.instructions
    back: Any = Candidate(settings={"rewriting": "whole"}).apply(edits)
    assert back.cell.rewriter.signature.equals(whole.cell.rewriter.signature)
    edits.save(str(tmp_path / "program.json"))
    again = RecurrentModule("sky -> tomorrow")
    again.load(str(tmp_path / "program.json"))
    assert again.cell.settings.value.rewriting == "edits"
    assert again.cell.rewriter.signature.instructions == Revise.instructions
    assert Reflective("sky -> tomorrow", rewriting="edits").rewriter.signature.equals(Revise)


def test_an_instruction_of_your_own_stays_whatever_the_policy() -> None:
    cell = Reflective("sky -> tomorrow")
    cell.rewriter.signature = cell.rewriter.signature.with_instructions("My own words.")
    cell.rewriter.demos = [dspy.Example(new_memory="## Facts")]
    cell.set_settings(ReflectiveSettings(rewriting="edits"))
    assert cell.rewriter.signature.instructions == "My own words."
    assert cell.rewriter.demos == [], "examples of whole notes teach the wrong form"


def test_the_embedded_model_edits_and_learns_as_it_does_when_it_rewrites() -> None:
    data = load_task("regimes", n_sequences=6, n_steps=16, n_changes=0)
    right = {}
    for policy in ("whole", "edits"):
        program = RecurrentModule(data.task, rewriting=policy)
        program.set_lm(rnnprog.embedded_lm())
        found = [program(steps=sequence.steps) for sequence in data.sequences]
        operations = {update.operation for f in found for update in f.trace.updates}
        assert operations == {"rewrite" if policy == "whole" else "edit"}
        pairs = [
            (o, s.target)
            for f, q in zip(found, data.sequences, strict=True)
            for o, s in zip(f.outputs, q.steps, strict=True)
        ]
        right[policy] = sum(out == target for out, target in pairs) / len(pairs)
    assert right["edits"] == pytest.approx(right["whole"], abs=0.05)
    assert right["edits"] > 0.45
    assert DEFAULT_SCHEMA.matches(found[0].memory)
