"""Fake engines for measuring everything but the model: fixed answers, at once or after a fixed latency."""

from __future__ import annotations

import asyncio
import time

import dspy
from dspy.lm15 import Message, Request, Response, TextPart, Usage

MEMORY = """## Facts and stable patterns
- When rain is above 1.0, tomorrow was rain in 12 of 17 steps.
- tomorrow equals today in 33 of 50 steps.
- When wind is below 3, tomorrow was sun in 21 of 29 steps.
## Recent errors and their causes
- Step 41: predicted sun, was rain; the wind had turned.
## Rules to apply next
- When rain is above 1.0, then rain.
- Otherwise, then sun."""

ANSWERS = {
    "new_memory": f"[[ ## new_memory ## ]]\n{MEMORY}\n\n[[ ## completed ## ]]",
    "lesson": "[[ ## outcome ## ]]\nPredicted sun, was rain.\n\n[[ ## cause ## ]]\nRain was 3.\n\n"
    "[[ ## lesson ## ]]\nWhen rain, then rain.\n\n[[ ## completed ## ]]",
    "tomorrow": "[[ ## tomorrow ## ]]\nsun\n\n[[ ## completed ## ]]",
}


class FixedEngine:
    """Answers every phase with a fixed text after ``latency`` seconds."""

    def __init__(self, latency: float = 0.0) -> None:
        self.latency = latency

    def complete(self, request: Request) -> Response:
        if self.latency:
            time.sleep(self.latency)
        return self._response(request)

    def _response(self, request: Request) -> Response:
        last = request.messages[-1].text or ""
        tail = last[last.rfind("Respond with") :]
        text = next(answer for field, answer in ANSWERS.items() if field in tail)
        usage = Usage(input_tokens=len(last) // 4, output_tokens=len(text) // 4)
        message = Message.assistant([TextPart(text)])
        return Response(id=None, model="fixed", message=message, finish_reason="stop", usage=usage)


class AsyncFixedEngine(FixedEngine):
    """The async twin of :class:`FixedEngine`."""

    async def complete(self, request: Request) -> Response:  # type: ignore[override]
        if self.latency:
            await asyncio.sleep(self.latency)
        return self._response(request)


def fixed_lm(latency: float = 0.0) -> dspy.LM:
    """Return an LM over the fixed engines, uncached."""
    engine, twin = FixedEngine(latency), AsyncFixedEngine(latency)
    return dspy.LM("bench/fixed", engine=engine, async_engine=twin, cache=False)
