"""Data and engines for checking the exam: a coin of known skill, and a model that counts its calls."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage

from rnnprog.tasks import TaskData, make_task
from rnnprog.trace import Sequence, Step

LABELS = ("left", "right")
TASK = "n: int, hint: str -> turn: Literal['left', 'right']"


def coin_data(sequences: int = 24, steps: int = 8, start: int = 0) -> TaskData:
    """Sequences whose steps are numbered through, so that each has its own throw of the coin."""
    made = []
    for k in range(sequences):
        numbers = range(start + k * steps, start + (k + 1) * steps)
        rows = [
            Step(inputs={"n": n, "hint": LABELS[n * 7 % 5 % 2]}, target={"turn": LABELS[n * 7 % 5 % 2]})
            for n in numbers
        ]
        made.append(Sequence(id=f"s{k:02d}", steps=tuple(rows)))
    return make_task("coins", TASK, made)


class CountingEngine:
    """Answers ``left`` to every prompt, writes each call into a file, and does something at a given call."""

    deterministic = True

    def __init__(self, log: Path | None = None, kill_at: int | None = None) -> None:
        self.log, self.kill_at, self.calls = log, kill_at, 0
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Response:
        with self._lock:
            self.calls += 1
            if self.kill_at is not None and self.calls >= self.kill_at:
                os._exit(9)
        last = request.messages[-1].text or ""
        asked = last[last.rfind("Respond with") :]
        field = next(name for name in ("new_memory", "outcome", "turn") if name in asked)
        told = {
            "new_memory": "[[ ## new_memory ## ]]\n## Rules to apply next\n- Say left.",
            "outcome": "\n\n".join(f"[[ ## {name} ## ]]\nwell" for name in ("outcome", "cause", "lesson")),
            "turn": "[[ ## turn ## ]]\nleft",
        }[field]
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(told + "\n\n[[ ## completed ## ]]"),
            finish_reason="stop",
            usage=Usage(input_tokens=100, output_tokens=10, total_tokens=110),
        )

    def stream(self, request: Request) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to close."""

    def __deepcopy__(self, _memo: object) -> CountingEngine:
        return self


def counting_lm(**options: Any) -> tuple[dspy.LM, CountingEngine]:
    engine = CountingEngine(**options)
    return dspy.LM("test/counting", engine=engine, cache=False, num_retries=0), engine
