"""The app and its exit codes; heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module

import typer

from rnnprog.cli.compare import compare_command
from rnnprog.cli.report import report_command
from rnnprog.cli.run import run_command
from rnnprog.cli.show import show_command
from rnnprog.cli.sweep import sweep_command

__all__ = ["EXIT_DATA", "EXIT_INTERRUPTED", "EXIT_LM", "app", "main"]

EXIT_DATA = 2
EXIT_LM = 3
EXIT_INTERRUPTED = 130

# Commands whose rooms are heavy or optional: name -> (module, attribute, help).
LATER = {
    "tune": ("rnnprog.cli.tune", "app", "Search for better prompts and memory settings, with Optuna."),
    "latent": ("rnnprog.latent.cli", "app", "Trained memory in the latent space of a frozen encoder-decoder."),
}


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Turn any frozen LLM into a recurrent predictor whose memory can be trusted.",
    pretty_exceptions_enable=False,
)
app.command("run")(run_command)
app.command("show")(show_command)
app.command("compare")(compare_command)
app.command("sweep")(sweep_command)
app.command("report")(report_command)


def _later(name: str, module: str, attribute: str, told: str) -> None:
    """Add a command whose room is imported when it is called; all its arguments are its own to read."""

    def forward(ctx: typer.Context) -> None:
        room = getattr(import_module(module), attribute)
        code = room(ctx.args, prog_name=f"rnnprog {name}", standalone_mode=False)
        if isinstance(code, int) and code:  # an inner app returns its exit code, as after Ctrl-C
            raise typer.Exit(code)

    own = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command(name, help=told, context_settings=own)(forward)


for _name, _where in LATER.items():
    _later(_name, *_where)


def main() -> None:
    """Run the app; expected errors become one line on stderr and an exit code.

    Exit codes: 0 done, 1 an unexpected error or a sequence that ended early, 2 bad data, arguments, configuration or
    files, 3 the model cannot be used, 4 not complete: a cap was reached, or walks of an exam broke off,
    130 interrupted. What was done until then is written.
    """
    from rnnprog.errors import LMUnavailableError, RnnprogError

    try:
        app()
    except LMUnavailableError as error:
        _say(error)
        sys.exit(EXIT_LM)
    except RnnprogError as error:
        _say(error)
        sys.exit(EXIT_DATA)
    except OSError as error:  # a file that nobody else has a word for
        place = f" at {error.filename!r}" if error.filename else ""
        _say(type(error)(f"{error.strerror or error}{place}; what was written before is kept"))
        sys.exit(EXIT_DATA)
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and stop.code != EXIT_INTERRUPTED:  # typer makes this code of a Ctrl-C
            raise
        _leave_at_once()
        sys.exit(EXIT_INTERRUPTED)


def _leave_at_once() -> None:
    """Leave without the calls in flight, where there are any: Python would wait for their threads, for minutes."""
    if any(thread.name.startswith("rnnprog") for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_INTERRUPTED)


def _say(error: Exception) -> None:
    typer.secho(f"{type(error).__name__}: {error}", fg="red", err=True)
