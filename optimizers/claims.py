"""One walker for each candidate: of workers that draw the same one at the same moment, one walks and the others wait.

Storages have no lock to offer, so the workers settle it by what they write on their trials, much as in Lamport's
bakery. Each first writes down what it drew, then reads what the others drew. Whoever sees the same candidate on a trial
of a lower number *yields*; whoever has the lowest number waits until all others have said that they yield or *walk*.
Who sees no rival walks without a word: a rival that comes later sees the trial, and waits for it in either case.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from rnnprog.optimizers.board import Board
from rnnprog.optimizers.marks import DRAWN, WORKER

__all__ = ["Claims"]

_CLAIM = "rnnprog:claim"
_POLL = 0.25  # seconds

Said = Literal["", "yields", "walks"]


class Claims:
    """Settles which of several running trials walks a candidate.

    Args:
        board: what the workers share.
        patience: called between looks; raises where waiting must end.
    """

    def __init__(self, board: Board, patience: Callable[[], None] = lambda: None) -> None:
        self._board, self._patience = board, patience

    def settle(self, trial: optuna.Trial, drawn: str, trials: list[FrozenTrial]) -> bool:
        """Return when ``trial`` may walk the candidate ``drawn``, or find it walked by another.

        Args:
            trial: the trial, which has its draw written down.
            drawn: digest of the candidate.
            trials: all trials, read after that.

        Returns:
            Whether it had to wait: then the ledger and the trials hold more than before.
        """
        said: Said = ""
        waited = False
        while True:
            rivals = self._rivals(trials, trial.number, drawn)
            if not rivals and not said:
                return waited
            words = [rival.system_attrs.get(_CLAIM, "") for rival in rivals]
            if "walks" not in words:
                if any(rival.number < trial.number for rival in rivals):
                    said = said or self._say(trial, "yields")
                elif all(words):
                    if not said:
                        self._say(trial, "walks")
                        return waited
                    said = self._say(trial, "")  # a slow trial of a lower number may have counted on the old word
                    trials = self._board.trials(TrialState.RUNNING)
                    continue
            waited = True
            self._patience()
            time.sleep(_POLL)
            trials = self._board.trials(TrialState.RUNNING)

    def _rivals(self, trials: list[FrozenTrial], number: int, drawn: str) -> list[FrozenTrial]:
        return [
            trial
            for trial in trials
            if trial.state == TrialState.RUNNING
            and trial.number != number
            and trial.user_attrs.get(DRAWN) == drawn
            and self._board.worker.lives(trial.user_attrs.get(WORKER))
        ]

    def _say(self, trial: optuna.Trial, said: Said) -> Said:
        self._board.study._storage.set_trial_system_attr(trial._trial_id, _CLAIM, said)
        return said
