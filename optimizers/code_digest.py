"""Whether a function is still the one that old scores came from: a digest of what runs, the same in every process.

What counts is compiled code, defaults, and what the code looks up: closed-over values, other functions of yours,
constants; of an object its class and its public attributes, of a program its state. Comments, layout and docstrings do
not count, nor does what the code itself changes as it runs: counters, logs, caches. Libraries count by their names.
"""

from __future__ import annotations

import dataclasses
import datetime
import dis
import enum
import functools
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import dspy
from pydantic import BaseModel

from rnnprog.optimizers.teacher import state_digest

__all__ = ["code_digest", "same_code"]

_PLAIN = (bool, int, float, complex, str, bytes, datetime.timedelta, datetime.date)
_CHANGING = frozenset({"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "clear"})
_OF_DSPY = ("callbacks", "history")
_OF_PYTHON = ("__module__", "__qualname__", "__doc__", "__firstlineno__")
Seen = dict[int, Any]


def code_digest(*things: Any) -> str:
    """Return what identifies some functions, callable objects or programs: Python's version and twelve hex digits.

    Example:
        >>> from functools import partial
        >>> code_digest(partial(round, ndigits=1)) == code_digest(partial(round, ndigits=1))
        True
        >>> code_digest(partial(round, ndigits=1)) == code_digest(partial(round, ndigits=2))
        False
    """
    told = json.dumps([_tell(thing, {}) for thing in things])
    python = ".".join(map(str, sys.version_info[:2]))
    return f"python{python}:{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def same_code(one: str, other: str) -> bool:
    """Return whether two digests may be of the same code; those of different versions of Python cannot be compared."""
    return one == other or one.partition(":")[0] != other.partition(":")[0]


def _tell(value: Any, seen: Seen, containers: bool = True) -> Any:
    """Return a value as JSON that is the same in every process; of what cannot be told, the name of its type.

    Args:
        value: the value.
        seen: objects that were told already, by id.
        containers: whether the contents of lists, sets and mappings count.
    """
    if value is None or (isinstance(value, _PLAIN) and not isinstance(value, enum.Enum)):
        return repr(value)
    if isinstance(value, re.Pattern):
        return [repr(value.pattern), value.flags]
    if isinstance(value, (tuple, frozenset)) or (containers and isinstance(value, (list, set, Mapping))):
        items: Iterable[Any] = value.items() if isinstance(value, Mapping) else value
        told = [_tell(item, seen, containers) for item in items]
        return told if isinstance(value, (tuple, list)) else sorted(told, key=json.dumps)
    if id(value) in seen:
        return "again"
    seen[id(value)] = value
    if isinstance(value, functools.partial):
        return [_tell(part, seen) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, MethodType):
        return [_tell(value.__func__, seen), _tell(value.__self__, seen)]
    if isinstance(value, (FunctionType, type)):
        if _is_library(value.__module__):
            return f"{value.__module__}.{value.__qualname__}"
        return _function(value, seen) if isinstance(value, FunctionType) else _class(value, seen)
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if isinstance(value, dspy.BaseLM):
        return str(value.model)
    if (wrapped := getattr(value, "__wrapped__", None)) is not None:
        return _tell(wrapped, seen)
    if callable(value) or dataclasses.is_dataclass(value) or isinstance(value, (BaseModel, dspy.Module)):
        return _object(value, seen)
    return type(value).__qualname__


def _object(value: Any, seen: Seen) -> Any:
    own = [base for base in type(value).__mro__ if not _is_library(base.__module__)]
    methods = [m.__code__ for base in own for m in vars(base).values() if isinstance(m, FunctionType)]
    changed, adds = _changed([code for code in methods if code.co_name not in ("__init__", "__post_init__")])
    skipped = {*changed, *_OF_DSPY} if isinstance(value, dspy.Module) else changed
    # What a predictor of dspy has besides its state is drawn at random.
    held = {} if isinstance(value, dspy.Predict) else getattr(value, "__dict__", {})
    state = {
        name: _tell(attribute, seen, containers=not adds)
        for name, attribute in sorted(held.items())
        if not name.startswith("_") and name not in skipped and not isinstance(attribute, dspy.Module)
    }
    inside = state_digest(value) if isinstance(value, dspy.Module) else ""
    return [_tell(type(value), seen), list(state.items()), inside]


def _class(kind: type, seen: Seen) -> Any:
    told: list[Any] = [kind.__qualname__]
    for base in kind.__mro__:
        for name, held in () if _is_library(base.__module__) else vars(base).items():
            if isinstance(held, (FunctionType, staticmethod, classmethod, *_PLAIN)) and name not in _OF_PYTHON:
                told.append((name, _tell(getattr(held, "__func__", held), seen)))
    return told


def _function(function: FunctionType, seen: Seen) -> Any:
    code = function.__code__
    changed, adds = _changed([code])
    looked_up = {name: function.__globals__[name] for name in _names(code) if name in function.__globals__}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            looked_up[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    return [
        _code(code, function.__doc__),
        [_tell(given, seen) for given in (function.__defaults__, function.__kwdefaults__)],
        [
            (name, _tell(held, seen, containers=not adds))
            for name, held in sorted(looked_up.items())
            if name not in changed
        ],
    ]


def _code(code: CodeType, doc: str | None = None) -> Any:
    constants = (None, *code.co_consts[1:]) if doc is not None and code.co_consts[:1] == (doc,) else code.co_consts
    told = [_code(held) if isinstance(held, CodeType) else _tell(held, {}) for held in constants]
    return [code.co_code.hex(), told, code.co_names, getattr(code, "co_exceptiontable", b"").hex()]


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(held) for held in code.co_consts if isinstance(held, CodeType)))


def _changed(codes: Iterable[CodeType]) -> tuple[set[str], bool]:
    """Return the names that code assigns to outside itself, and whether it changes any list, set or mapping."""
    names: set[str] = set()
    adds = False
    for code in codes:
        for step in dis.get_instructions(code):
            if step.opname in ("STORE_GLOBAL", "STORE_DEREF", "STORE_ATTR"):
                names.add(str(step.argval))
            adds = adds or step.opname in ("STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE")
        deeper, also = _changed(held for held in code.co_consts if isinstance(held, CodeType))
        names, adds = names | deeper, adds or also or bool(_CHANGING & set(code.co_names))
    return names, adds


@functools.lru_cache(maxsize=256)
def _is_library(module: str) -> bool:
    top = str(module).partition(".")[0]
    if top == "__main__":
        return False
    file = str(getattr(sys.modules.get(top), "__file__", ""))
    return top in sys.stdlib_module_names or top == "rnnprog" or "site-packages" in file or "dist-packages" in file
