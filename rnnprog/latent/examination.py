"""The result of an exam as a value: per-question scores, the curves drawn from them, and the verdict in words."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnprog.latent.errors import LatentError
from rnnprog.latent.scores import Estimate, Floats, Ints, bucket_names, buckets, clustered, falling_fit, recall_rate

ADVERSARIAL = 5
"""LoCoMo's category of questions without an answer: scored apart."""


@dataclass(frozen=True)
class Curve:
    """The forgetting curve: per lag bucket the count, F1, published rate (raw and fitted) and signed gains."""

    names: tuple[str, ...]
    counts: tuple[int, ...]
    memory: tuple[float, ...]
    shuffled: tuple[float, ...]
    rate: tuple[float, ...]
    rate_fitted: tuple[float, ...]
    gain_zero: tuple[float, ...]
    gain_shuffled: tuple[float, ...]
    gain_fitted: tuple[float, ...]
    gain_error: tuple[float, ...]

    @property
    def rate_mean(self) -> float:
        """The published mean: unweighted over fitted buckets."""
        return float(np.nanmean(self.rate_fitted))


@dataclass(frozen=True)
class Examination:
    """One method, one seed: token F1 of every question under every condition."""

    method: str
    capacity: int
    seed: int
    parameters: int
    backbone: str
    owners: tuple[str, ...]
    lags: Ints
    categories: Ints
    f1: dict[str, Floats]
    knowledge: tuple[float, ...] = ()

    def subset(self, keep: Any) -> Examination:
        """Only the questions where the boolean array ``keep`` is true."""
        owners = tuple(owner for owner, kept in zip(self.owners, keep, strict=True) if kept)
        f1 = {name: values[keep] for name, values in self.f1.items()}
        return Examination(
            self.method, self.capacity, self.seed, self.parameters, self.backbone, owners, self.lags[keep],
            self.categories[keep], f1, self.knowledge,
        )  # fmt: skip

    @property
    def answerable(self) -> Examination:
        """Without the adversarial category."""
        return self.subset(self.categories != ADVERSARIAL)

    @property
    def adversarial(self) -> Examination:
        """Only the adversarial category."""
        return self.subset(self.categories == ADVERSARIAL)

    def mean(self, condition: str) -> Estimate:
        """Mean F1 under one condition."""
        return clustered(self._of(condition), self.owners)

    def gain(self, over: str, condition: str = "memory") -> Estimate:
        """Signed mean difference of F1 between two conditions, question by question."""
        return clustered(self._of(condition) - self._of(over), self.owners)

    @property
    def tax(self) -> Estimate:
        """What the adapter costs when its bank is zero: F1 stateless minus F1 zeroed."""
        return self.gain("zero", "stateless")

    @property
    def net_benefit(self) -> Estimate:
        """What memory brings over no memory at all: F1 memory minus F1 stateless."""
        return self.gain("stateless")

    @property
    def delta_k(self) -> float:
        """Growth of the knowledge curve from the first session to the last."""
        return float(self.knowledge[-1] - self.knowledge[0]) if self.knowledge else float("nan")

    def curve(self, edges: Sequence[int]) -> Curve:
        """The forgetting curve over these lag buckets."""
        place = buckets(self.lags, edges)
        memory, shuffled, zero = self._of("memory"), self._of("shuffled"), self._of("zero")
        parts = [place == number for number in range(len(edges))]
        counts = tuple(int(part.sum()) for part in parts)
        owners = np.asarray(self.owners)

        def means(values: Floats) -> tuple[float, ...]:
            return tuple(float(values[part].mean()) if part.any() else float("nan") for part in parts)

        rate, gain = means(recall_rate(memory, zero)), means(memory - shuffled)
        return Curve(
            names=tuple(bucket_names(edges)),
            counts=counts,
            memory=means(memory),
            shuffled=means(shuffled),
            rate=rate,
            rate_fitted=tuple(falling_fit(rate, counts)),
            gain_zero=means(memory - zero),
            gain_shuffled=gain,
            gain_fitted=tuple(falling_fit(gain, counts)),
            gain_error=tuple(clustered((memory - shuffled)[part], owners[part]).error for part in parts),
        )

    def _of(self, condition: str) -> Floats:
        if condition not in self.f1:
            raise LatentError(f"no condition {condition!r} in this exam: it has {', '.join(self.f1)}")
        return self.f1[condition]

    def save(self, path: Path) -> None:
        """Store as JSON, written so that a crash leaves the old file or the new one."""
        arrays = {"lags": self.lags.tolist(), "categories": self.categories.tolist()}
        f1 = {name: [round(float(value), 6) for value in values] for name, values in self.f1.items()}
        plain = {**self.__dict__, **arrays, "owners": list(self.owners), "f1": f1, "knowledge": list(self.knowledge)}
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.part")
        temporary.write_text(json.dumps(plain))
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: Path) -> Examination:
        """Read what ``save`` stored."""
        plain = json.loads(path.read_text())
        return cls(
            **{key: plain[key] for key in ("method", "capacity", "seed", "parameters", "backbone")},
            owners=tuple(plain["owners"]),
            lags=np.array(plain["lags"], dtype=np.int64),
            categories=np.array(plain["categories"], dtype=np.int64),
            f1={name: np.array(values) for name, values in plain["f1"].items()},
            knowledge=tuple(plain["knowledge"]),
        )


def pooled(exams: Sequence[Examination]) -> tuple[Examination, float]:
    """Several seeds of one method as one exam of per-question means, and the standard error between seeds.

    The second number is that of the gain over the shuffled bank; zero for a single seed.
    """
    if not exams:
        raise LatentError("no exams to pool: pass at least one")
    first = exams[0]
    if any(exam.owners != first.owners or exam.method != first.method for exam in exams):
        raise LatentError("exams of different methods or questions cannot be pooled: pass seeds of one method")
    f1 = {name: np.mean([exam.f1[name] for exam in exams], axis=0) for name in first.f1}
    gains = [float((exam.f1["memory"] - exam.f1["shuffled"]).mean()) for exam in exams]
    between = float(np.std(gains, ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0
    knowledge = tuple(np.mean([exam.knowledge for exam in exams], axis=0).tolist()) if first.knowledge else ()
    whole = Examination(
        first.method, first.capacity, first.seed, first.parameters, first.backbone, first.owners, first.lags,
        first.categories, f1, knowledge,
    )  # fmt: skip
    return whole, between


def verdict(exam: Examination, between: float = 0.0) -> str:
    """In words: recall only where the gain over another conversation's bank exceeds two standard errors.

    ``between`` is the standard error between seeds, added in quadrature to that over conversations.
    """
    gain = exam.gain("shuffled")
    error = float(np.hypot(gain.error, between))
    numbers = f"gain over another conversation's bank {100 * gain.mean:+.1f} points, standard error {100 * error:.1f}"
    if gain.mean > 2 * error and gain.mean > 0:
        return f"recall ({numbers})"
    if gain.mean < -2 * error:
        return f"worse than another conversation's bank ({numbers})"
    return f"no recall shown ({numbers})"
