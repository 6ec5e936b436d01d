"""Which past case is most like this one: BM25, edit distance, or embeddings through a hook of your own."""

from __future__ import annotations

import importlib.util
import math
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from rnnprog.errors import ConfigurationError
from rnnprog.signatures.text import as_text
from rnnprog.trace import Fields

__all__ = ["THRESHOLDS", "Embed", "KeyKind", "Retriever", "Similarity", "key_of_inputs", "levenshtein"]

Similarity = Literal["bm25", "levenshtein", "embedding"]
"""How two keys are compared."""

KeyKind = Literal["rounded", "words", "text"]
"""What of an observation is its key; see :func:`key_of_inputs`."""

Embed = Callable[[list[str]], list[list[float]]]
"""Texts to vectors; a pure function, asked once for each text, and waited for in async walks too."""

THRESHOLDS: Mapping[Similarity, float] = {"bm25": 0.5, "levenshtein": -6.0, "embedding": 0.9}
"""How alike is close enough where nothing is said: MemPrompt's own for edit distance and embeddings."""

_BRACKETED = re.compile(r"<[^<>]*>")
_NUMBER = re.compile(r"(?<![a-z_])[-+]?\d[\d.,]*(?:e[-+]?\d+)?", re.IGNORECASE)
_MARKS = re.compile(r"[^\w\s=.-]|_(?=\W|$)|(?<!\w)[.-]|[.-](?!\w)")
_DIGITS = 12  # of a similarity; below that, sums differ between machines and would break ties by chance


def key_of_inputs(inputs: Fields, kind: KeyKind = "rounded") -> str:
    """Return the text by which an observation is looked up.

    MemPrompt removes what stands in angle brackets, case and punctuation, so that its key is the template of a
    question. ``words`` does that and drops numbers too; ``rounded`` keeps a number as ``name=value`` to one significant
    digit, since an observation of numbers alone has nothing else to be known by; ``text`` leaves all as it is.

    Example:
        >>> x = {"rain_mm": 3.14, "sky": "Grey, <b>low</b> clouds"}
        >>> key_of_inputs(x)
        'rain_mm=3 sky grey low clouds'
        >>> key_of_inputs(x, "words")
        'rain_mm sky grey low clouds'
    """
    if kind == "text":
        return as_text(inputs)
    return " ".join(word for name, value in inputs.items() for word in _words(name, value, kind))


def _words(name: str, value: Any, kind: KeyKind) -> list[str]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [name.lower() if kind == "words" else f"{name.lower()}={_rounded(value)}"]
    text = value if isinstance(value, str) else as_text({name: value}).partition(": ")[2]
    text = _BRACKETED.sub(" ", text.lower())
    text = _NUMBER.sub(" ", text) if kind == "words" else text
    return [name.lower(), *_MARKS.sub(" ", text).split()]


def _rounded(value: float) -> str:
    return f"{float(f'{value:.1g}'):g}" if math.isfinite(value) else str(value)


def levenshtein(one: str, other: str, limit: int | None = None) -> int:
    """Return how many letters must be changed, added or removed; at least ``limit``, if it is that or more.

    Example:
        >>> levenshtein("kitten", "sitting"), levenshtein("kitten", "sitting", limit=2)
        (3, 2)
    """
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    bound = max(len(one), len(other)) if limit is None else min(limit, max(len(one), len(other)))
    if abs(len(one) - len(other)) >= bound:
        return bound
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        low, high = max(1, i - bound), min(len(other), i + bound)
        last, row[low - 1] = row[low - 1], i if low == 1 else bound
        for j in range(low, high + 1):
            cost = last if letter == other[j - 1] else 1 + min(last, row[j], row[j - 1])
            last, row[j] = row[j], cost
        if high < len(other):
            row[high + 1] = bound
        if min(row[low - 1 : high + 1]) >= bound:
            return bound
    return min(row[-1], bound)


