"""Reader of a local LoCoMo copy, both published layouts; never bundled, since its licence is non-commercial."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnprog.latent.conversations import Conversation, Question, Turn
from rnnprog.latent.errors import EmptyConversationError, LatentError

_SESSION = re.compile(r"session_(\d+)$")
_EVIDENCE = re.compile(r"[Dd]\s*:?\s*0*(\d+)\s*:+\s*0*(\d+)")
TEST = ("conv-48", "conv-49", "conv-50")
"""The three conversations that the published tables were tested on (recounted from their bucket sizes)."""


@dataclass(frozen=True)
class LocomoOptions:
    """What goes into a turn: image ``captions`` and session ``dates`` (the published runs left both out, which makes
    most "when" questions unanswerable); ``no_answer`` is the gold answer of adversarial questions.
    """

    captions: bool = True
    dates: bool = True
    no_answer: str = "not mentioned"


@dataclass(frozen=True)
class LocomoReport:
    """Conversations and what could not be resolved: (conversation, question, evidence id) triples."""

    conversations: tuple[Conversation, ...]
    unresolved: tuple[tuple[str, str, str], ...] = field(default=())


def read_locomo(path: Path | str, options: LocomoOptions | None = None) -> LocomoReport:
    """Read LoCoMo from a file or folder that you have.

    Layout A is ``locomo10.json`` (a list with ``sample_id``, ``conversation``, ``qa``); layout B is the older release,
    a zip or folder with one flat file for each conversation. Sessions are listed by their turns (dates exist for
    sessions that do not), sorted by number; evidence ids are split, repaired and dropped when they point nowhere.

    Raises ``LatentError`` when the path is missing or is neither layout.

    Source: the files of snap-research/locomo (Maharana et al., ACL 2024).
    """
    place, chosen = Path(path), options or LocomoOptions()
    if not place.exists():
        raise LatentError(f"no LoCoMo copy at {place}: download it yourself and pass the path (it is not bundled)")
    talks, unresolved = [], []
    for name, block in _blocks(place):
        talk, lost = _conversation(name, block, chosen)
        talks.append(talk)
        unresolved += [(talk.id, question, evidence) for question, evidence in lost]
    if not talks:
        raise LatentError(f"{place} holds no conversation: expected locomo10.json, a zip, or one JSON file for each")
    return LocomoReport(tuple(talks), tuple(unresolved))


def published_split(talks: Sequence[Conversation]) -> tuple[list[Conversation], list[Conversation]]:
    """Training and test conversations as in the published runs: the last three are the test."""
    training = [talk for talk in talks if talk.id not in TEST]
    test = [talk for talk in talks if talk.id in TEST]
    if not training or not test:
        raise LatentError(f"no split: the test part is {', '.join(TEST)}; this copy has {[talk.id for talk in talks]}")
    return training, test


def _blocks(place: Path) -> Iterator[tuple[str, Any]]:
    """Raw conversations with the name that their file gives them."""
    if place.is_dir():
        for file in sorted(place.glob("*.json"), key=lambda item: _natural(item.name)):
            yield from _parsed(file.name, file.read_text(encoding="utf-8"))
    elif zipfile.is_zipfile(place):
        with zipfile.ZipFile(io.BytesIO(place.read_bytes())) as archive:
            names = [name for name in archive.namelist() if name.endswith(".json") and "__MACOSX" not in name]
            for name in sorted(names, key=_natural):
                yield from _parsed(Path(name).name, archive.read(name).decode("utf-8"))
    else:
        yield from _parsed(place.name, place.read_text(encoding="utf-8"))


def _parsed(name: str, text: str) -> Iterator[tuple[str, Any]]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise LatentError(f"{name} is not JSON ({error}): is the download complete?") from error
    for block in content if isinstance(content, list) else [content]:
        if not isinstance(block, dict) or not ("conversation" in block or any(_SESSION.match(key) for key in block)):
            raise LatentError(f"{name} is not a LoCoMo file: no 'conversation' and no 'session_1' in it")
        number = re.search(r"\d+", name)
        yield block.get("sample_id") or (f"conv-{number[0]}" if number else Path(name).stem), block


def _natural(name: str) -> tuple[int, str]:
    number = re.search(r"\d+", name)
    return (int(number[0]) if number else 0, name)


def _conversation(
    name: str, block: Mapping[str, Any], options: LocomoOptions
) -> tuple[Conversation, list[tuple[str, str]]]:
    source = block.get("conversation", block)
    turns: list[Turn] = []
    place: dict[tuple[int, int], int] = {}
    numbers = sorted(int(match[1]) for key in source if (match := _SESSION.match(key)) and source[key])
    for session in numbers:
        for position, raw in enumerate(source[f"session_{session}"], start=1):
            place[session, position] = len(turns)
            date = source.get(f"session_{session}_date_time") if position == 1 and options.dates else None
            turns.append(Turn(raw["speaker"], _said(raw, date, options), session, f"D{session}:{position}"))
    if not turns:
        raise EmptyConversationError(f"{name} has no session with turns in it")
    questions, lost = [], []
    for item in block.get("qa", []):
        evidence, bad = _evidence(item.get("evidence", []), place)
        lost += [(str(item["question"]), word) for word in bad]
        answer = str(item["answer"]) if "answer" in item and item["category"] != 5 else options.no_answer
        questions.append(Question(str(item["question"]), answer, evidence, int(item["category"])))
    return Conversation(name, tuple(turns), tuple(questions)), lost


def _said(raw: Mapping[str, Any], date: str | None, options: LocomoOptions) -> str:
    text = str(raw.get("text", ""))
    if options.captions and raw.get("blip_caption"):
        text = f"{text} [image: {raw['blip_caption']}]".strip()
    return f"[{date}] {text}" if date else text


def _evidence(listed: Sequence[str] | str, place: Mapping[tuple[int, int], int]) -> tuple[tuple[int, ...], list[str]]:
    """Turn numbers of evidence ids; several may stand in one string, with leading zeros or stray colons."""
    found, lost = [], []
    for entry in [listed] if isinstance(listed, str) else listed:
        matches = _EVIDENCE.findall(str(entry))
        for session, position in matches:
            key = (int(session), int(position))
            if key in place:
                found.append(place[key])
            else:
                lost.append(f"D{session}:{position}")
        if not matches:
            lost.append(str(entry))
    return tuple(sorted(set(found))), lost
