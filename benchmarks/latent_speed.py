"""Speed of the latent wing as ratios, both sides measured in turn in one process.

Run: python -m benchmarks.latent_speed [--shape small|tiny] [--device cpu|cuda] [--threads 1]
The backbone has random weights (speed does not depend on them): ``small`` has the shape of Flan-T5-small.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import T5Config, T5ForConditionalGeneration

from benchmarks.latent_speed_page import Ratio, Row, publish
from rnnprog.latent.backbone import Backbone, Prompts
from rnnprog.latent.conditioning import Conditioned
from rnnprog.latent.conversations import Conversation, Turn
from rnnprog.latent.memory import LatentMemory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.sources import bank_source
from rnnprog.latent.spec import METHODS, Form, MethodSpec, method
from rnnprog.latent.synthetic import World
from rnnprog.latent.talks import encode_questions, encode_talks, write_talks
from rnnprog.latent.tiny import untrained, word_tokenizer

WORLD = World()
PARTS = ("write", "answer", "train", "batch")
SIZES = {("tiny", 1): (8, 16), ("tiny", 10): (80, 51), ("small", 1): (64, 256), ("small", 10): (640, 810)}


def side_by_side(one: Callable[[], object], other: Callable[[], object], device: str) -> Ratio:
    """Median time of ``one`` over that of ``other``, alternating: for two seconds, at least 9 and at most 41 rounds.

    On the CPU the time is processor time of this process, which does not count what other programs take.
    """
    cuda = device.startswith("cuda")
    now = time.perf_counter if cuda else time.process_time

    def clock(work: Callable[[], object]) -> float:
        if cuda:
            torch.cuda.synchronize()
        start = now()
        work()
        if cuda:
            torch.cuda.synchronize()
        return now() - start

    first = clock(one) + clock(other)
    first = min(first, clock(one) + clock(other))
    rounds = int(min(41, max(9, 2.0 / first)))
    pairs = [(clock(one), clock(other)) for _ in range(rounds)]
    ratio = statistics.median(mine for mine, _ in pairs) / statistics.median(theirs for _, theirs in pairs)
    low, _, high = statistics.quantiles((mine / theirs for mine, theirs in pairs), n=4)
    return Ratio(ratio, low, high)


def make_backbone(shape: str, device: str, dtype: torch.dtype) -> Backbone:
    """A frozen T5 of this shape with random weights."""
    if shape == "tiny":
        backbone = untrained(WORLD)
        return Backbone(backbone.model.to(device, dtype), backbone.tokenizer)
    config = T5Config(
        vocab_size=32128, d_model=512, d_kv=64, d_ff=1024, num_layers=8, num_decoder_layers=8, num_heads=6,
        feed_forward_proj="gated-gelu", dropout_rate=0.0, decoder_start_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    return Backbone(T5ForConditionalGeneration(config).to(device, dtype), word_tokenizer(WORLD.vocabulary()))


def spec_of(name: str, shape: str, capacity: int, form: Form = "paper") -> MethodSpec:
    """A method at the capacity that fits the shape."""
    rows = SIZES[shape, capacity][name == "M.4"]
    return method(name, form=form, rows=rows, top_k=2)


def turns(count: int, tokens: int = 32) -> list[str]:
    """Turns of equal length, about a LoCoMo turn (23 words) in subword tokens."""
    words = WORLD.vocabulary()
    return [" ".join(words[(start + step) % len(words)] for step in range(tokens - 1)) for start in range(count)]


def write_cost(backbone: Backbone, shape: str, device: str) -> list[Row]:
    """Encode + write of a turn of 16 users against the bare encoder forward."""
    rows = []
    texts = turns(16)
    for capacity, limit in ((1, 1.15), (10, 1.3)):
        for name in METHODS[1:]:
            model = LatentModel(backbone, spec_of(name, shape, capacity))
            encoded = backbone.encode(texts)
            bank = model.write(model.empty(16), encoded.latents, encoded.mask)

            def written(model: LatentModel = model, bank: object = bank) -> object:
                encoded = backbone.encode(texts)
                return model.write(bank, encoded.latents, encoded.mask)  # type: ignore[arg-type]

            ratio = side_by_side(written, lambda: backbone.encode(texts), device)
            rows.append(Row(f"write, {name} {capacity}x, against bare encoder", ratio, limit))
    return rows


def answer_cost(backbone: Backbone, shape: str, device: str) -> list[Row]:
    """Answers of 4 questions with memory against bare generation, 32 new tokens (the default) on both sides."""
    rows = []
    texts = turns(4, 12)
    named: list[tuple[str, Form]] = [*((name, "paper") for name in METHODS[1:]), ("M.3", "repaired")]
    for name, form in named:
        model = LatentModel(backbone, spec_of(name, shape, 1, form))
        encoded = backbone.encode(turns(4, 8 if shape == "tiny" else 32))
        bank = model.write(model.empty(4), encoded.latents, encoded.mask)

        def remembered(model: LatentModel = model, bank: object = bank) -> object:
            return model.generate(bank, backbone.encode(texts), 32)  # type: ignore[arg-type]

        def bare() -> object:
            encoded = backbone.encode(texts)
            return backbone.generate(Conditioned(encoded.latents, encoded.mask), 32)

        ratio = side_by_side(remembered, bare, device)
        rows.append(Row(f"answer, {model.spec.name} 1x, against bare generate", ratio, 1.25))
    return rows


def training_speed(backbone: Backbone, shape: str, device: str) -> list[Row]:
    """A training step on 16 questions drawn from 32 conversations: cached banks against re-encoding.

    Equal turns of a step are encoded once, and the made-up small talk repeats itself as no real conversation does. So
    the limit is for turns of the same lengths none of which is said twice; the second row is the talk as it is.
    """
    talks = WORLD.conversations(32, 1)
    name = "training, questions per second, cached against re-encoded"
    return [
        Row(name, _training_ratio(backbone, shape, device, unrepeated(talks)), 10, False),
        Row(f"{name}, where small talk repeats", _training_ratio(backbone, shape, device, talks), None),
    ]


def unrepeated(talks: list[Conversation]) -> list[Conversation]:
    """The same conversations with other words in every turn, as many as before."""
    random, words = np.random.default_rng(0), WORLD.vocabulary()

    def other(turn: Turn) -> Turn:
        return replace(turn, text=" ".join(random.choice(words, len(turn.text.split()))))

    return [replace(talk, turns=tuple(other(turn) for turn in talk.turns)) for talk in talks]


def _training_ratio(backbone: Backbone, shape: str, device: str, talks: list[Conversation]) -> Ratio:
    questions = encode_questions(backbone, talks, Prompts())
    model = LatentModel(backbone, spec_of("M.3", shape, 1))
    source = bank_source(model, encode_talks(backbone, talks, Prompts()))
    index = torch.randperm(len(questions), generator=torch.Generator().manual_seed(0))[:16].to(questions.owner.device)

    def step(cached: bool) -> None:
        owner = questions.owner[index]
        if cached:
            bank = source.banks(owner)
        else:
            distinct, back = owner.unique(return_inverse=True)
            fresh = encode_talks(backbone, [talks[int(place)] for place in distinct], Prompts())
            with torch.no_grad():
                bank = write_talks(model, fresh, torch.arange(len(distinct), device=owner.device)).select(back)
        encoded, labels = questions.batch(index)
        model.loss(bank, encoded, labels).backward()

    return side_by_side(lambda: step(False), lambda: step(True), device)


def batching(backbone: Backbone, shape: str, device: str) -> list[Row]:
    """64 users written together against one by one, and how much of it the bare encoder gains by the same batching.

    A write gains about what the frozen encoder inside it gains: where that alone stays below the limit, the machine's
    arithmetic sets the bound.
    """
    texts = turns(64, 12)
    said = {str(user): [line] for user, line in enumerate(texts)}

    def together() -> None:
        LatentMemory(model).write_all(said)

    def alone() -> None:
        memory = LatentMemory(model)
        for user, lines in said.items():
            memory.write(lines, user=user)

    model = LatentModel(backbone, spec_of("M.6", shape, 1))
    written = side_by_side(alone, together, device)
    encoded = side_by_side(lambda: [backbone.encode([line]) for line in texts], lambda: backbone.encode(texts), device)
    return [
        Row("writes of 64 users, together against one by one", written, 5, False),
        Row("bare encoder, the same 64 turns together against one by one", encoded, None),
    ]


def bank_bytes(backbone: Backbone, shape: str) -> Row:
    """Bytes of the banks of three users against rows x width x bytes of a number."""
    bank = LatentModel(backbone, spec_of("M.6", shape, 1)).empty(3)
    rows, width = bank.rows.shape[1:]
    exact = bank.nbytes / (3 * rows * width * bank.rows.element_size())
    return Row("bank bytes against rows x width x bytes", Ratio(exact, exact, exact), 1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=("tiny", "small"), default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--docs", type=Path, help="a document whose speed table is written anew")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    backbone = make_backbone(chosen.shape, chosen.device, getattr(torch, chosen.dtype))
    print(
        f"shape {chosen.shape}, {chosen.device}, {chosen.dtype}, {chosen.threads} thread(s), torch {torch.__version__}"
    )
    print("| what | ratio | limit | |\n| --- | --- | --- | --- |")
    shape, device = chosen.shape, chosen.device
    parts: dict[str, Callable[[], list[Row]]] = {
        "write": lambda: write_cost(backbone, shape, device),
        "answer": lambda: answer_cost(backbone, shape, device),
        "train": lambda: training_speed(backbone, shape, device),
        "batch": lambda: [*batching(backbone, shape, device), bank_bytes(backbone, shape)],
    }
    rows: list[Row] = []
    for name in chosen.part:
        fresh = parts[name]()
        rows += fresh
        print("\n".join(str(row) for row in fresh), flush=True)
    if chosen.docs is not None:
        publish(chosen.docs, f"{shape}, {chosen.dtype}", rows)


if __name__ == "__main__":
    main()
