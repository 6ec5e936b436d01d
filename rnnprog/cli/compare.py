"""``rnnprog compare``: an exam from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from rnnprog.cli import flags
from rnnprog.cli.models import options

__all__ = ["compare_command"]

_JUDGE = "Scoring by a judge, after the walks"


def compare_command(
    task: Annotated[
        Optional[str], typer.Argument(help="A task (weather, sp500, regimes, ...) or a CSV, JSONL or Parquet file.")
    ] = None,
    cells: Annotated[
        Optional[str],
        typer.Option(
            help="Cells to compare, e.g. reflective,memprompt; or all; river:linear_model.PARegressor.",
            rich_help_panel=flags.EXAM,
        ),
    ] = None,
    control: flags.Control = None,
    seeds: flags.Seeds = None,
    budget: Annotated[
        Optional[int], typer.Option(min=1, help="Memory budget in tokens [512].", rich_help_panel=flags.EXAM)
    ] = None,
    delay: flags.Delay = None,
    delay_by: Annotated[
        Optional[str],
        typer.Option(help=r"What the delay counts: steps, time or days \[steps].", rich_help_panel=flags.EXAM),
    ] = None,
    warm_start: flags.WarmStart = None,
    metric: flags.Metric = None,
    limit: flags.Limit = None,
    option: flags.Options = None,
    cell_option: flags.CellOptions = None,
    config: Annotated[
        Optional[Path],
        typer.Option(help="TOML file with these settings; flags go before it.", rich_help_panel=flags.EXAM),
    ] = None,
    preset: Annotated[
        Optional[str],
        typer.Option(
            help="Settings of a published experiment: llm-as-rnn; others go before.", rich_help_panel=flags.EXAM
        ),
    ] = None,
    signature: flags.Signature = None,
    target: flags.Target = None,
    order_by: flags.OrderBy = None,
    sequence_by: flags.SequenceBy = None,
    lm: flags.ExamLm = None,
    lm_option: flags.LmOptions = None,
    patience: flags.Patience = None,
    judge: Annotated[
        Optional[str], typer.Option(metavar="KIND", help="match or alignment.", rich_help_panel=_JUDGE)
    ] = None,
    judge_lm: Annotated[
        Optional[str], typer.Option(metavar="NAME", help="The judge, named as --lm is.", rich_help_panel=_JUDGE)
    ] = None,
    judge_lm_option: Annotated[
        Optional[list[str]], typer.Option(metavar="NAME=VALUE", help="As --lm-option.", rich_help_panel=_JUDGE)
    ] = None,
    judge_field: Annotated[
        Optional[str], typer.Option(help="Output to look at; all of them if left out.", rich_help_panel=_JUDGE)
    ] = None,
    judge_top_k: Annotated[
        Optional[int],
        typer.Option(min=1, help="Entries of a ranked answer that count; for match.", rich_help_panel=_JUDGE),
    ] = None,
    judge_truth: Annotated[
        Optional[str],
        typer.Option(help=r"With top k: any of several true things, or the first \[any].", rich_help_panel=_JUDGE),
    ] = None,
    concurrency: flags.Concurrency = None,
    max_calls: flags.MaxCalls = None,
    max_tokens: flags.MaxTokens = None,
    max_usd: flags.MaxUsd = None,
    price: flags.Prices = None,
    only_estimate: flags.OnlyEstimate = False,
    out: flags.ExamFolder = None,
    prompts: Annotated[
        Optional[bool], typer.Option("--prompts", help="Keep every prompt for the page.", rich_help_panel=flags.OUT)
    ] = None,
    as_json: flags.AsJson = False,
) -> None:
    """Walk several cells over the same data with the same model and budget, and say what memory gained and cost."""
    from rnnprog.cli.examining import by_cell, examine

    columns = {"target": target, "order_by": order_by, "sequence_by": sequence_by}
    given = {**options(option or [], "--option"), **{name: value for name, value in columns.items() if value}}
    settings: dict[str, Any] = {
        "task": task,
        "cells": flags.names(cells),
        "control": control,
        "seeds": seeds,
        "budget": budget,
        "delay": delay,
        "delay_by": delay_by,
        "warm_start": warm_start,
        "metric": metric,
        "limit": limit,
        "options": given or None,
        "cell_options": by_cell(options(cell_option or [], "--cell-option")) or None,
        "signature": signature,
        "model": lm,
        "model_options": options(lm_option or [], "--lm-option") or None,
        "patience": patience,
        "concurrency": concurrency,
        "max_calls": max_calls,
        "max_tokens": max_tokens,
        "max_usd": max_usd,
        "prices": options(price or [], "--price") or None,
        "prompts": prompts,
        "preset": preset,
        "judge": {
            "kind": judge,
            "lm": judge_lm,
            "lm_options": options(judge_lm_option or [], "--judge-lm-option") or None,
            "field": judge_field,
            "top_k": judge_top_k,
            "truth": judge_truth,
        },
    }
    if code := examine(settings, config, out, only_estimate=only_estimate, as_json=as_json):
        raise typer.Exit(code)
