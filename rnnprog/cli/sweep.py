"""``rnnprog sweep``: the same cells at several memory budgets, as one exam."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from rnnprog.cli.models import options

__all__ = ["sweep_command"]


def sweep_command(
    task: Annotated[Optional[str], typer.Argument(help="A task (weather, sp500, regimes, ...) or a file.")] = None,
    memory_budget: Annotated[str, typer.Option(help="Budgets in tokens.")] = "128,256,512,1024,2048",
    cells: Annotated[Optional[str], typer.Option(help="Cells to walk at each budget [reflective].")] = None,
    control: Annotated[Optional[str], typer.Option(help="What the others are compared with [empty_memory].")] = None,
    seeds: Annotated[Optional[int], typer.Option(min=1, help="Repetitions [1].")] = None,
    delay: Annotated[Optional[float], typer.Option(min=0, help="Steps until a label arrives [0].")] = None,
    warm_start: Annotated[
        Optional[float], typer.Option(min=0, max=0.9, help="Share of the data to learn from before scoring [0].")
    ] = None,
    limit: Annotated[Optional[int], typer.Option(min=1, help="Steps to walk, over all sequences.")] = None,
    option: Annotated[
        Optional[list[str]], typer.Option(metavar="NAME=VALUE", help="Option of the task, e.g. n_steps=60.")
    ] = None,
    signature: Annotated[Optional[str], typer.Option(help="For a file: what its rows ask.")] = None,
    lm: Annotated[Optional[str], typer.Option(help="embedded, openai/..., replay:FILE [embedded]")] = None,
    lm_option: Annotated[Optional[list[str]], typer.Option(metavar="NAME=VALUE", help="Argument of dspy.LM.")] = None,
    concurrency: Annotated[Optional[int], typer.Option(min=1, help="Walks in flight [8].")] = None,
    max_calls: Annotated[Optional[int], typer.Option(min=0, help="Model calls that may be paid for.")] = None,
    max_tokens: Annotated[Optional[int], typer.Option(min=0, help="Tokens that may be paid for.")] = None,
    max_usd: Annotated[Optional[float], typer.Option(min=0, help="Money that may be spent.")] = None,
    price: Annotated[
        Optional[list[str]], typer.Option(metavar="MODEL=IN,OUT", help="USD for a million tokens sent, received.")
    ] = None,
    only_estimate: Annotated[bool, typer.Option("--estimate", help="Say what it would cost, and stop.")] = False,
    config: Annotated[Optional[Path], typer.Option(help="TOML file with further settings, as for compare.")] = None,
    out: Annotated[Optional[Path], typer.Option(help="Folder; an exam found there goes on.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Walk cells at several memory budgets over the same data: how much memory is worth its tokens?"""
    from rnnprog.cli.examining import Sitting
    from rnnprog.errors import ConfigurationError

    try:
        budgets = [int(text) for text in memory_budget.split(",") if text.strip()]
    except ValueError as error:
        raise ConfigurationError(f"--memory-budget {memory_budget!r} is not a list such as 128,256,512") from error
    flags: dict[str, Any] = {
        "task": task,
        "memory_budgets": list(dict.fromkeys(budgets)),
        "cells": None if cells is None else [name.strip() for name in cells.split(",") if name.strip()],
        "control": control,
        "seeds": seeds,
        "delay": delay,
        "warm_start": warm_start,
        "limit": limit,
        "options": options(option or [], "--option") or None,
        "signature": signature,
        "model": lm,
        "model_options": options(lm_option or [], "--lm-option") or None,
        "concurrency": concurrency,
        "max_calls": max_calls,
        "max_tokens": max_tokens,
        "max_usd": max_usd,
        "prices": options(price or [], "--price") or None,
    }
    sitting = Sitting(flags, config, out, quiet=as_json)
    told = sitting.estimate()
    if not only_estimate:
        raise typer.Exit(sitting.walk())
    if as_json:
        typer.echo(json.dumps(told))
