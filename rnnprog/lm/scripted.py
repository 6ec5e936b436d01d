"""A model that answers from a script, for tests: it raises when the script runs out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Union

import dspy
from dspy.lm15 import Message, Request, Response, Usage

from rnnprog.lm.awaited import Awaited
from rnnprog.lm.faults import ScriptError
from rnnprog.lm.pieces import in_pieces
from rnnprog.lm.prompts import Prompt, phase_of, read_prompt, render_answer, system_text

__all__ = ["AsyncScriptedEngine", "Line", "Script", "ScriptedEngine", "scripted_lm"]

Line = Union[str, Mapping[str, Any], BaseException, Callable[[Prompt], Any]]
"""One answer: raw text, fields to be rendered as the prompt asks, an error to raise, or a function of the prompt."""

Script = Union[Iterable[Line], Callable[[Prompt], Any], Mapping[str, Any]]
"""A list of answers, one function for all, or either of them by phase."""


class ScriptedEngine:
    """Engine for ``dspy.LM(engine=...)`` that answers from a script; see :func:`scripted_lm`.

    Attributes:
        seen: the full text of every prompt so far, in order of arrival.
    """

    def __init__(self, script: Script) -> None:
        by_phase: dict[str, Any] = dict(script) if isinstance(script, Mapping) else {"": script}
        self._endless = {phase: lines for phase, lines in by_phase.items() if callable(lines)}
        self._lines: dict[str, list[Line]] = {p: list(lines) for p, lines in by_phase.items() if not callable(lines)}
        self._sizes = {phase: len(lines) for phase, lines in self._lines.items()}
        self._lock = threading.Lock()
        self.seen: list[str] = []

    def complete(self, request: Request) -> Response:
        """Answer with the next line of the script.

        Raises:
            ScriptError: the script has run out, or has nothing for the phase.
        """
        prompt = read_prompt(request)
        line = self._next(request, prompt)
        if callable(line):
            line = line(prompt)
        if isinstance(line, BaseException):
            raise line
        text = line if isinstance(line, str) else render_answer(prompt, line)
        message = Message.assistant(text)
        return Response(id=None, model=request.model, message=message, finish_reason="stop", usage=Usage())

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer as a stream of events."""
        yield from in_pieces(self.complete(request))

    def close(self) -> None:
        """Nothing to close."""

    def assert_done(self) -> None:
        """Check that every line was used.

        Raises:
            ScriptError: with what is left.
        """
        with self._lock:
            left = {phase or "script": lines for phase, lines in self._lines.items() if lines}
        if left:
            told = ", ".join(f"{len(lines)} of {phase} (next: {str(lines[0])[:60]!r})" for phase, lines in left.items())
            raise ScriptError(f"the script was not used up: {told} left after {len(self.seen)} calls")

    def _next(self, request: Request, prompt: Prompt) -> Line:
        with self._lock:
            self.seen.append("\n".join([system_text(request), *(m.text or "" for m in request.messages)]))
            phase = phase_of(prompt)
            key = phase if phase in self._endless or phase in self._lines else ""
            if key in self._endless:
                endless: Line = self._endless[key]
                return endless
            if key not in self._lines:
                known = sorted({*self._endless, *self._lines})
                raise ScriptError(f"the script has nothing for phase {phase!r}, only for {known}; add lines for it")
            if not self._lines[key]:
                asked = [output.name for output in prompt.outputs]
                raise ScriptError(
                    f"the script ran out: call {len(self.seen)} (phase {phase!r}) asks for {asked}, but all "
                    f"{self._sizes[key]} lines are used; add lines, or give a function instead of a list"
                )
            return self._lines[key].pop(0)

    def __deepcopy__(self, memo: dict[int, Any]) -> ScriptedEngine:
        return self  # a copied program goes on in the same script


class AsyncScriptedEngine(Awaited[ScriptedEngine]):
    """The same script, awaited."""


def scripted_lm(script: Script, **kwargs: Any) -> dspy.LM:
    """Return a ``dspy.LM`` that answers from a script; its engine is ``lm.engine``.

    Use it in tests of your own programs. dspy's cache and retries are off.

    Args:
        script: a list of answers in order; or one function from prompt to answer; or a mapping from phase
            (``predictor``, ``reflector``, ``rewriter``, ``judge``) to either. An answer is a raw text, a mapping of
            fields (written in the format of the adapter in use) or an exception. dspy wraps exceptions that are
            not its own in ``LMUnexpectedError``.
        kwargs: passed on to ``dspy.LM``.

    Example:
        >>> predict = dspy.Predict("sky -> tomorrow")
        >>> predict.lm = scripted_lm([{"tomorrow": "rain"}])
        >>> predict(sky="grey").tomorrow
        'rain'
        >>> predict.lm.engine.assert_done()
        >>> predict(sky="blue")
        Traceback (most recent call last):
        rnnprog.lm.faults.ScriptError: the script ran out: call 2 (phase 'predictor') asks for ['tomorrow'], ...
    """
    engine = ScriptedEngine(script)
    settings = {"model": "rnnprog/scripted", "cache": False, "num_retries": 0, **kwargs}
    return dspy.LM(engine=engine, async_engine=AsyncScriptedEngine(engine), **settings)
