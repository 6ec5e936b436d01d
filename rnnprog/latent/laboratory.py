"""A bench for comparing methods: one backbone, encoded training, validation and test conversations, references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rnnprog.latent.backbone import Backbone, Prompts
from rnnprog.latent.conversations import Conversation
from rnnprog.latent.errors import LatentError
from rnnprog.latent.evaluate import ExamOptions, ExamPaper, examine, references
from rnnprog.latent.examination import Examination
from rnnprog.latent.model import LatentModel
from rnnprog.latent.spec import MethodSpec
from rnnprog.latent.synthetic import World
from rnnprog.latent.talks import encode_questions, encode_talks
from rnnprog.latent.train import Exercise, TrainConfig, TrainReport, train

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """How many conversations are generated for training, validation and test."""

    training: int = 1200
    validation: int = 60
    test: int = 150


@dataclass(frozen=True)
class Laboratory:
    """Everything that runs of different methods and seeds share, encoded once."""

    backbone: Backbone
    training: Exercise
    validation: Exercise
    paper: ExamPaper
    references: dict[str, np.ndarray]
    options: ExamOptions = field(default_factory=ExamOptions)

    @classmethod
    def of(
        cls,
        backbone: Backbone,
        split: tuple[Sequence[Conversation], Sequence[Conversation], Sequence[Conversation]],
        options: ExamOptions,
        prompts: Prompts | None = None,
    ) -> Laboratory:
        """Encode a split into training, validation and test conversations; raises when they overlap."""
        names = [{talk.id for talk in part} for part in split]
        if names[0] & names[2] or names[1] & names[2] or names[0] & names[1]:
            raise LatentError("training, validation and test share conversations: the scores would mean nothing")
        wording = prompts or Prompts()
        training, validation = (
            Exercise(encode_talks(backbone, part, wording), encode_questions(backbone, part, wording))
            for part in split[:2]
        )
        paper = ExamPaper.of(backbone, split[2], wording)
        return cls(backbone, training, validation, paper, references(paper, options), options)

    @classmethod
    def synthetic(cls, backbone: Backbone, world: World, sizes: Sizes | None = None) -> Laboratory:
        """A bench on the made-up world; the three parts come from disjoint seeds."""
        count = sizes or Sizes()
        split = (
            world.conversations(count.training, 1),
            world.conversations(count.validation, 2),
            world.conversations(count.test, 3),
        )
        return cls.of(backbone, split, ExamOptions(max_new_tokens=6))

    def run(
        self,
        spec: MethodSpec,
        config: TrainConfig,
        progress: Progress = lambda line: None,
        *,
        folder: Path | None = None,
    ) -> tuple[LatentModel, TrainReport | None, Examination]:
        """Train one method with ``config.seed`` and examine it; with ``folder`` the training is resumable."""
        model = LatentModel(self.backbone, spec, seed=config.seed)
        report = None
        if not spec.stateless:
            report = train(model, self.training, config, validation=self.validation, folder=folder, progress=progress)
        options = replace(self.options, seed=config.seed)
        return model, report, examine(model, self.paper, reference=self.references, options=options)
