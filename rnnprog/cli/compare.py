"""``rnnprog compare``: an exam from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from rnnprog.cli.models import options

__all__ = ["compare_command"]

_DATA = "Your own data"
_MODEL = "Model"
_EXAM = "Exam"
_JUDGE = "Scoring by a judge, after the walks"
_LIMITS = "What it may cost"
_OUT = "Output"


def compare_command(
    task: Annotated[
        Optional[str], typer.Argument(help="A task (weather, sp500, regimes, ...) or a CSV, JSONL or Parquet file.")
    ] = None,
    cells: Annotated[
        Optional[str],
        typer.Option(
            help="Cells to compare, e.g. reflective,memprompt; or all; river:linear_model.PARegressor.",
            rich_help_panel=_EXAM,
        ),
    ] = None,
    control: Annotated[
        Optional[str], typer.Option(help="What the others are compared with [empty_memory].", rich_help_panel=_EXAM)
    ] = None,
    seeds: Annotated[Optional[int], typer.Option(min=1, help="Repetitions [1].", rich_help_panel=_EXAM)] = None,
    budget: Annotated[
        Optional[int], typer.Option(min=1, help="Memory budget in tokens [512].", rich_help_panel=_EXAM)
    ] = None,
    delay: Annotated[
        Optional[float], typer.Option(min=0, help="How long until a label arrives [0].", rich_help_panel=_EXAM)
    ] = None,
    delay_by: Annotated[
        Optional[str], typer.Option(help="What the delay counts: steps, time or days [steps].", rich_help_panel=_EXAM)
    ] = None,
    warm_start: Annotated[
        Optional[float],
        typer.Option(min=0, max=0.9, help="Share of the data to learn from before scoring [0].", rich_help_panel=_EXAM),
    ] = None,
    metric: Annotated[
        Optional[str], typer.Option(help="What decides; by default the task's first.", rich_help_panel=_EXAM)
    ] = None,
    limit: Annotated[
        Optional[int], typer.Option(min=1, help="Steps to walk, over all sequences.", rich_help_panel=_EXAM)
    ] = None,
    option: Annotated[
        Optional[list[str]],
        typer.Option(metavar="NAME=VALUE", help="Option of the task, e.g. n_steps=60.", rich_help_panel=_EXAM),
    ] = None,
    cell_option: Annotated[
        Optional[list[str]],
        typer.Option(metavar="CELL.NAME=VALUE", help="E.g. memprompt.k=3.", rich_help_panel=_EXAM),
    ] = None,
    config: Annotated[
        Optional[Path], typer.Option(help="TOML file with these settings; flags go before it.", rich_help_panel=_EXAM)
    ] = None,
    preset: Annotated[
        Optional[str],
        typer.Option(help="Settings of a published experiment: llm-as-rnn; others go before.", rich_help_panel=_EXAM),
    ] = None,
    signature: Annotated[
        Optional[str], typer.Option(help='e.g. "rain: float -> tomorrow: str"', rich_help_panel=_DATA)
    ] = None,
    target: Annotated[Optional[str], typer.Option(help="next:COLUMN or COLUMN", rich_help_panel=_DATA)] = None,
    order_by: Annotated[
        Optional[str], typer.Option(help="Column with the order of rows.", rich_help_panel=_DATA)
    ] = None,
    sequence_by: Annotated[
        Optional[str], typer.Option(help="Column that names the sequence.", rich_help_panel=_DATA)
    ] = None,
    lm: Annotated[
        Optional[str],
        typer.Option(help="embedded, openai/..., ollama_chat/..., replay:FILE [embedded]", rich_help_panel=_MODEL),
    ] = None,
    lm_option: Annotated[
        Optional[list[str]],
        typer.Option(metavar="NAME=VALUE", help="Argument of dspy.LM, e.g. temperature=0.7.", rich_help_panel=_MODEL),
    ] = None,
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
        typer.Option(help="With top k: any of several true things, or the first [any].", rich_help_panel=_JUDGE),
    ] = None,
    concurrency: Annotated[
        Optional[int], typer.Option(min=1, help="Walks in flight [8].", rich_help_panel=_LIMITS)
    ] = None,
    max_calls: Annotated[
        Optional[int], typer.Option(min=0, help="Model calls that may be paid for.", rich_help_panel=_LIMITS)
    ] = None,
    max_tokens: Annotated[
        Optional[int], typer.Option(min=0, help="Tokens that may be paid for.", rich_help_panel=_LIMITS)
    ] = None,
    max_usd: Annotated[
        Optional[float], typer.Option(min=0, help="Money that may be spent.", rich_help_panel=_LIMITS)
    ] = None,
    price: Annotated[
        Optional[list[str]],
        typer.Option(metavar="MODEL=IN,OUT", help="USD for a million tokens sent, received.", rich_help_panel=_LIMITS),
    ] = None,
    only_estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it would cost, and stop.", rich_help_panel=_LIMITS)
    ] = False,
    out: Annotated[
        Optional[Path], typer.Option(help="Folder; an exam found there goes on.", rich_help_panel=_OUT)
    ] = None,
    prompts: Annotated[
        Optional[bool], typer.Option("--prompts", help="Keep every prompt for the page.", rich_help_panel=_OUT)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.", rich_help_panel=_OUT)
    ] = False,
) -> None:
    """Walk several cells over the same data with the same model and budget, and say what memory gained and cost."""
    from rnnprog.cli.examining import Sitting, by_cell

    columns = {"target": target, "order_by": order_by, "sequence_by": sequence_by}
    given = {**options(option or [], "--option"), **{name: value for name, value in columns.items() if value}}
    flags: dict[str, Any] = {
        "task": task,
        "cells": None if cells is None else [name.strip() for name in cells.split(",") if name.strip()],
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
    sitting = Sitting(flags, config, out, quiet=as_json)
    told = sitting.estimate()
    if not only_estimate:
        raise typer.Exit(sitting.walk())
    if as_json:
        typer.echo(json.dumps(told))
