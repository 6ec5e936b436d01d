"""A tiny T5 trained from scratch on the made-up world, because no weights come with the package."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast
from transformers.modeling_outputs import BaseModelOutput

from rnnprog.folder import tried_folder
from rnnprog.latent.backbone import Backbone, Prompts, random_t5
from rnnprog.latent.conversations import Conversation, spoken
from rnnprog.latent.loading import usable
from rnnprog.latent.synthetic import UNKNOWN, World

Progress = Callable[[str], None]


@dataclass(frozen=True)
class TinyRecipe:
    """How the tiny backbone is trained: ``steps`` of ``batch`` samples, learning rate ``rate``."""

    steps: int = 1000
    batch: int = 64
    rate: float = 2e-3
    turns: int = 8
    hidden: float = 0.2
    width: int = 96
    layers: int = 2
    seed: int = 0


def word_tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words that ``transformers`` can save and load."""
    vocabulary = {word: index for index, word in enumerate(["<pad>", "</s>", "<unk>", *words])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )


def untrained(world: World, *, seed: int = 0, width: int = 96, layers: int = 2) -> Backbone:
    """The tiny backbone with random weights: enough for every check that needs no meaning."""
    tokenizer = word_tokenizer(world.vocabulary())
    return Backbone(random_t5(len(tokenizer), seed=seed, width=width, layers=layers), tokenizer)


def pretrain(
    world: World, recipe: TinyRecipe, progress: Progress = lambda line: None, *, device: str = "cpu"
) -> Backbone:
    """Train a tiny T5 to answer from up to eight turns, given as one text or encoded one by one.

    The second half of the samples teaches the decoder to read separately encoded turns, which a memory needs; in a
    fifth of them the evidence is missing and the answer is "unknown". About 0.2 s a step on two cores.
    """
    backbone = untrained(world, seed=recipe.seed, width=recipe.width, layers=recipe.layers)
    model = backbone.model.to(device).requires_grad_(True).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=0.01)
    random = np.random.default_rng(recipe.seed)
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 50)
            group["lr"] = recipe.rate * warm * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        samples = [_sample(world, recipe, random) for _ in range(recipe.batch)]
        loss = _loss(backbone, samples, apart=step % 2 == 1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 50 == 0:
            progress(f"backbone {step + 1}/{recipe.steps}  loss {loss.item():.3f}")
    model.requires_grad_(False).eval()
    return Backbone(model, backbone.tokenizer)


def cached(
    world: World,
    recipe: TinyRecipe,
    folder: Path,
    progress: Progress = lambda line: None,
    *,
    device: str = "cpu",
    dtype: str = "float32",
) -> Backbone:
    """The trained tiny backbone from ``folder``, trained and stored there at first use.

    Raises ``LatentError`` for a device or precision that is not there, ``StorageError`` for a folder that cannot be
    written, both before anything is trained.
    """
    usable(device, dtype)
    key = hashlib.sha256(repr((sorted(asdict(world).items()), sorted(asdict(recipe).items()))).encode()).hexdigest()
    place = folder / f"tiny-{key[:12]}"
    if not (place / "model.safetensors").exists():
        tried_folder(folder)
        backbone = pretrain(world, recipe, progress, device=device)
        # In one move: a kill in between must not leave half a checkpoint that every later call would fall over.
        partial = place.with_name(f"{place.name}.{os.getpid()}.part")
        backbone.tokenizer.save_pretrained(partial)
        backbone.model.save_pretrained(partial)
        shutil.rmtree(place, ignore_errors=True)
        partial.rename(place)
    return Backbone.load(place, device=device, dtype=dtype)


@dataclass(frozen=True)
class _Sample:
    turns: list[str]
    question: str
    answer: str


def _sample(world: World, recipe: TinyRecipe, random: np.random.Generator) -> _Sample:
    talk: Conversation = world.conversation(int(random.integers(1, 2**31)) + 2**40)
    chosen = talk.questions[int(random.integers(len(talk.questions)))]
    evidence = chosen.evidence[0]
    others = [index for index in range(len(talk.turns)) if index != evidence]
    count = int(random.integers(1, recipe.turns + 1))
    hidden = random.random() < recipe.hidden
    # Facts are as likely as small talk among the distractors: the model must choose by speaker and attribute.
    facts = [q.evidence[0] for q in talk.questions if q.evidence[0] != evidence]
    pool = facts if random.random() < 0.5 else others
    picked = random.choice(pool, min(count - (not hidden), len(pool)), replace=False).tolist() if pool else []
    order = sorted(picked + ([] if hidden else [evidence])) or [others[0]]
    lines = spoken([talk.turns[index] for index in order])
    return _Sample(lines, Prompts().question.format(text=chosen.text), UNKNOWN if hidden else chosen.answer)


def _loss(backbone: Backbone, samples: Sequence[_Sample], *, apart: bool) -> Tensor:
    labels = backbone.labels([sample.answer for sample in samples])
    if not apart:
        ids, mask = backbone.tokens([" . ".join([*sample.turns, sample.question]) for sample in samples])
        loss: Any = backbone.model(input_ids=ids, attention_mask=mask.long(), labels=labels).loss
        return loss
    latents, mask = _encode_apart(backbone, samples)
    return backbone.model(
        encoder_outputs=BaseModelOutput(last_hidden_state=latents), attention_mask=mask.long(), labels=labels
    ).loss


def _encode_apart(backbone: Backbone, samples: Sequence[_Sample]) -> tuple[Tensor, Tensor]:
    """Every piece through the encoder alone; the pieces of a sample side by side."""
    most = max(len(sample.turns) for sample in samples)
    texts, owners, places = [], [], []
    for row, sample in enumerate(samples):
        for place, text in enumerate([sample.question, *sample.turns]):
            texts.append(text)
            owners.append(row)
            places.append(place)
    ids, mask = backbone.tokens(texts)
    hidden = backbone.model.get_encoder()(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    length = ids.shape[1]
    latents = hidden.new_zeros(len(samples), most + 1, length, hidden.shape[-1])
    present = torch.zeros(len(samples), most + 1, length, dtype=torch.bool, device=hidden.device)
    at = (torch.tensor(owners, device=hidden.device), torch.tensor(places, device=hidden.device))
    latents = latents.index_put(at, hidden)
    present = present.index_put(at, mask)
    return latents.flatten(1, 2), present.flatten(1, 2)
