"""The sub-commands ``rnnprog latent demo | train | evaluate | table``: parse, call, print."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from rnnprog.errors import RnnprogError
from rnnprog.latent.errors import LatentError, MissingExtraError

app = typer.Typer(no_args_is_help=True, help="Trained memory in the latent space of a frozen encoder-decoder.")

Folder = Annotated[Path, typer.Option("--out", help="where results go")]
BackboneName = Annotated[str, typer.Option("--backbone", help="'tiny', a folder, or a hub name of a T5-family model")]
Data = Annotated[str, typer.Option("--data", help="'synthetic', or the path of your LoCoMo copy")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:0")]
Dtype = Annotated[str, typer.Option("--dtype", help="float32 or bfloat16")]
Threads = Annotated[int, typer.Option("--threads", help="CPU threads, 0 leaves torch's choice")]


def _say(line: str) -> None:
    typer.echo(line)


@app.command()
def demo(out: Folder = Path("runs/latent"), seed: int = 0, device: Device = "cpu", threads: Threads = 0) -> None:
    """Train a tiny backbone and show what recalls and what does not, in a few minutes."""
    with _explained():
        from rnnprog.latent.demo import EDGES, DemoPlan
        from rnnprog.latent.demo import demo as run
        from rnnprog.latent.screen import show

        _threads(threads)
        show(run(out, DemoPlan(seed=seed, device=device), _say), EDGES)


@app.command()
def table(
    out: Folder = Path("runs/latent"),
    seeds: Annotated[int, typer.Option(help="seeds 0..n-1 for every cell")] = 3,
    steps: int = 300,
    forms: Annotated[str, typer.Option(help="some of measured, paper, proxy, repaired")] = "measured,repaired,paper",
    methods: Annotated[str, typer.Option(help="some of M.1 to M.6")] = "M.1,M.2,M.3,M.4,M.5,M.6",
    minutes: Annotated[float, typer.Option(help="start no further cell after this time; 0: no limit")] = 0.0,
    docs: Annotated[Path | None, typer.Option(help="a document whose marked tables are written anew")] = None,
    device: Device = "cpu",
    threads: Threads = 0,
) -> None:
    """Methods at two capacities, own bank against another conversation's and a zeroed one, over several seeds.

    Finished cells are kept: run the same command again to go on after an interruption.
    """
    with _explained():
        from rnnprog.latent.table import TablePlan, publish, run_table, tiny_job

        _threads(threads)
        plan = TablePlan(steps, tuple(range(seeds)), tuple(forms.split(",")), methods=tuple(methods.split(",")))
        job = tiny_job(out, plan, _say, device=device)
        typer.echo(publish(job, run_table(job, _say, minutes=minutes), docs))


@app.command()
def train(
    method: Annotated[str, typer.Option(help="M.1 to M.6")] = "M.4",
    form: Annotated[str, typer.Option(help="paper, proxy or repaired")] = "repaired",
    rows: Annotated[int, typer.Option(help="rows of the bank (M.4: side of its matrix); 0: the paper's 1x")] = 0,
    backbone: BackboneName = "tiny",
    data: Data = "synthetic",
    out: Folder = Path("runs/latent"),
    device: Device = "cpu",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of the training (steps, batch, rate, seed...) or dtype")
    ] = None,
) -> None:
    """Train an adapter; run the same command again to resume after an interruption."""
    with _explained():
        from rnnprog.latent import workbench

        values = dict(_pair(item) for item in settings or [])
        dtype = values.pop("dtype", "float32")
        config = _config(values)
        chosen = workbench.chosen_method(method, form, rows)
        bench = workbench.bench(backbone, data, workbench.Place(out, device, dtype), _say)
        path = workbench.train_adapter(bench, chosen, config, out, _say)
        typer.echo(f"adapter: {path}")


@app.command()
def evaluate(
    adapter: Annotated[list[Path], typer.Option(help="trained adapters (repeat for several)")],
    backbone: BackboneName = "tiny",
    data: Data = "synthetic",
    out: Folder = Path("runs/latent"),
    device: Device = "cpu",
    dtype: Dtype = "float32",
) -> None:
    """Examine trained adapters with all controls; writes exams and a picture."""
    with _explained():
        from rnnprog.latent import workbench
        from rnnprog.latent.screen import show

        bench = workbench.bench(backbone, data, workbench.Place(out, device, dtype), _say)
        exams = workbench.examine_adapters(bench, adapter, out)
        show(exams, bench.edges)


def _pair(item: str) -> tuple[str, str]:
    key, separator, value = item.partition("=")
    if not separator:
        raise LatentError(f"--set {item!r}: write key=value, as in --set steps=800")
    return key.strip(), value.strip()


def _config(values: dict[str, str]) -> Any:
    """Training settings from text; every key must exist."""
    from rnnprog.latent.train import TrainConfig

    known = {item.name: type(getattr(TrainConfig(), item.name)) for item in fields(TrainConfig)}
    known |= {"patience": int, "window": int}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise LatentError(f"--set {unknown[0]}: no such setting; there are {', '.join(sorted(known))}, dtype")
    return TrainConfig(**{key: _typed(key, value, known[key]) for key, value in values.items()})


def _typed(key: str, value: str, kind: Any) -> Any:
    if kind is bool:
        return value.lower() in ("1", "true", "yes")
    try:
        return kind(value)
    except ValueError:
        raise LatentError(f"--set {key}={value}: {key} takes a value like {kind(3)}") from None


def _threads(count: int) -> None:
    if count > 0:
        import torch

        torch.set_num_threads(count)


class _explained:
    """Turns errors that the user can act on into one line and exit code 2."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ModuleNotFoundError):
            error = MissingExtraError.because(error)
        if isinstance(error, RnnprogError | MissingExtraError):
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None


if __name__ == "__main__":
    app()
