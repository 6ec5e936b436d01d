"""Run by tests in processes of their own: one search on the planted world, as a user's script would make it.

With ``kills`` the search is first started and killed with -9 once for each entry, as soon as so many calls were made;
the processes are forked, so that each costs no start of Python.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import dspy
import optuna

from rnnprog.optimizers import Instructions, OptunaTuner, PairedPruner, Schedule, Space
from rnnprog.optimizers.planted import (
    COLOURS,
    PLANTED_MODEL,
    PlantedEngine,
    planted_lm,
    planted_program,
    planted_sequences,
)
from rnnprog.optimizers.sampling import derive_seed

UNLUCKY = "The unlucky one: it does badly wherever it begins."


class UnluckyEngine(PlantedEngine):
    """Right as often as a table says: by text, and by the sequence that an observation belongs to.

    The unlucky text is worse than the student on the first sequences that it happens to meet, and right on all others.
    """

    def __init__(self, given: dict[str, Any], judged: list[Any]) -> None:
        super().__init__(delay=given.get("delay", 0.0), log=given.get("log"))
        order = list(range(len(judged)))
        random.Random(derive_seed(0, "order", 1)).shuffle(order)  # the user's first text has place 1
        self.met_first = order[:3]
        self.where = {
            (step.inputs["signal"], step.inputs["station"]): (i, t, step.target["colour"])
            for i, sequence in enumerate(judged)
            for t, step in enumerate(sequence.steps)
        }

    def _predict(self, prompt: Any) -> str:
        i, t, truth = self.where[int(prompt.inputs["signal"]), prompt.inputs["station"]]
        usual = 1 + i % 2  # of three
        if UNLUCKY in prompt.instruction:
            right = {self.met_first[0]: usual, self.met_first[1]: usual, self.met_first[2]: usual - 1}.get(i, 3)
        elif "Changeable" in prompt.instruction:
            right = 3 * (i % 2)
        else:
            right = 0 if "Hopeless" in prompt.instruction else usual
        return truth if t < right else COLOURS[(COLOURS.index(truth) + 1) % 4]


def search(given: dict[str, Any]) -> None:
    """Search, and print what came of it."""
    program = planted_program(budget=128)
    sequences = planted_sequences(given.get("sequences", 9), steps=given.get("steps", 3))
    options: dict[str, Any] = {}
    if given.get("unlucky"):
        program.set_lm(dspy.LM(PLANTED_MODEL, engine=UnluckyEngine(given, sequences[3:]), cache=False))
        texts = (UNLUCKY, "Changeable: all or nothing.", "Hopeless: always wrong.")
        parts = (
            Instructions(phase="predictor", texts=texts, proposals=0),
            Instructions(phase="reflector", texts=("Blame the station.",), proposals=0),
        )
        options = {"space": Space(parts=parts), "pruner": PairedPruner(len(sequences) - 3, revisit=6)}
    else:
        program.set_lm(planted_lm(delay=given.get("delay", 0.0), log=given.get("log")))
    tuner = OptunaTuner(
        "accuracy",
        schedule=Schedule(
            trials=given.get("trials", 7),
            concurrency=given.get("concurrency", 1),
            rounds=0 if given.get("unlucky") else 2,
            round_every=4,
            proposals=3,
            walks=2,
        ),
        storage=given.get("storage"),
        folder=given.get("folder"),
        study_name=given.get("study", "tune"),
        **options,
    )
    compiled = tuner.compile(program, trainset=sequences[:3], valset=sequences[3:])
    rows = [
        {
            k: log.get(k)
            for k in (
                "place",
                "params",
                "values",
                "pruned_after",
                "candidate",
                "state",
                "retry_of",
                "same_as",
                "continues",
            )
        }
        for log in compiled.trial_logs.values()
    ]
    paid: dict[int, int] = {}
    for entry in compiled.ledger.entries:
        paid[entry.trial] = paid.get(entry.trial, 0) + entry.calls
    spent = compiled.ledger.spent
    keys = [(e.kind, *e.key) for e in compiled.ledger.entries if e.kind != "unfinished"]
    print(
        json.dumps(
            {
                "rows": rows,
                "calls": spent.calls,
                "tokens": spent.tokens,
                "keys": keys,
                "paid": paid,
                "tally": compiled.tally.model_dump(),
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
