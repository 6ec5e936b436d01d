"""The embedded model reads its own sentences back exactly, keeps those of others, and stays within its budget."""

from __future__ import annotations

import re

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnprog.lm.composing import compose
from rnnprog.lm.directives import Directives, read_directives
from rnnprog.lm.embedded import embedded_lm
from rnnprog.lm.learning import Lesson, learn
from rnnprog.lm.notes import read_notes
from rnnprog.lm.statements import Average, Last, Miss, Rule, Same, Statement, Tally, read_statement, rounded
from rnnprog.lm.values import word
from rnnprog.schema import DEFAULT_SCHEMA
from rnnprog.signatures import Reflect, Rewrite
from rnnprog.signatures.predict import PREDICT_GUIDE
from rnnprog.tokens import get_tokenizer

names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
fields = names | names.map("the last {}".format)
values = st.text(min_size=1, max_size=40).map(lambda text: word(text) or "x")
numbers = st.floats(-1e6, 1e6).map(rounded)
sizes = st.integers(1, 999)
whens = st.lists(st.tuples(fields, values), max_size=3).map(tuple)
some_when = st.lists(st.tuples(fields, values), min_size=1, max_size=3).map(tuple)
counts = st.lists(st.tuples(values, sizes), min_size=1, max_size=4).map(tuple)
statements: st.SearchStrategy[Statement] = st.one_of(
    st.builds(Tally, names, whens, sizes, counts),
    st.builds(Average, names, whens, sizes, numbers, numbers.map(abs), st.just("") | fields),
    st.builds(Same, names, names, st.integers(0, 99), sizes),
    st.builds(Rule, names, some_when, values),
    st.builds(Miss, names, whens, values, values, st.sampled_from(["", "the pattern may be changing"])),
    st.builds(Last, names, values),
)


@settings(max_examples=150, deadline=None)
@given(statements)
def test_every_sentence_is_read_back_exactly(statement: Statement) -> None:
    if len(str(statement)) <= 400:
        assert read_statement(str(statement)) == statement


@pytest.mark.parametrize(
    ("sentence", "meaning"),
    [
        (
            "When sky is grey, tomorrow was rain in 7 of 9 steps.",
            Tally("tomorrow", (("sky", "grey"),), 9, (("rain", 7),)),
        ),
        ("tomorrow equals weather in 33 of 50 steps", Same("tomorrow", "weather", 33, 50)),
        ("when sky is light rain, then tomorrow will be sun", Rule("tomorrow", (("sky", "light rain"),), "sun")),
        ("Over all steps, x averaged 3 over 4 days.", Average("x", (), 4, 3.0, 0.0)),
        ("Lately, x was a in 3 of 4 steps.", Tally("x", (), 4, (("a", 3),))),
    ],
)
def test_sentences_that_people_write_are_understood(sentence: str, meaning: Statement) -> None:
    assert read_statement(sentence) == meaning


def rewrite(
    memory: str,
    *,
    budget: int = 600,
    evidence: str | None = None,
    instruction: str = Rewrite.instructions,
    **other: str,
) -> str:
    said = dspy.Predict(Rewrite.with_instructions(instruction))
    said.lm = embedded_lm()
    return str(
        said(
            **{
                "memory": memory, "observation": "sky: grey", "answer": "tomorrow: sun", "critique": "",
                "evidence": evidence or "The true outcome was:\n  tomorrow: rain\nThe answer was wrong.",
                "headings": DEFAULT_SCHEMA.describe(), "budget_tokens": budget, **other,
            }
        ).new_memory
    )  # fmt: skip


def test_a_rewrite_fits_the_schema_and_says_what_happened() -> None:
    parsed = DEFAULT_SCHEMA.parse(rewrite(DEFAULT_SCHEMA.initial().render()))
    assert not parsed.unknown
    facts = parsed.memory.section("facts").items
    assert "When sky is grey, tomorrow was rain in 1 of 1 recent steps." in facts
    assert "The last tomorrow was rain." in facts
    assert parsed.memory.section("errors").items[0].startswith("Said tomorrow is sun when sky is grey, but it was rain")


