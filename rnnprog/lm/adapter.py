"""Where the memory stands in the prompt, beside the observation or in the system message; and asking once more.

Every adapter of dspy puts all inputs into the last user message. That layout shares the longest prefix between
steps and is the default here. :func:`memory_in_system` makes of any adapter one that moves the memory into the system
message, the layout of arXiv 2601.13352; the memory stays an input of the signature, so optimizers still see it.

:func:`asking_again` reaches the calls of any module, whatever models its predictors hold, and leaves the module alone.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, Literal

import dspy

__all__ = ["Placement", "asking_again", "memory_in_system", "placed"]

Placement = Literal["user", "system"]

MEMORY_FIELD = "memory"
_ROLLOUTS_APART = 1000  # so that the rollout ids of BestOfN, counted from 0, stay different from each other
_WARM = 0.2
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


class _AskingAgain:
    """Mixed in before an adapter: gives its calls another rollout id, and a temperature where it was 0."""

    _attempt: int

    def __call__(self, lm: dspy.BaseLM, lm_kwargs: dict[str, Any], *rest: Any, **named: Any) -> list[dict[str, Any]]:
        changed = _another_rollout(lm, lm_kwargs, self._attempt)
        return super().__call__(lm, changed, *rest, **named)  # type: ignore[misc, no-any-return]

    async def acall(self, lm: dspy.BaseLM, lm_kwargs: dict[str, Any], *rest: Any, **named: Any) -> list[dict[str, Any]]:
        changed = _another_rollout(lm, lm_kwargs, self._attempt)
        return await super().acall(lm, changed, *rest, **named)  # type: ignore[misc, no-any-return]


def _another_rollout(lm: dspy.BaseLM, given: dict[str, Any], attempt: int) -> dict[str, Any]:
    present: Mapping[str, Any] = {**lm.kwargs, **given}
    rollout = _ROLLOUTS_APART * (attempt - 1) + (present.get("rollout_id") or 0)
    warm = {"temperature": _WARM} if present.get("temperature") == 0 else {}
    return {**given, **warm, "rollout_id": rollout}


@lru_cache(maxsize=64)
def _mixed(mixin: type, kind: type[dspy.Adapter]) -> type[dspy.Adapter]:
    # The name stays: dspy's StreamListener finds its parser by the adapter's class name, and answers look the same.
    return type(kind.__name__, (mixin, kind), {"__module__": kind.__module__})


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
    moved.__class__ = _mixed(_MemoryInSystem, type(adapter))  # type: ignore[arg-type]
    return moved


def placed(placement: Placement) -> AbstractContextManager[Any]:
    """Return a context with the present adapter arranged for ``placement``."""
    if placement == "user":
        return nullcontext()
    return dspy.context(adapter=memory_in_system(_present()))  # type: ignore[no-any-return]


def asking_again(attempt: int) -> AbstractContextManager[Any]:
    """Return a context in which a call that was made before is answered anew.

    Its calls get a ``rollout_id`` of their own, since dspy's cache would repeat the answer, and at temperature 0 a
    small temperature, without which the model itself would repeat it.

    Args:
        attempt: number of the attempt; the first retry is 2.
    """
    again = copy.copy(_present())
    again.__class__ = _mixed(_AskingAgain, type(again))  # type: ignore[arg-type]
    vars(again)["_attempt"] = attempt
    return dspy.context(adapter=again)  # type: ignore[no-any-return]


def _present() -> dspy.Adapter:
    return dspy.settings.adapter or dspy.ChatAdapter()