class Retriever:
    """Ranks stored keys by their likeness to a query; ties go to the later key, so that ranks never depend on chance.

    Scores: BM25 as a share of what the query scores against itself (rank_bm25's BM25Plus, whose weights stay positive
    in small stores); minus the edit distance; cosine of embeddings. Higher is more alike.

    Args:
        similarity: how keys are compared.
        embed: texts to vectors, for ``embedding``. Vectors are kept by text for the life of this object.

    Raises:
        ConfigurationError: ``embedding`` without a hook, or a hook without ``embedding``; ``bm25`` without rank_bm25.

    Example:
        >>> Retriever("levenshtein").best("grey sky", ["blue sea", "grey skies"], k=1)
        [(1, -3.0)]
    """

    def __init__(self, similarity: Similarity = "bm25", embed: Embed | None = None) -> None:
        if (similarity == "embedding") != (embed is not None):
            raise ConfigurationError(
                f"similarity {similarity!r} and embed={embed!r} do not go together; give "
                "similarity='embedding' and embed=a function from a list of texts to a list of vectors"
            )
        if similarity == "bm25" and importlib.util.find_spec("rank_bm25") is None:
            raise ConfigurationError(
                "similarity 'bm25' needs rank_bm25; install rnnprog[exam], or choose similarity='levenshtein'"
            )
        self.similarity, self.embed = similarity, embed
        self._vectors: dict[str, tuple[float, ...]] = {}
        self._lock = threading.Lock()

    def __deepcopy__(self, _memo: object) -> Retriever:
        return self  # holds nothing but what is derived from its arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return Retriever, (self.similarity, self.embed)

    def best(self, query: str, keys: Sequence[str], k: int, above: float | None = None) -> list[tuple[int, float]]:
        """Return up to ``k`` keys as (index, score), the most alike first.

        Args:
            query: the key of the present case.
            keys: keys of the stored cases, in the order in which they were stored.
            k: most to return.
            above: only scores greater than this count.
        """
        if not keys or k < 1:
            return []
        scored = [(index, round(score, _DIGITS)) for index, score in enumerate(self._scores(query, keys, k, above))]
        close = [pair for pair in scored if above is None or pair[1] > above]
        return sorted(close, key=lambda pair: (-pair[1], -pair[0]))[:k]

    def _scores(self, query: str, keys: Sequence[str], k: int, above: float | None) -> list[float]:
        if self.similarity == "levenshtein":
            return [-float(distance) for distance in _distances(query, keys, k, above)]
        if self.similarity == "embedding":
            first, *rest = self._embedded([query, *keys])
            return [_cosine(first, vector) for vector in rest]
        return _bm25(query, keys)

    def _embedded(self, texts: list[str]) -> list[tuple[float, ...]]:
        assert self.embed is not None
        with self._lock:
            new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
            vectors = self.embed(new) if new else []
            if len(vectors) != len(new):
                raise ConfigurationError(
                    f"embed returned {len(vectors)} vectors for {len(new)} texts; one each is needed"
                )
            self._vectors.update({text: tuple(map(float, v)) for text, v in zip(new, vectors, strict=True)})
            return [self._vectors[text] for text in texts]


def _distances(query: str, keys: Sequence[str], k: int, above: float | None) -> list[int]:
    """Return edit distances; those that cannot be among the ``k`` smallest, or close enough, only as too large."""
    limit = None if above is None else max(0, math.ceil(-above))
    found: list[int] = []
    nearest: list[int] = []
    for key in keys:
        found.append(levenshtein(query, key, limit))
        nearest = sorted([*nearest, found[-1]])[:k]
        if len(nearest) == k:
            limit = nearest[-1] + 1 if limit is None else min(limit, nearest[-1] + 1)
    return found


def _cosine(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    if len(one) != len(other):
        raise ConfigurationError(f"embed returned vectors of {len(one)} and {len(other)} numbers; use one length")
    norm = math.hypot(*one) * math.hypot(*other)
    return math.fsum(a * b for a, b in zip(one, other, strict=True)) / norm if norm else 0.0


def _bm25(query: str, keys: Sequence[str]) -> list[float]:
    from rank_bm25 import BM25Plus

    words = query.lower().split()
    if not words:
        return [0.0] * len(keys)
    index = BM25Plus([*(key.lower().split() for key in keys), words])
    nothing = sum(index.idf.get(word, 0.0) * index.delta for word in words)  # what a text without any of them scores
    *scores, own = (float(score) - nothing for score in index.get_scores(words))
    return [score / own for score in scores]
