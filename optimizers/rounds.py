"""Rounds of proposals: when they are held, from which walks, and what was tried before."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import dspy

from rnnprog.optimizers.board import Board
from rnnprog.optimizers.candidate import Candidate
from rnnprog.optimizers.data import Item
from rnnprog.optimizers.evaluation import Evaluator
from rnnprog.optimizers.ledger import Entry
from rnnprog.optimizers.objective import Objective
from rnnprog.optimizers.options import BASE, Option, Pool
from rnnprog.optimizers.parts import Demos, Slotted
from rnnprog.optimizers.ranking import ranked
from rnnprog.optimizers.sampling import derive_seed
from rnnprog.optimizers.space import Space
from rnnprog.optimizers.teacher import Teacher
from rnnprog.trace import Trace

__all__ = ["Proposer", "Request", "Rounds", "Walked"]


@dataclass(frozen=True)
class Walked:
    """A training sequence that the best candidate so far has walked.

    Attributes:
        item: the sequence.
        score: of the walk, higher is better.
        trace: what happened, step by step.
    """

    item: Item
    score: float
    trace: Trace


@dataclass(frozen=True)
class Request:
    """What a proposer is asked for.

    Attributes:
        part: the part of the space.
        labels: labels of the options to write, at most.
        round: number of the round, from 0.
        program: the best program so far; what is improved on.
        base: the candidate behind it.
        walks: its walks over training sequences, best first; for worked examples those of the teacher, if there is one.
        tried: options of this part that were tried, with the best score each was part of.
        seed: for everything random.
        student: the program as it came; ``None`` where that is not known.
    """

    part: Any
    labels: tuple[str, ...]
    round: int
    program: dspy.Module
    base: Candidate
    walks: tuple[Walked, ...]
    tried: tuple[tuple[Option, float | None], ...]
    seed: int
    student: dspy.Module | None = None


class Proposer(Protocol):
    """Writes options."""

    def propose(self, request: Request) -> tuple[list[Option], list[str]]:
        """Return new options, and what was refused and why.

        It may raise: then the round has no options for this part, and the search goes on.
        """
        ...


@dataclass
class Rounds:
    """Holds rounds of proposals.

    Attributes:
        proposer: writes the options.
        board: where options are published.
        evaluator: walks training sequences, and pays for the proposer's calls.
        space: says for which parts there is room.
        student: the program.
        trainset: sequences to learn from; never those that candidates are judged on.
        count: number of rounds.
        every: trials from one round to the next.
        walks: training sequences walked in each round.
        seed: for choosing them.
        models: models by name.
        teacher: walks the training sequences for worked examples in the student's stead.
    """

    proposer: Proposer
    board: Board
    evaluator: Evaluator
    space: Space
    student: dspy.Module
    trainset: Sequence[Item]
    objective: Objective
    count: int = 10
    every: int = 3
    walks: int = 1
    seed: int = 0
    models: Mapping[str, dspy.LM] = field(default_factory=dict)
    teacher: Teacher | None = None

    def place(self, number: int, given: int) -> int:
        """Return the place of the trial before which a round is held."""
        return given + number * self.every

    def due(self, place: int, given: int) -> list[int]:
        """Return the rounds to be held before the trial at ``place``."""
        if not any(isinstance(part, Slotted) and part.rooms for part in self.space.parts):
            return []
        return [number for number in range(self.count) if self.place(number, given) <= place]

    def hold(self, number: int, best: Candidate, pool: Pool) -> None:
        """Hold a round: walk, have options written, publish them."""
        program = best.apply(self.student, self.models)
        walked = self._walk(program, best.digest, number)
        taught = walked if self.teacher is None else self._walk(self.teacher.program, self.teacher.digest, number)
        rejected: list[str] = []
        for part in self.space.parts:
            labels = self._share(part, number, pool) if isinstance(part, Slotted) else ()
            if not labels:
                continue
            seed = derive_seed(self.seed, "proposals", number, part.name)
            tried = self._tried(pool, part.name)
            seen = taught if isinstance(part, Demos) else walked
            request = Request(part, labels, number, program, best, seen, tried, seed, self.student)
            options, refused = self._ask(request, best.digest)
            rejected += refused
            for option in options:
                self.board.publish(option)
        self.board.close_round(number, rejected)

    def _walk(self, program: dspy.Module, digest: str, number: int) -> tuple[Walked, ...]:
        items = list(self.trainset)
        random.Random(derive_seed(self.seed, "walks", number)).shuffle(items)
        walked = []
        for item in items[: self.walks]:
            made = self.evaluator.walk(program, digest, item)
            if made is not None:
                entry, trace = made
                walked.append(Walked(item, entry.score or 0.0, trace))
        return tuple(sorted(walked, key=lambda w: (-w.score, w.item.id)))

    def _ask(self, request: Request, digest: str) -> tuple[list[Option], list[str]]:
        """Ask the proposer, and book what its calls cost."""
        options: list[Option] = []
        refused: list[str] = []
        with self.evaluator.purse.paying() as meter:
            try:
                options, refused = _usable(request, *self.proposer.propose(request))
            except Exception as error:
                refused = [f"{request.part.name}: {type(error).__name__}: {error}"]
            finally:
                usage = meter.total()
                if usage.calls:
                    self.evaluator.ledger.record(
                        Entry(
                            kind="proposal",
                            candidate=f"{digest}/round-{request.round}",
                            sequence=request.part.name,
                            calls=usage.calls,
                            tokens=usage.tokens,
                            money=meter.timing().cost,
                        )
                    )
        return options, refused

    def _share(self, part: Any, number: int, pool: Pool) -> tuple[str, ...]:
        """Return the labels that this round may fill: equal shares, so that later ones build on better parents."""
        rooms = [label for label in part.labels if label.startswith("proposed-")]
        cuts = [-(-len(rooms) * k // self.count) for k in range(self.count + 1)]
        share = rooms[cuts[number] : cuts[number + 1]]
        return tuple(label for label in share if label not in pool.labels(part.name))

    def _tried(self, pool: Pool, part: str) -> tuple[tuple[Option, float | None], ...]:
        best: dict[str, float] = {}
        for trial in ranked(self.board.trials(), self.objective):
            label = trial.params.get(part)
            if label is not None:
                best.setdefault(label, trial.user_attrs["measures"]["score"])
        return tuple((option, best.get(option.label)) for option in pool.of(part))

    def best_params(self) -> dict[str, Any]:
        """Return the choices of the best candidate so far; the student's own before the first."""
        best = ranked(self.board.trials(), self.objective)
        if best:
            return dict(best[0].params)
        return {part.name: BASE for part in self.space.parts if isinstance(part, Slotted)}


def _usable(request: Request, options: list[Any], refused: list[str]) -> tuple[list[Option], list[str]]:
    """Return the options that were asked for and can be stored; of the rest, why not."""
    name, kept, told = request.part.name, list[Option](), [*refused]
    for option in options:
        if not isinstance(option, Option) or option.value is None:
            told.append(f"{name}: {option!r:.80} is no option with a value")
        elif option.part != name or option.label not in request.labels:
            told.append(f"{name}: {option.part} {option.label!r} was not asked for, but {', '.join(request.labels)}")
        else:  # a model may write half a character, which no file and no request can hold
            text = json.dumps(option.model_dump(mode="json"), ensure_ascii=False)
            kept.append(Option.model_validate_json(text.encode("utf-8", "replace")))
    return kept, told
