"""Finished walks on disk, each in a file of its own that appears in one move: killed at any moment, none is lost.

::

    OUT/exam.json                      what the walks were made with
    OUT/walks/ARM/seedN/SEQUENCE.jsonl the trace of a finished walk
    OUT/walks/ARM/seedN/SEQUENCE.json  its timing, written before the trace
    OUT/walks/ARM/seedN/SEQUENCE.prompts.jsonl
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from rnnprog.errors import ConfigurationError, TraceError
from rnnprog.folder import put_file, tried_folder
from rnnprog.trace import Fields, Timing, Trace
from rnnprog.trace_io import CUT_SHORT, read_traces, write_traces

__all__ = ["Kept", "Store", "WalkKey"]

STORE_FORMAT = 1
_NOT_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_DEVICE = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\.|$)")  # what Windows takes for something else than a file


@dataclass(frozen=True)
class WalkKey:
    """Which walk: arm, seed, sequence; ``warmup`` for one that an arm only learns from."""

    arm: str
    seed: int
    sequence: str
    warmup: bool = False


@dataclass(frozen=True)
class Kept:
    """A finished walk.

    Attributes:
        trace: what happened.
        timing: what the clock said.
        lines: its prompts as JSON lines, if they were kept.
    """

    trace: Trace
    timing: Timing
    lines: tuple[str, ...] = ()


class Store:
    """The folder of one exam.

    Args:
        folder: made if it is missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigurationError(f"{self.folder} is a file; give a folder for the exam")

    def claim(self, shared: Fields, arms: Mapping[str, Fields], *, look_only: bool = False) -> None:
        """Say with what the walks are made, or find that those already here were made with something else.

        Arms and seeds may be added to an exam later; nothing that was walked may have changed.

        Args:
            shared: what all arms have in common.
            arms: what each arm is, by label.
            look_only: write nothing.

        Raises:
            ConfigurationError: the folder holds walks of another configuration; names what differs.
            StorageError: the folder cannot be written.
        """
        path = self.folder / "exam.json"
        known: dict[str, Fields] = {}
        if path.is_file():
            try:
                before = json.loads(path.read_text(encoding="utf-8"))
                found, known = dict(before["shared"]), dict(before["arms"])
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigurationError(f"{path} is damaged ({error}); give another folder") from error
            told = _differences(found, json.loads(json.dumps(shared)), "")
            for label in [label for label in arms if label in known]:
                told += _differences(known[label], json.loads(json.dumps(arms[label])), f"{label}: ")
            if told:
                raise ConfigurationError(
                    f"{self.folder} holds an exam with other settings, and the two must not be mixed: "
                    f"{'; '.join(told[:5])}. Give another folder, or the settings of before"
                )
        if not look_only:
            tried_folder(self.folder)
            text = json.dumps({"format": STORE_FORMAT, "shared": shared, "arms": {**known, **arms}}, indent=1)
            put_file(path, [text])

    def keep(self, key: WalkKey, trace: Trace, timing: Timing, prompts: Iterable[str] = ()) -> Kept:
        """Write a finished walk and return it; the trace comes last, so where it is, all is.

        Raises:
            StorageError: it could not be written.
        """
        base = self._base(key)
        lines = tuple(prompts)
        if lines:
            put_file(_with(base, ".prompts.jsonl"), (line + "\n" for line in lines))
        put_file(_with(base, ".json"), [timing.model_dump_json()])
        write_traces([trace], _with(base, ".jsonl"))
        return Kept(trace, timing, lines)

    def has(self, key: WalkKey) -> bool:
        """Tell whether a walk is finished."""
        return _with(self._base(key), ".jsonl").is_file()

    def load(self, key: WalkKey) -> Kept | None:
        """Return a finished walk, ``None`` if there is none.

        Raises:
            TraceError: its file is damaged.
        """
        base = self._base(key)
        path = _with(base, ".jsonl")
        if not path.is_file():
            return None
        try:
            trace = read_traces(path)[0]
        except TraceError as error:
            raise TraceError(f"{error}; delete {path} to walk it anew") from error
        if trace.error == CUT_SHORT:
            raise TraceError(f"{path} is cut short; delete it to walk it anew")
        if trace.sequence != key.sequence:
            raise TraceError(
                f"{path} holds sequence {trace.sequence!r}, not {key.sequence!r}; delete it to walk it anew"
            )
        try:
            timing = Timing.model_validate_json(_with(base, ".json").read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise TraceError(
                f"{_with(base, '.json')}: not a timing ({error}); delete {path} to walk it anew"
            ) from error
        prompts = _with(base, ".prompts.jsonl")
        lines = prompts.read_text(encoding="utf-8").split("\n") if prompts.is_file() else []
        return Kept(trace, timing, tuple(line for line in lines if line))

    def _base(self, key: WalkKey) -> Path:
        kind = "warm-up" if key.warmup else "walks"
        return self.folder / kind / _name(key.arm) / f"seed{key.seed}" / _name(key.sequence)


def _name(text: str) -> str:
    slug = _NOT_NAME.sub("-", text)[:60].strip(".-")
    if slug and slug == text == text.lower() and not _DEVICE.match(text):  # capitals: some disks do not tell them apart
        return slug
    return f"{_DEVICE.sub('_', slug)}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _with(base: Path, ending: str) -> Path:
    return base.with_name(base.name + ending)


def _differences(old: object, new: object, where: str) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        told: list[str] = []
        for name in {**old, **new}:
            told += _differences(old.get(name), new.get(name), f"{where}{name}.")
        return told
    if old == new:
        return []
    return [f"{where.rstrip('. ')} was {_short(old)}, is {_short(new)}"]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
