"""LoCoMo's two layouts, with a made-up conversation that has every known trap in it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.metrics import Case
from rnnprog.tasks import TaskData, load_task
from rnnprog.tasks.locomo import NOTHING_ASKED, UNANSWERABLE
from rnnprog.tasks.locomo_layouts import read_dialogues

TALK: dict[str, Any] = {
    "speaker_a": "Ana",
    "speaker_b": "Ben",
    "session_10": [{"speaker": "Ben", "dia_id": "D10:1", "text": "I moved to Rome."}],
    "session_10_date_time": "2 May 2023",
    "session_2": [
        {"speaker": "Ana", "dia_id": "D2:1", "text": "I have a dog.", "blip_caption": "a dog", "img_url": ["x"]},
        {"speaker": "Ben", "dia_id": "D2:2", "text": "Nice!"},
    ],
    "session_2_date_time": "1 May 2023",
    "session_11_date_time": "3 May 2023",
    "session_12": [],
}
QA: list[dict[str, Any]] = [
    {"question": "Pet?", "answer": "a dog", "evidence": ["D2:1"], "category": 4},
    {"question": "How many?", "answer": 1, "evidence": ["D2:01; D10:1"], "category": 1},
    {"question": "Cat?", "adversarial_answer": "Tom", "evidence": ["D2:2"], "category": 5},
    {"question": "When?", "answer": "May", "evidence": ["D:10:1", "D2::2 D99:9"], "category": 2},
    {"question": "Why?", "answer": "job", "evidence": ["D"], "category": 3},
    {"question": "Where?", "answer": "Rome", "evidence": [], "category": 3},
    {"question": "Lost?", "evidence": ["D2:1"], "category": 4},
]


def layouts(folder: Path) -> dict[str, Path]:
    new = folder / "locomo10.json"
    new.write_text(json.dumps([{"sample_id": "conv-26", "conversation": TALK, "qa": QA}]), encoding="utf-8")
    flat = folder / "flat"
    flat.mkdir()
    (flat / "26.json").write_text(json.dumps({**TALK, "qa": QA}), encoding="utf-8")
    old = folder / "locomo10.zip"
    with zipfile.ZipFile(old, "w") as archive:
        archive.write(flat / "26.json", "data/26.json")
        archive.writestr("__MACOSX/data/._26.json", b"\x00")
    return {"list": new, "folder": flat, "file": flat / "26.json", "zip": old}


@pytest.fixture
def data(tmp_path: Path) -> TaskData:
    return load_task("locomo", path=layouts(tmp_path)["list"])


def test_both_layouts_give_the_same(tmp_path: Path) -> None:
    read = {name: load_task("locomo", path=path) for name, path in layouts(tmp_path).items()}
    assert all(other.sequences == read["list"].sequences for other in read.values())
    assert [s.id for s in read["zip"]] == ["conv-26"]


def test_sessions_come_first_in_order_of_their_numbers(data: TaskData) -> None:
    steps = data.sequences[0].steps
    assert [step.inputs["said"] for step in steps[:2]] == [
        "[1 May 2023]\nAna: I have a dog. [shares a picture: a dog]\nBen: Nice!",
        "[2 May 2023]\nBen: I moved to Rome.",
    ]
    assert all(step.inputs["question"] == NOTHING_ASKED and step.target is None for step in steps[:2])


def test_questions_follow_with_answers_evidence_and_lag(data: TaskData) -> None:
    (sequence,) = data.sequences
    asked = [(s.inputs["question"], s.target) for s in sequence.steps[2:]]
    assert asked == [
        ("Pet?", {"answer": "a dog"}),
        ("How many?", {"answer": "1"}),
        ("When?", {"answer": "May"}),
        ("Why?", {"answer": "job"}),
        ("Where?", {"answer": "Rome"}),
    ]
    told: Any = sequence.meta["questions"]
    assert [(q["step"], q["lag"], q["evidence"]) for q in told] == [
        (2, 2, ["D2:1"]),
        (3, 2, ["D2:1", "D10:1"]),
        (4, 1, ["D10:1", "D2:2"]),
        (5, None, []),
        (6, None, []),
    ]
    assert sequence.meta["unresolved"] == [
        {"question": "When?", "evidence": ["D99:9"]},
        {"question": "Why?", "evidence": ["D"]},
    ]


def test_adversarial_questions_apart(tmp_path: Path) -> None:
    path = layouts(tmp_path)["list"]
    data = load_task("locomo", path=path, categories=[5], pictures=False, dates=False)
    assert load_task("locomo", path=path, categories=5, pictures=False, dates=False) == data
    steps = data.sequences[0].steps
    assert steps[0].inputs["said"] == "Ana: I have a dog.\nBen: Nice!"
    assert [s.target for s in steps[2:]] == [{"answer": UNANSWERABLE}]


def test_what_is_checked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not shipped"):
        read_dialogues(tmp_path / "none.json")
    with pytest.raises(DataError, match="no conversation"):
        read_dialogues(tmp_path)
    for text, told in [
        ("{", "not JSON"),
        ("[{}]", "entry 0: not a conversation"),
        ('{"qa": []}', "no session with turns"),
        ('{"qa": [], "session_1": [{"speaker": "a"}]}', "session_1: a turn without"),
        ('{"qa": [{}], "session_1": [{"speaker": "a", "text": "b"}]}', "question 0: no 'question'"),
    ]:
        path = tmp_path / "odd.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=told):
            read_dialogues(path)
    good = layouts(tmp_path)["list"]
    with pytest.raises(ConfigurationError, match="choose among"):
        load_task("locomo", path=good, categories=[6])
    with pytest.raises(ConfigurationError, match="n_questions=0"):
        load_task("locomo", path=good, n_questions=0)


def test_answers_are_scored_by_their_words(data: TaskData) -> None:
    assert data.metrics == ("token_f1[answer]", "accuracy")
    f1 = data.scoring()[0]
    for answer, truth, score in [
        ("A dog.", "the dog", 1.0),
        ("dog dog", "dog", 2 / 3),
        ("", "dog", 0.0),
        ("the", "a", 1.0),
        ("big brown dog", "brown cat", 0.4),
    ]:
        assert f1.of(Case("s", 0, {"answer": answer}, {"answer": truth})) == pytest.approx(score)
