"""Where a search stands, for whoever watches it."""

from __future__ import annotations

import time
from collections.abc import Callable

from rnnprog.memory import Value
from rnnprog.optimizers.board import Board
from rnnprog.optimizers.objective import Objective
from rnnprog.optimizers.ranking import ranked
from rnnprog.optimizers.speaking import warn
from rnnprog.optimizers.spending import Purse, Spent
from rnnprog.optimizers.tally import tally

__all__ = ["Display", "Progress"]


class Progress(Value):
    """Where a search stands, for a display.

    Attributes:
        trials: candidates tried.
        wanted: candidates asked for.
        pruned: of those tried, ended early and left at that.
        failed: of those tried, failed.
        best: best score so far; ``None`` before the first.
        spent: calls, tokens, money and seconds.
        doing: what is being done, in words.
    """

    trials: int
    wanted: int
    pruned: int = 0
    failed: int = 0
    best: float | None = None
    spent: Spent = Spent()
    doing: str = ""


class Display:
    """Tells a watcher where a search stands.

    Args:
        board: has the trials.
        objective: says which of them is best.
        purse: says what is spent.
        wanted: candidates asked for.
        watcher: is told; ``None`` for nobody.
    """

    def __init__(
        self,
        board: Board,
        objective: Objective,
        purse: Purse,
        wanted: int,
        watcher: Callable[[Progress], None] | None,
    ) -> None:
        self._board, self._objective, self._purse = board, objective, purse
        self._wanted, self._watcher = wanted, watcher
        self._seen: tuple[float, Progress] | None = None

    def outdated(self) -> None:
        """Look at the trials before the next telling: one of them has ended."""
        self._seen = None

    def tell(self, doing: str, every: float = 0.0) -> None:
        """Tell what is being done.

        Args:
            doing: in words.
            every: seconds for which a look at all trials serves: with a database each is many queries.
        """
        if self._watcher is None:
            return
        now = time.monotonic()
        if self._seen is None or now - self._seen[0] >= every:
            self._seen = now, self._look()
        try:
            self._watcher(self._seen[1].model_copy(update={"spent": self._purse.spent, "doing": doing}))
        except Exception as error:  # a broken display must not cost a search
            self._watcher = None
            warn(f"on_progress failed and is not called again: {type(error).__name__}: {error}")

    def _look(self) -> Progress:
        trials = self._board.trials()
        best, done = ranked(trials, self._objective), tally(trials)
        return Progress(
            trials=done.tried,
            wanted=self._wanted,
            pruned=done.ended,
            failed=done.failed,
            best=best[0].user_attrs["measures"]["score"] if best else None,
        )
