"""``rnnprog sweep``: the same cells at several memory budgets, as one exam."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from rnnprog.cli import flags
from rnnprog.cli.models import options

__all__ = ["sweep_command"]


def sweep_command(
    task: Annotated[Optional[str], typer.Argument(help="A task (weather, sp500, regimes, ...) or a file.")] = None,
    memory_budget: Annotated[
        str, typer.Option(help="Budgets in tokens.", rich_help_panel=flags.EXAM)
    ] = "128,256,512,1024,2048",
    cells: Annotated[
        Optional[str], typer.Option(help=r"Cells to walk at each budget \[reflective].", rich_help_panel=flags.EXAM)
    ] = None,
    control: flags.Control = None,
    seeds: flags.Seeds = None,
    delay: flags.Delay = None,
    warm_start: flags.WarmStart = None,
    limit: flags.Limit = None,
    option: flags.Options = None,
    signature: flags.Signature = None,
    target: flags.Target = None,
    order_by: flags.OrderBy = None,
    sequence_by: flags.SequenceBy = None,
    lm: flags.ExamLm = None,
    lm_option: flags.LmOptions = None,
    patience: flags.Patience = None,
    concurrency: flags.Concurrency = None,
    max_calls: flags.MaxCalls = None,
    max_tokens: flags.MaxTokens = None,
    max_usd: flags.MaxUsd = None,
    price: flags.Prices = None,
    only_estimate: flags.OnlyEstimate = False,
    config: Annotated[
        Optional[Path],
        typer.Option(help="TOML file with further settings, as for compare.", rich_help_panel=flags.EXAM),
    ] = None,
    out: flags.ExamFolder = None,
    as_json: flags.AsJson = False,
) -> None:
    """Walk cells at several memory budgets over the same data: how much memory is worth its tokens?"""
    from rnnprog.cli.examining import examine
    from rnnprog.errors import ConfigurationError

    try:
        budgets = [int(text) for text in memory_budget.split(",") if text.strip()]
    except ValueError as error:
        raise ConfigurationError(f"--memory-budget {memory_budget!r} is not a list such as 128,256,512") from error
    if not budgets or min(budgets) < 1:
        raise ConfigurationError(f"--memory-budget {memory_budget!r}: give at least one budget of 1 token or more")
    if twice := sorted({budget for budget in budgets if budgets.count(budget) > 1}):
        raise ConfigurationError(f"--memory-budget {memory_budget!r}: {twice[0]} stands there twice; name it once")
    columns = {"target": target, "order_by": order_by, "sequence_by": sequence_by}
    given = {**options(option or [], "--option"), **{name: value for name, value in columns.items() if value}}
    settings: dict[str, Any] = {
        "task": task,
        "memory_budgets": budgets,
        "cells": flags.names(cells),
        "control": control,
        "seeds": seeds,
        "delay": delay,
        "warm_start": warm_start,
        "limit": limit,
        "options": given or None,
        "signature": signature,
        "model": lm,
        "model_options": options(lm_option or [], "--lm-option") or None,
        "patience": patience,
        "concurrency": concurrency,
        "max_calls": max_calls,
        "max_tokens": max_tokens,
        "max_usd": max_usd,
        "prices": options(price or [], "--price") or None,
    }
    if code := examine(settings, config, out, only_estimate=only_estimate, as_json=as_json):
        raise typer.Exit(code)
