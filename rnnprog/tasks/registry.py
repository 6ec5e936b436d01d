"""Tasks by name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, get_type_hints

from rnnprog.errors import ConfigurationError
from rnnprog.tasks.base import TaskData
from rnnprog.tasks.casting import alternatives

__all__ = ["load_task", "register_task", "task_names", "task_parameters"]

Loader = Callable[..., TaskData]
_LOADERS: dict[str, Loader] = {}


def register_task(name: str) -> Callable[[Loader], Loader]:
    """Make a loader available to :func:`load_task` under ``name``; use as a decorator.

    Raises:
        ConfigurationError: the name is taken.
    """

    def register(loader: Loader) -> Loader:
        if name in _LOADERS and _LOADERS[name] is not loader:
            raise ConfigurationError(f"a task called {name!r} is registered already; choose another name")
        _LOADERS[name] = loader
        return loader

    return register


def task_names() -> tuple[str, ...]:
    """Return the names that :func:`load_task` knows, in alphabetical order."""
    return tuple(sorted(_LOADERS))


def task_parameters(name: str) -> tuple[str, ...]:
    """Return the names of a task's options.

    Example:
        >>> "seed" in task_parameters("regimes")
        True
    """
    return tuple(inspect.signature(_LOADERS[name]).parameters)


def load_task(name: str, **options: Any) -> TaskData:
    """Load a task by name.

    Args:
        name: one of :func:`task_names`.
        **options: handed to the task's loader; see its docstring.

    Raises:
        ConfigurationError: no such task, or an option that it does not have.
        DataError: the data is missing or does not fit.

    Example:
        >>> load_task("regimes", n_sequences=2, n_steps=50).n_steps
        100
    """
    if name not in _LOADERS:
        near = difflib.get_close_matches(name, task_names(), n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise ConfigurationError(
            f"no task called {name!r}; {hint}There are {', '.join(task_names())}; "
            "for data of your own use rnnprog.tasks.from_file(path, signature, ...)"
        )
    loader = _LOADERS[name]
    try:
        inspect.signature(loader).bind(**options)
    except TypeError as error:
        known = ", ".join(str(p) for p in inspect.signature(loader).parameters.values())
        raise ConfigurationError(f"task {name!r}: {error}; its options are: {known}") from error
    _check_types(name, loader, options)
    return loader(**options)


def _check_types(name: str, loader: Loader, options: Mapping[str, Any]) -> None:
    """Refuse a text where a number is due, as command lines have it; other types are the loader's to check."""
    try:
        hints = get_type_hints(loader)
    except (NameError, TypeError):
        return
    for option, value in options.items():
        kinds = set(alternatives(hints.get(option, Any)))
        if not kinds <= {int, float, bool, str, type(None)}:
            continue
        number = Real if float in kinds else Integral if int in kinds else ()
        if type(value) not in kinds and (isinstance(value, bool) or not isinstance(value, number)):
            due = " or ".join("null" if kind is type(None) else kind.__name__ for kind in alternatives(hints[option]))
            raise ConfigurationError(f"task {name!r}: {option}={value!r} is of the wrong type; give {due}")
