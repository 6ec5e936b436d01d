"""A deterministic model that needs no network: a stand-in for trying out, testing and teaching, not a language model.

It is a pure function of the prompt text. It reads the observation, the output types and the sentences of the memory
from the rendered prompt, predicts from what the memory says, and writes critiques and notes in plain sentences. It
knows no labels, keeps no state between calls and draws no random numbers. It obeys the orders listed in
:mod:`rnnprog.lm.directives`, so that tuning an instruction has an effect offline.

**Its scores say nothing about language models.** It does online counting in words; a real model reads and writes
freely. Use it to see the machinery at work and to test programs, never to compare prompts for a real model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage, response_to_events

from rnnprog.lm.phases import answer
from rnnprog.lm.prompts import read_prompt, render_answer, system_text
from rnnprog.tokens import get_tokenizer

__all__ = ["EMBEDDED_MODEL", "AsyncEmbeddedEngine", "EmbeddedEngine", "embedded_lm"]

EMBEDDED_MODEL = "rnnprog/embedded"
_UNASKED = "I am the embedded stand-in model of rnnprog; I answer prompts that dspy's adapters render."
_PIECE = 20_000


class EmbeddedEngine:
    """Engine for ``dspy.LM(engine=...)``; see :func:`embedded_lm`."""

    def complete(self, request: Request) -> Response:
        """Answer one request."""
        prompt = read_prompt(request)
        text = render_answer(prompt, answer(prompt)) if prompt.outputs else _UNASKED
        asked = _system_tokens(system_text(request)) + sum(_tokens(m.text or "") for m in request.messages)
        told = _tokens(text)
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(text),
            finish_reason="stop",
            usage=Usage(input_tokens=asked, output_tokens=told, total_tokens=asked + told),
        )

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer one request as a stream of events."""
        yield from response_to_events(self.complete(request))

    def close(self) -> None:
        """Nothing to close."""

    def dump_state(self) -> dict[str, Any]:
        """Return the state for a saved program: there is none."""
        return {}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> EmbeddedEngine:
        """Return an engine for a loaded program."""
        return cls()


class AsyncEmbeddedEngine:
    """The same engine, awaited."""

    async def complete(self, request: Request) -> Response:
        """Answer one request."""
        return EmbeddedEngine().complete(request)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """Answer one request as a stream of events."""
        for event in EmbeddedEngine().stream(request):
            yield event

    async def aclose(self) -> None:
        """Nothing to close."""

    def dump_state(self) -> dict[str, Any]:
        """Return the state for a saved program: there is none."""
        return {}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> AsyncEmbeddedEngine:
        """Return an engine for a loaded program."""
        return cls()


def embedded_lm(**kwargs: Any) -> dspy.LM:
    """Return the embedded model as a ``dspy.LM``.

    Use it where no real model is at hand: demos, tests, notebooks. dspy's cache is off, since answers cost nothing.
    A saved program that holds it needs ``load(..., allow_unsafe_lm_state=True)``, as with any engine of one's own.

    Args:
        kwargs: passed on to ``dspy.LM``.

    Example:
        >>> predict = dspy.Predict("memory, sky -> tomorrow")
        >>> predict.lm = embedded_lm()
        >>> predict(memory="When sky is grey, tomorrow was rain in 7 of 9 steps.", sky="grey").tomorrow
        'rain'
    """
    settings = {"model": EMBEDDED_MODEL, "cache": False, **kwargs}
    return dspy.LM(engine=EmbeddedEngine(), async_engine=AsyncEmbeddedEngine(), **settings)


def _tokens(text: str) -> int:
    # In pieces, because a tokenizer's time can grow with the square of a text without spaces.
    if len(text) <= _PIECE:
        return get_tokenizer().count(text)
    return sum(get_tokenizer().count(text[i : i + _PIECE]) for i in range(0, len(text), _PIECE))


_system_tokens = lru_cache(maxsize=256)(_tokens)
