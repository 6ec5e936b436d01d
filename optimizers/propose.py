"""Writing candidate instructions: from whole trajectories and from what was tried before, by a model or offline."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import dspy

from rnnprog.lm.embedded import EMBEDDED_MODEL
from rnnprog.optimizers.demos import propose_demos
from rnnprog.optimizers.options import BASE, Option
from rnnprog.optimizers.parts import Demos, Instructions, StartMemory
from rnnprog.optimizers.rounds import Request
from rnnprog.optimizers.sampling import derive_seed
from rnnprog.optimizers.shortening import shortened
from rnnprog.optimizers.space import phases_of
from rnnprog.optimizers.stand_in import propose_orders
from rnnprog.optimizers.start_memory import propose_start_memory
from rnnprog.optimizers.trajectory import tell_walk

__all__ = ["DefaultProposer", "ProposeInstruction", "check_text"]

ROLES = {
    "predictor": "answers one step from the notes and the observation; it must not see the outcome",
    "reflector": "reads the answer and what became known, and writes a critique that the rewriter will read",
    "rewriter": "rewrites the notes for the next step from the old notes, the step, the outcome and the critique",
}
_ROLE = "one step of the program"
TIPS = (
    "Change what the walks show to be the main cause of errors; keep the rest.",
    "Be concrete: name what to look at, what to keep and in which order.",
    "Make it shorter without losing a rule that the walks show to matter.",
    "Say what to do when the notes and the newest evidence disagree.",
    "Say what the next phase needs from this one, and in which form.",
    "Start afresh: write it as an expert of the task would, using little of the old wording.",
)
_MARKER = re.compile(r"\[\[\s*##")
_LEAST, _MOST = 20, 4.0  # characters; times the length of the text that is replaced, or 4000 characters


class ProposeInstruction(dspy.Signature):
    """A program works through a series step by step with a frozen language model. At each step one phase answers from
    short notes, one reflects on the outcome, one rewrites the notes. You improve the instruction of one phase.
    Read the walks: find where the first error came and why, what the critique made of it, what the notes kept or lost
    afterwards, and what happened where the program recovered. Decide which of this belongs to the phase named in
    `phase`. Look at what was tried and how it scored. Then write a better instruction for this phase. It is used for
    other series of the same kind: no names, numbers or orders of events that belong to the series shown here.
    """

    task: str = dspy.InputField(desc="what the program predicts from what")
    phase: str = dspy.InputField(desc="the phase whose instruction is to be improved, and what it does")
    interface: str = dspy.InputField(desc="what the phase is given and what it must return")
    current: str = dspy.InputField(desc="its present instruction")
    walks: str = dspy.InputField(desc="walks made with the present program")
    tried: str = dspy.InputField(desc="instructions tried so far, with the best score each was part of")
    tip: str = dspy.InputField(desc="what to aim at this time")
    diagnosis: str = dspy.OutputField(
        desc="two or three sentences: what goes wrong in the walks and what this phase can do about it"
    )
    instruction: str = dspy.OutputField(desc="the complete new instruction, and nothing else")


@dataclass
class DefaultProposer:
    """Writes instructions with a model, cuts demos and distils memories.

    With the embedded stand-in as its model it draws on the orders which that documents
    (:mod:`rnnprog.lm.directives`), so a search runs offline.

    Attributes:
        lm: the model that writes; ``None`` leaves only what needs no model: demos and memories.
        temperature: for writing, so that several attempts differ.
        shown: walks shown to the model: the best and the worst ones.
    """

    lm: dspy.LM | None = None
    temperature: float = 1.0
    shown: int = 3
    writers: dict[str, Any] = field(default_factory=dict)

    def propose(self, request: Request) -> tuple[list[Option], list[str]]:
        """Return options for one part, and what was refused and why."""
        if isinstance(request.part, Demos):
            return propose_demos(request)
        if isinstance(request.part, StartMemory):
            return propose_start_memory(request, None if self._offline else self._writer(request, 0))
        if not isinstance(request.part, Instructions):
            return [], []
        if self._offline:
            return propose_orders(request)
        return self._write(request) if self.lm is not None else ([], [])

    @property
    def _offline(self) -> bool:
        return getattr(self.lm, "model", None) == EMBEDDED_MODEL

    def _writer(self, request: Request, n: int) -> dspy.LM | None:
        if self.lm is None:
            return None
        # A fresh rollout id for each attempt: at equal prompts the cache would repeat the first one.
        return self.lm.copy(temperature=self.temperature, rollout_id=derive_seed(request.seed, n) % 100_000 + 1)

    def _write(self, request: Request) -> tuple[list[Option], list[str]]:
        phase = request.part.phase
        predictor = phases_of(request.program)[phase]
        current = predictor.signature.instructions
        known = [current, *(str(option.value) for option, _ in request.tried if option.value)]
        options: list[Option] = []
        refused: list[str] = []
        parent = request.base.options.get(request.part.name, BASE)
        for n, label in enumerate(request.labels):
            shorter = _shorter(request, parent, n, current, known)
            if shorter is not None:
                text, without = shorter
                known.append(text)
                options.append(_option(request, label, text, parent, f"left out: {without}"))
                continue
            try:
                with dspy.context(lm=self._writer(request, n)):
                    said = dspy.Predict(ProposeInstruction)(
                        **_shown(request, predictor, current, self.shown),
                        tip=TIPS[(request.round + n) % len(TIPS)],
                    )
                text = check_text(str(said.instruction), current, known)
            except Exception as error:
                refused.append(f"{request.part.name}: {type(error).__name__}: {str(error)[:300]}")
                continue
            known.append(text)
            options.append(_option(request, label, text, parent, str(said.diagnosis)))
        return options, refused


def _option(request: Request, label: str, text: str, parent: str, why: str) -> Option:
    given: dict[str, Any] = {"part": request.part.name, "round": request.round, "parents": (parent,)}
    return Option(label=label, value=text, origin="proposed", why=why, **given)


def _shorter(request: Request, parent: str, n: int, current: str, known: list[str]) -> tuple[str, str] | None:
    """Return a shorter form of the present text every other time, once something written from it has failed."""
    written = n + sum(parent in option.parents for option, _ in request.tried)
    if request.student is None or written % 2 == 0:
        return None
    return shortened(current, phases_of(request.student)[request.part.phase].signature.instructions, known)


def check_text(text: str, current: str, known: list[str]) -> str:
    """Return a proposed instruction, stripped, or refuse what cannot be one.

    Raises:
        ValueError: empty or too short, far too long, with field markers, or known already.
    """
    text = text.strip().strip("`").strip()
    limit = int(max(_MOST * len(current), 4000))
    if len(text) < _LEAST:
        raise ValueError(f"refused {text!r}: an instruction of {len(text)} characters says nothing")
    if len(text) > limit:
        raise ValueError(f"refused an instruction of {len(text)} characters; at most {limit} are used")
    if _MARKER.search(text):
        raise ValueError("refused an instruction with field markers: it would be read as part of the prompt's frame")
    if " ".join(text.split()) in {" ".join(other.split()) for other in known}:
        raise ValueError("refused an instruction that is known already")
    return text


def _shown(request: Request, predictor: Any, current: str, count: int) -> dict[str, str]:
    walks = list(request.walks)
    if len(walks) > count:
        walks = [walks[0], *walks[-(count - 1) :]]
    phase = request.part.phase
    signature = predictor.signature
    fields = [f"given {name}: {field.json_schema_extra['desc']}" for name, field in signature.input_fields.items()]
    fields += [
        f"to return {name}: {field.json_schema_extra['desc']}" for name, field in signature.output_fields.items()
    ]
    tried = sorted(request.tried, key=lambda pair: (pair[1] is not None, pair[1] or 0.0))[-6:]
    cell = getattr(request.program, "cell", None)
    return {
        "task": str(getattr(cell, "task", "")) or type(request.program).__name__,
        "phase": f"{phase}: {ROLES.get(phase.rpartition('.')[2], _ROLE)}",
        "interface": "\n".join(fields),
        "current": current,
        "walks": "\n\n".join(tell_walk(walked.trace, walked.score) for walked in walks) or "(none)",
        "tried": "\n".join(
            f"[{'not scored' if score is None else f'{score:.4f}'}] {option.value or '(the original)'}"
            for option, score in tried
        )
        or "(nothing)",
    }
