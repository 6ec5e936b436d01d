"""Recording what a model answered and replaying it: the same program again, without the model.

A recording is a JSON lines file: first the model and its settings, then one line a call with the full prompt for
human eyes, the answer and its usage. Credentials are never written: they are no part of a request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import dspy
from dspy.lm15 import Request, Response

from rnnprog.lm.awaited import Awaited
from rnnprog.lm.faults import ReplayError
from rnnprog.lm.pieces import in_pieces
from rnnprog.lm.tape import Header, Tape, read_tape

__all__ = [
    "AsyncRecordingEngine",
    "AsyncReplayEngine",
    "RecordingEngine",
    "ReplayEngine",
    "record",
    "replay",
]

_CONNECTION = {
    "api_key", "api_base", "base_url", "headers", "extra_headers", "timeout", "api_version", "azure_ad_token_provider",
    "organization", "project", "extra_query", "custom_llm_provider", "model_list", "rollout_id",
}  # fmt: skip


def _unheard() -> AbstractContextManager[Any]:
    """Open a context in which the inner call is booked to nobody: the outer one, which has its answer, is."""
    return dspy.context(caller_modules=[], usage_tracker=None, disable_history=True)  # type: ignore[no-any-return]


class RecordingEngine:
    """Engine that asks another LM and writes down what it said; see :func:`record`."""

    def __init__(self, inner: dspy.LM, tape: Tape) -> None:
        self._inner, self._tape = inner, tape

    def complete(self, request: Request) -> Response:
        """Answer from the file if it is there, else ask and write."""
        slot = self._tape.claim(request)
        if slot.answer is not None:
            return slot.answer
        with _unheard():
            return self._tape.write(request, self._inner(request))

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer as a stream of events, once the whole answer is there."""
        yield from in_pieces(self.complete(request))

    def close(self) -> None:
        """Nothing to close: every line is written through."""

    def __deepcopy__(self, memo: dict[int, Any]) -> RecordingEngine:
        return self  # a copied program goes on in the same recording


class AsyncRecordingEngine:
    """The same, awaited."""

    def __init__(self, inner: dspy.LM, tape: Tape) -> None:
        self._inner, self._tape = inner, tape

    async def complete(self, request: Request) -> Response:
        """Answer from the file if it is there, else ask and write."""
        slot = self._tape.claim(request)
        if slot.answer is not None:
            return slot.answer
        with _unheard():
            return self._tape.write(request, await self._inner.acall(request))

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """Answer as a stream of events, once the whole answer is there."""
        for event in in_pieces(await self.complete(request)):
            yield event

    async def aclose(self) -> None:
        """Nothing to close."""

    def __deepcopy__(self, memo: dict[int, Any]) -> AsyncRecordingEngine:
        return self


class ReplayEngine:
    """Engine that answers from a recording and from nothing else; see :func:`replay`."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def complete(self, request: Request) -> Response:
        """Answer as recorded.

        Raises:
            ReplayError: the prompt is not in the recording; names the nearest one and the first difference.
        """
        slot = self._tape.claim(request)
        if slot.answer is None:
            raise ReplayError(self._tape.why_not(request, slot.index))
        return slot.answer

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer as a stream of events."""
        yield from in_pieces(self.complete(request))

    def close(self) -> None:
        """Nothing to close."""

    def dump_state(self) -> dict[str, Any]:
        """Return where the recording is."""
        return {"path": str(self._tape.path)}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> ReplayEngine:
        """Return an engine at the start of the recording."""
        return cls(read_tape(Path(state["path"])))

    def __deepcopy__(self, memo: dict[int, Any]) -> ReplayEngine:
        return self


class AsyncReplayEngine(Awaited[ReplayEngine]):
    """The same, awaited."""

    def dump_state(self) -> dict[str, Any]:
        """Return where the recording is."""
        return self.engine.dump_state()

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> AsyncReplayEngine:
        """Return an engine at the start of the recording."""
        return cls(ReplayEngine.load_state(state))

    def __deepcopy__(self, memo: dict[int, Any]) -> AsyncReplayEngine:
        return self


def record(lm: dspy.LM, path: str | Path) -> dspy.LM:
    """Return a model that asks ``lm`` and writes every answer to ``path``.

    Use it once with a real model, then test and teach with :func:`replay`. What the file already holds is answered
    from it, so a recording that broke off is continued at no cost; delete the file to record anew. Equal requests
    are told apart by their number, unless the temperature is 0. The order of equal requests at a temperature above
    0 is the order of arrival, so with several threads it may differ between runs.

    Args:
        lm: any ``dspy.LM``, on whatever backend.
        path: the file, made if it is missing.

    Raises:
        ReplayError: the file is damaged, or was recorded with another model or other settings.

    Example:
        >>> import tempfile; from rnnprog.lm.embedded import embedded_lm
        >>> path = Path(tempfile.mkdtemp()) / "calls.jsonl"
        >>> predict = dspy.Predict("memory, sky -> tomorrow")
        >>> predict.lm = record(embedded_lm(), path)
        >>> said = predict(memory="When sky is grey, tomorrow was rain in 7 of 9 steps.", sky="grey")
        >>> predict.lm = replay(path)
        >>> predict(memory="When sky is grey, tomorrow was rain in 7 of 9 steps.", sky="grey") == said
        True
    """
    settings = {name: value for name, value in lm.kwargs.items() if name not in _CONNECTION and value is not None}
    header = Header(model=lm.model, model_type=lm.model_type, settings=settings)
    tape = read_tape(Path(path), header)
    return _lm(header, RecordingEngine(lm, tape), AsyncRecordingEngine(lm, tape))


def replay(path: str | Path) -> dspy.LM:
    """Return a model that answers as recorded in ``path``, and fails on any prompt that is not there.

    Each call of this function starts the recording afresh.

    Args:
        path: a file written by :func:`record`.

    Raises:
        ReplayError: there is no such file, or it is damaged. A call raises it for an unseen prompt.
    """
    tape = read_tape(Path(path))
    engine = ReplayEngine(tape)
    return _lm(tape.header, engine, AsyncReplayEngine(engine))


def _lm(header: Header, engine: Any, async_engine: Any) -> dspy.LM:
    settings = dict(header.settings)
    limit = settings.pop("max_completion_tokens", None)
    if limit is not None:
        settings.setdefault("max_tokens", limit)
    return dspy.LM(
        header.model,
        model_type=header.model_type,
        cache=False,
        num_retries=0,
        engine=engine,
        async_engine=async_engine,
        **settings,
    )
