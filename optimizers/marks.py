"""What a search writes on its trials, by the name that it has in the storage."""

from __future__ import annotations

__all__ = ["AGAIN", "CANDIDATE", "DRAWN", "DUPLICATE", "INTERRUPTED", "PRUNED_AFTER", "RETRY", "WORKER"]

AGAIN = "continues"
"""On a trial that walks a pruned candidate to the end: the number of the trial that was ended early."""
CANDIDATE = "rnnprog:candidate"
"""What was drawn, as JSON; a system attribute, the others are user attributes."""
DRAWN = "candidate"
"""Digest of what was drawn."""
DUPLICATE = "same_as"
"""On a trial that drew what another had walked: the number of that trial."""
INTERRUPTED = "interrupted"
"""On a trial that the budget or the user broke off: which, in words."""
PRUNED_AFTER = "pruned_after"
"""On a trial that was ended early: the number of sequences it saw."""
RETRY = "retry_of"
"""On a trial that repeats one that was broken off: the number of that trial."""
WORKER = "worker"
"""Who runs the trial."""
