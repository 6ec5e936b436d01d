"""The LoCoMo reader on small made-up files in the real format, with every known trap."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rnnprog.latent.errors import LatentError
from rnnprog.latent.locomo import LocomoOptions, published_split, read_locomo


def turn(session: int, number: int, text: str, **more: str) -> dict[str, str]:
    return {"speaker": "Ann" if number % 2 else "Bob", "dia_id": f"D{session}:{number}", "text": text, **more}


def talk() -> dict[str, Any]:
    """Session 10 must come after 2; session 3 has only a date; one session is empty."""
    return {
        "speaker_a": "Ann",
        "speaker_b": "Bob",
        "session_10_date_time": "5 May 2023",
        "session_10": [turn(10, 1, "last"), turn(10, 2, "words")],
        "session_2_date_time": "2 May 2023",
        "session_2": [turn(2, 1, "second", blip_caption="a red boat", img_url="x")],
        "session_1_date_time": "1 May 2023",
        "session_1": [turn(1, n, f"first {n}") for n in range(1, 4)],
        "session_3_date_time": "3 May 2023",
        "session_4": [],
    }


def questions() -> list[dict[str, Any]]:
    return [
        {"question": "plain?", "answer": "boat", "evidence": ["D2:1"], "category": 4},
        {"question": "number?", "answer": 2022, "evidence": ["D1:1", "D10:2"], "category": 2},
        {"question": "joined?", "answer": "x", "evidence": ["D1:02; D10:1"], "category": 1},
        {"question": "spaces?", "answer": "x", "evidence": ["D1:1 D1:3,D2:1"], "category": 1},
        {"question": "colon?", "answer": "x", "evidence": ["D:1:2", "D"], "category": 3},
        {"question": "past the end?", "answer": "x", "evidence": ["D10:9"], "category": 3},
        {"question": "none?", "answer": "x", "evidence": [], "category": 3},
        {"question": "trap?", "adversarial_answer": "wrong", "evidence": ["D1:1"], "category": 5},
        {"question": "trap with answer?", "answer": "a", "adversarial_answer": "b", "evidence": [], "category": 5},
    ]


@pytest.fixture
def layout_a(tmp_path: Path) -> Path:
    block = {"sample_id": "conv-48", "conversation": talk(), "qa": questions(), "observation": {}}
    path = tmp_path / "locomo10.json"
    path.write_text(json.dumps([block, {**block, "sample_id": "conv-26"}]))
    return path


@pytest.fixture
def layout_b(tmp_path: Path) -> Path:
    path = tmp_path / "locomo10.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in (48, 26):
            archive.writestr(f"locomo10/{number}.json", json.dumps({**talk(), "qa": questions()}))
        archive.writestr("__MACOSX/locomo10/._48.json", "rubbish")
    return path


def test_layout_a(layout_a: Path) -> None:
    first = read_locomo(layout_a).conversations[0]
    assert first.id == "conv-48"
    assert [t.id for t in first.turns] == ["D1:1", "D1:2", "D1:3", "D2:1", "D10:1", "D10:2"]
    assert first.sessions == (1, 2, 10)
    by_name = {question.text: question for question in first.questions}
    assert by_name["plain?"].evidence == (3,)
    assert by_name["number?"].answer == "2022"
    assert by_name["number?"].evidence == (0, 5)
    assert by_name["joined?"].evidence == (1, 4)
    assert by_name["spaces?"].evidence == (0, 2, 3)
    assert by_name["colon?"].evidence == (1,)
    assert by_name["past the end?"].evidence == ()
    assert by_name["trap?"].answer == "not mentioned"
    assert by_name["trap with answer?"].answer == "not mentioned"
    assert first.lag(by_name["number?"]) == 5
    assert first.lag(by_name["none?"]) == len(first.turns)


def test_both_layouts_hold_the_same(layout_a: Path, layout_b: Path) -> None:
    flat = {talk.id: talk for talk in read_locomo(layout_b).conversations}
    nested = {talk.id: talk for talk in read_locomo(layout_a).conversations}
    assert flat == nested
    assert list(flat) == ["conv-26", "conv-48"]


def test_a_folder_of_files_reads_like_the_zip(layout_b: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(layout_b) as archive:
        archive.extractall(folder)
    assert read_locomo(folder / "locomo10").conversations == read_locomo(layout_b).conversations


def test_what_could_not_be_resolved_is_reported(layout_a: Path) -> None:
    lost = {(question, evidence) for _, question, evidence in read_locomo(layout_a).unresolved}
    assert lost == {("colon?", "D"), ("past the end?", "D10:9")}


def test_captions_and_dates_are_options(layout_a: Path) -> None:
    rich = read_locomo(layout_a).conversations[0]
    bare = read_locomo(layout_a, LocomoOptions(captions=False, dates=False)).conversations[0]
    assert rich.turns[3].text == "[2 May 2023] second [image: a red boat]"
    assert bare.turns[3].text == "second"
    assert rich.turns[1].text == bare.turns[1].text == "first 2"


def test_the_published_split(layout_a: Path) -> None:
    training, test = published_split(read_locomo(layout_a).conversations)
    assert [part[0].id for part in (training, test)] == ["conv-26", "conv-48"]
    with pytest.raises(LatentError, match="no split"):
        published_split(test)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "not a conversation of LoCoMo"),
        ('{"a": 1}', "not a conversation of LoCoMo"),
        ("[]", "no conversation"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(LatentError, match=words):
        read_locomo(path)
    with pytest.raises(LatentError, match="not shipped"):
        read_locomo(tmp_path / "missing.json")
