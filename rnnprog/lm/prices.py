"""What tokens cost: prices that the user states, before those of dspy's price list."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import dspy

from rnnprog.errors import ConfigurationError
from rnnprog.memory import Value

__all__ = ["Price", "Prices", "price_of", "read_prices"]

_MILLION = 1_000_000


class Price(Value):
    """What a model costs.

    Attributes:
        sent: USD for a million tokens sent.
        received: USD for a million tokens received.

    Example:
        >>> Price(sent=0.15, received=0.6).of(1_000_000, 500_000)
        0.45
    """

    sent: float
    received: float

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return what a call costs, in USD."""
        return (prompt_tokens * self.sent + completion_tokens * self.received) / _MILLION


Prices = Mapping[str, Price]
"""Stated prices, by name of the model."""


def price_of(lm: dspy.LM | None, stated: Prices | None = None) -> Price | None:
    """Return the price of a model: the stated one, else that of dspy's price list, ``None`` where neither knows it.

    Args:
        lm: the model.
        stated: prices that stand above the list.
    """
    if lm is None:
        return None
    if stated and lm.model in stated:
        return stated[lm.model]
    if not isinstance(getattr(lm, "_engine_spec", "auto"), str):
        return None  # an engine of one's own, as the stand-in has: nobody sends a bill
    from dspy.clients.model_metadata import model_info, rate

    provider, slash, name = lm.model.partition("/")
    info = model_info(provider, name) if slash else {}
    sent, received = rate(info, "input_cost_per_token"), rate(info, "output_cost_per_token")
    if sent is None or received is None:
        return None
    return Price(sent=sent * _MILLION, received=received * _MILLION)


def read_prices(given: object) -> dict[str, Price]:
    """Read prices as a TOML table or flags have them: by model, USD for a million tokens sent and received.

    A model that runs at home costs ``0,0``.

    Raises:
        ConfigurationError: not two amounts of money for each model.

    Example:
        >>> read_prices({"openai/gpt-4o-mini": [0.15, 0.6], "ollama_chat/llama3.2": "0,0"})["openai/gpt-4o-mini"].sent
        0.15
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"prices are {given!r}; give a table such as prices = {{'openai/x' = [0.15, 0.6]}}")
    return {str(name): _price(str(name), value) for name, value in given.items()}


def _price(name: str, value: Any) -> Price:
    if isinstance(value, Price):
        return value
    parts = value.split(",") if isinstance(value, str) else value
    try:
        sent, received = (float(part) for part in parts)
    except (TypeError, ValueError):
        sent = received = math.nan
    if not (0 <= sent < math.inf and 0 <= received < math.inf):
        raise ConfigurationError(
            f"the price of {name!r} is {value!r}; give USD for a million tokens sent and for a million received, "
            f"e.g. {name}=0.15,0.60"
        )
    return Price(sent=sent, received=received)
