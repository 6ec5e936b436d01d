"""Walking an exam: all arms, seeds and sequences in one pool; what is finished is kept and never walked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import dspy

from rnnprog.errors import StorageError
from rnnprog.evaluate.caps import Gate
from rnnprog.evaluate.config import Running
from rnnprog.evaluate.entrants import Entrant
from rnnprog.evaluate.protocol import Part
from rnnprog.evaluate.store import Kept, Store, WalkKey
from rnnprog.evaluate.watch import Watcher
from rnnprog.jobs import Halt, Job, Stop, run_jobs
from rnnprog.prompt_file import PromptList
from rnnprog.state import State
from rnnprog.trace import Sequence as Series

__all__ = ["Walked", "Walker"]


@dataclass
class Walked:
    """What was walked.

    Attributes:
        done: finished walks, by key.
        broken: walks that ended before their sequence did, though nobody stopped them.
        stop: why the exam ended early; ``None`` if it did not.
    """

    done: dict[WalkKey, Kept] = field(default_factory=dict)
    broken: dict[WalkKey, Kept] = field(default_factory=dict)
    stop: Stop | None = None


class Walker:
    """Walks what is not there yet.

    Args:
        running: walks in flight, and whether to keep prompts.
        store: where finished walks are; ``None`` keeps nothing on disk.
        watcher: is told of the progress.
        gate: counts and refuses calls.
    """

    def __init__(self, running: Running, store: Store | None, watcher: Watcher, gate: Gate) -> None:
        self.running, self.store, self.watcher, self.gate = running, store, watcher, gate
        self.walked = Walked()

    def walk(
        self, entrants: Sequence[Entrant], parts: Mapping[int, Part], models: Mapping[int, dspy.LM | None]
    ) -> Walked:
        """Walk every entrant over every part.

        Args:
            entrants: who takes part.
            parts: the data, by seed.
            models: the model, by seed.
        """
        pairs = [(entrant, seed) for entrant in entrants for seed in parts]
        # A state follows from the warm-up walk before it, so these go one after the other, all arms at once.
        for number in range(max(len(part.warmup) for part in parts.values())):
            jobs = []
            for entrant, seed in pairs:
                learned = parts[seed].warmup
                if number < len(learned):
                    before = learned[number - 1] if number else None
                    jobs += self._jobs(entrant, seed, [learned[number]], before, models[seed])
            if not self._run(jobs):
                return self.walked
        jobs = []
        for entrant, seed in pairs:
            part = parts[seed]
            jobs += self._jobs(
                entrant, seed, part.scored, part.warmup[-1] if part.warmup else None, models[seed], warmup=False
            )
        # Longest first, so that no long walk is left to run alone at the end.
        self._run(sorted(jobs, key=lambda job: -len(job.steps) * max(1, len(job.program.named_predictors()))))
        return self.walked

    def _jobs(
        self,
        entrant: Entrant,
        seed: int,
        sequences: Sequence[Series],
        before: Series | None,
        lm: dspy.LM | None,
        warmup: bool = True,
    ) -> list[Job]:
        """Return jobs for the sequences that are not there yet, each from what was learned on ``before``."""
        found = []
        carry = None
        for sequence in sequences:
            key = WalkKey(entrant.label, seed, sequence.id, warmup)
            kept = self.store.load(key) if self.store is not None and entrant.role != "floor" else None
            if kept is not None:
                self.walked.done[key] = kept
                self.watcher.skipped(entrant.label, len(kept.trace))
                continue
            if before is not None and carry is None:
                carry = self._carry(entrant, WalkKey(entrant.label, seed, before.id, True))
                if carry is None:  # the warm-up broke off: there is nothing to start from
                    return []
            found.append(self._job(entrant, key, sequence, carry, lm))
        return found

    def _carry(self, entrant: Entrant, key: WalkKey) -> tuple[object] | None:
        kept = self.walked.done.get(key)
        return None if kept is None else (entrant.program.cell.load_carry(kept.trace.final),)

    def _job(
        self, entrant: Entrant, key: WalkKey, sequence: Series, carry: tuple[object] | None, lm: dspy.LM | None
    ) -> Job:
        prompts = PromptList()
        floor = entrant.role == "floor"
        state = None if carry is None else State(sequence=sequence.id, carry=carry[0])
        with dspy.context(lm=lm):
            job = Job(entrant.program, sequence, state)
        if not floor:
            job.listeners = (self.gate, prompts) if self.running.prompts else (self.gate,)
            job.prices, job.patience = self.running.prices, self.running.patience
            job.on_record = partial(self.watcher.stepped, entrant.label, sequence.id)
        job.on_done = partial(self._done, key, prompts, floor)
        return job

    def _done(self, key: WalkKey, prompts: PromptList, floor: bool, job: Job) -> None:
        assert job.trace is not None
        if job.complete:
            self.walked.done[key] = Kept(job.trace, job.timing, lines=tuple(prompts.lines))
            if self.store is not None and not floor:
                try:
                    self.store.keep(key, job.trace, job.timing, prompts.lines)
                except StorageError as error:
                    raise Halt(f"{error}; walks that were kept before are not paid for again") from error
            return
        if not job.stopped:
            self.walked.broken[key] = Kept(job.trace, job.timing, lines=tuple(prompts.lines))
        self.watcher.broke_off(key.arm, job.trace)

    def _run(self, jobs: list[Job]) -> bool:
        """Run jobs; return whether to go on."""
        self.walked.stop = run_jobs(jobs, self.running.concurrency) if jobs else None
        return self.walked.stop is None
