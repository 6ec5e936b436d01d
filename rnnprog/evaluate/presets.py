"""Settings of published experiments, as far as they are known, to start an exam from."""

from __future__ import annotations

from typing import Any

from rnnprog.errors import ConfigurationError

__all__ = ["PRESETS", "preset"]

PRESETS: dict[str, dict[str, Any]] = {
    "llm-as-rnn": {
        "cells": ["reflective", "zero_shot", "full_history", "running_summaries"],
        "budget": 4096,
        "cell_options": {
            "full_history": {"context_budget": 4096},
            "running_summaries": {"budget": 4096},
        },
        "model_options": {"temperature": 0.7, "max_tokens": 2048},
        "seeds": 3,
    },
}
"""By name, settings as a TOML file has them; flags and file go before them.

``llm-as-rnn`` (arXiv 2601.13352): the three rivals of the paper beside the method, and the control that the paper
lacks. The budget is the one beyond which more memory added little; the paper's sweep is
``rnnprog sweep TASK --memory-budget 512,1024,2048,4096,8192``. Temperature and output tokens are those of a public
re-implementation. Rivals get the same budget as the method. For its clinical task use ``mimic_iv`` with
``labels=note`` and ``fields=llm-as-rnn``, a judge (``match`` on ``diagnoses``, top 1 and top 5), and read the column
"last step": the paper scores the last visit of each patient. Data, target and unit of its weather and stock tasks
are not known, so ``weather`` and ``sp500`` are tasks of our own.
"""


def preset(name: str) -> dict[str, Any]:
    """Return the settings of a published experiment.

    Raises:
        ConfigurationError: no such preset.

    Example:
        >>> preset("llm-as-rnn")["budget"]
        4096
    """
    if name not in PRESETS:
        raise ConfigurationError(f"no preset is called {name!r}; there are: {', '.join(PRESETS)}")
    return {key: value.copy() if isinstance(value, (dict, list)) else value for key, value in PRESETS[name].items()}
