"""How a module walks: what it writes down, what it does with failed steps, whether it learns."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rnnprog.memory import Value

__all__ = ["FailurePolicy", "Recording", "WalkSettings"]


class Recording(Value):
    """Which carries go into the trace besides the first and the last. All else is always recorded.

    Attributes:
        every: record the carry after every n-th step; 1 records all, 0 none.

    Example:
        >>> [t for t in range(6) if Recording(every=3).keeps(t)]
        [2, 5]
    """

    every: int = Field(default=1, ge=0)

    def keeps(self, t: int) -> bool:
        """Return whether the carry after step ``t`` is recorded."""
        return self.every > 0 and (t + 1) % self.every == 0


class FailurePolicy(Value):
    """What happens to a step without a usable answer.

    Attributes:
        on_step: ``record`` keeps the old memory, writes the failure into the trace and goes on; ``raise`` stops.
        give_up_after: so many failed steps in a row end the sequence: the model is not just having a bad moment.
        patience: so many steps in a row without any reply from the model (no connection, none in time, a server or
            rate-limit error, each after dspy's own retries) end the sequence sooner: it is down, and every further
            step would only cost the time of those retries.
    """

    on_step: Literal["record", "raise"] = "record"
    give_up_after: int = Field(default=10, ge=1)
    patience: int = Field(default=3, ge=1)


class WalkSettings(Value):
    """How a module walks; saved with the program.

    Attributes:
        recording: which carries the trace holds.
        failures: what happens to steps without a usable answer.
        learning: with ``False`` the carry never changes.
    """

    recording: Recording = Recording()
    failures: FailurePolicy = FailurePolicy()
    learning: bool = True
