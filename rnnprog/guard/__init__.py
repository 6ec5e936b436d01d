"""The guard between the rewriter and the memory: accept, repair, or keep the old one, and say which and why."""

from __future__ import annotations

from rnnprog.guard.base import Check, Guard, Proposal, Reviewed, accepted, kept_old, repaired
from rnnprog.guard.elision import Elision, ElisionCheck, find_elisions
from rnnprog.guard.forgery import ForgeryCheck
from rnnprog.guard.instructions import InstructionCheck, looks_like_instruction
from rnnprog.guard.pinned import PinnedCheck
from rnnprog.guard.redact import RedactCheck
from rnnprog.guard.schema_check import SchemaCheck
from rnnprog.guard.shrink import ShrinkCheck

__all__ = [
    "DEFAULT_GUARD",
    "Check",
    "Elision",
    "ElisionCheck",
    "ForgeryCheck",
    "Guard",
    "InstructionCheck",
    "PinnedCheck",
    "Proposal",
    "RedactCheck",
    "Reviewed",
    "SchemaCheck",
    "ShrinkCheck",
    "accepted",
    "find_elisions",
    "kept_old",
    "looks_like_instruction",
    "repaired",
]

DEFAULT_GUARD = Guard(
    checks=(SchemaCheck(), ForgeryCheck(), ElisionCheck(), InstructionCheck(), PinnedCheck(), ShrinkCheck())
)
"""All checks but redaction, with their defaults: headings first, size last."""
