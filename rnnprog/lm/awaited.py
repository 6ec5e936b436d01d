"""The async twin of an engine that answers at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, Protocol, TypeVar

from dspy.lm15 import Request, Response

__all__ = ["Awaited"]


class Engine(Protocol):
    """What ``dspy.LM(engine=...)`` asks."""

    def complete(self, request: Request) -> Response:
        """Answer one request."""
        ...

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer one request as a stream of events."""
        ...


E = TypeVar("E", bound=Engine)


class Awaited(Generic[E]):
    """The same engine, awaited; a subclass says how it is saved."""

    def __init__(self, engine: E) -> None:
        self.engine = engine

    async def complete(self, request: Request) -> Response:
        """Answer one request."""
        return self.engine.complete(request)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """Answer one request as a stream of events."""
        for event in self.engine.stream(request):
            yield event

    async def aclose(self) -> None:
        """Nothing to close."""
