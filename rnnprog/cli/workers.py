"""Further processes for a search: the same command, told that it is one of several."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["WORKER", "Workers", "other_workers"]

WORKER = "--worker"
_OWN = {
    "--workers": True,
    "--json": False,
    WORKER: False,
}  # flags that are not passed on, and whether they take a value
# Ctrl-C may come while a worker still imports: that is no error worth a traceback.
_START = """
import sys
try:
    from rnnprog.cli import main
    main()
except KeyboardInterrupt:
    sys.exit(130)
"""
_PATIENCE = 600  # seconds for workers to finish the walks that are in flight


class Workers:
    """Processes that search along.

    Args:
        processes: the processes.
    """

    def __init__(self, processes: list[subprocess.Popen[bytes]]) -> None:
        self.processes = processes

    def stop(self) -> None:
        """Ask them to end, as Ctrl-C does: what they have finished is in the study."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)

    def wait(self) -> list[int]:
        """Wait for all of them, and return the exit codes of those that did not end well."""
        codes = [process.wait(timeout=_PATIENCE) for process in self.processes]
        return [code for code in codes if code]


@contextmanager
def other_workers(count: int, arguments: list[str]) -> Iterator[Workers]:
    """Start further workers with these arguments; none of them outlives the block.

    Args:
        count: how many.
        arguments: of this process, after the program's name.
    """
    command = [sys.executable, "-c", _START, *passed_on(arguments), WORKER]
    workers = Workers([subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(count)])
    try:
        yield workers
    except BaseException:
        workers.stop()
        raise
    finally:
        try:
            workers.wait()
        except BaseException:
            for process in workers.processes:
                process.kill()
            raise


def passed_on(arguments: list[str]) -> list[str]:
    """Return the arguments for a further worker.

    Example:
        >>> passed_on(["tune", "regimes", "--workers", "4", "--trials", "9", "--json"])
        ['tune', 'regimes', '--trials', '9']
    """
    kept: list[str] = []
    skip = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if skip:
            skip = False
        elif name in _OWN:
            skip = _OWN[name] and not equals
        else:
            kept.append(argument)
    return kept
