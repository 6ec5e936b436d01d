"""What the search itself costs in wall time with a model of 50 ms a call, and what workers bring.

Overhead is measured against walking the same candidates over the same sequences without a study. Storage: a journal
file, SQLite, memory; PostgreSQL with four processes where a server is given.

Run: python benchmarks/tuner_overhead.py [POSTGRESQL_URL]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import optuna

from rnnprog.optimizers import Instructions, OptunaTuner, Schedule, Space
from rnnprog.optimizers.planted import planted_lm, planted_program, planted_sequences

DELAY, STEPS, SEQUENCES, TRIALS = 0.05, 5, 8, 4
SHARED_TRIALS = 9
TEXTS = tuple(f"Answer from the notes and the observation, variant {n}." for n in range(16))


def tune(
    storage: str, folder: Path | None, trials: int = TRIALS, sequences: int = SEQUENCES
) -> tuple[float, float, Any]:
    """Wall seconds, processor seconds, and the result."""
    program = planted_program(budget=128)
    program.set_lm(planted_lm(delay=DELAY))
    made = planted_sequences(sequences + 1, steps=STEPS)
    tuner = OptunaTuner(
        "accuracy",
        space=Space(parts=(Instructions(phase="predictor", texts=TEXTS, proposals=0),)),
        schedule=Schedule(trials=trials, rounds=0, concurrency=1),
        storage=storage,
        folder=folder,
        pruner="none",
    )
    start, cpu = time.perf_counter(), time.process_time()
    found: Any = tuner.compile(program, trainset=made[:1], valset=made[1:])
    return time.perf_counter() - start, time.process_time() - cpu, found


def by_hand() -> tuple[float, float]:
    """The same walks without a study."""
    program = planted_program(budget=128)
    program.set_lm(planted_lm(delay=DELAY))
    made = planted_sequences(SEQUENCES + 1, steps=STEPS)[1:]
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(TRIALS):
        for sequence in made:
            program(steps=sequence.steps)
    return time.perf_counter() - start, time.process_time() - cpu


def overhead() -> dict[str, Any]:
    tune("memory", None, trials=1, sequences=1)  # imports and first calls
    plain, plain_cpu = by_hand()
    rows: dict[str, Any] = {"by_hand_seconds": round(plain, 2)}
    with tempfile.TemporaryDirectory() as folder:
        for name, where in (("memory", "memory"), ("journal", f"{folder}/j"), ("sqlite", f"sqlite:///{folder}/s.db")):
            seconds, cpu, _ = tune(where, Path(folder, name))
            rows[name] = {
                "seconds": round(seconds, 2),
                "share_over_by_hand": round(seconds / plain - 1, 4),
                # On a busy machine wall time is mostly the neighbours'; processor time is the search's own.
                "processor_share": round((cpu - plain_cpu) / plain, 4),
            }
    return rows


def workers(url: str, count: int) -> float:
    """Sequence evaluations a second of ``count`` processes on one study."""
    code = "import sys; from benchmarks.tuner_overhead import one_worker; one_worker(sys.argv[1], sys.argv[2])"
    name = f"workers-{count}-{time.time_ns()}"
    running = [
        subprocess.Popen([sys.executable, "-c", code, url, name], stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    spans = [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]
    seconds = max(span["end"] for span in spans) - min(span["begin"] for span in spans)
    return float(SHARED_TRIALS * SEQUENCES / seconds)


def one_worker(url: str, name: str) -> None:
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    program = planted_program(budget=128)
    program.set_lm(planted_lm(delay=DELAY))
    made = planted_sequences(SEQUENCES + 1, steps=STEPS)
    begin = time.time()
    OptunaTuner(
        "accuracy",
        space=Space(parts=(Instructions(phase="predictor", texts=TEXTS, proposals=0),)),
        schedule=Schedule(trials=SHARED_TRIALS, rounds=0, concurrency=1),
        storage=url,
        study_name=name,
        folder=None,
        pruner="none",
    ).compile(program, trainset=made[:1], valset=made[1:])
    print(json.dumps({"begin": begin, "end": time.time()}))


def main(url: str | None = None) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows: dict[str, Any] = {"overhead": overhead()}
    if url is not None:
        one, four = workers(url, 1), workers(url, 4)
        rows["workers"] = {"one": round(one, 2), "four": round(four, 2), "ratio": round(four / one, 2)}
    print(json.dumps(rows, indent=1))
    return rows


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
