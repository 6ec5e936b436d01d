from __future__ import annotations

import time
import timeit
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rnnprog.errors import ConfigurationError
from rnnprog.guard import (
    DEFAULT_GUARD,
    Check,
    ElisionCheck,
    ForgeryCheck,
    Guard,
    InstructionCheck,
    PinnedCheck,
    Proposal,
    RedactCheck,
    SchemaCheck,
    ShrinkCheck,
    accepted,
    kept_old,
    repaired,
)
from rnnprog.memory import Memory
from rnnprog.schema import DEFAULT_SCHEMA, MemorySchema, SectionSpec
from rnnprog.trace import Verdict

SCHEMA = MemorySchema(sections=(SectionSpec(key="rules", title="Rules"),))
OLD = SCHEMA.parse("## Rules\n- Rain follows rain.").memory


class Append(Check):
    kind: Literal["test_append"] = "test_append"
    word: str = "x"

    def inspect(self, old: Memory, new: Memory, proposal: Proposal, schema: MemorySchema) -> tuple[Memory, Verdict]:
        items = (*new.section("rules").items, self.word)
        return new.with_items("rules", items), repaired(self.kind, f"added {self.word}")


class Refuse(Check):
    kind: Literal["test_refuse"] = "test_refuse"

    def inspect(self, old: Memory, new: Memory, proposal: Proposal, schema: MemorySchema) -> tuple[Memory, Verdict]:
        return new, kept_old(self.kind, "never")


class Flag(Check):
    kind: Literal["test_flag"] = "test_flag"

    def inspect(self, old: Memory, new: Memory, proposal: Proposal, schema: MemorySchema) -> tuple[Memory, Verdict]:
        return new, accepted(self.kind, f"saw {len(proposal.text)} characters")


def test_each_check_sees_what_the_one_before_left() -> None:
    reviewed = Guard(checks=(Append(word="a"), Append(word="b"))).review(OLD, "Rules\n- Sun.", SCHEMA)
    assert reviewed.memory.section("rules").items == ("Sun.", "a", "b")
    assert [v.reason for v in reviewed.verdicts] == ["added a", "added b"]
    assert not reviewed.kept_old


def test_a_refusal_ends_the_chain_and_the_old_memory_stays() -> None:
    reviewed = Guard(checks=(Append(), Refuse(), Append())).review(OLD, "Rules\n- Sun.", SCHEMA)
    assert reviewed.memory == OLD
    assert reviewed.kept_old
    assert [v.check for v in reviewed.verdicts] == ["test_append", "test_refuse"]


def test_silent_acceptance_is_not_reported_and_a_flag_is() -> None:
    clean = DEFAULT_GUARD.review(OLD, "## Rules\n- Rain follows rain.\n- Sun follows sun.", SCHEMA)
    assert clean.verdicts == ()
    flagged = Guard(checks=(Flag(),)).review(OLD, "Rules\n- Sun.", SCHEMA)
    assert [(v.decision, v.reason) for v in flagged.verdicts] == [("accept", "saw 12 characters")]
    assert not flagged.kept_old


@pytest.mark.parametrize("guard", [Guard(), DEFAULT_GUARD])
@pytest.mark.parametrize("text", ["", "   \n", "I cannot help with that.", "- a bullet, no heading", "{]", '"'])
def test_text_that_is_no_memory_keeps_the_old_one(guard: Guard, text: str) -> None:
    reviewed = guard.review(OLD, text, SCHEMA)
    assert reviewed.memory == OLD
    assert reviewed.kept_old
    assert [v.check for v in reviewed.verdicts] == ["parse"]
    assert "'Rules'" in reviewed.verdicts[0].reason


def test_without_checks_the_text_is_taken_as_it_reads() -> None:
    reviewed = Guard(checks=()).review(OLD, "## Rules\n- [previous items remain]", SCHEMA)
    assert reviewed.memory.section("rules").items == ("[previous items remain]",)
    assert reviewed.verdicts == ()


@pytest.mark.parametrize(
    "guard",
    [
        Guard(),
        DEFAULT_GUARD,
        Guard(
            checks=(
                SchemaCheck(),
                ElisionCheck(),
                ShrinkCheck(min_ratio=0.25, min_items=3, measure="items", action="keep_old"),
                ForgeryCheck(),
                PinnedCheck(keep="exact"),
                InstructionCheck(action="flag"),
                RedactCheck(patterns=((r"\d+", "N"),)),
                Append(word="é\n☃"),
            )
        ),
    ],
)
def test_json_round_trip_is_exact_with_own_checks_too(guard: Guard) -> None:
    again = Guard.model_validate_json(guard.model_dump_json())
    assert again == guard
    assert [type(check) for check in again.checks] == [type(check) for check in guard.checks]
    assert Guard.model_validate(guard.model_dump(mode="json")) == guard


def test_an_unknown_kind_says_what_is_known() -> None:
    with pytest.raises(ValidationError, match=r"unknown check kind 'nope'.*'elision'.*import the module"):
        Guard.model_validate({"checks": [{"kind": "nope"}]})


def test_a_check_without_a_kind_or_with_one_that_is_taken_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has no kind"):

        class Nameless(Check):
            pass

    with pytest.raises(ConfigurationError, match=r"'elision' of Thief is taken by ElisionCheck"):

        class Thief(Check):
            kind: Literal["elision"] = "elision"


def test_a_check_must_define_inspect() -> None:
    class Lazy(Check):
        kind: Literal["test_lazy"] = "test_lazy"

    with pytest.raises(NotImplementedError, match="Lazy must define inspect"):
        Guard(checks=(Lazy(),)).review(OLD, "Rules\n- Sun.", SCHEMA)


@given(st.text(), st.text())
def test_whatever_the_model_returns_there_is_a_memory_of_the_schema(before: str, after: str) -> None:
    text = f"{before}\n## Facts and stable patterns\n{after}"
    reviewed = DEFAULT_GUARD.review(DEFAULT_SCHEMA.initial(), text, DEFAULT_SCHEMA)
    assert DEFAULT_SCHEMA.matches(reviewed.memory)
    assert "[[ ##" not in reviewed.memory.render()


@given(st.lists(st.text(min_size=1), max_size=8))
def test_review_is_settled_after_one_round(items: list[str]) -> None:
    """What the guard let through, rendered and proposed again, passes without a further repair."""
    old = DEFAULT_SCHEMA.initial()
    text = "\n".join(
        ["## Facts and stable patterns", *items, "## Recent errors and their causes", "## Rules to apply next"]
    )
    once = DEFAULT_GUARD.review(old, text, DEFAULT_SCHEMA).memory
    again = DEFAULT_GUARD.review(once, once.render(), DEFAULT_SCHEMA)
    assert again.memory == DEFAULT_SCHEMA.parse(once.render()).memory
    assert again.verdicts == ()


def test_a_clean_review_costs_microseconds() -> None:
    lines = [f"- Condition {n}: rain follows a fall of pressure in {n} of {n + 3} cases." for n in range(6)]
    text = "\n".join(line for spec in DEFAULT_SCHEMA.sections for line in (f"## {spec.title}", *lines))
    old = DEFAULT_SCHEMA.parse(text).memory
    assert DEFAULT_GUARD.review(old, text, DEFAULT_SCHEMA).verdicts == ()
    again = timeit.Timer(lambda: DEFAULT_GUARD.review(old, text, DEFAULT_SCHEMA), timer=time.process_time)
    best = min(again.repeat(repeat=5, number=50)) / 50
    assert best < 1e-3  # about 5e-5 s on an idle core; the bound leaves room for a busy one
