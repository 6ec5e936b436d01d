"""Where the memory stands in the prompt: beside the observation, or in the system message as in the paper.

Every adapter of dspy puts all inputs into the last user message. That layout shares the longest prefix between
steps, streams, and is the default here. :class:`MemoryInSystem` wraps an adapter and moves the memory into the system
message, the layout of arXiv 2601.13352; the memory stays an input of the signature, so optimizers still see it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import dspy

__all__ = ["MemoryInSystem", "Placement", "placed"]

Placement = Literal["user", "system"]

MEMORY_FIELD = "memory"
_HEADING = "Your notes from earlier steps of this series:"


class _MemoryInSystem:
    """Mixed in before an adapter: renders the ``memory`` input at the end of the system message."""

    def format(self, signature: Any, demos: list[dict[str, Any]], inputs: dict[str, Any]) -> list[dict[str, Any]]:
        if MEMORY_FIELD not in signature.input_fields or MEMORY_FIELD not in inputs:
            return super().format(signature, demos, inputs)  # type: ignore[misc, no-any-return]
        rest = {name: value for name, value in inputs.items() if name != MEMORY_FIELD}
        plain = [{name: demo[name] for name in demo if name != MEMORY_FIELD} for demo in demos]
        messages = super().format(signature.delete(MEMORY_FIELD), plain, rest)  # type: ignore[misc]
        system = messages[0]
        return [{**system, "content": f"{system['content']}\n\n{_HEADING}\n{inputs[MEMORY_FIELD]}"}, *messages[1:]]


class MemoryInSystem(_MemoryInSystem, dspy.ChatAdapter):
    """The chat adapter with the memory in the system message; falls back to JSON with the same placement."""

    def _make_json_adapter_fallback(self) -> dspy.JSONAdapter:
        return MemoryInSystemJSON()


class MemoryInSystemJSON(_MemoryInSystem, dspy.JSONAdapter):
    """The JSON adapter with the memory in the system message."""


def placed(placement: Placement) -> AbstractContextManager[Any]:
    """Return a context with the adapter for ``placement``; for ``user`` the present adapter stays.

    Under a configured JSON adapter, placement ``system`` keeps JSON; under any other it uses the chat layout.
    """
    if placement == "user":
        return nullcontext()
    wants_json = isinstance(dspy.settings.adapter, dspy.JSONAdapter)
    return dspy.context(adapter=MemoryInSystemJSON() if wants_json else MemoryInSystem())  # type: ignore[no-any-return]
