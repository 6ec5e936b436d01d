"""What the search itself costs in wall time with a model of 50 ms a call, and what workers bring.

Overhead is measured against walking the same candidates over the same sequences by hand, one call at a time in both,
nothing pruned. It holds all that the search adds: a study, drawing, notes, writing down, the saved program and record.
Opening a storage, once in a process (a database tests its version), is told apart: the searches here take 75 s. In
searches of 25 s, median of three, what a study costs once weighs more: SQLite 2.0 %, PostgreSQL 2.7 %.
Storage: a journal file, SQLite, memory, PostgreSQL; with the last also one process against four. Targets: the search
adds at most 2 % to the walks; four processes make at least three times the sequence evaluations of one.

    python -m benchmarks.tuner_overhead [POSTGRESQL_URL]

Without a URL a private server is started, where PostgreSQL is installed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import optuna

from benchmarks.postgres import server
from benchmarks.verdicts import verdict
from rnnprog.optimizers import Instructions, OptunaTuner, Schedule, Space
from rnnprog.optimizers.planted import planted_lm, planted_program, planted_sequences
from rnnprog.optimizers.storage import open_storage

DELAY, STEPS, SEQUENCES, TRIALS = 0.05, 5, 8, 12
TRIALS_EACH = 5  # of each worker, so that the end of the last trial weighs little
TEXTS = tuple(f"Answer from the notes and the observation, variant {n}." for n in range(64))


def tune(
    storage: Any, folder: Path | None, trials: int = TRIALS, sequences: int = SEQUENCES, name: str = "rnnprog"
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
        study_name=name,
        folder=folder,
        pruner="none",
    )
    start, cpu = time.perf_counter(), time.process_time()
    found: Any = tuner.compile(program, trainset=made[:1], valset=made[1:])
    return time.perf_counter() - start, time.process_time() - cpu, found


def by_hand() -> tuple[float, float]:
    """The same walks without a study: the student, then each text in turn, as the search tries them."""
    made = planted_sequences(SEQUENCES + 1, steps=STEPS)[1:]
    programs = []
    for trial in range(TRIALS):
        program = planted_program(budget=128)
        program.set_lm(planted_lm(delay=DELAY))
        if trial > 0:
            signature = program.cell.predictor.signature
            program.cell.predictor.signature = signature.with_instructions(TEXTS[trial - 1])
        programs.append(program)
    start, cpu = time.perf_counter(), time.process_time()
    for program in programs:
        for sequence in made:
            program(steps=sequence.steps)
    return time.perf_counter() - start, time.process_time() - cpu


def overhead(url: str | None) -> None:
    """Wall time of a search over that of the same walks, for each storage."""
    tune("memory", None, trials=1, sequences=1)  # imports and first calls
    plain, plain_cpu = by_hand()
    print(f"by hand: {plain:.2f} s for {TRIALS * SEQUENCES * STEPS * 3} calls")
    with tempfile.TemporaryDirectory() as folder:
        storages = {"memory": "memory", "journal": f"{folder}/j", "sqlite": f"sqlite:///{folder}/s.db"}
        if url is not None:
            storages["postgresql"] = url
        for name, where in storages.items():
            # Tables, imports and compiled queries are made once, not by every search.
            tune(where, Path(folder, f"{name}-warm"), trials=2, sequences=1, name="warm")
            start = time.perf_counter()
            storage = open_storage(where)
            opened = time.perf_counter() - start
            seconds, cpu, found = tune(storage, Path(folder, name))
            assert len(found.ledger.of("evaluation")) == TRIALS * SEQUENCES
            print(f"{name}: {seconds:.2f} s; processor {cpu - plain_cpu:+.2f} s; opened in {opened:.3f} s")
            verdict(f"search over the same walks by hand, {name}", 100 * (seconds / plain - 1), 2, "%")


def workers(url: str, count: int) -> float:
    """Sequence evaluations a second of ``count`` processes on one study.

    Counted from the moment when all are ready (imported, warmed up, the storage's tables made) to the last one's end.
    """
    code = "import sys; from benchmarks.tuner_overhead import one_worker; one_worker(*sys.argv[1:])"
    name, trials = f"workers-{count}-{time.time_ns()}", TRIALS_EACH * count
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, name, str(trials)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    start = time.perf_counter()
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate()[0].split() for process in running]
    seconds = time.perf_counter() - start
    if any(process.returncode for process in running):
        raise SystemExit("a worker ended with an error; what it said stands above")
    spent = [float(words[-1]) for words in said]
    calls = trials * SEQUENCES * STEPS * 3
    print(f"{count} at work: {trials * SEQUENCES} evaluations in {seconds:.1f} s; ", end="")
    print(f"{1e3 * sum(spent) / calls:.2f} ms of processor time a call, storage included")
    return trials * SEQUENCES / seconds


def one_worker(url: str, name: str, trials: str) -> None:
    """Search as one of several processes; says when it is ready, waits for a line, says what it cost."""
    quiet()
    tune("memory", None, trials=1, sequences=1)
    open_storage(url, None)
    print("ready", flush=True)
    sys.stdin.readline()
    _, cpu, _ = tune(url, None, trials=int(trials), name=name)
    print(cpu)


def quiet() -> None:
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def main(url: str | None = None) -> None:
    quiet()
    with nullcontext(url) if url else server() as found:
        overhead(found)
        if found is None:
            print("NOT MEASURED with PostgreSQL: it is not installed, and no server was given")
            return
        one, four = workers(found, 1), workers(found, 4)
        print(f"sequence evaluations a second: one worker {one:.2f}, four {four:.2f}")
        verdict("four workers on PostgreSQL / one", four / one, 3, at_least=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
