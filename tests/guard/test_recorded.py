"""The guard on memories that real models rewrote (Dynamic Cheatsheet's published runs), and on own texts of that shape.

The recordings are read where they lie and are no part of this project.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnprog.guard import ElisionCheck, Guard, ShrinkCheck, find_elisions
from rnnprog.memory import Memory
from rnnprog.schema import MemorySchema, SectionSpec

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "recorded-memory"
CLAUDE = FOLDER / "AIME_2024_claude-3-5-sonnet_DC_Cumulative.jsonl"
GPT = FOLDER / "AIME_2024_gpt-4o_DC_Cumulative.jsonl"
recorded = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"THE RECORDED MEMORIES ARE NOT HERE: put them into {FOLDER} to run this test"
)

# The two headings that both runs use throughout; code, examples and descriptions become items.
SCHEMA = MemorySchema(
    sections=(
        SectionSpec(key="solutions", title="Solutions, implementation patterns, and code snippets"),
        SectionSpec(key="strategies", title="General meta-reasoning strategies"),
    )
)
ELISION, SHRINK = Guard(checks=(ElisionCheck(),)), Guard(checks=(ShrinkCheck(),))


def memories(path: Path) -> list[tuple[str, str]]:
    steps = [json.loads(line)["steps"][-1] for line in path.read_text(encoding="utf-8").splitlines()]
    return [(step["current_cheatsheet"] or "", step["new_cheatsheet"]) for step in steps]


def as_memory(text: str) -> Memory:
    return SCHEMA.parse(text).memory if "META-REASONING" in text else SCHEMA.initial()


def size(memory: Memory) -> int:
    return sum(len(item) for _, item in memory.items)


@recorded
def test_claude_elisions_are_found_in_the_two_steps_that_hold_them() -> None:
    hits = {t: [e.text for e in find_elisions(new)] for t, (_, new) in enumerate(memories(CLAUDE))}
    assert {t: len(found) for t, found in hits.items() if found} == {28: 10, 29: 10}
    assert {text for found in hits.values() for text in found} == {
        "[Previous content preserved...]",
        "[Previous content preserved with addition:]",
    }


@recorded
def test_gpt_has_no_elision_and_no_false_alarm() -> None:
    texts = [new for _, new in memories(GPT)]
    assert len(texts) == 30
    assert [find_elisions(text) for text in texts] == [[]] * 30


@recorded
def test_the_one_collapse_is_caught_and_nothing_else() -> None:
    for path, expected in ((CLAUDE, [28]), (GPT, [])):
        runs = memories(path)
        caught = [t for t, (old, new) in enumerate(runs) if SHRINK.review(as_memory(old), new, SCHEMA).verdicts]
        assert caught == expected
    before, after = memories(CLAUDE)[28]
    assert (len(before), len(after)) == (5381, 2886)


@recorded
def test_what_claude_elided_comes_back() -> None:
    before, after = memories(CLAUDE)[28]
    old, raw = as_memory(before), as_memory(after)
    reviewed = ELISION.review(old, after, SCHEMA)
    assert [verdict.decision for verdict in reviewed.verdicts] == ["repaired"]
    assert find_elisions(reviewed.memory.render()) == []
    lost = [item for item in old.items if item not in raw.items]
    back = [item for item in lost if item in reviewed.memory.items]
    assert len(lost) > 90
    assert len(back) >= 0.8 * len(lost)  # the others were revised: their new wording is there
    assert size(reviewed.memory) > size(old) > 1.8 * size(raw)


@recorded
def test_guarded_from_the_start_no_placeholder_ever_enters_the_memory() -> None:
    memory = SCHEMA.initial()
    for _, new in memories(CLAUDE):
        memory = ELISION.review(memory, new, SCHEMA).memory
        assert find_elisions(memory.render()) == []
    unguarded = as_memory(memories(CLAUDE)[-1][1])
    assert size(memory) > 2 * size(unguarded)


@recorded
def test_all_other_steps_pass_untouched() -> None:
    both = Guard(checks=(ElisionCheck(), ShrinkCheck()))
    touched = {
        path.stem: [
            t for t, (old, new) in enumerate(memories(path)) if both.review(as_memory(old), new, SCHEMA).verdicts
        ]
        for path in (CLAUDE, GPT)
    }
    assert touched == {CLAUDE.stem: [28, 29], GPT.stem: []}


# Own texts of the same shape, so that the logic is tested without the recordings.

BEFORE = """Version: 3.0

SOLUTIONS, IMPLEMENTATION PATTERNS, AND CODE SNIPPETS

<memory_item>
<description>
Tides (Reference: Q1, Q2)
1. High water comes about 50 minutes later every day
2. Spring tides follow full and new moon
3. Wind from the sea adds up to half a metre
</description>
<example>
```python
def later(day):
    ...
    return 50 * day  # and so on, as before
```
</example>
** Count: 2
</memory_item>

GENERAL META-REASONING STRATEGIES

<memory_item>
<description>
Check the moon first, then the wind, then yesterday's level
</description>
** Count: 3
</memory_item>
"""

AFTER = """Version: 4.0

SOLUTIONS, IMPLEMENTATION PATTERNS, AND CODE SNIPPETS

<memory_item>
<description>
Ice (Reference: Q3)
1. Ice forms after three nights below zero
</description>
** Count: 1
</memory_item>

<memory_item>
<description>
Tides (Reference: Q1, Q2)
[Previous content kept...]
</description>
<example>
[Previous content kept...]
</example>
** Count: 2
</memory_item>

GENERAL META-REASONING STRATEGIES

<memory_item>
<description>
Check the moon first, then the wind, then yesterday's level
</description>
** Count: 4
</memory_item>
"""


def test_own_fixture_the_clean_version_holds_no_placeholder() -> None:
    assert find_elisions(BEFORE) == []
    assert ELISION.review(as_memory(BEFORE), BEFORE, SCHEMA).verdicts == ()


def test_own_fixture_the_elided_lines_are_found_and_their_content_comes_back() -> None:
    assert [AFTER.splitlines()[e.line] for e in find_elisions(AFTER)] == ["[Previous content kept...]"] * 2
    items = ELISION.review(as_memory(BEFORE), AFTER, SCHEMA).memory.section("solutions").items
    for lost in ("High water comes about 50 minutes later every day", "return 50 * day # and so on, as before"):
        assert lost in items
    assert "Ice forms after three nights below zero" in items
    assert not any("kept..." in item for item in items)


def test_own_fixture_the_collapse_is_caught() -> None:
    old = as_memory(BEFORE)
    collapsed = (
        "SOLUTIONS, IMPLEMENTATION PATTERNS, AND CODE SNIPPETS\n- Ice.\nGENERAL META-REASONING STRATEGIES\n- Moon."
    )
    (verdict,) = SHRINK.review(old, collapsed, SCHEMA).verdicts
    assert verdict.check == "shrink"
    assert set(old.items) <= set(SHRINK.review(old, collapsed, SCHEMA).memory.items)
