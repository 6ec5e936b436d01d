"""The prompts that were sent, read from the file beside a trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rnnprog.errors import TraceError

__all__ = ["Prompts", "read_prompts"]

Prompts = dict[str, list[list[Any]]]
"""By prediction id: one ``[phase, prompt, completion]`` for each call."""


def read_prompts(path: str | Path) -> Prompts:
    """Read a file of prompts: one JSON line ``{"id", "phase", "prompt", "completion"}`` for each call.

    Args:
        path: the file. A prompt is a text or a list of chat messages. A last line that was cut off is left out.

    Raises:
        TraceError: no such file, or a damaged line that is not the last.
    """
    path = Path(path)
    if not path.is_file():
        raise TraceError(f"no file of prompts at {str(path)!r}")
    prompts: Prompts = {}
    # Not str.splitlines, which would also break at U+2028 and its like inside a prompt.
    lines = path.read_bytes().rstrip(b"\n").split(b"\n")
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            call = [str(line.get("phase", "")), line["prompt"], line.get("completion", "")]
            prompts.setdefault(str(line["id"]), []).append(call)
        except (ValueError, KeyError, AttributeError) as error:
            if number == len(lines):
                break
            raise TraceError(f"{path}, line {number}: not a prompt with an id ({error})") from error
    return prompts
