"""A deterministic model that needs no network: a stand-in for trying out, testing and teaching, not a language model.

It is a pure function of the prompt text. It reads the observation, the output types and the memory from the rendered
prompt: its own sentences (:mod:`rnnprog.lm.statements`), worked steps (:mod:`rnnprog.lm.cases`), bullets of a playbook
(:mod:`rnnprog.lm.playbooks`). It predicts from what the memory says, and writes critiques, notes, summaries and edits
in plain sentences. It knows no labels, keeps no state between calls and draws no random numbers. It obeys the orders
listed in :mod:`rnnprog.lm.directives`, so that tuning an instruction has an effect offline.

Where a memory holds no outcome it learns nothing: a cell that never sees one answers as with an empty memory. What it
answers then is a guess among the options by a hash of the observation, right at the rate of chance: a control with an
empty memory is no easier to beat for the order in which labels were named.

**Its scores say nothing about language models.** It does online counting in words; a real model reads and writes
freely. Use it to see the machinery at work and to test programs, never to compare prompts for a real model.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage

from rnnprog.lm.awaited import Awaited
from rnnprog.lm.lengths import text_tokens
from rnnprog.lm.phases import answer
from rnnprog.lm.pieces import in_pieces
from rnnprog.lm.prompts import read_prompt, render_answer, system_text

__all__ = ["EMBEDDED_MODEL", "AsyncEmbeddedEngine", "EmbeddedEngine", "embedded_lm"]

EMBEDDED_MODEL = "rnnprog/embedded"
_SHORT = 20_000
_UNASKED = "I am the embedded stand-in model of rnnprog; I answer prompts that dspy's adapters render."


class EmbeddedEngine:
    """Engine for ``dspy.LM(engine=...)``; see :func:`embedded_lm`."""

    def complete(self, request: Request) -> Response:
        """Answer one request."""
        prompt = read_prompt(request)
        text = render_answer(prompt, answer(prompt)) if prompt.outputs else _UNASKED
        asked = _system_tokens(system_text(request)) + sum(text_tokens(m.text or "") for m in request.messages)
        told = text_tokens(text)
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(text),
            finish_reason="stop",
            usage=Usage(input_tokens=asked, output_tokens=told, total_tokens=asked + told),
        )

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer one request as a stream of events."""
        yield from in_pieces(self.complete(request))

    def close(self) -> None:
        """Nothing to close."""

    def dump_state(self) -> dict[str, Any]:
        """Return the state for a saved program: there is none."""
        return {}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> EmbeddedEngine:
        """Return an engine for a loaded program."""
        return cls()


class AsyncEmbeddedEngine(Awaited[EmbeddedEngine]):
    """The same engine, awaited."""

    def __init__(self) -> None:
        super().__init__(EmbeddedEngine())

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


def _system_tokens(text: str) -> int:
    return _known_tokens(text) if len(text) <= _SHORT else text_tokens(text)


@lru_cache(maxsize=256)
def _known_tokens(text: str) -> int:
    return text_tokens(text)
