"""The frozen encoder-decoder: text to latents, latents (with or without memory) to text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from rnnprog.latent.conditioning import Conditioned, Encoded, branches
from rnnprog.latent.errors import DeviceMemoryError, LatentError, TurnTooLongError
from rnnprog.latent.loading import FAMILY, family_model, tokenizer_of, usable
from rnnprog.latent.pieces import OneAtATime, halved, is_full
from rnnprog.memory import well_formed

_LONGEST = 512


@dataclass(frozen=True)
class Prompts:
    """How turns and questions are worded for the encoder."""

    turn: str = "{speaker}: {text}"
    question: str = "question: {text}"


class Backbone:
    """A frozen T5-family model with its tokenizer.

    Use ``Backbone.load`` for a checkpoint; the constructor takes parts that are already in memory. No parameter of it
    ever gets a gradient, though gradients flow through it to an adapter. A deep copy of what holds it shares it.
    Any number of threads may use it; they decode one at a time.

    Raises ``LatentError`` when the model is not of the T5 family.
    """

    def __init__(self, model: Any, tokenizer: Any, *, max_tokens: int | None = None, batch: int = 64) -> None:
        kind = getattr(model.config, "model_type", "unknown")
        if kind not in FAMILY:
            raise LatentError(f"model type {kind!r} is not an encoder-decoder of the T5 family ({', '.join(FAMILY)})")
        for name, value in (("max_tokens", 1 if max_tokens is None else max_tokens), ("batch", batch)):
            if value < 1:
                raise LatentError(f"{name}={value}: must be at least 1")
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens or min(int(tokenizer.model_max_length), _LONGEST)
        self.batch = batch
        self._fingerprint: str | None = None
        self._decoding = OneAtATime()

    def __deepcopy__(self, _memo: object) -> Backbone:
        return self

    @classmethod
    def load(cls, name: str | Path, *, device: str = "cpu", dtype: str = "float32", **options: Any) -> Backbone:
        """A checkpoint that ``transformers`` loads, from a folder or by its hub name.

        ``dtype`` is ``float32`` or ``bfloat16``; ``device`` is ``cpu``, ``cuda`` or ``cuda:0``. Raises ``LatentError``
        for any other, and when there is no such checkpoint.
        """
        precision = usable(device, dtype)
        if device.startswith("cuda"):
            torch.set_float32_matmul_precision("high")  # TensorFloat-32 for the adapter's own float32 products
        try:
            model = family_model(str(name), precision)
            tokenizer = tokenizer_of(str(name))
        except LatentError:
            raise
        except (OSError, ValueError, ImportError, SafetensorError) as error:
            why = str(error).strip().splitlines()[0]
            raise LatentError(
                f"{name}: no checkpoint that transformers loads ({why}): pass a folder with config, weights and "
                "tokenizer, or a hub name that can be reached from here"
            ) from error
        try:
            return cls(model.to(device), tokenizer, **options)
        except RuntimeError as error:
            if not is_full(error):
                raise
            raise DeviceMemoryError(
                f"{name} does not fit into the memory of {device}: use a smaller backbone, bfloat16 or the CPU"
            ) from error

    @property
    def width(self) -> int:
        """Hidden width d."""
        return int(self.model.config.d_model)

    @property
    def layers(self) -> int:
        """Number of decoder layers L."""
        return int(self.model.config.num_decoder_layers)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return next(self.model.parameters()).dtype

    @property
    def fingerprint(self) -> str:
        """A short name of the weights: equal for bf16 and fp32 copies of one checkpoint, else different."""
        if self._fingerprint is None:
            digest = hashlib.sha256()
            for name, weight in self.model.state_dict().items():
                flat = weight.detach().flatten()
                sample = flat[:: max(1, flat.numel() // 64)][:64].to(torch.bfloat16).float().cpu()
                digest.update(f"{name}{tuple(weight.shape)}".encode())
                digest.update(sample.numpy().tobytes())
            self._fingerprint = digest.hexdigest()[:16]
        return self._fingerprint

    def tokens(self, texts: Sequence[str], *, limit: int | None = None) -> tuple[Tensor, Tensor]:
        """Token ids and mask, padded to the longest; raises ``TurnTooLongError`` above ``max_tokens``."""
        encoded = self.tokenizer(
            [well_formed(text) for text in texts],
            padding=True, padding_side="right", return_tensors="pt", verbose=False,
        )  # fmt: skip
        ids, mask = encoded["input_ids"], encoded["attention_mask"].bool()
        bound = limit or self.max_tokens
        lengths = mask.sum(1)  # before the move: a CUDA device would have to be waited for
        if int(lengths.max()) > bound:
            worst = int(lengths.argmax())
            raise TurnTooLongError(
                f"{int(lengths[worst])} tokens but the encoder takes {bound}: {texts[worst][:60]!r}...; split the text "
                "(long_turns='split') or raise max_tokens"
            )
        device = self.device
        return ids.to(device, non_blocking=True), mask.to(device, non_blocking=True)

    def encode(self, texts: Sequence[str], *, limit: int | None = None) -> Encoded:
        """Encoder outputs of these texts in one forward pass, padded to the longest."""
        ids, mask = self.tokens(texts, limit=limit)
        with torch.no_grad():
            latents = self.model.get_encoder()(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return Encoded(ids, mask, latents)

    def encode_all(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Encoded]]:
        """Encode many texts in batches of similar length; yields (positions in ``texts``, their latents).

        When the device runs out of memory the batch is halved, with a warning that says so; the smaller batch stays.
        """
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        start = 0
        while start < len(order):
            chosen = order[start : start + self.batch]
            try:
                encoded = self.encode([texts[index] for index in chosen])
            except RuntimeError as error:
                self.halve_batch(error)
                continue
            yield chosen, encoded
            start += len(chosen)

    def halve_batch(self, error: RuntimeError) -> None:
        """Half the batch of texts, said aloud; ``DeviceMemoryError`` when it is one already; other errors rise."""
        self.batch = halved(self.batch, error, "texts")

    def encode_embedded(self, rows: Tensor, rows_mask: Tensor, question: Encoded) -> Tensor:
        """Run the encoder on [rows ; embedded question] and cut the rows off again, with gradients to the rows."""
        words = self.model.get_input_embeddings()(question.ids)
        mask = torch.cat([rows_mask, question.mask], 1)
        inputs = torch.cat([rows.to(words.dtype), words], 1)
        hidden = self.model.get_encoder()(inputs_embeds=inputs, attention_mask=mask.long()).last_hidden_state
        return hidden[:, rows.shape[1] :]

    def loss(self, conditioned: Conditioned, labels: Tensor) -> Tensor:
        """Mean cross-entropy of the answer tokens (labels -100 are ignored), decoder teacher-forced."""
        logits = self.logits(conditioned, labels).flatten(0, 1)
        # In float32: a mean of bfloat16 has three digits, too few to tell two checks of a training apart.
        return torch.nn.functional.cross_entropy(logits.float(), labels.flatten())

    def logits(self, conditioned: Conditioned, labels: Tensor) -> Tensor:
        """Decoder logits for teacher-forced answers, (batch, answer tokens, vocabulary)."""
        with self._decoding, branches(self.model, conditioned.branch):
            logits: Tensor = self.model(
                encoder_outputs=BaseModelOutput(last_hidden_state=conditioned.latents.to(self.dtype)),
                attention_mask=conditioned.mask.long(),
                decoder_input_ids=self.model.prepare_decoder_input_ids_from_labels(labels),
                use_cache=False,  # one pass: keys kept for a next step would only be built and thrown away
            ).logits
        return logits

    def generate(self, conditioned: Conditioned, max_new_tokens: int = 32) -> list[str]:
        """Greedy answers, one for each row of the batch."""
        with torch.no_grad(), self._decoding, branches(self.model, conditioned.branch):
            ids = self.model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=conditioned.latents.to(self.dtype)),
                attention_mask=conditioned.mask.long(),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                num_beams=1,
            )
        return [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def labels(self, answers: Sequence[str]) -> Tensor:
        """Token ids of gold answers, padding replaced by -100."""
        encoded = self.tokenizer(list(answers), padding=True, padding_side="right", return_tensors="pt")
        ids = encoded["input_ids"].masked_fill(encoded["attention_mask"] == 0, -100)
        return ids.to(self.device)


def random_t5(vocabulary: int, *, seed: int = 0, width: int = 96, layers: int = 2, heads: int = 4) -> Any:
    """A small T5 with random weights from this seed (no checkpoint needed)."""
    config = T5Config(
        vocab_size=vocabulary,
        d_model=width,
        d_kv=width // heads,
        d_ff=width * 8 // 3,
        num_layers=layers,
        num_decoder_layers=layers,
        num_heads=heads,
        dropout_rate=0.0,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return T5ForConditionalGeneration(config)
