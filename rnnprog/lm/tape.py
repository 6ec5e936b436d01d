"""The file behind a recording: one JSON line a call, found again by what was asked."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dspy.lm15 import Request, Response
from pydantic import Field, JsonValue, ValidationError

from rnnprog.lm.faults import ReplayError
from rnnprog.lm.prompts import system_text
from rnnprog.memory import Value

__all__ = ["Header", "Slot", "Tape", "read_tape", "request_key"]

_SHOWN = 60


class Header(Value):
    """The first line: which model answered, with which settings.

    Attributes:
        recording: version of the format.
        model: name of the model.
        model_type: as in ``dspy.LM``.
        settings: temperature and the like; never anything about the connection.
    """

    recording: int = 1
    model: str
    model_type: str = "chat"
    settings: dict[str, JsonValue] = Field(default_factory=dict)


@dataclass(frozen=True)
class Slot:
    """Where a request belongs: its number among equal ones, and the answer if there is one."""

    index: int
    answer: Response | None


def request_key(request: Request) -> str:
    """Return 32 hex digits that stand for everything a request says."""
    text = json.dumps(_request_data(request), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass
class Tape:
    """A recording in memory and on disk; safe to use from several threads.

    Make one with :func:`read_tape`.
    """

    path: Path
    header: Header
    replaying: bool
    answers: dict[tuple[str, int], Mapping[str, Any]] = field(default_factory=dict)
    prompts: list[str] = field(default_factory=list)
    _asked: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def claim(self, request: Request) -> Slot:
        """Look a request up, and move on to the next of equal ones if it is there."""
        key, temperature = request_key(request), request.config.temperature
        with self._lock:
            index = 0 if temperature == 0 else self._asked.get(key, 0)
            found = self.answers.get((key, index))
            if found is not None:
                self._asked[key] = index + 1
            elif self.replaying and temperature is None:
                # Where no temperature was set, a further equal request may repeat the last answer.
                found = self.answers.get((key, index - 1))
        return Slot(index, None if found is None else _response(found))

    def write(self, request: Request, answer: Response) -> Response:
        """Append an answer; the line is on disk when this returns."""
        data, prompt, key = _response_data(answer), _prompt(request), request_key(request)
        with self._lock:
            index = 0 if request.config.temperature == 0 else self._asked.get(key, 0)
            entry = {"key": key, "index": index, "prompt": prompt, "config": _config(request), "answer": data}
            _append(self.path, json.dumps(entry, ensure_ascii=False) + "\n")
            self._asked[key] = index + 1
            self.answers[key, index] = data
            self.prompts.append(_flat(prompt))
        return answer

    def why_not(self, request: Request, index: int) -> str:
        """Say which recorded prompt is nearest to one that is not there, and where they first differ."""
        asked = _flat(_prompt(request))
        with self._lock:
            prompts = list(dict.fromkeys(self.prompts))
        where = f"not in the recording {self.path} ({len(self.answers)} answers)"
        if asked in prompts and index:
            return f"this prompt was asked {index + 1} times but recorded {index} times; {where}. Record again."
        if asked in prompts:
            return f"this prompt is recorded, but with other settings than {_config(request)}; {where}. Record again."
        if not prompts:
            return f"the prompt is {where}, which is empty. Record first."
        nearest = max(prompts, key=lambda known: _common(known, asked) + _common(known[::-1], asked[::-1]))
        at = _common(nearest, asked)
        line = asked.count("\n", 0, at) + 1
        return (
            f"the prompt is {where}. The nearest recorded prompt first differs in line {line}: "
            f"recorded {_excerpt(nearest, at)!r}, asked {_excerpt(asked, at)!r}. "
            "The program, its data or its texts changed since; record again, or go back."
        )


def read_tape(path: Path, header: Header | None = None) -> Tape:
    """Open a recording.

    A last line that broke off in a crash is dropped; a damaged line in the middle is an error.

    Args:
        path: the file.
        header: for recording: what the file must say, or will if it is new. ``None`` opens for replay.

    Raises:
        ReplayError: no file to replay, damage, or another model or other settings than ``header`` says.
    """
    lines = _whole_lines(path, repair=header is not None)
    if not lines:
        if header is None:
            raise ReplayError(f"no recording at {str(path)!r}; make one with record(lm, {str(path)!r})")
        path.parent.mkdir(parents=True, exist_ok=True)
        _append(path, header.model_dump_json() + "\n")
        return Tape(path, header, replaying=False)
    try:
        found = Header.model_validate_json(lines[0])
    except ValidationError as error:
        raise ReplayError(f"{str(path)!r} line 1 is not the head of a recording; give another path") from error
    if header is not None and found != header:
        raise ReplayError(
            f"{str(path)!r} was recorded with {found.model} {found.settings}, not with {header.model} "
            f"{header.settings}; use another path or delete the file"
        )
    tape = Tape(path, found, replaying=header is None)
    for number, line in enumerate(lines[1:], start=2):
        try:
            entry = json.loads(line)
            tape.answers[entry["key"], entry["index"]] = entry["answer"]
            tape.prompts.append(_flat(entry["prompt"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ReplayError(
                f"{str(path)!r} line {number} is damaged ({error}); delete the line or the file"
            ) from error
    return tape


def _whole_lines(path: Path, *, repair: bool) -> list[str]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data.rfind(b"\n") + 1
    if repair and whole < len(data):
        os.truncate(path, whole)
    return data[:whole].decode("utf-8", "surrogatepass").split("\n")[:-1]


def _append(path: Path, line: str) -> None:
    data = line.encode("utf-8", "surrogatepass")
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        while data:
            data = data[os.write(handle, data) :]
    finally:
        os.close(handle)


def _request_data(request: Request) -> dict[str, Any]:
    from dspy._vendor.lm15.serde import request_to_dict

    return dict(request_to_dict(request))


def _response_data(response: Response) -> dict[str, Any]:
    from dspy._vendor.lm15.serde import response_to_dict

    return dict(response_to_dict(response))


def _response(data: Mapping[str, Any]) -> Response:
    from dspy._vendor.lm15.serde import response_from_dict

    return response_from_dict(dict(data))


def _prompt(request: Request) -> list[dict[str, str]]:
    system = [{"role": "system", "text": system_text(request)}] if request.system else []
    return [*system, *({"role": m.role, "text": m.text or ""} for m in request.messages)]


def _config(request: Request) -> dict[str, Any]:
    return dict(_request_data(request).get("config") or {})


def _flat(prompt: list[dict[str, str]]) -> str:
    return "\n".join(f"[{message['role']}]\n{message['text']}" for message in prompt)


def _common(a: str, b: str) -> int:
    """Length of the common beginning, by halving: comparing slices is fast, comparing letters is not."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[:middle] == b[:middle] else (low, middle - 1)
    return low


def _excerpt(text: str, at: int) -> str:
    start = max(text.rfind("\n", 0, at) + 1, at - _SHOWN)
    end = text.find("\n", at)
    return text[start : min(at + _SHOWN, len(text) if end < 0 else end)]
