from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnprog.guard import ElisionCheck, Guard, find_elisions
from rnnprog.schema import DEFAULT_SCHEMA, MemorySchema, SectionSpec

PLACEHOLDERS = """
[previous items remain]
[Previous content preserved...]
[Previous content preserved with addition:]
[Previous memory items about shapes in the plane ... remain unchanged...]
[... remaining items omitted ...]
[12 more items]
[truncated]
[...]
**[Existing rules retained]**
*(previous notes kept as is)*
(rest unchanged)
(unchanged)
(see above)
(existing entries continue as before)
<snip>
<rest of content omitted for brevity>
... (other rules as before)
... and 5 more
...
…
- ...
3. [rest of the list unchanged]
same as above
Same as before.
Unchanged
[rest of the list]
other rules ...
(previous items)
see previous notes
No changes.
ditto
rest of the rules unchanged
All other rules remain unchanged.
The rest remains the same.
Previous facts still apply.
""".strip().splitlines()

NOTES = """
The wind remains unchanged when pressure is high.
previous items sold
Sold out items remain unavailable
Terms 1, 2, ..., n
[1, 2, ..., 5]
a[...] indexes everything
x, y, ... are kept
Previous day's rain predicts rain
Temperature remains the same for 3 days
Same weather as the day before
Predict the same as yesterday
Sales are the same as last week
Pressure fell (previous low remained unchanged)
(All other days remain dry)
The forecast is unchanged
Error rate unchanged at 12%
The other stocks remain flat
Rest days have lower load
Rest days...
Existing trends…
(previous day)
See previous winter
[other stations]
Repeat the previous answer when unsure...
Wait for more data
More rain than sun
No rain
kept
The previous rule failed twice
Previous error: said sun, was rain
Rain follows rain (12 of 20 times, earlier 8 of 10)
""".strip().splitlines()


@pytest.mark.parametrize("line", PLACEHOLDERS)
def test_a_placeholder_is_found_and_fills_its_line(line: str) -> None:
    found = find_elisions(f"- Rain follows rain.\n{line}\n- Sun follows sun.")
    assert [(elision.line, elision.whole_line) for elision in found] == [(1, True)]


@pytest.mark.parametrize("line", NOTES)
def test_an_ordinary_note_is_no_placeholder(line: str) -> None:
    assert find_elisions(f"## Rules\n- {line}\n{line}") == []


def test_fenced_code_is_not_searched_and_the_text_after_it_is() -> None:
    text = "```python\ndef f(x):\n    ...\n# ...\n```\n- ..."
    assert [elision.line for elision in find_elisions(text)] == [5]


def test_a_placeholder_inside_an_item_is_cut_out_of_it() -> None:
    (found,) = find_elisions("- Rain follows rain. [rest of the items unchanged]")
    assert (found.text, found.whole_line) == ("[rest of the items unchanged]", False)


@given(st.text())
def test_any_text_can_be_searched(text: str) -> None:
    for found in find_elisions(text):
        assert found.text in text.splitlines()[found.line]


SCHEMA = MemorySchema(
    sections=(SectionSpec(key="facts", title="Facts"), SectionSpec(key="rules", title="Rules to apply"))
)
OLD = SCHEMA.parse(
    "## Facts\n- Rain 3 of 5 times.\n- Snow never.\n- Wind is weak.\n## Rules to apply\n- Say rain."
).memory
GUARD = Guard(checks=(ElisionCheck(),))


def items(text: str, key: str = "facts") -> tuple[str, ...]:
    return GUARD.review(OLD, text, SCHEMA).memory.section(key).items


def test_what_was_elided_comes_back_at_the_place_of_the_placeholder() -> None:
    text = "## Facts\n- Fog once.\n- [previous items remain]\n- Hail once.\n## Rules to apply\n- Say rain."
    assert items(text) == ("Fog once.", "Rain 3 of 5 times.", "Snow never.", "Wind is weak.", "Hail once.")
    reviewed = GUARD.review(OLD, text, SCHEMA)
    assert [(v.check, v.decision) for v in reviewed.verdicts] == [("elision", "repaired")]
    assert "3 old item(s) put back" in reviewed.verdicts[0].reason
    assert "[previous items remain]" in reviewed.verdicts[0].reason


