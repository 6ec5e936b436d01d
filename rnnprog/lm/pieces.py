"""An answer as a stream of events, a few characters each: what dspy's listeners need to find a field in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dspy.lm15 import Response, response_to_events

__all__ = ["in_pieces"]

_PIECES = re.compile(r"\s*\S{1,6}|\s+$")


def in_pieces(response: Response) -> Iterator[Any]:
    """Yield the events of a finished text response, its text in pieces.

    A ``dspy.streaming.StreamListener`` misses a field that comes whole, in a single event.

    Args:
        response: with one text part, or none.

    Example:
        >>> from dspy.lm15 import Message, Usage
        >>> message = Message.assistant("sun and rain")
        >>> told = Response(id=None, model="m", message=message, finish_reason="stop", usage=Usage())
        >>> [event.delta.text for event in in_pieces(told) if hasattr(event, "delta")]
        ['sun', ' and', ' rain']
    """
    for event in response_to_events(response):
        text = getattr(getattr(event, "delta", None), "text", None)
        if not isinstance(text, str):
            yield event
            continue
        yield from (replace(event, delta=replace(event.delta, text=piece)) for piece in _PIECES.findall(text))
