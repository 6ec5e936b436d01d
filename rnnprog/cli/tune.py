"""``rnnprog tune``: search for better prompts, watch it, and see what it was worth on data held out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from rnnprog.cli import flags
from rnnprog.cli.models import EMBEDDED, model, options

if TYPE_CHECKING:
    from rnnprog.cli.tuning import Tuning
    from rnnprog.optimizers import Budget, Space
    from rnnprog.tasks import TaskData

__all__ = ["app"]

app = typer.Typer(add_completion=False, help="Search for better prompts and memory settings.")

_SEARCH, _LIMITS, _STORE = "Search", "Limits", "Storage"
_ENOUGH = 12  # sequences; a task with fewer is cut into windows
_SHARES = (0.2, 0.3)  # for writing prompts, for judging them; the rest is held out, for an answer that can be trusted


@app.command()
def tune(
    task: Annotated[str, typer.Argument(help="A task (regimes, weather, ...) or a CSV, JSONL or Parquet file.")],
    signature: flags.Signature = None,
    target: flags.Target = None,
    order_by: flags.OrderBy = None,
    sequence_by: flags.SequenceBy = None,
    trials: Annotated[int, typer.Option(min=1, help="Candidates to try.", rich_help_panel=_SEARCH)] = 30,
    seed: Annotated[int, typer.Option(help="Of everything random.", rich_help_panel=_SEARCH)] = 0,
    objectives: Annotated[
        str, typer.Option(help="score, or several for a Pareto front: score,tokens", rich_help_panel=_SEARCH)
    ] = "score",
    metric: Annotated[Optional[str], typer.Option(help="By default the task's own.", rich_help_panel=_SEARCH)] = None,
    constraint: Annotated[
        Optional[list[str]],
        typer.Option(metavar="MEASURE=MOST", help="e.g. tokens_per_step=900", rich_help_panel=_SEARCH),
    ] = None,
    space: Annotated[
        Optional[Path], typer.Option(help="JSON file with a search space.", rich_help_panel=_SEARCH)
    ] = None,
    pruner: Annotated[str, typer.Option(help="paired, wilcoxon, halving or none", rich_help_panel=_SEARCH)] = "paired",
    option: Annotated[
        Optional[list[str]],
        typer.Option(
            metavar="NAME=VALUE", help="Option of the task, or of reading a file.", rich_help_panel=flags.DATA
        ),
    ] = None,
    prompt: Annotated[
        Optional[list[str]],
        typer.Option(metavar="PHASE=TEXT", help="Start from this instruction.", rich_help_panel=_SEARCH),
    ] = None,
    window: Annotated[
        int, typer.Option(min=2, help="Cut long sequences into windows of so many steps.", rich_help_panel=_SEARCH)
    ] = 16,
    limit: Annotated[
        Optional[int], typer.Option(min=1, help="Steps of the task to use.", rich_help_panel=_SEARCH)
    ] = None,
    budget_calls: Annotated[
        Optional[int], typer.Option(help="Model calls at most, for the search.", rich_help_panel=_LIMITS)
    ] = None,
    budget_tokens: Annotated[Optional[int], typer.Option(help="Tokens at most.", rich_help_panel=_LIMITS)] = None,
    budget_money: Annotated[Optional[float], typer.Option(help="Money at most.", rich_help_panel=_LIMITS)] = None,
    budget_minutes: Annotated[Optional[float], typer.Option(help="Minutes at most.", rich_help_panel=_LIMITS)] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would cost at most, and stop.", rich_help_panel=_LIMITS)
    ] = False,
    storage: Annotated[
        Optional[str],
        typer.Option(
            help="A folder, sqlite:///FILE, postgresql://..., grpc://HOST:PORT, memory.", rich_help_panel=_STORE
        ),
    ] = None,
    study: Annotated[Optional[str], typer.Option(help="Name of the study.", rich_help_panel=_STORE)] = None,
    out: Annotated[
        Optional[Path], typer.Option(help="Folder for the study and the program.", rich_help_panel=_STORE)
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.", rich_help_panel=_STORE)] = 1,
    report: Annotated[
        bool,
        typer.Option("--report", help="Write the page of the search as it stands, and stop.", rich_help_panel=_STORE),
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, help="Sequences in flight.", rich_help_panel=flags.MODEL)] = 8,
    lm: flags.Lm = EMBEDDED,
    lm_option: flags.LmOptions = None,
    prompt_lm: Annotated[
        Optional[str], typer.Option(help="Model that writes prompts; by default the same.", rich_help_panel=flags.MODEL)
    ] = None,
    as_json: flags.AsJson = False,
    worker: Annotated[bool, typer.Option("--worker", hidden=True)] = False,
) -> None:
    """Tune the prompts of a recurrent program on a task; run the same command again to go on where it stopped."""
    from rnnprog.cli.own import task_or_file
    from rnnprog.cli.tuning import Tuning
    from rnnprog.optimizers import Objective, OptunaTuner, Schedule

    name = study or Path(task).stem
    folder = out or Path("runs", "tune", name)
    if report:
        typer.echo(_report(folder, storage, name))
        return
    columns = {"target": target, "order_by": order_by, "sequence_by": sequence_by}
    data = _windowed(task_or_file(task, signature, columns, options(option or [], "--option"), limit), window)
    limits = _limits(constraint or [])
    lms = {"model": model(lm, lm_option or []), "prompt_model": model(prompt_lm, []) if prompt_lm else None}
    tuner = OptunaTuner(
        Objective(metric or data.metrics[0], objectives=tuple(objectives.split(",")), constraints=limits),
        space=None if space is None else _space(space),
        schedule=Schedule(trials=trials, seed=seed, concurrency=concurrency),
        budget=_budget(calls=budget_calls, tokens=budget_tokens, money=budget_money, minutes=budget_minutes),
        storage=storage,
        study_name=name,
        folder=folder,
        pruner=pruner,
        prompt_model=lms["prompt_model"],
    )
    prompts = options(prompt or [], "--prompt")
    quiet = as_json or worker
    tuning = Tuning(tuner, data, lms["model"], _SHARES, prompts, quiet=quiet, embedded=lm == EMBEDDED)
    if dry_run:
        tuning.tell_estimate()
        return
    if worker:
        tuning.search()
        return
    _refuse_lonely_memory(storage, workers)
    _search(tuning, workers)
    tuning.tell()
    _report(folder)
    if tuning.interrupted:
        raise KeyboardInterrupt
    _say_gone(tuning.program.stopped)


def _say_gone(stopped: str) -> None:
    """End with an error where the search is not over, however good what was found."""
    from rnnprog.optimizers import StorageError
    from rnnprog.optimizers.search import GONE

    if stopped.startswith(GONE):
        raise StorageError(f"{stopped}; what was finished is kept: see to it, and the same command goes on")


def _search(tuning: Tuning, workers: int) -> None:
    if workers == 1:
        tuning.search()
        return
    from rnnprog.cli.workers import other_workers

    with other_workers(workers - 1, sys.argv[1:]) as others:
        tuning.search()
        if tuning.interrupted:
            others.stop()
    if not tuning.interrupted:
        tuning.gather()


def _windowed(data: TaskData, window: int) -> TaskData:
    from dataclasses import replace

    from rnnprog.metrics import get_metric
    from rnnprog.optimizers import windows

    if len(data) < _ENOUGH:
        data = replace(data, sequences=tuple(windows(data.sequences, window)))
    metrics = tuple(get_metric(name, field=data.task.outputs[0]).name for name in data.metrics)
    return replace(data, metrics=metrics)


def _budget(**limits: float | None) -> Budget:
    from pydantic import ValidationError

    from rnnprog.errors import ConfigurationError
    from rnnprog.optimizers import Budget

    try:
        return Budget.model_validate(limits)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(
            f"--budget-{first['loc'][0]} {first['input']}: {first['msg']}; leave it out for no limit"
        ) from error


def _limits(given: list[str]) -> dict[str, float]:
    limits = options(given, "--constraint")
    for name, most in limits.items():
        if isinstance(most, bool) or not isinstance(most, (int, float)):
            from rnnprog.errors import ConfigurationError

            raise ConfigurationError(f"--constraint {name}={most}: the limit must be a number")
    return {name: float(most) for name, most in limits.items()}


def _report(folder: Path, storage: str | None = None, name: str | None = None) -> str:
    """Write the page; of a search by name as it stands in its storage, else of what was last written down."""
    from rnnprog.optimizers.record import record_as_it_stands, write_record
    from rnnprog.report.tuning import build_tuning

    if name is not None and (standing := record_as_it_stands(storage, folder, name)) is not None:
        write_record(standing, folder / "tuning.json")
    return str(build_tuning(folder / "tuning.json", folder / "tuning.html"))


def _refuse_lonely_memory(storage: str | None, workers: int) -> None:
    if storage == "memory" and workers > 1:
        from rnnprog.errors import ConfigurationError

        raise ConfigurationError("--workers need a storage that processes can share; leave --storage memory out")


def _space(path: Path) -> Space:
    """Read a search space.

    Raises:
        ConfigurationError: the file is missing or holds no search space.
    """
    from pydantic import ValidationError

    from rnnprog.errors import ConfigurationError
    from rnnprog.optimizers import Space

    try:
        return Space.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"--space {path}: {error.strerror}; give a file with a search space as JSON"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigurationError(
            f"--space {path}: {where}: {first['msg']}; Space.model_dump_json() of a search space writes such a file"
        ) from error
