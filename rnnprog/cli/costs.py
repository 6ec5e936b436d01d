"""What a command may cost: its estimate in words, the caps that this goes beyond, and prices by name of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from rnnprog.errors import ConfigurationError
from rnnprog.evaluate import ArmEstimate, Running

__all__ = ["AMOUNTS", "EXIT_INCOMPLETE", "GUESSED", "amounts", "priced", "total", "usd_of", "warned"]

AMOUNTS = ("steps", "calls", "prompt_tokens", "completion_tokens")
EXIT_INCOMPLETE = 4
GUESSED = "(from a pilot of a few steps with the stand-in; a model that writes more costs more)"


def total(found: Sequence[ArmEstimate]) -> dict[str, Any]:
    """Return all estimates together, as JSON."""
    return {**{name: sum(getattr(one, name) for one in found) for name in AMOUNTS}, "usd": usd_of(o.usd for o in found)}


def usd_of(parts: Iterable[float | None]) -> float | None:
    """Return the sum of amounts of money; ``None`` where one is not known."""
    known = list(parts)
    return None if None in known else sum(part or 0.0 for part in known)


def amounts(found: Mapping[str, Any]) -> str:
    """Say calls, tokens and money.

    Example:
        >>> amounts({"calls": 2000, "prompt_tokens": 10, "completion_tokens": 5, "usd": 0.25})
        '2,000 calls, 10 tokens sent, 5 received, about 0.25 USD'
    """
    money = "" if found["usd"] is None else f", about {found['usd']:.2g} USD"
    sent, received = found["prompt_tokens"], found["completion_tokens"]
    return f"{found['calls']:,} calls, {sent:,} tokens sent, {received:,} received{money}"


def warned(needed: Mapping[str, Any], running: Running, console: Console | None) -> list[str]:
    """Return the caps that an estimate goes beyond, and say so: better now than in the middle.

    Args:
        needed: the estimate.
        running: the caps.
        console: where to say it.
    """
    tokens = needed["prompt_tokens"] + needed["completion_tokens"]
    asked = {"max_calls": needed["calls"], "max_tokens": tokens, "max_usd": needed["usd"]}
    caps = {name: getattr(running, name) for name in asked}
    over = [name for name, cap in caps.items() if None not in (cap, asked[name]) and asked[name] > cap]
    if over and console is not None:
        said = ", ".join(f"--{name.replace('_', '-')} {caps[name]:g}" for name in over)
        console.print(f"more than {said} allows: it would end early", style="yellow", highlight=False)
    return over


def priced(running: Running, flags: Mapping[str, Any], used: Mapping[str, str]) -> Running:
    """Return the way of running with prices by the models' own names; a file may price more than are used.

    Args:
        running: with prices by any name.
        flags: prices given as flags, which must be of models that are used.
        used: the models' own names, by each name that they go by.

    Raises:
        ConfigurationError: a flag names another model.
    """
    if unused := [name for name in flags if name not in used]:
        raise ConfigurationError(
            f"--price {unused[0]}=...: no model of this command is called that; there are {', '.join(used)}"
        )
    return running.model_copy(
        update={"prices": {used.get(name, name): price for name, price in running.prices.items()}}
    )
