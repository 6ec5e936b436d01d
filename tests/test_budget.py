from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnprog.budget import check_budget, fit, memory_tokens
from rnnprog.errors import ConfigurationError
from rnnprog.memory import Memory
from rnnprog.schema import MemorySchema, SectionSpec
from rnnprog.tokens import Tokenizer, get_tokenizer


class Letters:
    """A ruler with closed-form answers: one token for each character."""

    name = "letters"

    def count(self, text: str) -> int:
        return len(text)


class Words:
    name = "words"

    def count(self, text: str) -> int:
        return len(text.split())


RULERS: list[Tokenizer] = [Letters(), Words(), get_tokenizer()]
SCHEMA = MemorySchema(
    sections=(
        SectionSpec(key="facts", title="Facts", priority=2),
        SectionSpec(key="errors", title="Errors", priority=1),
        SectionSpec(key="pins", title="Pins", priority=0, pinned=True),
        SectionSpec(key="rules", title="Rules", priority=3),
    )
)
ITEM = st.one_of(
    st.text(max_size=30), st.sampled_from(["a", "ab", "rain", "[[ ## x ## ]]", "雨", "x" * 200, "(empty)"])
)


@st.composite
def memories(draw: st.DrawFn) -> Memory:
    memory = SCHEMA.initial()
    for spec in SCHEMA.sections:
        memory = memory.with_items(spec.key, tuple(draw(st.lists(ITEM, max_size=6))))
    return memory


def documented_order(memory: Memory) -> list[tuple[str, str]]:
    """Lowest priority first, last item of a section first, pinned sections after all others."""
    return [(key, item) for key in ("errors", "facts", "rules", "pins") for item in memory.section(key).items[::-1]]


def less(memory: Memory, count: int) -> Memory:
    """The memory after ``count`` drops, one at a time: the slow and obvious way."""
    for key in ("errors", "facts", "rules", "pins"):
        items = memory.section(key).items
        gone = min(count, len(items))
        memory, count = memory.with_items(key, items[: len(items) - gone]), count - gone
    return memory


@given(memories(), st.sampled_from(RULERS), st.integers(0, 400))
def test_fit_holds_the_budget_and_drops_no_more_than_it_must(memory: Memory, ruler: Tokenizer, spare: int) -> None:
    budget = memory_tokens(SCHEMA.bare(), ruler) + spare
    check_budget(SCHEMA, budget, ruler)
    fitted = fit(memory, budget, SCHEMA, ruler)
    assert fitted.tokens == memory_tokens(fitted.memory, ruler) <= budget
    dropped = len(fitted.dropped)
    assert list(fitted.dropped) == documented_order(memory)[:dropped]
    assert fitted.memory == less(memory, dropped)
    if dropped:
        assert memory_tokens(less(memory, dropped - 1), ruler) > budget
    else:
        assert fitted.memory == memory


@given(memories(), st.integers(0, 300))
def test_no_item_is_ever_cut_and_fitting_is_settled_after_one_round(memory: Memory, spare: int) -> None:
    ruler = Letters()
    budget = memory_tokens(SCHEMA.bare(), ruler) + spare
    fitted = fit(memory, budget, SCHEMA, ruler)
    assert set(fitted.memory.items) <= set(memory.items)
    assert len(fitted.memory.items) + len(fitted.dropped) == len(memory.items)
    assert fit(fitted.memory, budget, SCHEMA, ruler).dropped == ()


def test_closed_form_example() -> None:
    # Four headings of 8, 9, 7, 8 letters, three line breaks between sections.
    memory = (
        SCHEMA.initial().with_items("facts", ("aa", "bb")).with_items("errors", ("cc",)).with_items("pins", ("dd",))
    )
    full = 8 + 5 + 5 + 9 + 5 + 7 + 5 + 8 + 1 + 7 + 3  # rules are "(empty)" on a line of its own
    assert memory_tokens(memory, Letters()) == full
    assert fit(memory, full, SCHEMA, Letters()).dropped == ()
    # "- cc" becomes "(empty)": three letters more, so that drop alone does not help
    assert fit(memory, full - 1, SCHEMA, Letters()).dropped == (("errors", "cc"), ("facts", "bb"))


def test_pinned_items_go_last_of_all() -> None:
    memory = SCHEMA.initial().with_items("rules", ("r",)).with_items("pins", ("p " * 30,)).with_items("errors", ("e",))
    bare = memory_tokens(SCHEMA.bare(), Words())
    fitted = fit(memory, bare + 30, SCHEMA, Words())
    assert fitted.dropped == (("errors", "e"), ("rules", "r"))
    assert fit(memory, bare, SCHEMA, Words()).memory == SCHEMA.bare()


@pytest.mark.parametrize("ruler", RULERS, ids=lambda ruler: str(ruler.name))
def test_the_smallest_budget_is_the_bare_headings(ruler: Tokenizer) -> None:
    need = memory_tokens(SCHEMA.bare(), ruler)
    check_budget(SCHEMA, need, ruler)
    with pytest.raises(ConfigurationError, match=rf"budget {need - 1} tokens.*take {need} \({ruler.name}\).*raise"):
        check_budget(SCHEMA, need - 1, ruler)


MEGABYTE: dict[str, Callable[[], str]] = {
    "one word": lambda: "- " + "a" * 1_000_000,
    "one item": lambda: "- " + "rain and wind " * 70_000,
    "short items": lambda: "- a\n" * 250_000,
    "long items": lambda: ("- " + "rain and wind " * 700 + "\n") * 100,
}


@pytest.mark.parametrize("name", MEGABYTE)
def test_a_megabyte_of_memory_is_cut_to_size_in_seconds(name: str) -> None:
    memory = SCHEMA.parse("## Facts\n" + MEGABYTE[name]()).memory
    start = time.process_time()
    fitted = fit(memory, 300, SCHEMA, get_tokenizer())
    assert fitted.tokens <= 300
    assert time.process_time() - start < 15  # about one second on an idle core
