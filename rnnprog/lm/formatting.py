"""Formatting a prompt without doing again what cannot have changed.

At every call dspy renders the system message anew, which depends on the signature alone, and builds a type adapter of
pydantic for every field, also where the value is a text that stands there as it is. That is two fifths of what a step
costs the processor. The texts made here are the same, letter by letter: dspy's own methods make each system message
once, and each user message once with marks in place of the values.
"""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import dspy
from dspy.adapters.types.base_type import Type as CustomType

__all__ = ["thrifty"]

_KNOWN = (dspy.ChatAdapter, dspy.JSONAdapter, dspy.XMLAdapter)  # others may format as they like, so they are left alone
_OVERRIDDEN = {"format_system_message", "format_user_message_content", "user_message_output_requirements"}
_PLAIN = frozenset({str, int, float, bool})
_MOST = 512  # system messages, and frames of user messages, kept

_made: dict[Any, tuple[Any, Any]] = {}


def thrifty() -> AbstractContextManager[Any]:
    """Return a context in which the present adapter, if it is one of dspy's own, formats without needless work.

    Use it around many calls of the same modules. Nothing else about the adapter changes, its class included.

    Example:
        >>> with thrifty():
        ...     type(dspy.settings.adapter).__name__
        'ChatAdapter'
    """
    present = dspy.settings.adapter or dspy.ChatAdapter()
    if type(present) not in _KNOWN or not _OVERRIDDEN.isdisjoint(vars(present)):
        return nullcontext()
    changed = copy.copy(present)
    vars(changed)["format_system_message"] = partial(_system_message, present)
    if not isinstance(present, dspy.XMLAdapter):  # it looks at values more closely
        vars(changed)["format_user_message_content"] = partial(_user_message, present)
    return dspy.context(adapter=changed)  # type: ignore[no-any-return]


def _system_message(adapter: Any, signature: Any) -> str:
    kept, key = _kept("system", adapter, signature)
    if kept is not None:
        return str(kept)
    text = str(adapter.format_system_message(signature))
    fields = signature.model_fields.values()
    if not any(CustomType.extract_custom_type_from_annotation(field.rebuild_annotation()) for field in fields):
        _keep(key, text, signature)
    return text


def _user_message(adapter: Any, signature: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> str:
    names = tuple(name for name in signature.input_fields if name in inputs)
    if not all(type(inputs[name]) in _PLAIN for name in names):
        return str(adapter.format_user_message_content(signature, inputs, *rest, **named))
    frame, key = _kept((names, rest, *named.items()), adapter, signature)
    if frame is None:
        marks = {name: f"\0{name}\0" for name in names}
        left, frame = str(adapter.format_user_message_content(signature, marks, *rest, **named)), []
        for mark in marks.values():
            before, _, left = left.partition(mark)
            frame.append(before)
        frame.append(left)
        _keep(key, frame, signature)
    parts = [before + str(inputs[name]) for before, name in zip(frame, names, strict=False)]
    return "".join([*parts, frame[-1]]).strip()  # as dspy strips every message


def _kept(what: Any, adapter: Any, signature: Any) -> tuple[Any, Any]:
    """Return what was kept for a signature as it is now, or ``None``, and the key to keep it by."""
    # A signature can be changed in place, so what it says is compared. Annotations by identity, since typing takes
    # Literal["a", "b"] and Literal["b", "a"] for equal.
    fields = signature.model_fields
    says = [(name, id(field.annotation), *(field.json_schema_extra or {}).items()) for name, field in fields.items()]
    key = (what, type(adapter), signature.__doc__, *says)
    try:
        found = _made.get(key)
    except TypeError:  # something unhashable among the extras of a field
        return None, None
    return (None if found is None else found[0]), key


def _keep(key: Any, made: Any, signature: Any) -> None:
    if key is None:
        return
    if len(_made) >= _MOST:
        _made.clear()
    annotations = [field.annotation for field in signature.model_fields.values()]
    _made[key] = (made, annotations)  # held, so that no other object gets the same id
