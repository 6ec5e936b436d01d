"""Counting tokens, with a real tokenizer that works offline.

A budget is only as hard as the ruler it is measured with. The default is the byte-pair encoding
``cl100k_base``, read from the copy that litellm (a dependency of dspy) carries, so nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from rnnprog.errors import ConfigurationError

if TYPE_CHECKING:
    import tiktoken

__all__ = ["DEFAULT_TOKENIZER", "BytePairTokenizer", "FileTokenizer", "Tokenizer", "get_tokenizer"]

DEFAULT_TOKENIZER = "cl100k_base"
_CACHE_VARIABLE = "TIKTOKEN_CACHE_DIR"
_LOADING = threading.Lock()
_LINE_STARTS = frozenset({"- ", "##", "(e"})
_LONG = 100_000  # characters; longer texts are counted in one go and not kept


@runtime_checkable
class Tokenizer(Protocol):
    """Anything that counts tokens; hand one in wherever a budget is set.

    ``name`` goes into saved programs: :func:`get_tokenizer` must find the tokenizer again by it.
    """

    @property
    def name(self) -> str:
        """The name under which :func:`get_tokenizer` returns this tokenizer."""
        ...

    def count(self, text: str) -> int:
        """Return the length of ``text`` in tokens."""
        ...


class BytePairTokenizer:
    """One of OpenAI's byte-pair encodings, loaded on first use.

    Args:
        name: ``"cl100k_base"`` or ``"o200k_base"`` offline; any other tiktoken encoding needs its file in
            tiktoken's cache.

    Raises:
        ConfigurationError: on first use, when the encoding's file is not to be had.

    Example:
        >>> BytePairTokenizer("cl100k_base").count("Rain follows rain.")
        4
    """

    def __init__(self, name: str = DEFAULT_TOKENIZER) -> None:
        self._name = name

    @property
    def name(self) -> str:
        """The encoding's name."""
        return self._name

    def count(self, text: str) -> int:
        """Return the length of ``text`` in tokens; special-token texts count as plain text.

        From one version of a memory to the next most lines stay, so lines are counted once. That is exact: both
        encodings break before a mark that starts a line, as every line of a rendered memory does.
        """
        lines = text.split("\n")
        if len(lines) > 1 and len(text) < _LONG and all(line[:2] in _LINE_STARTS for line in lines):
            name, last = self._name, lines.pop()
            return sum([_count_line(name, f"{line}\n") for line in lines]) + _count_line(name, last)
        return len(_encoding(self._name).encode_ordinary(text))


class FileTokenizer:
    """A Hugging Face ``tokenizer.json`` from a local path, for counting as your own model counts.

    Args:
        path: path of the ``tokenizer.json``.

    Raises:
        ConfigurationError: the file does not exist or is no tokenizer.
    """

    def __init__(self, path: str | Path) -> None:
        from tokenizers import Tokenizer as Loaded

        self._path = Path(path)
        if not self._path.is_file():
            raise ConfigurationError(f"no tokenizer file at {str(path)!r}; give the path of a tokenizer.json")
        try:
            self._loaded = Loaded.from_file(str(self._path))
        except Exception as error:
            raise ConfigurationError(f"{str(path)!r} is not a tokenizer.json: {error}") from error

    @property
    def name(self) -> str:
        """``file:`` and the path."""
        return f"file:{self._path}"

    def count(self, text: str) -> int:
        """Return the length of ``text`` in tokens, without the special tokens a model adds around it."""
        return len(self._loaded.encode(text, add_special_tokens=False).ids)


def get_tokenizer(name: str = DEFAULT_TOKENIZER) -> Tokenizer:
    """Find a tokenizer by the name that a saved program holds.

    Args:
        name: a tiktoken encoding, or ``file:`` and the path of a ``tokenizer.json``.

    Returns:
        The tokenizer; the same object for the same name.

    Example:
        >>> get_tokenizer().name
        'cl100k_base'
    """
    return _by_name(name)


@lru_cache(maxsize=16)
def _by_name(name: str) -> Tokenizer:
    return FileTokenizer(name[len("file:") :]) if name.startswith("file:") else BytePairTokenizer(name)


@lru_cache(maxsize=16384)
def _count_line(name: str, line: str) -> int:
    return len(_encoding(name).encode_ordinary(line))


@lru_cache(maxsize=8)
def _encoding(name: str) -> tiktoken.Encoding:
    import tiktoken

    try:
        with _LOADING, _tiktoken_cache():
            return tiktoken.get_encoding(name)
    except Exception as error:
        raise ConfigurationError(
            f"tokenizer {name!r} is not available offline ({error}); use 'cl100k_base' or 'o200k_base', "
            "or hand in your own: tokenizer='file:path/to/tokenizer.json'"
        ) from error


@contextmanager
def _tiktoken_cache() -> Iterator[None]:
    """Point tiktoken at the rank files inside litellm, unless the user named a cache of their own."""
    spec = importlib.util.find_spec("litellm")  # found, not imported: importing litellm takes seconds
    if _CACHE_VARIABLE in os.environ or spec is None or not spec.submodule_search_locations:
        yield
        return
    os.environ[_CACHE_VARIABLE] = os.path.join(spec.submodule_search_locations[0], "litellm_core_utils", "tokenizers")
    try:
        yield
    finally:
        del os.environ[_CACHE_VARIABLE]
