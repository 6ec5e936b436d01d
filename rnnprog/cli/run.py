"""``rnnprog run``: walk a program over data, watch it, and keep what happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from rnnprog.cli import flags
from rnnprog.cli.models import EMBEDDED, model, options

if TYPE_CHECKING:
    from rnnprog.module import RecurrentModule
    from rnnprog.tasks import TaskData
    from rnnprog.trace import Result

__all__ = ["run_command"]

_WALK = "Walk"


def run_command(
    data: Annotated[str, typer.Argument(help="A task (weather, sp500, regimes, ...) or a CSV, JSONL or Parquet file.")],
    signature: flags.Signature = None,
    target: flags.Target = None,
    order_by: flags.OrderBy = None,
    sequence_by: flags.SequenceBy = None,
    option: Annotated[
        Optional[list[str]],
        typer.Option(
            metavar="NAME=VALUE",
            help="Of the task, e.g. target=temp_max; of a file: sort=true, missing=skip, 'delimiter=;', decimal=,",
            rich_help_panel=flags.DATA,
        ),
    ] = None,
    limit: Annotated[
        Optional[int], typer.Option(min=1, help="Steps to walk, over all sequences.", rich_help_panel=_WALK)
    ] = None,
    cell: Annotated[str, typer.Option(help="What predicts and learns.", rich_help_panel=_WALK)] = "reflective",
    cell_option: Annotated[
        Optional[list[str]],
        typer.Option(metavar="NAME=VALUE", help="Setting of the cell, e.g. budget=256.", rich_help_panel=_WALK),
    ] = None,
    control: Annotated[
        bool, typer.Option("--control", help="Also walk the same prompt with an empty memory.", rich_help_panel=_WALK)
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, help="Sequences in flight.", rich_help_panel=_WALK)] = 8,
    lm: flags.Lm = EMBEDDED,
    lm_option: flags.LmOptions = None,
    patience: flags.Patience = None,
    record: Annotated[
        Optional[Path], typer.Option(help="Record every model call into this file.", rich_help_panel=flags.MODEL)
    ] = None,
    out: Annotated[
        Optional[Path], typer.Option(help="Folder for trace.jsonl and page.html.", rich_help_panel=flags.OUT)
    ] = None,
    prompts: Annotated[
        bool, typer.Option("--prompts", help="Keep every prompt, for the page; needs --out.", rich_help_panel=flags.OUT)
    ] = False,
    as_json: flags.AsJson = False,
) -> None:
    """Walk a program over a task or over your own file: predict, learn from each outcome, keep a readable trace."""
    from rnnprog.cli.own import task_or_file
    from rnnprog.cli.walking import CONTROL, Walker

    columns = {"target": target, "order_by": order_by, "sequence_by": sequence_by}
    task = task_or_file(data, signature, columns, options(option or [], "--option"), limit)
    program = _program(task, cell, options(cell_option or [], "--cell-option"), patience)
    walker = Walker(task, model(lm, lm_option or [], record), out, concurrency, quiet=as_json, prompts=prompts)
    arms = {cell: walker.walk(program, keep=True)}
    if control and not arms[cell].interrupted and walker.unwritten is None:
        arms[CONTROL] = walker.walk(_control(program, cell), keep=False)
    walker.tell(arms, embedded=lm == EMBEDDED)
    if code := _exit_code(arms[cell]):
        raise typer.Exit(code)


def _exit_code(result: Result) -> int:
    """Return what a script should know: 130 interrupted, 3 a model could not be used or never was, 1 another error."""
    from rnnprog.report.failures import broken_off, never_answered

    if result.interrupted:
        return 130
    errors = broken_off(result.traces).values()
    down = any(error.startswith("LMUnavailableError") for error in errors)
    return 3 if down or never_answered(result.traces) else 1 if errors else 0


def _program(task: TaskData, cell: str, settings: dict[str, Any], patience: int | None) -> RecurrentModule:
    import rnnprog

    policy = rnnprog.FailurePolicy() if patience is None else rnnprog.FailurePolicy(patience=patience)
    return rnnprog.RecurrentModule(rnnprog.make_cell(cell, task.task, **settings), failures=policy)


def _control(program: RecurrentModule, cell: str) -> RecurrentModule:
    import rnnprog

    if not isinstance(program.cell, rnnprog.Reflective):
        raise rnnprog.ConfigurationError(f"--control holds the memory of a reflective cell empty; the cell is {cell!r}")
    return rnnprog.RecurrentModule(rnnprog.EmptyMemory.of(program.cell), failures=program.failures)