def test_counts_grow_and_become_a_rule() -> None:
    memory = DEFAULT_SCHEMA.initial().render()
    for sky, outcome in [("grey", "rain"), ("blue", "sun")] * 5:
        evidence = f"The true outcome was:\ntomorrow: {outcome}\nThe answer was right."
        memory = rewrite(memory, observation=f"sky: {sky}", answer=f"tomorrow: {outcome}", evidence=evidence)
    parsed = DEFAULT_SCHEMA.parse(memory).memory
    assert "When sky is grey, tomorrow was rain in 5 of 5 recent steps." in parsed.section("facts").items
    assert "When sky is blue, then tomorrow is sun." in parsed.section("rules").items


def test_counts_that_fade_claim_nothing_about_all_steps() -> None:
    memory = DEFAULT_SCHEMA.initial().render()
    for step in range(40):
        memory = rewrite(memory, answer="tomorrow: rain", observation=f"sky: grey\nmm: {step}")
    counted = [line for line in memory.splitlines() if re.search(r"\b(?:of|over) \d+", line)]
    assert any(line.startswith("- When sky is grey, ") for line in counted)
    assert all(re.search(r"(?:of|over) \d+ recent steps", line) for line in counted)
    assert "of 40" not in memory


def test_counts_that_do_not_fade_are_of_all_steps() -> None:
    memory = DEFAULT_SCHEMA.initial().render()
    for _ in range(40):
        memory = rewrite(memory, answer="tomorrow: rain", instruction=Rewrite.instructions + " Never forget.")
    assert "When sky is grey, tomorrow was rain in 40 of 40 steps." in memory
    assert "recent" not in memory.partition("## ")[2].partition("Recent errors")[0]


def test_notes_of_others_stay_under_their_heading_word_for_word() -> None:
    facts, rules = "- The station stands on a hill.", "- Ask twice before snow."
    memory = f"## Facts and stable patterns\n{facts}\n## Rules to apply next\n{rules}"
    parsed = DEFAULT_SCHEMA.parse(rewrite(memory)).memory
    assert "The station stands on a hill." in parsed.section("facts").items
    assert "Ask twice before snow." in parsed.section("rules").items


def test_a_flood_of_foreign_notes_leaves_room_to_learn() -> None:
    memory = "## Facts and stable patterns\n" + "\n".join(f"- Foreign note number {i}." for i in range(300))
    said = rewrite(memory, budget=300)
    assert said.count("Foreign note") > 10
    assert "When sky is grey, tomorrow was rain in 1 of 1 recent steps." in said


@pytest.mark.parametrize(
    "headings",
    ["## Rules\n## History", "## Anything", "## What went wrong: x\n## What to do next: y\n## What is known: z"],
)
def test_any_headings_are_used_in_their_order(headings: str) -> None:
    said = rewrite("", headings=headings)
    assert [line for line in said.splitlines() if line.startswith("## ")] == [
        line.partition(":")[0] for line in headings.splitlines()
    ]


def test_headings_by_meaning() -> None:
    said = rewrite("", headings="## What went wrong\n## Advice for later\n## What is known")
    wrong, _, rest = said.partition("## Advice for later")
    assert "Said tomorrow is sun" in wrong
    assert "The last tomorrow was rain." in rest.partition("## What is known")[2]


@pytest.mark.parametrize("budget", [40, 60, 90, 150, 300, 1000])
def test_the_budget_is_obeyed(budget: int) -> None:
    memory = "## Facts and stable patterns\n" + "\n".join(
        f"- Foreign note number {i} about nothing." for i in range(60)
    )
    for step in range(25):
        observation = "\n".join(f"field_{k}: {'abc'[(step * (k + 3)) % 3]}" for k in range(6)) + f"\nmm: {step / 7:.2f}"
        truth = f"  tomorrow: {'sun' if step % 3 else 'rain'}\n  high: {step * 1.5}"
        evidence = f"The true outcome was:\n{truth}\nThe answer was wrong."
        memory = rewrite(
            memory, budget=budget, observation=observation, answer="tomorrow: snow\nhigh: 3.5", evidence=evidence
        )
        assert get_tokenizer().count(memory) <= budget


