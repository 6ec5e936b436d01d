"""A hand-written walk: predict, reflect, rewrite, with nothing of the package's own loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dspy
import pytest

from rnnprog.lm.embedded import embedded_lm
from rnnprog.schema import DEFAULT_SCHEMA
from rnnprog.signatures import Reflect, Rewrite, as_task, as_text, derive_predict


@dataclass
class Walk:
    answers: list[dict[str, Any]] = field(default_factory=list)
    memories: list[str] = field(default_factory=list)
    critiques: list[dict[str, str]] = field(default_factory=list)


def walk(
    task: Any,
    steps: Sequence[tuple[dict[str, Any], dict[str, Any]]],
    *,
    learn: bool = True,
    budget: int = 600,
    predictor_order: str = "",
    rewriter: str | None = None,
    adapter: Any = None,
    lm: Any = None,
) -> Walk:
    task = as_task(task)
    signature = derive_predict(task)
    signature = signature.with_instructions(f"{signature.instructions}\n{predictor_order}")
    rewrite = Rewrite if rewriter is None else Rewrite.with_instructions(rewriter)
    predict, reflect, update = dspy.Predict(signature), dspy.Predict(Reflect), dspy.Predict(rewrite)
    memory, done = DEFAULT_SCHEMA.initial().render(), Walk()
    with dspy.context(lm=lm or embedded_lm(), adapter=adapter or dspy.ChatAdapter(), disable_history=True, trace=None):
        for inputs, target in steps:
            said = predict(memory=memory, **inputs)
            answer = {name: said[name] for name in task.outputs}
            done.answers.append(answer)
            if not learn:
                continue
            right = answer == target
            evidence = f"The true outcome was:\n  {as_text(target)}\nThe answer was {'right' if right else 'wrong'}."
            seen = {"observation": as_text(inputs), "answer": as_text(answer), "evidence": evidence}
            critique = reflect(**seen)
            done.critiques.append(dict(critique))
            memory = update(
                memory=memory,
                critique=as_text(dict(critique)),
                headings=DEFAULT_SCHEMA.describe(),
                budget_tokens=budget,
                **seen,
            ).new_memory
            done.memories.append(memory)
    return done


@pytest.fixture(name="walk")
def _walk() -> Callable[..., Walk]:
    return walk
