"""The walks inside a larger program: dspy tells of every module that returns, and a recurrent one returns its trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dspy
from dspy.utils.callback import BaseCallback

from rnnprog.module import RecurrentModule
from rnnprog.optimizers.candidate import parts_of
from rnnprog.trace import Trace

__all__ = ["walked"]


class _Catcher(BaseCallback):
    def __init__(self, program: dspy.Module) -> None:
        self._order = {id(module): n for n, module in enumerate(parts_of(program, RecurrentModule))}
        self._running: dict[str, int] = {}
        self._caught: list[tuple[int, Trace]] = []

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Remember which module it is."""
        if id(instance) in self._order:
            self._running[call_id] = self._order[id(instance)]

    def on_module_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """Keep the trace of a recurrent module."""
        place = self._running.pop(call_id, None)
        trace = getattr(outputs, "trace", None) if place is not None else None
        if place is not None and isinstance(trace, Trace):
            self._caught.append((place, trace))

    @property
    def traces(self) -> list[Trace]:
        """Those of the program's first recurrent module first."""
        return [trace for _, trace in sorted(self._caught, key=lambda pair: pair[0])]


def walked(program: dspy.Module, inputs: Mapping[str, Any]) -> tuple[Any, list[Trace]]:
    """Call a program; return what it says, and the traces of its recurrent modules, the program's first one first."""
    if isinstance(program, RecurrentModule):  # dspy's callbacks cost some tenths of a millisecond a call
        said = program(**inputs)
        trace = getattr(said, "trace", None)
        return said, [trace] if isinstance(trace, Trace) else []
    catcher = _Catcher(program)
    with dspy.context(callbacks=[*dspy.settings.get("callbacks", []), catcher]):
        said = program(**inputs)
    return said, catcher.traces
