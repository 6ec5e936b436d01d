"""The two published layouts of LoCoMo, read from a local copy: sessions, their turns, and questions with evidence."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnprog.errors import DataError
from rnnprog.tasks.table import show

__all__ = ["Dialogue", "Question", "Session", "Utterance", "read_dialogues"]

_SESSION = re.compile(r"^session_(\d+)$")
_ID = re.compile(r"[Dd]\s*:?\s*0*(\d+)\s*:+\s*0*(\d+)")


@dataclass(frozen=True)
class Utterance:
    """One turn: who, what, and what a shared picture shows (empty if none)."""

    speaker: str
    text: str
    picture: str = ""


@dataclass(frozen=True)
class Session:
    """One meeting: its number, its date as the file writes it, its turns."""

    number: int
    date: str
    turns: tuple[Utterance, ...]


@dataclass(frozen=True)
class Question:
    """A question; ``evidence`` are (session number, turn from 1) pairs that exist, ``unresolved`` ids that do not."""

    text: str
    answer: str | None
    category: int
    evidence: tuple[tuple[int, int], ...]
    unresolved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dialogue:
    """One conversation over many sessions, with its questions."""

    id: str
    sessions: tuple[Session, ...]
    questions: tuple[Question, ...]


def read_dialogues(path: str | Path) -> tuple[Dialogue, ...]:
    """Read a copy of LoCoMo.

    Args:
        path: ``locomo10.json`` (a list of conversations), the older ``locomo10.zip``, a folder with that archive's
            files, or one of them.

    Raises:
        DataError: no such path, or nothing in it that is LoCoMo; naming the file and the place in it.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist; LoCoMo is not shipped: get locomo10.json and give its path")
    dialogues = tuple(_dialogue(source, name, block) for source, name, block in _blocks(path))
    if not dialogues:
        raise DataError(
            f"{path} holds no conversation of LoCoMo; expected locomo10.json, or files named after conversations"
        )
    return dialogues


def _blocks(path: Path) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for source, text in _texts(path):
        try:
            content = json.loads(text)
        except ValueError as error:
            raise DataError(f"{source}: not JSON ({error}); is the download complete?") from error
        number = re.search(r"\d+", Path(source).stem)
        default = f"conv-{number[0]}" if number else Path(source).stem
        for at, block in enumerate(content if isinstance(content, list) else [content]):
            where = f"{source}, entry {at}" if isinstance(content, list) else source
            if not isinstance(block, dict) or not isinstance(block.get("qa"), list):
                raise DataError(f"{where}: not a conversation of LoCoMo (it has no list 'qa')")
            yield where, str(block.get("sample_id") or default), block


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    try:
        if path.is_dir():
            for file in sorted(path.rglob("*.json"), key=lambda file: _natural(file.name)):
                yield str(file), file.read_text(encoding="utf-8")
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = (name for name in archive.namelist() if name.endswith(".json") and "__MACOSX" not in name)
                for name in sorted(names, key=_natural):
                    yield f"{path}:{name}", archive.read(name).decode("utf-8")
        else:
            yield str(path), path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error}); get the file again") from error


def _natural(name: str) -> tuple[int, str]:
    number = re.search(r"\d+", name)
    return (int(number[0]) if number else 0, name)


def _dialogue(source: str, name: str, block: Mapping[str, Any]) -> Dialogue:
    talk = block.get("conversation", block)
    # Dates are given for sessions that do not exist, so the sessions are those that have turns; 10 comes after 9.
    numbers = sorted(int(found[1]) for key in talk if (found := _SESSION.match(key)) and talk[key])
    sessions = []
    for number in numbers:
        turns = talk[f"session_{number}"]
        if not all(isinstance(turn, dict) and "speaker" in turn and "text" in turn for turn in turns):
            raise DataError(f"{source}, session_{number}: a turn without 'speaker' or 'text'")
        said = tuple(Utterance(str(t["speaker"]), str(t["text"]), str(t.get("blip_caption") or "")) for t in turns)
        sessions.append(Session(number, str(talk.get(f"session_{number}_date_time") or ""), said))
    if not sessions:
        raise DataError(f"{source}: conversation {name!r} has no session with turns in it")
    lengths = {session.number: len(session.turns) for session in sessions}
    questions = tuple(_question(f"{source}, question {at}", item, lengths) for at, item in enumerate(block["qa"]))
    return Dialogue(name, tuple(sessions), questions)


def _question(where: str, item: Mapping[str, Any], lengths: Mapping[int, int]) -> Question:
    if not isinstance(item, dict) or "question" not in item or not isinstance(item.get("category"), int):
        raise DataError(f"{where}: no 'question', or 'category' is not a number: {show(str(item))}")
    answer = item.get("answer")
    listed = item.get("evidence") or []
    found: dict[tuple[int, int], None] = {}
    lost: list[str] = []
    for entry in [listed] if isinstance(listed, str) else listed:
        ids = [(int(session), int(turn)) for session, turn in _ID.findall(str(entry))]
        for session, turn in ids:
            if 1 <= turn <= lengths.get(session, 0):
                found[session, turn] = None
            else:
                lost.append(f"D{session}:{turn}")
        if not ids:
            lost.append(str(entry))
    # A few answers are numbers in the file.
    told = None if answer is None else str(answer)
    return Question(str(item["question"]), told, item["category"], tuple(found), tuple(lost))
