"""Errors of the stand-in models. They pass through dspy unchanged and are never taken for a bad answer."""

from __future__ import annotations

from dspy.utils.exceptions import LMConfigurationError

from rnnprog.errors import RnnprogError

__all__ = ["ReplayError", "ScriptError"]


class ReplayError(RnnprogError, LMConfigurationError):
    """A recording cannot be used, or a prompt is not in it."""


class ScriptError(RnnprogError, LMConfigurationError):
    """A script ran out, or was not used up."""
