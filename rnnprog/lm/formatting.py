"""Formatting a prompt without doing again what cannot have changed.

At every call dspy renders the system message anew, which depends on the signature alone, and builds a type adapter of
pydantic for every field, also where the value is a text that stands there as it is. That is two fifths of what a step
costs the processor. The texts made here are the same, letter by letter; dspy's own methods still make them.
"""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import dspy
from dspy.adapters.types.base_type import Type as CustomType
from pydantic_core import SchemaSerializer, SchemaValidator, core_schema

__all__ = ["thrifty"]

_KNOWN = (dspy.ChatAdapter, dspy.JSONAdapter, dspy.XMLAdapter)  # others may format as they like, so they are left alone
_TEXT = core_schema.str_schema()
_PLAIN = frozenset({str, int, float, bool})
_MOST = 256  # system messages kept

_system_messages: dict[Any, tuple[str, Any]] = {}


class _Text(str):
    """A text that tells pydantic how to serialise it. Without these attributes it is treated as any text is."""

    __slots__ = ()
    __pydantic_core_schema__ = _TEXT
    __pydantic_validator__ = SchemaValidator(_TEXT)
    __pydantic_serializer__ = SchemaSerializer(_TEXT)


def thrifty() -> AbstractContextManager[Any]:
    """Return a context in which the present adapter, if it is one of dspy's own, formats without needless work.

    Use it around many calls of the same modules. Nothing else about the adapter changes, its class included.

    Example:
        >>> with thrifty():
        ...     type(dspy.settings.adapter).__name__
        'ChatAdapter'
    """
    present = dspy.settings.adapter or dspy.ChatAdapter()
    own = vars(present)
    if type(present) not in _KNOWN or "format_system_message" in own or "format_user_message_content" in own:
        return nullcontext()
    changed = copy.copy(present)
    vars(changed)["format_system_message"] = partial(_system_message, present)
    if not isinstance(present, dspy.XMLAdapter):  # it looks at values more closely
        vars(changed)["format_user_message_content"] = partial(_user_message, present)
    return dspy.context(adapter=changed)  # type: ignore[no-any-return]


def _system_message(adapter: Any, signature: Any) -> str:
    fields = signature.model_fields
    # A signature can be changed in place, so what it says is compared. Annotations by identity, since typing takes
    # Literal["a", "b"] and Literal["b", "a"] for equal.
    says = [(name, id(field.annotation), *(field.json_schema_extra or {}).items()) for name, field in fields.items()]
    try:
        key = (type(adapter), signature.__doc__, *says)
        found = _system_messages.get(key)
    except TypeError:  # something unhashable among the extras of a field
        return str(adapter.format_system_message(signature))
    if found is not None:
        return found[0]
    text = str(adapter.format_system_message(signature))
    annotations = [field.annotation for field in fields.values()]
    if not any(CustomType.extract_custom_type_from_annotation(field.rebuild_annotation()) for field in fields.values()):
        if len(_system_messages) >= _MOST:
            _system_messages.clear()
        _system_messages[key] = (text, annotations)  # held, so that no other object gets the same id
    return text


def _user_message(adapter: Any, signature: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> str:
    shown = {name: _Text(value) if type(value) in _PLAIN else value for name, value in inputs.items()}
    return str(adapter.format_user_message_content(signature, shown, *rest, **named))
