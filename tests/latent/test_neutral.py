"""An empty bank, a zero scale and frozen weights: what must not change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    ByT5Tokenizer,
    MT5Config,
    MT5ForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
    UMT5Config,
    UMT5ForConditionalGeneration,
)

from rnnprog.latent.backbone import Backbone, random_t5
from rnnprog.latent.bank import Bank
from rnnprog.latent.conditioning import Conditioned, Encoded
from rnnprog.latent.errors import TurnTooLongError
from rnnprog.latent.model import LatentModel
from rnnprog.latent.spec import Form, MethodSpec, ReadName, ReadSpec, WriteName, WriteSpec, method
from rnnprog.latent.testing import FORMS, NAMED, awakened, small
from rnnprog.latent.tiny import word_tokenizer
from rnnprog.latent.train import Exercise, TrainConfig, train

WRITES = ("attention", "hebbian", "slots", "ring", "addressed")
READS = ("prefix", "parallel", "extension", "gated")
LABELS = torch.tensor([[5, 6, 1], [7, 1, -100]])


def baseline(backbone: Backbone, question: Encoded) -> torch.Tensor:
    return backbone.logits(Conditioned(question.latents, question.mask), LABELS)


def written(model: LatentModel, users: int = 2, turns: int = 2) -> Bank:
    bank = model.empty(users)
    for turn in range(turns):
        texts = [
            f"ana: i have a {['dog', 'cat', 'fish', 'parrot'][(turn + user) % 4]} at home" for user in range(users)
        ]
        encoded = model.backbone.encode(texts)
        bank = model.write(bank, encoded.latents, encoded.mask)
    return bank


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("as_positions", [False, True])
def test_any_write_with_any_read_is_silent_when_empty_and_audible_when_written(
    backbone: Backbone, question: Encoded, write: WriteName, read: ReadName, as_positions: bool
) -> None:
    spec = MethodSpec(
        "pair", WriteSpec(write, rows=16, top_k=2), ReadSpec(read, as_positions=as_positions, initial="normal")
    )
    model = awakened(LatentModel(backbone, spec))
    plain = baseline(backbone, question)
    silent = backbone.logits(model.condition(model.empty(2), question), LABELS)
    torch.testing.assert_close(silent, plain, atol=2e-5, rtol=1e-4)
    spoken = backbone.logits(model.condition(written(model), question), LABELS)
    assert (spoken - plain).abs().max() > 1e-3


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("form", ["paper", "repaired"])
def test_named_methods_start_equal_to_the_baseline_with_an_empty_bank(
    backbone: Backbone, question: Encoded, name: str, form: Form
) -> None:
    model = awakened(LatentModel(backbone, small(name, form)))
    logits = backbone.logits(model.condition(model.empty(2), question), LABELS)
    torch.testing.assert_close(logits, baseline(backbone, question), atol=2e-5, rtol=1e-4)


def test_per_layer_parallel_attention_with_zero_scales_is_the_baseline_exactly(
    backbone: Backbone, question: Encoded
) -> None:
    model = LatentModel(backbone, small("M.2"))
    logits = backbone.logits(model.condition(written(model), question), LABELS)
    assert torch.equal(logits, baseline(backbone, question))


def test_zero_rows_left_visible_are_not_neutral(backbone: Backbone, question: Encoded) -> None:
    """The published claim that a zero-initialised map means no regression at the start does not hold."""
    model = LatentModel(backbone, small("M.3", "proxy"))
    logits = backbone.logits(model.condition(written(model), question), LABELS)
    assert (logits - baseline(backbone, question)).abs().max() > 1e-3


def test_prefix_as_extra_positions_is_the_key_value_extension(backbone: Backbone, question: Encoded) -> None:
    first, third = (awakened(LatentModel(backbone, small(name, "proxy"))) for name in ("M.1", "M.3"))
    one, three = (backbone.logits(m.condition(written(m), question), LABELS) for m in (first, third))
    assert torch.equal(one, three)


def test_true_prefix_differs_from_extra_positions(backbone: Backbone, question: Encoded) -> None:
    true, proxy = (awakened(LatentModel(backbone, small("M.1", form))) for form in ("paper", "proxy"))
    one, other = (backbone.logits(m.condition(written(m), question), LABELS) for m in (true, proxy))
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMED)
def test_training_moves_only_the_adapter(backbone: Backbone, exercise: Exercise, name: str, form: Form) -> None:
    before = {key: value.clone() for key, value in backbone.model.state_dict().items()}
    model = LatentModel(backbone, small(name, form))
    frozen = {key: value.clone() for key, value in model.state_dict().items() if key not in model.trainable()}
    start = {key: value.detach().clone() for key, value in model.trainable().items()}
    train(model, exercise, TrainConfig(steps=3, batch=8, warmup=1))
    assert all(torch.equal(value, before[key]) for key, value in backbone.model.state_dict().items())
    assert all(weight.grad is None and not weight.requires_grad for weight in backbone.model.parameters())
    assert all(torch.equal(model.state_dict()[key], value) for key, value in frozen.items())
    assert all(not torch.equal(model.trainable()[key], value) for key, value in start.items())


def test_hooks_are_gone_after_use(backbone: Backbone, question: Encoded) -> None:
    model = awakened(LatentModel(backbone, small("M.5")))
    bank = written(model)
    plain = baseline(backbone, question)
    model.generate(bank, question, 3)
    assert torch.equal(baseline(backbone, question), plain)


PAPER_COUNTS = {"M.1": 4_194_304, "M.2": 16_777_240, "M.3": 4_194_304, "M.4": 1_048_576, "M.5": 20_973_568}
PAPER_COUNTS["M.6"] = 4_194_304
SMALL_COUNTS = {"M.1": 262_144, "M.2": 1_048_584, "M.3": 262_144, "M.4": 262_144, "M.5": 1_311_232, "M.6": 262_144}


class Shape:
    """Only what an adapter asks a backbone for."""

    def __init__(self, width: int, layers: int) -> None:
        self.width, self.layers, self.device = width, layers, torch.device("cpu")


@pytest.mark.parametrize("name", NAMED)
def test_parameter_counts_match_the_published_table(name: str) -> None:
    large = LatentModel(Shape(2048, 24), method(name))  # type: ignore[arg-type]
    assert large.trainable_count() == PAPER_COUNTS[name]
    less = LatentModel(Shape(512, 8), method(name))  # type: ignore[arg-type]
    assert less.trainable_count() == SMALL_COUNTS[name]


LISTED = {
    "M.1": {"memory"},
    "M.2": {"query", "key", "value", "output", "scale"},
    "M.3": {"memory"},
    "M.4": {"lookup.query", "memory"},
    "M.5": {"query", "key", "value", "gate", "bias"},
    "M.6": {"memory"},
}


@pytest.mark.parametrize("name", NAMED)
def test_only_the_listed_parameters_train(name: str) -> None:
    """The read side of the published table trains, its write side (3 d^2, 2 d d_h or 2 d^2 numbers) never does."""
    model = LatentModel(Shape(512, 8), method(name))  # type: ignore[arg-type]
    plain = {key.removeprefix("read_path.").removesuffix(".weight") for key in model.trainable()}
    assert plain == LISTED[name]
    frozen = sum(weight.numel() for weight in model.parameters() if not weight.requires_grad)
    assert frozen == {"M.4": 2 * 512 * 256, "M.6": 2 * 512**2}.get(name, 3 * 512**2)


def test_tenfold_hebbian_count() -> None:
    assert LatentModel(Shape(2048, 24), method("M.4", capacity=10)).trainable_count() == 3_317_760  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "kind"),
    [(MT5Config, MT5ForConditionalGeneration), (UMT5Config, UMT5ForConditionalGeneration)],
    ids=["mt5", "umt5"],
)
def test_other_families_of_t5_work(settings: type, kind: type) -> None:
    tokenizer = word_tokenizer(["ana", "dog"])
    config = settings(
        vocab_size=len(tokenizer), d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4,
        feed_forward_proj="gated-gelu", decoder_start_token_id=0, dropout_rate=0.0,
    )  # fmt: skip
    backbone = Backbone(kind(config), tokenizer)
    model = awakened(LatentModel(backbone, small("M.5")))
    encoded = backbone.encode(["ana dog"])
    bank = model.write(model.empty(1), encoded.latents, encoded.mask)
    assert len(model.generate(bank, encoded, 4)) == 1
    labels = torch.tensor([[3, 1]])
    plain = backbone.logits(Conditioned(encoded.latents, encoded.mask), labels)
    assert (backbone.logits(model.condition(bank, encoded), labels) - plain).abs().max() > 1e-4
    silent = backbone.logits(model.condition(model.empty(1), encoded), labels)
    torch.testing.assert_close(silent, plain, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NAMED)
def test_a_backbone_of_bytes_works(name: str) -> None:
    """ByT5: its tokenizer knows no longest text and needs no vocabulary; Flan-T5 shares its gated feed-forward."""
    tokenizer = ByT5Tokenizer()
    config = T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=4, d_ff=32, num_layers=2, num_decoder_layers=1, num_heads=4,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0, dropout_rate=0.0,
    )  # fmt: skip
    backbone = Backbone(T5ForConditionalGeneration(config), tokenizer)
    assert backbone.max_tokens == 512
    model = awakened(LatentModel(backbone, small(name)))
    encoded, labels = backbone.encode(["ana: a dog"]), backbone.labels(["dog"])
    plain = backbone.logits(Conditioned(encoded.latents, encoded.mask), labels)
    silent = backbone.logits(model.condition(model.empty(1), encoded), labels)
    torch.testing.assert_close(silent, plain, atol=2e-5, rtol=1e-4)
    bank = model.write(model.empty(1), encoded.latents, encoded.mask)
    assert (backbone.logits(model.condition(bank, encoded), labels) - plain).abs().max() > 1e-4
    assert isinstance(model.generate(bank, encoded, 4)[0], str)
    with pytest.raises(TurnTooLongError, match="takes 512"):
        backbone.encode(["dog " * 200])


def test_half_precision_backbone(world: object) -> None:
    tokenizer = word_tokenizer(["ana", "dog"])
    backbone = Backbone(random_t5(len(tokenizer), width=16).to(torch.bfloat16), tokenizer)
    for name in NAMED:
        model = awakened(LatentModel(backbone, small(name)))
        encoded = backbone.encode(["ana dog"])
        bank = model.write(model.empty(1), encoded.latents, encoded.mask)
        assert bank.rows.dtype is torch.float32
        loss = model.loss(bank, encoded, torch.tensor([[4, 1]]))
        loss.backward()
        assert torch.isfinite(loss)
        assert len(model.generate(bank, encoded, 4)) == 1


@pytest.mark.parametrize(
    ("settings", "kind"), [(T5Config, T5ForConditionalGeneration), (MT5Config, MT5ForConditionalGeneration)]
)
def test_a_head_that_is_not_tied_to_the_embeddings_stays_so(settings: type, kind: type, tmp_path: Path) -> None:
    """As Flan-T5 and mT5 are stored: with a head of their own, and hidden states that are not scaled before it."""
    tokenizer = word_tokenizer(["ana", "dog"])
    config = settings(
        vocab_size=len(tokenizer), d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4, decoder_start_token_id=0,
        tie_word_embeddings=False,
    )  # fmt: skip
    model = kind(config)
    model.lm_head.weight = torch.nn.Parameter(torch.randn(model.lm_head.weight.shape))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    stored.pop("scale_decoder_outputs", None)
    (tmp_path / "config.json").write_text(json.dumps({**stored, "tie_word_embeddings": False}))
    backbone = Backbone.load(tmp_path)
    encoded, labels = backbone.encode(["ana dog"]), backbone.labels(["dog"])
    hidden = backbone.model.get_decoder()(
        input_ids=torch.tensor([[0, *labels[0, :-1].tolist()]]),
        encoder_hidden_states=encoded.latents,
        encoder_attention_mask=encoded.mask.long(),
    ).last_hidden_state
    logits = backbone.logits(Conditioned(encoded.latents, encoded.mask), labels)
    torch.testing.assert_close(logits, hidden @ model.lm_head.weight.T)
