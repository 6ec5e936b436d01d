"""``rnnprog report``: the page, figures and tables of a result or a trace."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

__all__ = ["report_command"]

_SEARCH = "tuning.json"


class Dress(str, Enum):
    """How tables are written."""

    md = "md"
    latex = "latex"


def report_command(
    source: Annotated[Path, typer.Argument(help="A result.json, a trace.jsonl, a tuning.json, or the folder of one.")],
    out: Annotated[Optional[Path], typer.Option(help=r"Where the page goes \[page.html beside the source].")] = None,
    figures: Annotated[Optional[Path], typer.Option(help="Folder for figures, as SVG and PNG.")] = None,
    tables: Annotated[Optional[Dress], typer.Option(help="Print the tables in Markdown or LaTeX.")] = None,
) -> None:
    """Write the page of an exam, a walk, a search or rnnprog latent table: one HTML file that needs no network."""
    from rnnprog.errors import ConfigurationError
    from rnnprog.report.arms import arm_rows
    from rnnprog.report.build import build, load
    from rnnprog.report.columns import columns_of
    from rnnprog.report.dress import to_latex, to_markdown
    from rnnprog.report.figures import save_figures
    from rnnprog.report.tables import (
        cost_table,
        further_table,
        memory_table,
        recovery_table,
        result_table,
    )
    from rnnprog.report.tuning import build_tuning

    if source.is_dir() and not (source / "result.json").is_file() and (source / "trace.jsonl").is_file():
        source = source / "trace.jsonl"
    folder = source if source.is_dir() else source.parent
    if source.name == _SEARCH or (not (source / "result.json").is_file() and (source / _SEARCH).is_file()):
        if figures is not None or tables is not None:
            raise ConfigurationError("--figures and --tables show exams and walks; the page of a search has its own")
        typer.echo(f"page: {build_tuning(folder / _SEARCH, out or folder / 'tuning.html')}")
        return
    page = build(source, out or folder / "page.html")
    typer.echo(f"page: {page}", err=tables is not None)
    if figures is None and tables is None:
        return
    exam = load(source)
    if figures is not None:
        for path in save_figures(exam, figures):
            typer.echo(f"figure: {path}", err=tables is not None)
    if tables is not None:
        rows = arm_rows(exam, columns_of(exam))
        dress = to_latex if tables is Dress.latex else to_markdown
        found = [result_table(exam, rows), further_table(exam), cost_table(exam)]
        found += [recovery_table(exam, rows), memory_table(rows)]
        typer.echo("\n\n".join(dress(table) for table in found if table.rows))
