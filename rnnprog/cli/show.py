"""``rnnprog show``: a recorded walk, step by step, with what changed in the memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

__all__ = ["show_command"]


def show_command(
    trace: Annotated[Path, typer.Argument(help="A trace.jsonl, or the folder that holds one.")],
    step: Annotated[Optional[int], typer.Option(min=0, help="Show one step in full.")] = None,
    sequence: Annotated[Optional[str], typer.Option(help="Which sequence; the first by default.")] = None,
    first: Annotated[int, typer.Option(min=0, help="First step of the overview.")] = 0,
    last: Annotated[Optional[int], typer.Option(min=0, help="Last step of the overview.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as JSON lines.")] = False,
) -> None:
    """Show a recorded walk: an overview line for each step, or one step in full with its memory diff."""
    from rich.console import Console

    from rnnprog.errors import TraceError
    from rnnprog.report.terminal import memory_panels, step_panel, walk_table
    from rnnprog.trace_io import read_traces, step_line

    traces = {t.sequence: t for t in read_traces(trace / "trace.jsonl" if trace.is_dir() else trace)}
    if sequence is not None and sequence not in traces:
        raise TraceError(f"{trace} has no sequence {sequence!r}; it has {', '.join(traces)}")
    walk = traces[sequence] if sequence is not None else next(iter(traces.values()))
    if step is not None and step >= len(walk):
        raise TraceError(f"sequence {walk.sequence!r} has no step {step}; its last is {len(walk) - 1}")
    if as_json:
        for record in walk.records:
            if step in (None, record.t):
                typer.echo(step_line(walk.sequence, record))
        return
    console = Console()
    if step is not None:
        console.print(step_panel(walk, step))
        return
    console.print(walk_table(walk, first, last))
    console.print(memory_panels(walk, named=len(traces) > 1))
    if len(traces) > 1:
        console.print(
            f"{len(traces)} sequences: {', '.join(traces)}; choose with --sequence", style="dim", markup=False
        )
    if walk.error:
        console.print(f"ended early: {walk.error}", style="red", markup=False)