def test_a_remark_about_length_makes_it_shorter() -> None:
    memory = rewrite(
        "## Facts and stable patterns\n" + "\n".join(f"- Note {i} on the weather." for i in range(100)), budget=400
    )
    shorter = rewrite(memory, budget=400, remark="Your notes took 420 tokens, the limit is 400: write shorter notes.")
    assert get_tokenizer().count(shorter) <= 320 < get_tokenizer().count(memory)


def test_a_verdict_without_a_label_teaches_only_what_it_says() -> None:
    praised = rewrite("", evidence="A judge found the answer acceptable: fine.")
    assert "When sky is grey, tomorrow was sun in 1 of 1 recent steps." in praised
    blamed = rewrite(
        "", evidence="A judge found the answer not acceptable: no cause.", critique="outcome: x\ncause: y\nlesson: z"
    )
    assert "tomorrow was" not in blamed.replace("it was", "")
    assert 'but it was "something else"' in blamed
    nothing = rewrite("", evidence="(nothing became known)")
    assert "tomorrow" not in nothing


def test_the_label_of_another_step_cannot_leak_into_the_notes() -> None:
    assert "secret" not in rewrite("", critique="outcome: secret label") + rewrite("", answer="tomorrow: sun")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(-50, 50), st.sampled_from("xy")), min_size=1, max_size=25))
def test_notes_survive_the_round_trip_through_text(steps: list[tuple[str, float, str]]) -> None:
    notes, orders = read_notes(""), Directives(counts=True, conditions=True, pairs=True)
    for sky, mm, outcome in steps:
        learn(
            notes,
            Lesson({"sky": sky, "mm": f"{mm:.3f}"}, {"out": "x"}, {"out": outcome, "level": f"{mm * 2:.2f}"}),
            orders,
        )
    text = compose(notes, "## Facts\n## Errors\n## Rules", 100_000, orders)
    again = read_notes(text)
    assert (again.tallies, again.averages, again.sames, again.lasts) == (
        notes.tallies,
        notes.averages,
        notes.sames,
        notes.lasts,
    )
    assert again.misses == notes.misses
    assert not again.foreign


def test_the_default_instructions_hold_the_directives_they_should() -> None:
    assert read_directives(Rewrite.instructions) == Directives(counts=True, conditions=True)
    assert read_directives(PREDICT_GUIDE) == Directives()
    assert not {"doubt", "outcome_only"} & {k for k, v in vars(read_directives(Reflect.instructions)).items() if v}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Count how often each thing happened.", "counts"),
        ("Always say under which conditions a note holds.", "conditions"),
        ("Please weigh recent evidence more than old.", "recent"),
        ("Give more weight to the most recent steps.", "recent"),
        ("Adapt quickly.", "recent"),
        ("Weigh all steps equally.", "lasting"),
        ("Note pairs of conditions as well.", "pairs"),
        ("Be brief.", "brief"),
        ("Trust the memory's rule over the counts.", "rules_first"),
        ("Let recent errors outweigh the counts.", "errors_first"),
        ("Hedge when unsure.", "hedge"),
        ("Disregard the notes.", "ignore_memory"),
        ("Say if the pattern has changed.", "doubt"),
        ("Tell just the outcome.", "outcome_only"),
    ],
)
def test_phrasings(text: str, name: str) -> None:
    assert getattr(read_directives(text), name)
    assert not getattr(read_directives("Nothing of the kind."), name)


def test_denials_are_heard() -> None:
    said = read_directives("Do not keep counts. Never hedge. Write notes without counts, don't be brief.")
    assert said == Directives()
