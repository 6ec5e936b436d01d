"""A teacher: another program for the same task, whose walks worked examples are cut from in the student's stead."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import dspy

from rnnprog.errors import ConfigurationError
from rnnprog.optimizers.candidate import cells_of, copy_program

__all__ = ["Teacher", "state_digest", "teacher_of"]


@dataclass(frozen=True)
class Teacher:
    """A program that shows how it is done; it is walked, never changed.

    Attributes:
        program: walks the training sequences.
    """

    program: dspy.Module

    @cached_property
    def digest(self) -> str:
        """Names its walks in the ledger."""
        models = [str(getattr(predictor.lm, "model", "")) for _, predictor in self.program.named_predictors()]
        return f"teacher-{hashlib.sha256(f'{state_digest(self.program)}{models}'.encode()).hexdigest()[:12]}"


def teacher_of(given: dspy.Module | list[dspy.Module] | None, student: dspy.Module) -> Teacher | None:
    """Return the teacher of a student, if one is given; ``dspy.BetterTogether`` gives a list of one.

    Raises:
        ConfigurationError: one of them has no reflective cell, or their answers or their notes have other fields, so
            that nothing the teacher does is an example for the student.
    """
    if isinstance(given, (list, tuple)) and len(given) == 1:
        given = given[0]
    if given is None:
        return None
    if not isinstance(given, dspy.Module):
        raise ConfigurationError(f"teacher must be a program, got a {type(given).__name__}; leave it out or give one")
    mine, theirs = cells_of(student), cells_of(given)
    if not mine or not theirs:
        which = "student" if not mine else "teacher"
        raise ConfigurationError(
            f"the {which} has no reflective cell, and worked examples are cut from walks of one; leave teacher out, "
            "or give a RecurrentModule with the default cell"
        )
    if (fields := mine[0].task.outputs) != (others := theirs[0].task.outputs):
        raise ConfigurationError(
            f"the teacher answers {list(others)}, the student {list(fields)}; give one of the same task"
        )
    if mine[0].settings.value.layout != theirs[0].settings.value.layout:
        raise ConfigurationError(
            "the teacher keeps its notes under other headings than the student, so its rewrites are no examples; "
            "build both with the same layout"
        )
    return Teacher(given)


def state_digest(program: dspy.Module) -> str:
    """Return twelve hex digits that identify what a program is, its models aside."""
    program = copy_program(program)
    for _, predictor in program.named_predictors():
        predictor.lm = None  # one whose engine cannot be saved can be tuned with all the same
    state = program.dump_state()
    for value in state.values():
        if isinstance(value, dict):
            value.pop("lm", None)
    # What a field may be is not in dspy's state: one more choice for an answer would pass for the same program.
    types = {
        name: {field: str(info.annotation) for field, info in predictor.signature.fields.items()}
        for name, predictor in program.named_predictors()
    }
    told = json.dumps([state, types], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:12]
