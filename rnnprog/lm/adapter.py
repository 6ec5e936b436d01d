"""Where the memory stands in the prompt: beside the observation, or in the system message as in the paper.

Every adapter of dspy puts all inputs into the last user message. That layout shares the longest prefix between
steps and is the default here. :func:`memory_in_system` makes of any adapter one that moves the memory into the system
message, the layout of arXiv 2601.13352; the memory stays an input of the signature, so optimizers still see it.
"""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, Literal

import dspy

__all__ = ["Placement", "memory_in_system", "placed"]

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

    def _make_json_adapter_fallback(self) -> dspy.Adapter:
        return memory_in_system(super()._make_json_adapter_fallback())  # type: ignore[misc]


@lru_cache(maxsize=64)
def _moved(kind: type[dspy.Adapter]) -> type[dspy.Adapter]:
    # The name stays: dspy's StreamListener finds its parser by the adapter's class name, and answers look the same.
    return type(kind.__name__, (_MemoryInSystem, kind), {"__module__": kind.__module__})


def memory_in_system(adapter: dspy.Adapter) -> dspy.Adapter:
    """Return a copy of ``adapter`` that renders the ``memory`` input at the end of the system message.

    It falls back to JSON, where ``adapter`` does, with the same placement.

    Example:
        >>> signature = dspy.Signature("memory, sky -> tomorrow")
        >>> notes = {"memory": "Grey means rain.", "sky": "grey"}
        >>> messages = memory_in_system(dspy.ChatAdapter()).format(signature, [], notes)
        >>> [(m["role"], "Grey means rain." in m["content"]) for m in messages]
        [('system', True), ('user', False)]
    """
    if isinstance(adapter, _MemoryInSystem):
        return adapter
    moved = copy.copy(adapter)
    moved.__class__ = _moved(type(adapter))
    return moved


def placed(placement: Placement) -> AbstractContextManager[Any]:
    """Return a context with the present adapter arranged for ``placement``."""
    if placement == "user":
        return nullcontext()
    return dspy.context(adapter=memory_in_system(dspy.settings.adapter or dspy.ChatAdapter()))  # type: ignore[no-any-return]
