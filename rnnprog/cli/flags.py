"""Flags that several commands have: declared once, so that they mean and say the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

DATA = "Your own data"
MODEL = "Model"
EXAM = "Exam"
LIMITS = "What it may cost"
OUT = "Output"

_MODELS = "embedded, openai/..., ollama_chat/..., replay:FILE"

# A bracket that opens a word needs a backslash: the help would read it as markup and show nothing.
Signature = Annotated[Optional[str], typer.Option(help='e.g. "rain: float -> tomorrow: str"', rich_help_panel=DATA)]
Target = Annotated[Optional[str], typer.Option(help="next:COLUMN or COLUMN", rich_help_panel=DATA)]
OrderBy = Annotated[Optional[str], typer.Option(help="Column with the order of rows.", rich_help_panel=DATA)]
SequenceBy = Annotated[Optional[str], typer.Option(help="Column that names the sequence.", rich_help_panel=DATA)]

Control = Annotated[
    Optional[str], typer.Option(help=r"What the others are compared with \[empty_memory].", rich_help_panel=EXAM)
]
Seeds = Annotated[Optional[int], typer.Option(min=1, help="Repetitions [1].", rich_help_panel=EXAM)]
Delay = Annotated[
    Optional[float], typer.Option(min=0, help="How long until a label arrives [0].", rich_help_panel=EXAM)
]
WarmStart = Annotated[
    Optional[float],
    typer.Option(min=0, max=0.9, help="Share of the data to learn from before scoring [0].", rich_help_panel=EXAM),
]
Metric = Annotated[Optional[str], typer.Option(help="What decides; by default the task's first.", rich_help_panel=EXAM)]
CellOptions = Annotated[
    Optional[list[str]],
    typer.Option(metavar="CELL.NAME=VALUE", help="E.g. memprompt.k=3.", rich_help_panel=EXAM),
]
Limit = Annotated[Optional[int], typer.Option(min=1, help="Steps to walk, over all sequences.", rich_help_panel=EXAM)]
Options = Annotated[
    Optional[list[str]],
    typer.Option(metavar="NAME=VALUE", help="Option of the task, e.g. n_steps=60.", rich_help_panel=EXAM),
]

Lm = Annotated[str, typer.Option(help=_MODELS, rich_help_panel=MODEL)]
ExamLm = Annotated[Optional[str], typer.Option(help=rf"{_MODELS} \[embedded]", rich_help_panel=MODEL)]
LmOptions = Annotated[
    Optional[list[str]],
    typer.Option(
        metavar="NAME=VALUE",
        help="Argument of dspy.LM, e.g. temperature=0.7, timeout=60 (seconds), api_base=http://localhost:8000/v1.",
        rich_help_panel=MODEL,
    ),
]

Patience = Annotated[
    Optional[int],
    typer.Option(min=1, help="Steps in a row without any reply that end a walk [3].", rich_help_panel=MODEL),
]

Concurrency = Annotated[Optional[int], typer.Option(min=1, help="Walks in flight [8].", rich_help_panel=LIMITS)]
MaxCalls = Annotated[
    Optional[int], typer.Option(min=0, help="Model calls that may be paid for.", rich_help_panel=LIMITS)
]
MaxTokens = Annotated[Optional[int], typer.Option(min=0, help="Tokens that may be paid for.", rich_help_panel=LIMITS)]
MaxUsd = Annotated[Optional[float], typer.Option(min=0, help="Money that may be spent.", rich_help_panel=LIMITS)]
Prices = Annotated[
    Optional[list[str]],
    typer.Option(metavar="MODEL=IN,OUT", help="USD for a million tokens sent, received.", rich_help_panel=LIMITS),
]
OnlyEstimate = Annotated[
    bool, typer.Option("--estimate", help="Say what it would cost, and stop.", rich_help_panel=LIMITS)
]

ExamFolder = Annotated[Optional[Path], typer.Option(help="Folder; an exam found there goes on.", rich_help_panel=OUT)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.", rich_help_panel=OUT)]


def names(text: str | None) -> list[str] | None:
    """Return the names in a comma-separated list; ``None`` where none was given.

    Example:
        >>> names("reflective, memprompt,")
        ['reflective', 'memprompt']
    """
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
