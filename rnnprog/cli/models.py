"""Models named on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnprog.errors import ConfigurationError

if TYPE_CHECKING:
    import dspy

__all__ = ["EMBEDDED", "model", "options"]

EMBEDDED = "embedded"
_REPLAY = "replay:"


def options(pairs: list[str], what: str) -> dict[str, Any]:
    """Read ``name=value`` pairs; values are JSON where they can be, else text.

    Raises:
        ConfigurationError: a pair without ``=``.

    Example:
        >>> options(["temperature=0.7", "api_base=http://localhost:8000/v1"], "--lm-option")
        {'temperature': 0.7, 'api_base': 'http://localhost:8000/v1'}
    """
    read: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"{what} {pair!r} is not of the form name=value")
        try:
            read[name] = json.loads(value)
        except ValueError:
            read[name] = value
    return read


def model(name: str, settings: list[str], record_to: Path | None = None) -> dspy.LM:
    """Return the model called ``name``.

    Args:
        name: ``embedded`` for the offline stand-in, ``replay:FILE`` for a recording, else a dspy model string such as
            ``openai/gpt-4o-mini`` or ``ollama_chat/llama3.2``.
        settings: ``name=value`` pairs for ``dspy.LM``.
        record_to: record every call into this file, for ``replay:``.

    Raises:
        ConfigurationError: settings that do not fit, or an empty name.
    """
    import dspy

    import rnnprog

    given = options(settings, "--lm-option")
    waits = given.get("timeout")
    if waits is not None and not (isinstance(waits, (int, float)) and waits > 0):
        raise ConfigurationError(f"--lm-option timeout={waits}: give the seconds to wait for a reply, e.g. timeout=60")
    warmth = given.get("temperature")
    if warmth is not None and not isinstance(warmth, (int, float)):
        raise ConfigurationError(f"--lm-option temperature={warmth}: give a number, e.g. temperature=0.7")
    try:
        if name == EMBEDDED:
            lm = rnnprog.embedded_lm(**given)
        elif name.startswith(_REPLAY):
            lm = rnnprog.replay(name[len(_REPLAY) :])
        else:
            lm = dspy.LM(name, **given)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"--lm {name}: {error}") from error
    return rnnprog.record(lm, record_to) if record_to is not None else lm