def test_an_item_that_was_revised_does_not_come_back_in_its_old_wording() -> None:
    text = "## Facts\n- Rain 4 of 6 times.\n- Snow never.\n- (rest unchanged)\n## Rules to apply\n- Say rain."
    assert items(text) == ("Rain 4 of 6 times.", "Snow never.", "Wind is weak.")


def test_an_item_about_something_else_in_like_words_does_come_back() -> None:
    assert "Snow never." in items("## Facts\n- Fog never.\n- (rest unchanged)\n## Rules to apply\n- Say rain.")


def test_other_sections_unchanged_fills_the_sections_that_came_back_empty() -> None:
    text = "## Facts\n- Fog once.\n[Other sections unchanged]"
    assert items(text) == ("Fog once.",)
    assert items(text, "rules") == ("Say rain.",)


def test_a_heading_followed_by_unchanged_keeps_the_section() -> None:
    text = "## Facts: unchanged\n## Rules to apply\n(same as before)\n- Say sun in July."
    assert items(text) == OLD.section("facts").items
    assert items(text, "rules") == ("Say rain.", "Say sun in July.")


@pytest.mark.parametrize("heading", ["## Facts (unchanged)", "## Facts - no changes", "**Facts**: same as before"])
def test_a_heading_that_says_unchanged_keeps_the_section(heading: str) -> None:
    assert items(f"{heading}\n## Rules to apply\n- Say rain.") == OLD.section("facts").items


def test_a_placeholder_inside_an_item_leaves_the_item() -> None:
    text = "## Facts\n- Fog once. [rest of the facts unchanged]\n## Rules to apply\n- Say rain."
    assert items(text) == ("Rain 3 of 5 times.", "Snow never.", "Wind is weak.", "Fog once.")


def test_two_placeholders_inside_one_item_both_go() -> None:
    text = "## Facts\n- [previous items kept] Fog once. (rest of the facts unchanged)\n## Rules to apply\n- Say rain."
    assert "Fog once." in items(text)
    assert find_elisions(GUARD.review(OLD, text, SCHEMA).memory.render()) == []


def test_a_placeholder_that_got_into_the_old_memory_does_not_come_back() -> None:
    old = OLD.with_items("facts", ("Rain 3 of 5 times.", "[Previous content preserved...]"))
    text = "## Facts\n- (rest unchanged)\n## Rules to apply\n- Say rain."
    assert GUARD.review(old, text, SCHEMA).memory.section("facts").items == ("Rain 3 of 5 times.",)


def test_with_nothing_to_put_back_the_placeholder_still_goes() -> None:
    empty = DEFAULT_SCHEMA.initial()
    text = "## Facts and stable patterns\n- Fog once.\n- [previous items remain]"
    reviewed = GUARD.review(empty, text, DEFAULT_SCHEMA)
    assert reviewed.memory.section("facts").items == ("Fog once.",)


@given(
    st.lists(
        st.sampled_from([note for note in NOTES if not note.startswith("[1")]), min_size=1, max_size=6, unique=True
    ),
    st.sampled_from([line for line in PLACEHOLDERS if not line.startswith(("-", "3"))]),
    st.data(),
)
def test_nothing_old_is_lost_behind_any_placeholder(notes: list[str], placeholder: str, data: st.DataObject) -> None:
    old = OLD.with_items("facts", tuple(notes))
    kept = data.draw(st.lists(st.sampled_from(notes), unique=True))
    text = "\n".join(
        ["## Facts", *[f"- {note}" for note in kept], f"- {placeholder}", "## Rules to apply", "- Say rain."]
    )
    now = GUARD.review(old, text, SCHEMA).memory.section("facts").items
    assert sorted(now) == sorted(notes)
