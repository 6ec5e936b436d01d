"""Initial memories distilled from what memories came to hold on training sequences."""

from __future__ import annotations

from collections import Counter

import dspy
from pydantic import JsonValue

from rnnprog.budget import fit
from rnnprog.cells.reflective import Reflective
from rnnprog.errors import MemoryFormatError
from rnnprog.memory import Memory
from rnnprog.optimizers.candidate import cells_of
from rnnprog.optimizers.options import Option
from rnnprog.optimizers.rounds import Request, Walked

__all__ = ["DistilNotes", "propose_start_memory"]


class DistilNotes(dspy.Signature):
    """Several series of the same kind were worked through, each with notes of its own. Write the notes that one should
    start a new, unseen series with: what held in all or most of them. Leave out what was particular to one series:
    its names, its counts, its order of events. Use exactly the headings in `headings`, each as a line that starts
    with ##, and under each one short sentence a line that starts with "- ". Use at most `budget_tokens` tokens.
    """

    notes: str = dspy.InputField(desc="the last notes of each series, best series first, with its score")
    headings: str = dspy.InputField(desc="the headings to use, each with what belongs under it")
    budget_tokens: int = dspy.InputField(desc="the most tokens that the notes may take")
    start_notes: str = dspy.OutputField(desc="the notes to start a new series with")


def propose_start_memory(request: Request, lm: dspy.LM | None) -> tuple[list[Option], list[str]]:
    """Return start memories: what most walks ended up noting, one written by a model, the best walk's last memory.

    Args:
        request: what is asked for.
        lm: writes one of them; ``None`` leaves that one out.
    """
    cell = next(iter(cells_of(request.program)), None)
    finals = [(walked, memory) for walked in request.walks if (memory := _final(walked.trace.final)) is not None]
    if cell is None or not finals:
        return [], ["start_memory: no walk ended with a memory in words"]
    settings = cell.settings.value
    found: list[tuple[str, Memory]] = []
    refused: list[str] = []
    if lm is not None:
        try:
            found.append(("written by a model from the last notes", _written(finals, cell, lm)))
        except (MemoryFormatError, ValueError) as error:
            refused.append(f"start_memory: the model's notes cannot be used: {error}")
    found.append(("notes that most walks ended up with", _shared([memory for _, memory in finals])))
    found.append((f"last notes of {finals[0][0].item.id}", finals[0][1]))
    options: list[Option] = []
    labels = list(request.labels)
    known: list[JsonValue] = [option.value for option, _ in request.tried]
    for why, memory in found:
        # Half the budget stays free for what the new series teaches.
        fitted = fit(memory, max(settings.budget // 2, 1), settings.layout, cell.tokenizer)
        value = fitted.memory.model_dump(mode="json")
        if not labels or not fitted.memory.items or fitted.tokens > settings.budget or value in known:
            continue
        known.append(value)
        options.append(
            Option(
                part=request.part.name,
                label=labels.pop(0),
                value=value,
                origin="proposed",
                round=request.round,
                parents=(request.base.options.get(request.part.name, "student"),),
                why=why,
            )
        )
    return options, refused


def _final(carry: JsonValue) -> Memory | None:
    try:
        return Memory.model_validate(carry)
    except ValueError:
        return None


def _shared(memories: list[Memory]) -> Memory:
    """Keep the items that at least half of the memories hold, most common first."""
    counts = Counter(item for memory in memories for item in set(memory.items))
    need = max(2, (len(memories) + 1) // 2) if len(memories) > 1 else 1
    common = [item for item, count in counts.most_common() if count >= need]
    shared = memories[0]
    for section in shared.sections:
        shared = shared.with_items(section.key, tuple(text for key, text in sorted(common) if key == section.key))
    return shared


def _written(finals: list[tuple[Walked, Memory]], cell: Reflective, lm: dspy.LM) -> Memory:
    notes = "\n\n".join(
        f"Series {walked.item.id}, score {walked.score:.3f}:\n{memory.render()}" for walked, memory in finals
    )
    settings = cell.settings.value
    with dspy.context(lm=lm):
        said = dspy.Predict(DistilNotes)(
            notes=notes, headings=settings.layout.describe(), budget_tokens=settings.budget // 2
        )
    return settings.layout.parse(str(said.start_notes)).memory
