from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnprog.errors import ConfigurationError
from rnnprog.tokens import DEFAULT_TOKENIZER, BytePairTokenizer, FileTokenizer, Tokenizer, get_tokenizer


@pytest.mark.parametrize(
    ("name", "text", "tokens"),
    [
        # golden values of the published encodings
        ("cl100k_base", "hello world", 2),
        ("cl100k_base", "tiktoken is great!", 6),
        ("cl100k_base", "antidisestablishmentarianism", 6),
        ("cl100k_base", "2 + 2 = 4", 7),
        ("cl100k_base", "お誕生日おめでとう", 9),
        ("o200k_base", "お誕生日おめでとう", 8),
        ("cl100k_base", "", 0),
    ],
)
def test_golden_counts(name: str, text: str, tokens: int) -> None:
    assert get_tokenizer(name).count(text) == tokens


def test_special_tokens_are_counted_as_the_plain_text_they_are() -> None:
    assert get_tokenizer().count("<|endoftext|>") > 1


@given(st.text())
def test_a_count_is_at_most_the_bytes_and_zero_for_nothing_alone(text: str) -> None:
    count = get_tokenizer().count(text)
    assert min(1, len(text)) <= count <= len(text.encode())


def test_the_same_name_gives_the_same_object_and_fits_the_protocol() -> None:
    tokenizer = get_tokenizer()
    assert tokenizer is get_tokenizer(DEFAULT_TOKENIZER)
    assert isinstance(tokenizer, Tokenizer)
    assert get_tokenizer(tokenizer.name) is tokenizer


def test_an_unknown_encoding_says_what_is_there() -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)'no_such'.*cl100k_base.*file:"):
        BytePairTokenizer("no_such").count("x")


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no tokenizer file at"):
        get_tokenizer(f"file:{tmp_path / 'none.json'}")
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")
    with pytest.raises(ConfigurationError, match=r"is not a tokenizer\.json"):
        FileTokenizer(broken)


def test_an_own_tokenizer_file_is_found_again_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    model = {"type": "WordLevel", "vocab": {"rain": 0, "sun": 1, "?": 2}, "unk_token": "?"}
    file = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "WhitespaceSplit"}, "model": model}
    path.write_text(
        json.dumps(
            {**file, "truncation": None, "padding": None, "normalizer": None, "post_processor": None, "decoder": None}
        )
    )
    tokenizer = get_tokenizer(f"file:{path}")
    assert tokenizer.count("rain sun hail rain") == 4
    assert tokenizer.name == f"file:{path}"
    assert isinstance(tokenizer, Tokenizer)


def test_counting_needs_no_network_and_leaves_the_environment_alone() -> None:
    code = (
        "import os, socket\n"
        "def closed(*a, **k): raise OSError('no network in this test')\n"
        "socket.socket.connect = closed\n"
        "from rnnprog.tokens import get_tokenizer\n"
        "before = dict(os.environ)\n"
        "print(get_tokenizer().count('Rain follows rain.'), get_tokenizer('o200k_base').count('Rain'))\n"
        "assert dict(os.environ) == before\n"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["4", "1"]
