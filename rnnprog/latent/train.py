"""Training an adapter: frozen backbone, cached banks where the writes are frozen, resumable at any step."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from rnnprog.latent.checkpoint import Snapshot, load_snapshot, save_snapshot
from rnnprog.latent.errors import LatentError
from rnnprog.latent.model import LatentModel
from rnnprog.latent.pieces import halved, in_pieces
from rnnprog.latent.sources import BankSource, bank_source
from rnnprog.latent.talks import EncodedQuestions, EncodedTalks

Progress = Callable[[str], None]


@dataclass(frozen=True)
class TrainConfig:
    """How to train. ``batch`` questions x ``accumulation`` make one step; ``rate`` warms up linearly over ``warmup``
    steps, then stays or falls by cosine to a tenth; ``patience`` checks without improvement end the training.

    >>> TrainConfig.paper().batch, TrainConfig.paper().accumulation
    (2, 8)
    """

    steps: int = 400
    batch: int = 128
    accumulation: int = 1
    rate: float = 2e-3
    warmup: int = 20
    cosine: bool = True
    weight_decay: float = 1e-2
    clip: float = 1.0
    check_every: int = 50
    patience: int | None = None
    window: int | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulation", "check_every"):
            if getattr(self, name) < 1:
                raise LatentError(f"{name}={getattr(self, name)}: must be at least 1")
        for name in ("patience", "window"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise LatentError(f"{name}={getattr(self, name)}: must be at least 1, or None")
        for name in ("rate", "clip"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise LatentError(f"{name}={getattr(self, name)}: must be positive")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise LatentError(f"weight_decay={self.weight_decay}: must not be negative")

    @classmethod
    def paper(cls, steps: int = 840, seed: int = 42) -> TrainConfig:
        """The published setting: AdamW 1e-4, 200 warm-up steps, 2 x 8 questions a step (arXiv 2603.16413)."""
        return cls(steps=steps, batch=2, accumulation=8, rate=1e-4, warmup=200, cosine=False, seed=seed)

    def rate_at(self, step: int) -> float:
        """Learning rate of step ``step`` (0-based)."""
        warm = min(1.0, (step + 1) / max(1, self.warmup))
        if not self.cosine:
            return self.rate * warm
        return self.rate * warm * (0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * step / self.steps)))


@dataclass(frozen=True)
class Exercise:
    """Encoded conversations and the questions about them."""

    talks: EncodedTalks
    questions: EncodedQuestions

    @property
    def fingerprint(self) -> str:
        """A short name of the questions, their answers and the lengths of the turns, the same on every device."""
        digest = hashlib.sha256()
        for part in (self.questions.owner, self.questions.ids, self.questions.labels, self.talks.texts.lengths):
            digest.update(part.cpu().numpy().tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class TrainReport:
    """What a training run did: steps taken, last training loss, best validation loss and its step, seconds."""

    steps: int
    loss: float
    best: float
    best_step: int
    seconds: float
    stopped_early: bool


def train(
    model: LatentModel,
    training: Exercise,
    config: TrainConfig,
    *,
    validation: Exercise | None = None,
    folder: Path | None = None,
    progress: Progress = lambda line: None,
) -> TrainReport:
    """Train the adapter of ``model`` in place.

    Use it with banks of any method: frozen writes are cached, trained ones get gradients. With ``validation`` the best
    weights are kept; with ``folder`` a checkpoint is written at every check and an existing one is resumed, step for
    step as if never interrupted.

    A step that does not fit into the device's memory is redone in halved pieces, with a warning.

    Raises ``LatentError`` for M.0 (nothing to train) and for a loss that is not finite.
    """
    if model.spec.stateless:
        raise LatentError("M.0 has no adapter: there is nothing to train; examine it directly")
    started = time.perf_counter()
    run = _Run(model, training, validation, config)
    if folder is not None and (folder / "checkpoint.safetensors").exists():
        run.restore(load_snapshot(folder / "checkpoint.safetensors", model, run.settings))
        progress(f"resumed at step {run.step}")
    while run.step < config.steps and not run.exhausted:
        run.advance()
        if run.step % config.check_every == 0 or run.step == config.steps:
            run.check()
            progress(f"{model.spec.name} {run.step}/{config.steps}  loss {run.loss:.3f}  best {run.best:.3f}")
            if folder is not None:
                save_snapshot(folder / "checkpoint.safetensors", run.snapshot(), model, run.settings)
    if validation is not None and run.best_weights:
        model.load_state_dict(run.best_weights, strict=False)
    seconds = time.perf_counter() - started
    return TrainReport(run.step, run.loss, run.best, run.best_step, seconds, run.exhausted)


class _Run:
    """The state of one training run: everything a checkpoint has to hold."""

    def __init__(
        self, model: LatentModel, training: Exercise, validation: Exercise | None, config: TrainConfig
    ) -> None:
        self.model = model
        self.config = config
        self.weights = model.trainable()
        self.optimizer = torch.optim.AdamW(
            list(self.weights.values()), lr=config.rate, weight_decay=config.weight_decay
        )
        self.questions = training.questions
        self.settings = {**asdict(config), "data": training.fingerprint}
        self.source: BankSource = bank_source(model, training.talks, window=config.window)
        self.validation = validation
        self.validation_source = None if validation is None else bank_source(model, validation.talks)
        self.piece = config.batch
        self.step = 0
        self.loss = math.nan
        self.best = math.inf
        self.best_step = 0
        self.bad_checks = 0
        self.best_weights: dict[str, Tensor] = {}
        self._order: tuple[int, Tensor] | None = None

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.config.patience is not None and self.bad_checks >= self.config.patience

    def advance(self) -> None:
        """One optimiser step."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate_at(self.step)
        total = self.gradients()
        if not math.isfinite(total):
            raise LatentError(f"the loss became {total} at step {self.step}: lower rate={self.config.rate}")
        torch.nn.utils.clip_grad_norm_(list(self.weights.values()), self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.loss = total

    def gradients(self) -> float:
        """Gradients of one step over all its questions, in pieces that fit; returns the mean loss of a token."""
        first = self.step * self.config.accumulation
        index = torch.cat([self.indices(first + micro) for micro in range(self.config.accumulation)])
        tokens = (self.questions.labels[index] >= 0).sum(1)
        while True:
            try:
                pieces = zip(index.split(self.piece), tokens.split(self.piece), strict=True)
                losses = [self.piece_gradients(part, sizes.sum() / tokens.sum()) for part, sizes in pieces]
                return float(torch.stack(losses).sum())  # the only wait for the device in a step
            except RuntimeError as error:
                self.optimizer.zero_grad(set_to_none=True)
                self.piece = halved(self.piece, error, "questions a piece")

    def piece_gradients(self, index: Tensor, share: Tensor) -> Tensor:
        """Add the gradients of one piece, whose loss is a mean over its own tokens: ``share`` of those of the batch.

        A frame of its own: where the device is full, its graph is let go with it.
        """
        loss = self.batch_loss(self.questions, self.source, index) * share
        loss.backward()
        return loss.detach()

    def batch_loss(self, questions: EncodedQuestions, source: BankSource, index: Tensor) -> Tensor:
        """Answer loss of these questions from their final banks."""
        encoded, labels = questions.batch(index)
        return self.model.loss(source.banks(questions.owner[index]), encoded, labels)

    def indices(self, number: int) -> Tensor:
        """Questions of the ``number``-th batch: a fresh permutation in every epoch, a function of seed and number."""
        size = len(self.questions)
        wanted = torch.arange(number * self.config.batch, (number + 1) * self.config.batch)
        parts = [
            self.permutation(int(epoch))[wanted[wanted // size == epoch] % size] for epoch in (wanted // size).unique()
        ]
        return torch.cat(parts).to(self.questions.owner.device)

    def permutation(self, epoch: int) -> Tensor:
        """The order of one epoch."""
        if self._order is None or self._order[0] != epoch:
            generator = torch.Generator().manual_seed(self.config.seed * 100_003 + epoch)
            self._order = (epoch, torch.randperm(len(self.questions), generator=generator))
        return self._order[1]

    def check(self) -> None:
        """Measure the validation loss (or take the training loss) and remember the best weights."""
        value = self.loss
        if self.validation is not None and self.validation_source is not None:
            questions, source = self.validation.questions, self.validation_source
            everyone = torch.arange(len(questions), device=questions.owner.device)

            def losses(piece: slice) -> list[float]:
                part = everyone[piece]
                return [float(self.batch_loss(questions, source, part))] * len(part)

            with torch.no_grad():
                value = sum(in_pieces(len(questions), 256, losses, "validation questions")) / len(questions)
        if value < self.best - 1e-6:
            self.best, self.best_step, self.bad_checks = value, self.step, 0
            self.best_weights = {name: weight.detach().clone() for name, weight in self.weights.items()}
        else:
            self.bad_checks += 1

    def snapshot(self) -> Snapshot:
        """Everything that the next step depends on."""
        moments = {
            name: {key: value.detach().clone() for key, value in self.optimizer.state[weight].items()}
            for name, weight in self.weights.items()
            if weight in self.optimizer.state
        }
        numbers = {"step": self.step, "loss": self.loss, "best": self.best, "best_step": self.best_step}
        return Snapshot({**numbers, "bad_checks": self.bad_checks}, moments, self.best_weights)

    def restore(self, snapshot: Snapshot) -> None:
        """Continue where the snapshot was taken (the model's weights are already loaded)."""
        self.step = int(snapshot.numbers["step"])
        self.loss, self.best = float(snapshot.numbers["loss"]), float(snapshot.numbers["best"])
        self.best_step, self.bad_checks = int(snapshot.numbers["best_step"]), int(snapshot.numbers["bad_checks"])
        self.best_weights = snapshot.best_weights
        for name, weight in self.weights.items():
            if name in snapshot.moments:
                self.optimizer.state[weight] = dict(snapshot.moments[name])
