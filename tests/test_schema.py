from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rnnprog.errors import MemoryFormatError
from rnnprog.memory import EMPTY_MARK
from rnnprog.reader import fold, is_empty_mark
from rnnprog.schema import DEFAULT_SCHEMA, MemorySchema, SectionSpec

SCHEMA = MemorySchema(
    sections=(
        SectionSpec(key="facts", title="Facts so far", about="what has held, with counts"),
        SectionSpec(key="rules", title="Rules to apply next"),
    )
)
FACTS, RULES = ("Rain 3 of 5.", "Snow never."), ("Say rain.",)


def read(text: str) -> dict[str, tuple[str, ...]]:
    return {section.key: section.items for section in SCHEMA.parse(text).memory.sections}


LAYOUTS = {
    "as asked": "## Facts so far\n- Rain 3 of 5.\n- Snow never.\n## Rules to apply next\n- Say rain.",
    "numbered lists": "## Facts so far\n1. Rain 3 of 5.\n2) Snow never.\n## Rules to apply next\n10. Say rain.",
    "other bullets": "## Facts so far\n* Rain 3 of 5.\n• Snow never.\n## Rules to apply next\n+ Say rain.",
    "a bullet without a space": "## Facts so far\n•Rain 3 of 5.\n•Snow never.\n## Rules to apply next\n– Say rain.",
    "bold headings": "**Facts so far**\n- Rain 3 of 5.\n- Snow never.\n\n**Rules to apply next:**\n- Say rain.",
    "bold inside hashes": "### **Facts so far**\n- Rain 3 of 5.\n- Snow never."
    "\n### __Rules to apply next__\n- Say rain.",
    "no hashes, colons": "Facts so far:\n- Rain 3 of 5.\n- Snow never.\nRules to apply next:\n- Say rain.",
    "bare headings": "Facts so far\n- Rain 3 of 5.\n- Snow never.\nRules to apply next\n- Say rain.",
    "upper case": "FACTS SO FAR\n- Rain 3 of 5.\n- Snow never.\nRULES TO APPLY NEXT\n- Say rain.",
    "text after the colon": "Facts so far: Rain 3 of 5.\n- Snow never.\n**Rules to apply next:** Say rain.",
    "keys for titles": "## facts\n- Rain 3 of 5.\n- Snow never.\n## rules\n- Say rain.",
    "no space after the hashes": "##Facts so far\n- Rain 3 of 5.\n- Snow never.\n##Rules to apply next\n- Say rain.",
    "closing hashes": "## Facts so far ##\n- Rain 3 of 5.\n- Snow never.\n## Rules to apply next ##\n- Say rain.",
    "numbered headings": "1. **Facts so far**\n- Rain 3 of 5.\n- Snow never.\n2. Rules to apply next:\n- Say rain.",
    "numbers inside hashes": "## 1. Facts so far\n- Rain 3 of 5.\n- Snow never.\n## 2) Rules to apply next"
    "\n- Say rain.",
    "an aside in the heading": "## Facts so far (updated)\n- Rain 3 of 5.\n- Snow never.\n"
    "## Rules to apply next - most important first\n- Say rain.",
    "signs in the heading": "## 📌 Facts so far\n- Rain 3 of 5.\n- Snow never.\n## Rules to apply next!\n- Say rain.",
    "the explanation copied": "## Facts so far: what has held, with counts\n- Rain 3 of 5.\n- Snow never.\n"
    "## Rules to apply next\n- Say rain.",
    "underlined headings": "Facts so far\n============\n- Rain 3 of 5.\n- Snow never.\n---"
    "\nRules to apply next\n---\n- Say rain.",
    "windows line ends": "## Facts so far\r\n- Rain 3 of 5.\r\n- Snow never.\r\n\r"
    "\n## Rules to apply next\r\n- Say rain.\r\n",
    "tabs": "##\tFacts so far\n-\tRain 3 of 5.\n\t-\tSnow never.\n## Rules to apply next\n1.\tSay rain.",
    "nested bullets": "## Facts so far\n- Rain 3 of 5.\n    - Snow never.\n## Rules to apply next\n  * Say rain.",
    "blank lines": "\n\n## Facts so far\n\n- Rain 3 of 5.\n\n- Snow never.\n\n"
    "\n## Rules to apply next\n\n- Say rain.\n\n",
    "no bullets": "## Facts so far\nRain 3 of 5.\nSnow never.\n## Rules to apply next\nSay rain.",
    "wrapped items": "## Facts so far\n- Rain\n  3 of 5.\n- Snow\n  never.\n## Rules to apply next\n- Say\n  rain.",
    "everything indented": "    ## Facts so far\n    - Rain\n      3 of 5.\n    - Snow never."
    "\n    Rules to apply next:\n    - Say rain.",
    "a fence around": "```markdown\n## Facts so far\n- Rain 3 of 5.\n- Snow never."
    "\n## Rules to apply next\n- Say rain.\n```",
    "a remark before": "Here are the notes:\n\n## Facts so far\n- Rain 3 of 5.\n- Snow never."
    "\n## Rules to apply next\n- Say rain.",
    "a remark and a fence": "Sure! The notes:\n```\n# Facts so far\n- Rain 3 of 5.\n- Snow never."
    "\n# Rules to apply next\n- Say rain.\n```",
    "a title above": "# Notes\n## Facts so far\n- Rain 3 of 5.\n- Snow never.\n## Rules to apply next\n- Say rain.",
    "a JSON string": json.dumps("## Facts so far\n- Rain 3 of 5.\n- Snow never.\n## Rules to apply next\n- Say rain."),
    "escaped line breaks": r"## Facts so far\n- Rain 3 of 5.\n- Snow never.\n## Rules to apply next\n- Say rain.",
    "a JSON object": json.dumps({"Facts so far": FACTS, "rules": list(RULES)}, indent=1),
    "a JSON object with texts": json.dumps({"facts": list(FACTS), "rules": "Say rain."}),
    "a JSON envelope": json.dumps({"new_memory": "## facts\n- Rain 3 of 5.\n- Snow never.\n## rules\n- Say rain."}),
    "sections out of order": "## Rules to apply next\n- Say rain.\n## Facts so far\n- Rain 3 of 5.\n- Snow never.",
    "a heading twice": "## Facts so far\n- Rain 3 of 5.\n## Rules to apply next\n- Say rain."
    "\n## Facts so far\n- Snow never.",
    "bullets before the first heading": "- Rain 3 of 5.\n- Snow never.\n## Rules to apply next\n- Say rain.",
    "a byte order mark": "\ufeff## Facts so far\n- Rain 3 of 5.\n- Snow never.\n## Rules to apply next\n- Say rain.",
    "empty marks beside items": "## Facts so far\n(empty)\n- Rain 3 of 5.\n- Snow never.\n- None."
    "\n## Rules to apply next\n- Say rain.\n- N/A",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_memory_is_read_from_every_layout(layout: str) -> None:
    parsed = SCHEMA.parse(LAYOUTS[layout])
    assert read(LAYOUTS[layout]) == {"facts": FACTS, "rules": RULES}
    assert parsed.unknown == ()


@pytest.mark.parametrize(
    "mark", ["(empty)", "(none)", "None.", "- none", "n/a", "N/A", "- (nothing yet)", "", "* *None yet*"]
)
def test_marks_of_emptiness_are_no_items(mark: str) -> None:
    assert read(f"## Facts so far\n{mark}\n## Rules to apply next\n- Say rain.") == {"facts": (), "rules": RULES}


@pytest.mark.parametrize("item", ["None of 5 days was dry.", "Nothing yet points to snow.", "Empty days: 3.", "no"])
def test_items_that_begin_like_a_mark_of_emptiness_are_items(item: str) -> None:
    assert read(f"## Facts so far\n- {item}\n## rules") == {"facts": (item,), "rules": ()}


@pytest.mark.parametrize(
    "line",
    [
        "- Rules to apply next",
        "- ## Rules to apply next",
        "* **Rules to apply next:**",
        "- rules: none",
        "  rules: late in the day",
    ],
)
def test_a_bullet_or_its_continuation_never_opens_a_section(line: str) -> None:
    found = read(f"## Facts so far\n- Rain 3 of 5.\n{line}\n- Snow never.\n## Rules to apply next\n- Say rain.")
    assert found["rules"] == RULES
    assert found["facts"][-1] == "Snow never."


def test_code_in_the_notes_is_kept_line_by_line_and_its_comments_are_no_headings() -> None:
    text = (
        "## Facts so far\n- Rain 3 of 5.\n```python\n# a comment\nrules = 1\n```\n- Snow never.\n## rules\n- Say rain."
    )
    parsed = SCHEMA.parse(text)
    assert parsed.memory.section("facts").items == (
        "Rain 3 of 5.",
        "```python",
        "# a comment",
        "rules = 1",
        "```",
        "Snow never.",
    )
    assert parsed.unknown == ()


def test_a_fence_left_open_does_not_swallow_the_next_section() -> None:
    assert read("## Facts so far\n```python\nx = 1\n## Rules to apply next\n- Say rain.")["rules"] == RULES


def test_unknown_headings_are_reported_and_their_items_kept() -> None:
    parsed = SCHEMA.parse(
        "## Facts so far\n- Rain 3 of 5.\n## Seasons\n- Snow never.\n## Empty one\n## rules\n- Say rain."
    )
    assert parsed.unknown == ("Seasons",)
    assert parsed.memory.section("facts").items == FACTS
    assert parsed.found == ("facts", "rules")


@pytest.mark.parametrize(
    "text", ["", " \n ", "no headings here", "- a\n- b", "# Other\n- a", '"', "{", "[1]", '{"a": 1}', "null"]
)
def test_text_without_any_heading_is_refused_with_the_titles(text: str) -> None:
    with pytest.raises(MemoryFormatError, match="'Facts so far', 'Rules to apply next'"):
        SCHEMA.parse(text)


@given(st.text())
def test_any_text_under_a_heading_gives_a_memory_of_the_schema(text: str) -> None:
    parsed = SCHEMA.parse(f"## Facts so far\n{text}")
    assert SCHEMA.matches(parsed.memory)
    again = SCHEMA.parse(parsed.memory.render())
    assert SCHEMA.parse(again.memory.render()).memory == again.memory


@given(st.text())
def test_any_text_at_all_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(MemoryFormatError):
        assert SCHEMA.matches(SCHEMA.parse(text).memory)


HEAD = "## Facts so far\n"
HUGE = {
    "spaces behind a bullet": f"{HEAD}-{' ' * 1_000_000}x",
    "spaces behind a bracket": f"{HEAD}- (-{' ' * 1_000_000}x",
    "spaces in a heading": f"{HEAD}#{' ' * 1_000_000}#",
    "one word": f"{HEAD}- {'a' * 1_000_000}",
    "many items": HEAD + "- a\n" * 250_000,
    "one item over many lines": f"{HEAD}- a\n" + "  b\n" * 250_000,
    "brackets": f"{HEAD}{'[' * 500_000}{'(' * 500_000}",
    "hashes": f"{HEAD}{'#' * 1_000_000}",
    "open braces": "{" * 1_000_000,
    "open lists": '{"facts": ' + "[" * 1_000_000,
    "stars": f"{HEAD}{'*' * 500_000} {'_' * 500_000}",
}


@pytest.mark.parametrize("name", HUGE)
def test_a_megabyte_is_read_in_linear_time(name: str) -> None:
    start = time.process_time()
    try:
        assert SCHEMA.matches(SCHEMA.parse(HUGE[name]).memory)
    except MemoryFormatError:
        assert name.startswith("open")
    assert time.process_time() - start < 5  # under half a second on an idle core; what is quadratic takes minutes


def test_headings_may_be_in_any_script() -> None:
    schema = MemorySchema(sections=(SectionSpec(key="a", title="規則"), SectionSpec(key="b", title="Règles à suivre")))
    parsed = schema.parse("## 規則\n- 雨\n**RÈGLES À SUIVRE:**\n- pluie")
    assert parsed.memory.items == (("a", "雨"), ("b", "pluie"))


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ([("a", "Rules"), ("a", "Facts")], "'a'"),
        ([("a", "Rules"), ("b", "rules!")], "cannot be told apart"),
        ([("rules", "Facts"), ("b", "Rules")], "cannot be told apart"),
        ([("a_b", "X"), ("a__b", "Y")], "cannot be told apart"),
        ([("a", "!!!")], "no letter or digit"),
        ([("A", "Rules")], "key"),
        ([("a", "two\nlines")], "title"),
        ([("a", "two\u2028lines")], "title"),
        ([("a", " Rules")], "title"),
        ([("a", "## Rules")], "title"),
        ([("a", "")], "title"),
        ([], "sections"),
    ],
)
def test_a_schema_that_cannot_work_is_refused(sections: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MemorySchema(sections=tuple(SectionSpec(key=key, title=title) for key, title in sections))


def test_schema_round_trips_through_json_and_describes_itself() -> None:
    SCHEMA.parse("## facts")  # whatever reading caches must not show
    assert MemorySchema.model_validate_json(SCHEMA.model_dump_json()) == SCHEMA
    assert SCHEMA.describe() == "## Facts so far: what has held, with counts\n## Rules to apply next"
    assert SCHEMA.parse(SCHEMA.describe()).memory == SCHEMA.bare()


def test_the_initial_memory_holds_the_start_items() -> None:
    schema = MemorySchema(
        sections=(SectionSpec(key="a", title="A", start=("one", "two")), SectionSpec(key="b", title="B"))
    )
    assert schema.initial().items == (("a", "one"), ("a", "two"))
    assert schema.matches(schema.initial())
    assert not schema.matches(SCHEMA.initial())
    assert DEFAULT_SCHEMA.parse(DEFAULT_SCHEMA.initial().render()).memory == DEFAULT_SCHEMA.initial()


@given(st.text())
def test_folding_is_settled_after_one_round(name: str) -> None:
    assert fold(fold(name)) == fold(name)


def test_the_mark_that_rendering_writes_is_known() -> None:
    assert is_empty_mark(EMPTY_MARK)
