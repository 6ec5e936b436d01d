"""Run by tests in processes of their own: one search on the planted world, as a user's script would make it.

With ``kills`` the search is first started and killed with -9 once for each entry, as soon as so many calls were made;
the processes are forked, so that each costs no start of Python.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import optuna

from rnnprog.optimizers import OptunaTuner, Schedule
from rnnprog.optimizers.planted import planted_lm, planted_program, planted_sequences


def search(given: dict[str, Any]) -> None:
    """Search, and print what came of it."""
    program = planted_program(budget=128)
    program.set_lm(planted_lm(delay=given.get("delay", 0.0), log=given.get("log")))
    sequences = planted_sequences(given.get("sequences", 9), steps=given.get("steps", 3))
    tuner = OptunaTuner(
        "accuracy",
        schedule=Schedule(
            trials=given.get("trials", 7),
            concurrency=given.get("concurrency", 1),
            rounds=2,
            round_every=4,
            proposals=3,
            walks=2,
        ),
        storage=given.get("storage"),
        folder=given.get("folder"),
        study_name=given.get("study", "tune"),
    )
    compiled = tuner.compile(program, trainset=sequences[:3], valset=sequences[3:])
    rows = [
        {
            k: log.get(k)
            for k in ("place", "params", "values", "pruned_after", "candidate", "state", "retry_of", "same_as")
        }
        for log in compiled.trial_logs.values()
    ]
    spent = compiled.ledger.spent
    keys = [(e.kind, *e.key) for e in compiled.ledger.entries if e.kind != "unfinished"]
    print(
        json.dumps(
            {
                "rows": rows,
                "calls": spent.calls,
                "tokens": spent.tokens,
                "keys": keys,
                "score": compiled.score,
                "stopped": compiled.stopped,
                "best": compiled.candidate_programs[0]["candidate"].digest,
            }
        )
    )


def killed(given: dict[str, Any], calls: int) -> None:
    """Begin the search in a process of its own, and kill it after so many calls of all processes so far."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        search(given)
        os._exit(0)
    log, deadline = Path(given["log"]), time.monotonic() + 60
    while not log.exists() or log.read_bytes().count(b"\n") < calls:
        assert os.waitpid(child, os.WNOHANG) == (0, 0), f"the search was over before call {calls}"
        assert time.monotonic() < deadline, f"call {calls} never came"
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for moment in given.get("kills", ()):
        killed({**given, "delay": given.get("kill_delay", 0.0)}, moment)
    search(given)
