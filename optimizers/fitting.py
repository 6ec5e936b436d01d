"""Which options go with which settings: notes written under other headings, or longer than the budget, do not.

A start memory or a set of worked examples is bound to the layout it was written under. Where the layout or the budget
may change too, an option is only drawn where it fits, so that no trial fails for a choice that the space forbids.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import dspy
from pydantic import JsonValue

from rnnprog.budget import memory_tokens
from rnnprog.cells.reflective import ReflectiveSettings
from rnnprog.optimizers.candidate import cells_of, read_memory
from rnnprog.optimizers.options import BASE, Option, Pool
from rnnprog.optimizers.parts import Demos, Setting, StartMemory, plain
from rnnprog.optimizers.space import Space
from rnnprog.schema import MemorySchema
from rnnprog.tokens import get_tokenizer

__all__ = ["Fitting"]

_BINDING = ("layout", "budget", "tokenizer", "rewriting")


class _At(NamedTuple):
    layout: MemorySchema
    budget: int
    ruler: str
    rewriting: str


class Fitting:
    """Says which options cannot be chosen together with settings that are chosen already.

    Args:
        space: what may change.
        pool: the options.
        student: has the settings that are not in the space.
    """

    def __init__(self, space: Space, pool: Pool, student: dspy.Module) -> None:
        self.space, self.pool, self.student = space, pool, student

    def unfit(self, name: str, label: Any, chosen: Mapping[str, Any]) -> bool:
        """Return whether a choice does not go with those made so far.

        An option that goes with none of the layouts in the space is let through: its trial fails and says why.

        Args:
            name: of the part.
            label: of the option.
            chosen: what the trial has chosen so far, as the study holds it.
        """
        if label == BASE or name not in self._bound or not self._settings:
            return False
        option = self._options.get((name, label))
        if option is None or self._fits(option, self._at(chosen)):
            return False
        return any(self._fits(option, at) for at in self._everywhere)

    @cached_property
    def _bound(self) -> frozenset[str]:
        """Names of parts whose options are bound to settings that may change."""
        if not any(isinstance(part, Setting) and part.setting in _BINDING for part in self.space.parts):
            return frozenset()
        return frozenset(part.name for part in self.space.parts if isinstance(part, (Demos, StartMemory)))

    @cached_property
    def _options(self) -> dict[tuple[str, str], Option]:
        return {(option.part, option.label): option for option in self.pool.options}

    @cached_property
    def _settings(self) -> tuple[ReflectiveSettings, ...]:
        return tuple(cell.settings.value for cell in cells_of(self.student))

    @cached_property
    def _everywhere(self) -> list[_At]:
        """The most room under each layout of the space."""
        layouts, budgets = [self._settings[0].layout], [self._settings[0].budget]
        for part in self.space.parts:
            if isinstance(part, Setting) and part.setting == "layout":
                layouts = [MemorySchema.model_validate(value) for value in part.values]
            if isinstance(part, Setting) and part.setting == "budget":
                budgets = [int(str(value)) for value in part.values] or [int(part.high or 0)]
        ways = [self._settings[0].rewriting]
        for part in self.space.parts:
            if isinstance(part, Setting) and part.setting == "rewriting":
                ways = [str(value) for value in part.values]  # type: ignore[misc]
        ruler = self._settings[0].tokenizer
        return [_At(layout, max(budgets), ruler, way) for layout in layouts for way in ways]

    def _at(self, chosen: Mapping[str, Any]) -> _At:
        at: dict[str, Any] = {name: getattr(self._settings[0], name) for name in _BINDING}
        for part in self.space.parts:
            if isinstance(part, Setting) and part.setting in _BINDING and part.name in chosen:
                by_label = {plain(value): value for value in part.values}
                value = by_label.get(chosen[part.name], chosen[part.name])
                at[part.setting] = MemorySchema.model_validate(value) if part.setting == "layout" else value
        return _At(at["layout"], int(at["budget"]), str(at["tokenizer"]), str(at["rewriting"]))

    def _fits(self, option: Option, at: _At) -> bool:
        if isinstance(option.value, dict) and option.part == "demos":
            return all(_shows(demo, at) for demo in _demos(option.value))
        memory = read_memory(plain(option.value), at.layout)
        return memory is not None and memory_tokens(memory, get_tokenizer(at.ruler)) <= at.budget


def _demos(value: dict[str, JsonValue]) -> list[JsonValue]:
    return [demo for demos in value.values() if isinstance(demos, list) for demo in demos]


def _shows(demo: JsonValue, at: _At) -> bool:
    """Return whether an example of a rewrite has the headings and the form that are asked for; others always fit."""
    if not isinstance(demo, dict) or "new_memory" not in demo:
        return True
    whole = str(demo["new_memory"]).lstrip().startswith("##")
    return demo.get("headings") in (None, at.layout.describe()) and whole == (at.rewriting == "whole")
