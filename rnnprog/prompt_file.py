"""Every prompt that was sent, as JSON lines beside a trace, so that a page can show it behind a click."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rnnprog.errors import StorageError
from rnnprog.folder import LineFile
from rnnprog.jobs import Halt
from rnnprog.lm.meter import Heard

__all__ = ["PromptFile", "PromptList", "prompt_line"]


def prompt_line(call: Heard) -> str | None:
    """Return the JSON line of a call; ``None`` where dspy kept no history of it.

    Example:
        >>> entry = {"messages": [{"role": "user", "content": "Sun?"}], "outputs": ["Yes."]}
        >>> prompt_line(Heard("a:0", "predictor", 3, 2, entry=entry))
        '{"id": "a:0", "phase": "predictor", "prompt": [{"role": "user", "content": "Sun?"}], "completion": "Yes."}'
    """
    if call.entry is None:
        return None
    prompt = call.entry.get("messages") or call.entry.get("prompt") or ""
    outputs = [_text(output) for output in call.entry.get("outputs") or ()]
    line = {"id": call.about, "phase": call.phase, "prompt": prompt, "completion": "\n".join(outputs)}
    text = json.dumps(line, ensure_ascii=False, default=str)
    # Half a surrogate pair, as models send them: only an escape can carry it.
    return text if text.isascii() or _encodable(text) else json.dumps(line, default=str)


class PromptList:
    """Keeps the lines of one walk until it is known whether the walk counts; a listener of :class:`rnnprog.jobs.Job`.

    Attributes:
        lines: one for each call, in order.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def calling(self, phase: str) -> None:
        """Nothing to say before a call."""

    def called(self, call: Heard) -> None:
        """Keep the line of a call."""
        line = prompt_line(call)
        if line is not None:
            self.lines.append(line)

    def left(self, phase: str) -> None:
        """Nothing to say after a phase."""


class PromptFile(LineFile):
    """Writes each prompt as it was sent; the ``listener`` of :func:`rnnprog.run`. Use it in a ``with`` statement.

    Args:
        path: the file; its folder is made, an existing file is replaced.

    Attributes:
        full: the error that ended the writing, and with it the run, such as a full disk.
    """

    about = "file of prompts"

    def calling(self, phase: str) -> None:
        """Ask for nothing more once the file cannot take it.

        Raises:
            Halt: the disk is full.
        """
        if self.full is not None:
            raise Halt(str(self.full))

    def called(self, call: Heard) -> None:
        """Write the line of a call; one that cannot be written is paid for, so its answer still counts."""
        line = prompt_line(call)
        if line is not None:
            with self._lock, suppress(StorageError):
                self.write(line)

    def left(self, phase: str) -> None:
        """Nothing to say after a phase."""


def _text(output: Any) -> str:
    return str(output.get("text") or "") if isinstance(output, Mapping) else str(output)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
