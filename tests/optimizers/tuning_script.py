"""Run by tests in processes of their own: one search on the planted world, as a user's script would make it."""

from __future__ import annotations

import json
import sys
import warnings

import optuna

from rnnprog.optimizers import OptunaTuner, Schedule
from rnnprog.optimizers.planted import planted_lm, planted_program, planted_sequences

if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
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
