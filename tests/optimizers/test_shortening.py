from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rnnprog.optimizers.shortening import sentences, shortened

SENTENCES = st.lists(st.sampled_from([f"Sentence {n} says something." for n in range(9)]), min_size=1, unique=True)


@given(SENTENCES, st.integers(0, 9), st.sampled_from([" ", "\n", "\n- "]))
def test_one_added_sentence_goes_and_all_else_stays_until_each_was_tried(
    found: list[str], own: int, between: str
) -> None:
    text, original = between.join(found), " ".join(found[:own])
    known: list[str] = []
    gone = []
    while (shorter := shortened(text, original, known)) is not None:
        left, without = shorter
        assert without in sentences(text)
        assert len(sentences(left)) >= len(sentences(text)) - 1
        assert set(sentences(original)) <= set(sentences(left)) | {f"- {s}" for s in sentences(original)} | set(found)
        known.append(left)
        gone.append(without)
    added = [sentence for sentence in sentences(text) if sentence not in sentences(original)]
    assert gone == (added[::-1] if len(added) > 1 else [])
