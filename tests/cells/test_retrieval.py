"""Looking up past cases: distances against a plain reference, BM25 against its library, ties, and hooks."""

from __future__ import annotations

import copy
import pickle
import sys
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Plus

from rnnprog.cells import SelfStreamICL
from rnnprog.cells.looking_up import LookUp, LookUpSettings
from rnnprog.cells.retrieval import Retriever, key_of_inputs, levenshtein
from rnnprog.cells.store import Entry, dump_store, fitting, load_store, put
from rnnprog.errors import ConfigurationError
from rnnprog.tokens import get_tokenizer

words = st.text("abc ", max_size=12)
keys = st.lists(st.text("ab cd", min_size=1, max_size=14), min_size=1, max_size=8)


def reference(one: str, other: str) -> int:
    @cache
    def far(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        same = one[i - 1] == other[j - 1]
        return min(far(i - 1, j) + 1, far(i, j - 1) + 1, far(i - 1, j - 1) + (not same))

    return far(len(one), len(other))


@given(words, words)
def test_levenshtein_is_the_edit_distance(one: str, other: str) -> None:
    assert levenshtein(one, other) == reference(one, other) == levenshtein(other, one)


@given(words, words, st.integers(1, 10))
def test_a_limit_changes_nothing_below_it(one: str, other: str, limit: int) -> None:
    assert levenshtein(one, other, limit) == min(limit, reference(one, other))


def embed(texts: list[str]) -> list[list[float]]:
    return [[float(text.count(letter)) for letter in "abcd"] for text in texts]


@given(words, keys, st.integers(1, 5), st.sampled_from(["bm25", "levenshtein", "embedding"]))
def test_ranks_are_ordered_and_ties_go_to_the_later(query: str, stored: list[str], k: int, how: str) -> None:
    retriever = Retriever(how, embed if how == "embedding" else None)  # type: ignore[arg-type]
    best = retriever.best(query, stored, k)
    assert len(best) == min(k, len(stored))
    assert best == sorted(best, key=lambda pair: (-pair[1], -pair[0]))
    assert best == retriever.best(query, stored, len(stored))[:k]
    above = [pair for pair in retriever.best(query, stored, len(stored)) if pair[1] > -2.0]
    assert retriever.best(query, stored, len(stored), above=-2.0) == above


def test_bm25_ranks_as_its_library_and_scores_an_equal_text_with_one() -> None:
    stored = ["wind=3 sky grey", "wind=8 sky blue and clear", "wind=3 sky blue", "fog"]
    best = Retriever().best("wind=3 sky blue", stored, 4)
    library = BM25Plus([*(text.split() for text in stored), ["wind=3", "sky", "blue"]])
    scores = library.get_scores(["wind=3", "sky", "blue"])[:-1]
    assert [index for index, _ in best] == sorted(range(4), key=lambda n: -scores[n])
    assert best[0] == (2, 1.0)
    assert best[-1] == (3, 0.0), "nothing in common is nothing"


def test_bm25_prefers_the_match_even_where_there_are_two_texts() -> None:
    assert Retriever().best("sky grey", ["sky blue", "sky grey"], 1) == [(1, 1.0)]
    assert Retriever().best("sky grey", ["sky grey"], 1) == [(0, 1.0)]
    assert Retriever().best("", ["sky grey"], 1) == [(0, 0.0)]
    assert Retriever().best("sky", [], 3) == []


def test_without_the_library_the_error_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rank_bm25", None)
    with pytest.raises(ConfigurationError, match=r"rnnprog\[exam\].*levenshtein"):
        SelfStreamICL("sky -> tomorrow")
    assert SelfStreamICL("sky -> tomorrow", similarity="levenshtein").initial() == ()


def test_embeddings_are_asked_for_once_each() -> None:
    asked: list[list[str]] = []

    def counting(texts: list[str]) -> list[list[float]]:
        asked.append(list(texts))
        return embed(texts)

    retriever = Retriever("embedding", counting)
    assert retriever.best("aab", ["aab", "cd", "aab"], 2) == [(2, 1.0), (0, 1.0)]
    retriever.best("cd", ["aab", "d"], 1)
    assert asked == [["aab", "cd"], ["d"]]


def test_embeddings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="1 vectors for 2"):
        Retriever("embedding", lambda texts: [[1.0]]).best("a", ["b"], 1)
    with pytest.raises(ConfigurationError, match="one length"):
        Retriever("embedding", lambda texts: [[1.0] * (n + 1) for n, _ in enumerate(texts)]).best("a", ["b"], 1)
    with pytest.raises(ConfigurationError, match="go together"):
        Retriever("embedding")
    with pytest.raises(ConfigurationError, match="go together"):
        Retriever("bm25", embed)


def test_a_retriever_can_be_copied_and_sent_to_another_process() -> None:
    retriever = Retriever("embedding", embed)
    retriever.best("a", ["b"], 1)
    for other in (copy.deepcopy(retriever), pickle.loads(pickle.dumps(retriever))):
        assert other.best("aab", ["cd", "ab"], 1) == retriever.best("aab", ["cd", "ab"], 1)


@pytest.mark.parametrize(
    ("inputs", "rounded", "template"),
    [
        ({"rain_mm": 3.14159, "n": 127}, "rain_mm=3 n=100", "rain_mm n"),
        ({"rain": 0.0, "cold": -0.04}, "rain=0 cold=-0.04", "rain cold"),
        ({"ask": "What is <i>this</i>, a  Synonym?"}, "ask what is this a synonym", "ask what is this a synonym"),
        ({"note": "10 mm fell"}, "note 10 mm fell", "note mm fell"),
        ({"on": True, "x": [1, 2]}, "on true x 1 2", "on true x"),
        ({"x": float("inf")}, "x=inf", "x"),
    ],
)
def test_keys(inputs: dict[str, object], rounded: str, template: str) -> None:
    assert key_of_inputs(inputs) == rounded  # type: ignore[arg-type]
    assert key_of_inputs(inputs, "words") == template  # type: ignore[arg-type]


def test_a_key_function_must_return_text() -> None:
    look_up = LookUp(LookUpSettings(), None, lambda inputs: 3)  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigurationError, match="must return a text"):
        look_up.nearest((Entry("a", "b"),), {"x": 1}, LookUpSettings())


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12")), max_size=12), st.integers(1, 4), st.booleans()
)
def test_a_store_is_a_bounded_dictionary(pairs: list[tuple[str, str]], capacity: int, overwrite: bool) -> None:
    store: tuple[Entry, ...] = ()
    for key, text in pairs:
        before = store
        store = put(store, Entry(key, text), capacity, overwrite=overwrite)
        assert store[-1] == Entry(key, text)
        assert (store == before) is (store is before)
        assert len(store) <= capacity
        assert not overwrite or len({entry.key for entry in store}) == len(store)
    assert load_store(dump_store(store)) == store


@given(st.lists(st.text("ab .\n", max_size=30), max_size=8), st.integers(1, 30))
def test_what_fits_fits_in_both_orders(texts: list[str], room: int) -> None:
    ruler = get_tokenizer()
    kept = fitting(texts, room, ruler)
    assert ruler.count("\n\n".join(kept)) <= room
    rest = iter(texts)
    assert all(text in rest for text in kept), "whole texts, in the order given"
