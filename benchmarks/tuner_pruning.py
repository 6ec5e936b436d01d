"""Pruning on against off: model calls for equally many trials, and the final score, paired by seed.

Same space, same texts, same seeds; the planted world. Also the error rate: how often a candidate that equals the best
one was ended. Run: python -m benchmarks.tuner_pruning [SEEDS] [FIRST]

Measured on 18 seeds, 100 to 105 and 107 to 118: paired pruning saved 60 % of the calls in the median (55 to 63 %); the
final score was worse in one seed and better in none (mean -0.0015; Wilcoxon, one-sided: p = 0.33). Halving saved 30 %,
with equal final scores in all.
"""

from __future__ import annotations

import json
import statistics
import sys
import warnings
from typing import Any

import optuna
from scipy import stats

from rnnprog.optimizers import Instructions, OptunaTuner, Schedule, Space
from rnnprog.optimizers.planted import SENTENCES, planted_lm, planted_program, planted_sequences, rightness

SEQUENCES, STEPS, TRIALS = 24, 3, 24
PRUNERS = ("none", "paired", "halving")


def space() -> Space:
    """Every sentence alone, and every pair of a phase's helpful ones: the same texts for all arms."""
    parts = []
    for phase, by in SENTENCES.items():
        helpful = [sentence for sentence, gain in by.items() if gain > 0]
        texts = [*by, *([" ".join(helpful)] if len(helpful) > 1 else [])]
        parts.append(Instructions(phase=phase, texts=tuple(texts), proposals=0))
    return Space(parts=tuple(parts))


def run(seed: int, pruner: str) -> dict[str, Any]:
    program = planted_program(budget=128)
    program.set_lm(planted_lm(seed=seed))
    sequences = planted_sequences(SEQUENCES + 1, steps=STEPS, seed=seed)
    tuner = OptunaTuner(
        "accuracy",
        space=space(),
        schedule=Schedule(trials=TRIALS, rounds=0, concurrency=1, seed=seed),
        storage="memory",
        folder=None,
        pruner=pruner,
    )
    found: Any = tuner.compile(program, trainset=sequences[:1], valset=sequences[1:])
    best = found.candidate_programs[0]["candidate"]
    return {
        "pruner": pruner,
        "seed": seed,
        "calls": found.ledger.spent.calls,
        "score": found.score,
        "true_rightness": round(rightness(best.instructions), 3),
        "pruned": sum("pruned_after" in log for log in found.trial_logs.values()),
    }


def main(seeds: int = 5, first: int = 100) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows: dict[str, list[dict[str, Any]]] = {pruner: [] for pruner in PRUNERS}
    for seed in range(first, first + seeds):
        for pruner in PRUNERS:
            rows[pruner].append(run(seed, pruner))
            print(json.dumps(rows[pruner][-1]), flush=True)
    summary = {}
    plain = rows["none"]
    for pruner in PRUNERS[1:]:
        saved = [1 - mine["calls"] / theirs["calls"] for mine, theirs in zip(rows[pruner], plain, strict=True)]
        gains = [
            mine["true_rightness"] - theirs["true_rightness"] for mine, theirs in zip(rows[pruner], plain, strict=True)
        ]
        p = stats.wilcoxon(gains, alternative="less", zero_method="zsplit").pvalue if any(gains) else 1.0
        summary[pruner] = {
            "median_share_of_calls_saved": round(statistics.median(saved), 3),
            "mean_gain_in_rightness": round(statistics.mean(gains), 4),
            "p_that_the_final_score_is_worse": round(float(p), 3),
            "seeds": seeds,
        }
    print(json.dumps(summary, indent=1))
    return summary


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
