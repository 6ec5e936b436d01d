"""A rule that changes mid-sequence, made from a seed, with known limits on what any predictor can reach.

Three inputs of three values each and three labels. In each regime one input decides the label, one value for each
label; the others say nothing. With probability ``noise`` the label is replaced by one of the other two. At a change
another input becomes the deciding one.

The accuracies that follow, with K = 3 labels and noise e:

* knowing the rule: :func:`best_accuracy` = max(1 - e, e / (K - 1));
* knowing nothing, or following the rule of the regime before: :func:`chance_accuracy` = 1 / K. The stale rule looks
  at an input that is now independent of the label, and every label is equally likely.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import dspy
import numpy as np

from rnnprog.errors import ConfigurationError
from rnnprog.tasks.base import TaskData, make_task
from rnnprog.tasks.registry import register_task
from rnnprog.trace import Sequence, Step

__all__ = ["FIELDS", "LABELS", "NextTurn", "best_accuracy", "chance_accuracy", "regimes"]

FIELDS: dict[str, tuple[str, ...]] = {
    "colour": ("red", "green", "blue"),
    "shape": ("circle", "square", "star"),
    "size": ("small", "medium", "large"),
}
LABELS = ("left", "right", "straight")


class NextTurn(dspy.Signature):
    """Predict which way the object turns. One of its features decides, and which one may change over time."""

    colour: Literal["red", "green", "blue"] = dspy.InputField()
    shape: Literal["circle", "square", "star"] = dspy.InputField()
    size: Literal["small", "medium", "large"] = dspy.InputField()
    turn: Literal["left", "right", "straight"] = dspy.OutputField(desc="which way it turns")


def best_accuracy(noise: float) -> float:
    """Return the accuracy of a predictor that knows the rule in force; no predictor can expect more.

    Example:
        >>> best_accuracy(0.1)
        0.9
    """
    return max(1.0 - noise, noise / (len(LABELS) - 1))


def chance_accuracy() -> float:
    """Return the accuracy of any fixed label, of guessing, and of the rule of the regime before."""
    return 1.0 / len(LABELS)


@register_task("regimes")
def regimes(
    n_sequences: int = 1, n_steps: int = 200, n_changes: int = 1, noise: float = 0.1, seed: int = 0
) -> TaskData:
    """Sequences whose rule changes: does a predictor learn it, and does it recover?

    Each sequence has ``meta["changes"]`` (steps at which a new rule comes into force), ``meta["rules"]`` (the
    deciding input of each regime and its labels) and ``meta["noise"]``. Sequence i is the same whatever
    ``n_sequences`` is. Nothing is downloaded; source: made here.

    Args:
        n_sequences: how many, each with rules and changes of its own.
        n_steps: steps in each.
        n_changes: changes in each, about evenly spaced.
        noise: probability of a wrong label, 0 to 1.
        seed: equal seeds give equal data.

    Raises:
        ConfigurationError: a number out of its range.

    Example:
        >>> regimes(n_steps=100).sequences[0].meta["changes"]
        [...]
    """
    if n_sequences < 1 or n_steps < 1 or n_changes < 0 or not 0 <= noise <= 1 or seed < 0:
        raise ConfigurationError(
            f"regimes(n_sequences={n_sequences}, n_steps={n_steps}, n_changes={n_changes}, noise={noise}, "
            f"seed={seed}): give at least one sequence and step, no negative number, and noise between 0 and 1"
        )
    if n_steps < 4 * (n_changes + 1) and n_changes:
        raise ConfigurationError(
            f"regimes: {n_steps} steps are too few for {n_changes} changes; give at least {4 * (n_changes + 1)} steps"
        )
    sequences = [_sequence(i, n_steps, n_changes, noise, seed) for i in range(n_sequences)]
    data = make_task("regimes", NextTurn, sequences, about=f"generated, noise {noise}, seed {seed}")
    return data.with_floors("majority", "persistence", "markov")


def _sequence(index: int, n_steps: int, n_changes: int, noise: float, seed: int) -> Sequence:
    random = np.random.default_rng([seed, index])
    names = tuple(FIELDS)
    spacing = n_steps / (n_changes + 1)
    changes = [round(spacing * (k + 1) + random.uniform(-spacing / 8, spacing / 8)) for k in range(n_changes)]
    rules: list[tuple[str, dict[str, str]]] = []
    for _ in range(n_changes + 1):
        others = [name for name in names if not rules or name != rules[-1][0]]
        decides = others[random.integers(len(others))]
        labels = [LABELS[k] for k in random.permutation(len(LABELS))]
        rules.append((decides, dict(zip(FIELDS[decides], labels, strict=True))))
    steps: list[Step] = []
    for (start, stop), (decides, label_of) in zip(pairwise([0, *changes, n_steps]), rules, strict=True):
        for t in range(start, stop):
            inputs = {name: FIELDS[name][random.integers(len(FIELDS[name]))] for name in names}
            label = label_of[inputs[decides]]
            if random.random() < noise:
                wrong = [other for other in LABELS if other != label]
                label = wrong[random.integers(len(wrong))]
            steps.append(Step(inputs={**inputs}, target={"turn": label}, time=t))
    told = [
        {"from": start, "decides": name, "labels": {**labels}}
        for start, (name, labels) in zip([0, *changes], rules, strict=True)
    ]
    return Sequence(
        id=f"regimes-{index}", steps=tuple(steps), meta={"changes": [*changes], "rules": [*told], "noise": noise}
    )
