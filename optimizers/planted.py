"""A world with a known best text, to measure tuners in: what they find, and with how many calls.

A stand-in model answers a small classification task. How often it is right depends on which *planted* sentences stand
in the instructions of its phases, and on what the memory came to hold because of them; everything else about the texts
is ignored. Errors are drawn once for each observation, so a better candidate is right wherever a worse one is. Asked to
write an instruction, by whichever optimizer, it adds one to three random sentences: planted, harmful or idle. So all
optimizers have the same writer, and only the way they search differs.

Nothing here says anything about language models.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage

from rnnprog.lm.prompts import Prompt, read_prompt, render_answer, system_text
from rnnprog.module import RecurrentModule
from rnnprog.trace import Sequence, Step

__all__ = [
    "BEST",
    "PLANTED_MODEL",
    "SENTENCES",
    "best_instructions",
    "planted_lm",
    "planted_program",
    "planted_sequences",
    "rightness",
]

PLANTED_MODEL = "rnnprog/planted"
COLOURS = ("red", "green", "blue", "white")
TASK = "signal: int, station: str -> colour: Literal['red', 'green', 'blue', 'white']"

SENTENCES: dict[str, dict[str, float]] = {
    "predictor": {
        "Compare the signal with the calibration notes.": 0.14,
        "Look at the station before the signal.": 0.06,
        "Answer as quickly as you can.": -0.12,
        "Prefer red when in doubt.": -0.08,
        "Think of colours as feelings.": 0.0,
        "Write in a friendly tone.": 0.0,
    },
    "reflector": {
        "Name the offset of the signal.": 0.10,
        "Quote the observation.": 0.0,
        "Blame the station.": -0.06,
        "Keep the critique cheerful.": 0.0,
    },
    "rewriter": {
        "Keep a calibration line.": 0.16,
        "Note the offset that the critique names.": 0.06,
        "Keep only the last note.": -0.14,
        "Use rhymes where possible.": 0.0,
        "Write one note a line.": 0.0,
    },
}
"""Sentences by phase, and what each adds to the probability of a right answer; for the last two through the memory."""

BASE = 0.36
BEST = BASE + sum(gain for by in SENTENCES.values() for gain in by.values() if gain > 0)
"""Probability of a right answer once the memory holds what the planted sentences put there."""

_NOTE = re.compile(r"strength (-?\d+)")
_TELL = {"predictor": "from the notes", "reflector": "You predicted one step", "rewriter": "Rewrite the notes"}


def rightness(instructions: dict[str, str]) -> float:
    """Return the probability of a right answer with these instructions, once the memory has settled.

    Example:
        >>> rightness({}), round(rightness(best_instructions()), 2) == round(BEST, 2)
        (0.36, True)
    """
    strength = {phase: _strength(phase, text) for phase, text in instructions.items()}
    return _clip(BASE + sum(strength.values()))


def best_instructions() -> dict[str, str]:
    """Return instructions that hold every planted sentence and no harmful one."""
    return {phase: " ".join(s for s, gain in by.items() if gain > 0) for phase, by in SENTENCES.items()}


def planted_sequences(count: int, steps: int = 6, seed: int = 0) -> list[Sequence]:
    """Return sequences of the planted world; the right colour is a hidden function of signal and station."""
    made = []
    for n in range(count):
        signals = [int(_draw("signal", seed, n, t) * 1000) for t in range(steps)]
        stations = ["ABCDE"[int(_draw("station", seed, n, t) * 5)] for t in range(steps)]
        made.append(
            Sequence(
                id=f"planted-{seed}-{n}",
                steps=tuple(
                    Step(inputs={"signal": s, "station": p}, target={"colour": _colour(s, p)})
                    for s, p in zip(signals, stations, strict=True)
                ),
            )
        )
    return made


def planted_program(**settings: Any) -> RecurrentModule:
    """Return a recurrent program for the planted world; give it a model with ``set_lm``."""
    return RecurrentModule(TASK, **settings)


def planted_lm(seed: int = 0, delay: float = 0.0, log: str | Path | None = None, restless: bool = False) -> dspy.LM:
    """Return the stand-in model.

    Args:
        seed: of the errors, and of what it writes when asked for an instruction.
        delay: seconds that each call takes.
        restless: write something else at each call, as a sampling model does; else equal prompts get equal texts.
        log: file to which every call appends a line, for counting from outside.
    """
    engine = PlantedEngine(seed, delay, None if log is None else str(log), restless)
    return dspy.LM(PLANTED_MODEL, engine=engine, cache=False)


class PlantedEngine:
    """Engine of the stand-in model; see :func:`planted_lm`."""

    def __init__(self, seed: int = 0, delay: float = 0.0, log: str | None = None, restless: bool = False) -> None:
        self.seed, self.delay, self.log, self.restless, self.calls = seed, delay, log, restless, 0

    def complete(self, request: Request) -> Response:
        """Answer one request."""
        self.calls += 1
        if self.delay:
            time.sleep(self.delay)
        prompt = read_prompt(request)
        asked = {output.name for output in prompt.outputs}
        text = render_answer(prompt, self._answer(prompt, asked)) if asked else self._write_plain(request)
        if self.log is not None:
            handle = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(handle, f"{os.getpid()} {','.join(sorted(asked))} {prompt.inputs.get('signal', '')}\n".encode())
            os.close(handle)
        size = (len(system_text(request)) + sum(len(m.text or "") for m in request.messages)) // 4
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(text),
            finish_reason="stop",
            usage=Usage(input_tokens=size, output_tokens=len(text) // 4, total_tokens=size + len(text) // 4),
        )

    def close(self) -> None:
        """Nothing to close."""

    def dump_state(self) -> dict[str, Any]:
        """Return the state for a saved program."""
        return {"seed": self.seed, "delay": self.delay}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> PlantedEngine:
        """Return an engine for a loaded program."""
        return cls(**state)

    def _answer(self, prompt: Prompt, asked: set[str]) -> dict[str, Any]:
        if asked == {"colour"} or "colour" in asked:
            return {output.name: self._predict(prompt) for output in prompt.outputs if output.name == "colour"}
        if "lesson" in asked:
            strength = round(100 * _strength("reflector", prompt.instruction))
            return {"outcome": "seen", "cause": f"offset strength {strength}", "lesson": "when seen, then note it"}
        if "new_memory" in asked:
            return {"new_memory": self._rewrite(prompt)}
        return {output.name: self._other(prompt, output.name) for output in prompt.outputs}

    def _predict(self, prompt: Prompt) -> str:
        held = sum(int(found) for found in _NOTE.findall(prompt.memory or "")) / 100
        chance = _clip(BASE + _strength("predictor", prompt.instruction) + held)
        signal, station = int(prompt.inputs["signal"]), prompt.inputs["station"]
        right = _colour(signal, station)
        if _draw("error", self.seed, signal, station) < chance:
            return right
        return COLOURS[(COLOURS.index(right) + 1) % len(COLOURS)]

    def _rewrite(self, prompt: Prompt) -> str:
        own = round(100 * _strength("rewriter", prompt.instruction))
        critique = sum(int(found) for found in _NOTE.findall(prompt.inputs.get("critique", "")))
        heading = next(line for line in prompt.inputs["headings"].splitlines() if line.startswith("##"))
        title = heading.partition(":")[0]
        return f"{title}\n- calibration strength {own}\n- offset strength {critique}"

    def _other(self, prompt: Prompt, name: str) -> str:
        if "instruction" not in name:
            return "The program answers with a colour."
        current = next((text for key, text in prompt.inputs.items() if key in ("current", "basic_instruction")), "")
        return self._written(current or prompt.instruction, str(sorted(prompt.inputs.items())))

    def _write_plain(self, request: Request) -> str:
        text = request.messages[-1].text or ""
        quoted = re.search(r"```\n?(.*?)```", text, re.DOTALL)
        return f"```\n{self._written(quoted[1] if quoted else text, text)}\n```"

    def _written(self, current: str, context: str) -> str:
        phase = next((name for name, sign in _TELL.items() if sign in current), None)
        phase = phase or next((n for n, by in SENTENCES.items() if any(s in current for s in by)), "predictor")
        missing = [sentence for sentence in SENTENCES[phase] if sentence not in current]
        if not missing:
            return current
        number = self.calls if self.restless else 0
        missing.sort(key=lambda sentence: _draw("write", self.seed, number, context, sentence))
        draw = _draw("how many", self.seed, number, context)
        count = 1 + (draw > 0.5) + (draw > 0.8)
        return " ".join([current.strip(), *missing[:count]])


def _strength(phase: str, text: str) -> float:
    flat = " ".join(text.split())
    return sum(gain for sentence, gain in SENTENCES[phase].items() if sentence in flat)


def _colour(signal: int, station: str) -> str:
    return COLOURS[int(_draw("colour", signal, station) * len(COLOURS))]


def _clip(chance: float) -> float:
    return min(0.99, max(0.02, chance))


def _draw(*names: object) -> float:
    """Return a number in [0, 1) that depends on nothing but the names."""
    digest = hashlib.sha256(":".join(map(str, names)).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
