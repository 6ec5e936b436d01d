"""How long and how wide to search."""

from __future__ import annotations

from pydantic import Field

from rnnprog.memory import Value

__all__ = ["Schedule"]


class Schedule(Value):
    """How long and how wide to search.

    Writing a text costs a call, trying one costs walks. So rounds are small and frequent by default: three texts for
    each phase before every third trial, written from the best program of that moment.

    Attributes:
        trials: candidates to try; repeated ones are not counted.
        concurrency: sequences in flight.
        rounds: rounds of proposals; 0 searches among the student's and the user's own texts only.
        round_every: trials from one round to the next.
        walks: training sequences walked in each round, to write proposals from.
        proposals: room for written instructions in each phase over all rounds, where the space is not given.
        seed: of everything random; equal seeds and one worker give equal trials, also after a resume.
    """

    trials: int = Field(default=30, ge=1)
    concurrency: int = Field(default=8, ge=1)
    rounds: int = Field(default=10, ge=0)
    round_every: int = Field(default=3, ge=1)
    walks: int = Field(default=1, ge=1)
    proposals: int = Field(default=30, ge=0)
    seed: int = 0
