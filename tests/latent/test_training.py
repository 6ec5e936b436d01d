"""Training: gradients arrive, banks are cached exactly, resuming equals never stopping."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rnnprog.latent.backbone import Backbone, Prompts
from rnnprog.latent.bank import Bank
from rnnprog.latent.checkpoint import load_adapter, save_adapter
from rnnprog.latent.conditioning import Encoded
from rnnprog.latent.errors import BackboneMismatchError, DeviceMemoryError, LatentError
from rnnprog.latent.memory import LatentMemory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.sources import CachedBanks, CachedProducts, ReplayedWrites, bank_source
from rnnprog.latent.spec import MethodSpec, ReadSpec, WriteSpec, method
from rnnprog.latent.synthetic import World
from rnnprog.latent.talks import encode_questions, encode_talks, write_talks
from rnnprog.latent.testing import NAMED, awakened, small
from rnnprog.latent.tiny import untrained
from rnnprog.latent.train import Exercise, TrainConfig, train

CONFIG = TrainConfig(steps=6, batch=8, warmup=2, check_every=2, seed=5)


def test_hebbian_gradients_do_not_deadlock(backbone: Backbone, exercise: Exercise) -> None:
    """With W_mem at zero the query map gets its first gradient at the second step, W_mem at the first."""
    model = LatentModel(backbone, small("M.4"))
    query, memory = model.lookup.query.weight, model.read_path.memory.weight
    source = bank_source(model, exercise.talks)
    optimizer = torch.optim.AdamW([query, memory], lr=1e-2)
    sizes = []
    for _ in range(2):
        index = torch.arange(8)
        encoded, labels = exercise.questions.batch(index)
        optimizer.zero_grad()
        model.loss(source.banks(exercise.questions.owner[index]), encoded, labels).backward()
        sizes.append((float(query.grad.abs().sum()), float(memory.grad.abs().sum())))
        optimizer.step()
    assert sizes[0][0] == 0.0
    assert sizes[0][1] > 0.0
    assert sizes[1][0] > 0.0
    assert sizes[1][1] > 0.0


def trained_spec(rule: str) -> MethodSpec:
    write = WriteSpec(rule, rows=8, top_k=2, clamp=False, trained=True)  # type: ignore[arg-type]
    return MethodSpec(f"trained {rule}", write, ReadSpec("extension", initial="normal"))


@pytest.mark.parametrize("rule", ["attention", "hebbian", "slots", "addressed"])
def test_back_propagation_through_all_turns(backbone: Backbone, exercise: Exercise, rule: str) -> None:
    model = LatentModel(backbone, trained_spec(rule))
    source = ReplayedWrites(model, exercise.talks)
    encoded, labels = exercise.questions.batch(torch.arange(4))
    model.loss(source.banks(exercise.questions.owner[:4]), encoded, labels).backward()
    got = {name: weight.grad for name, weight in model.trainable().items() if name.startswith("write_rule")}
    assert got
    for name, gradient in got.items():
        if name != "write_rule.address.weight":
            assert gradient is not None, name
            assert gradient.abs().sum() > 0, name


def test_gradient_through_the_writes_matches_finite_differences(backbone: Backbone, exercise: Exercise) -> None:
    model = awakened(LatentModel(backbone, trained_spec("attention")), 0.05)
    source = ReplayedWrites(model, exercise.talks)
    index = torch.arange(6)
    encoded, labels = exercise.questions.batch(index)

    def loss() -> torch.Tensor:
        return model.loss(source.banks(exercise.questions.owner[index]), encoded, labels)

    weight = model.write_rule.value.weight
    loss().backward()
    direction = weight.grad / weight.grad.norm()
    slope = float((weight.grad * direction).sum())
    step = 1e-2
    with torch.no_grad():
        weight.add_(step * direction)
        above = float(loss())
        weight.sub_(2 * step * direction)
        below = float(loss())
    assert (above - below) / (2 * step) == pytest.approx(slope, rel=0.05)


def test_window_cuts_the_gradient_but_not_the_value(backbone: Backbone, exercise: Exercise) -> None:
    model = LatentModel(backbone, trained_spec("attention"))
    owners = torch.tensor([0, 1])
    whole = ReplayedWrites(model, exercise.talks).banks(owners)
    cut = ReplayedWrites(model, exercise.talks, window=1).banks(owners)
    torch.testing.assert_close(whole.rows, cut.rows)
    gradients = [torch.autograd.grad(b.rows.square().sum(), model.write_rule.value.weight)[0] for b in (whole, cut)]
    assert not torch.allclose(gradients[0], gradients[1])


def test_the_cheapest_exact_source_is_chosen(backbone: Backbone, exercise: Exercise) -> None:
    assert isinstance(bank_source(LatentModel(backbone, small("M.2")), exercise.talks), CachedBanks)
    assert isinstance(bank_source(LatentModel(backbone, small("M.4", "repaired")), exercise.talks), CachedProducts)
    assert isinstance(bank_source(LatentModel(backbone, trained_spec("slots")), exercise.talks), ReplayedWrites)


@pytest.mark.parametrize("name", NAMED)
def test_cached_banks_equal_written_ones(backbone: Backbone, exercise: Exercise, name: str) -> None:
    model = LatentModel(backbone, small(name, "repaired"))
    owners = torch.tensor([3, 0, 3])
    cached = bank_source(model, exercise.talks).banks(owners)
    walked = write_talks(model, exercise.talks, owners)
    torch.testing.assert_close(cached.rows, walked.rows, atol=1e-5, rtol=1e-4)
    assert torch.equal(cached.filled, walked.filled)


@pytest.mark.parametrize("name", ["M.1", "M.2", "M.4", "M.6"])
def test_loss_falls(backbone: Backbone, exercise: Exercise, name: str) -> None:
    config = TrainConfig(steps=25, batch=24, warmup=1, rate=1e-2, cosine=False)
    model = LatentModel(backbone, small(name, "repaired"))
    first = train(model, exercise, replace(config, steps=1)).loss
    assert train(model, exercise, config).loss < first - 0.05


def weights(model: LatentModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("stop", [2, 4])
def test_resumed_training_equals_uninterrupted(
    backbone: Backbone, exercise: Exercise, tmp_path: Path, stop: int
) -> None:
    whole = LatentModel(backbone, small("M.4", "repaired"))
    train(whole, exercise, CONFIG, validation=exercise)

    class Interrupted(Exception):
        pass

    def interrupt(line: str) -> None:
        if f" {stop + 2}/" in line:
            raise Interrupted

    broken = LatentModel(backbone, small("M.4", "repaired"))
    with pytest.raises(Interrupted):
        train(broken, exercise, CONFIG, validation=exercise, folder=tmp_path, progress=interrupt)
    lines: list[str] = []
    fresh = LatentModel(backbone, small("M.4", "repaired"))
    report = train(fresh, exercise, CONFIG, validation=exercise, folder=tmp_path, progress=lines.append)
    assert lines[0] == f"resumed at step {stop}"
    assert report.steps == 6
    assert all(torch.equal(value, weights(fresh)[name]) for name, value in weights(whole).items())


def test_resuming_with_other_settings_is_refused(backbone: Backbone, exercise: Exercise, tmp_path: Path) -> None:
    model = LatentModel(backbone, small("M.6"))
    train(model, exercise, replace(CONFIG, steps=2), folder=tmp_path)
    with pytest.raises(LatentError, match="other settings \\(rate\\)"):
        train(model, exercise, replace(CONFIG, steps=2, rate=1.0), folder=tmp_path)


def test_resuming_with_other_data_is_refused(
    backbone: Backbone, exercise: Exercise, world: World, tmp_path: Path
) -> None:
    """A finished folder would otherwise hand back the adapter of the old data as if it had been trained."""
    train(LatentModel(backbone, small("M.6")), exercise, replace(CONFIG, steps=2), folder=tmp_path)
    talks = world.conversations(6, 2)
    other = Exercise(encode_talks(backbone, talks, Prompts()), encode_questions(backbone, talks, Prompts()))
    with pytest.raises(LatentError, match="other settings \\(data\\)"):
        train(LatentModel(backbone, small("M.6")), other, replace(CONFIG, steps=2), folder=tmp_path)


def test_equal_seeds_train_equal_weights_and_other_seeds_do_not(backbone: Backbone, exercise: Exercise) -> None:
    runs = []
    for seed in (1, 1, 2):
        model = LatentModel(backbone, small("M.2"), seed=seed)
        train(model, exercise, replace(CONFIG, seed=seed))
        runs.append(model.read_path.query.weight.detach())
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_accumulation_equals_one_large_batch(backbone: Backbone, exercise: Exercise) -> None:
    runs = []
    for batch, accumulation in ((8, 1), (4, 2)):
        model = LatentModel(backbone, small("M.3"))
        config = TrainConfig(steps=2, batch=batch, accumulation=accumulation, warmup=1, clip=1e9)
        train(model, exercise, config)
        runs.append(model.read_path.memory.weight.detach())
    torch.testing.assert_close(runs[0], runs[1], atol=2e-5, rtol=1e-3)


def test_out_of_memory_in_training_halves_the_piece_and_changes_nothing_else(
    backbone: Backbone, exercise: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(steps=2, batch=8, warmup=1, clip=1e9)
    whole, tight = (LatentModel(backbone, small("M.3")) for _ in range(2))
    train(whole, exercise, config)
    real = tight.loss

    def loss(bank: Bank, question: Encoded, labels: torch.Tensor) -> torch.Tensor:
        if len(labels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(bank, question, labels)

    monkeypatch.setattr(tight, "loss", loss)
    with pytest.warns(RuntimeWarning, match="now 2 questions a piece"):
        train(tight, exercise, config)
    torch.testing.assert_close(whole.read_path.memory.weight, tight.read_path.memory.weight, atol=2e-5, rtol=1e-3)
    monkeypatch.setattr(tight, "loss", lambda *a: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.warns(RuntimeWarning), pytest.raises(DeviceMemoryError, match="batch of one"):
        train(tight, exercise, config)


def test_early_stopping_keeps_the_best_weights(backbone: Backbone, exercise: Exercise) -> None:
    config = TrainConfig(steps=40, batch=8, rate=3.0, warmup=1, cosine=False, check_every=1, patience=3)
    model = LatentModel(backbone, small("M.3", "repaired"))
    report = train(model, exercise, config, validation=exercise)
    assert report.stopped_early
    assert report.steps < 40
    assert report.best_step < report.steps


def test_every_epoch_asks_every_question_once(backbone: Backbone, exercise: Exercise) -> None:
    from rnnprog.latent.train import _Run

    model = LatentModel(backbone, small("M.3"))
    run = _Run(model, exercise, None, TrainConfig(batch=5))
    count = len(exercise.questions)
    seen = torch.cat([run.indices(number) for number in range(count)])
    for epoch in range(5):
        assert sorted(seen[epoch * count : (epoch + 1) * count].tolist()) == list(range(count))


def test_adapter_round_trip_and_refusals(backbone: Backbone, world: World, tmp_path: Path) -> None:
    model = awakened(LatentModel(backbone, small("M.2")))
    save_adapter(tmp_path / "a.safetensors", model)
    again = LatentModel(backbone, small("M.2"), seed=99)
    load_adapter(tmp_path / "a.safetensors", again)
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(model).items())
    with pytest.raises(BackboneMismatchError, match="another spec"):
        load_adapter(tmp_path / "a.safetensors", LatentModel(backbone, small("M.5")))
    with pytest.raises(BackboneMismatchError, match="another backbone"):
        load_adapter(tmp_path / "a.safetensors", LatentModel(untrained(world, width=32, seed=7), small("M.2")))
    with pytest.raises(BackboneMismatchError, match="another width"):
        load_adapter(tmp_path / "a.safetensors", LatentModel(untrained(world, width=48), small("M.2")))
    memory = LatentMemory.trained(backbone, tmp_path / "a.safetensors")
    assert memory.model.spec == model.spec
    assert torch.equal(memory.model.read_path.query.weight, model.read_path.query.weight)


def test_bad_training_requests_are_refused(backbone: Backbone, exercise: Exercise) -> None:
    with pytest.raises(LatentError, match=r"M\.0 has no adapter"):
        train(LatentModel(backbone, method("M.0")), exercise, CONFIG)
    with pytest.raises(LatentError, match="steps=0"):
        TrainConfig(steps=0)
    with pytest.raises(LatentError, match="rate=-1"):
        TrainConfig(rate=-1)
    for name, value in (("rate", math.nan), ("clip", 0.0), ("patience", 0), ("window", 0), ("weight_decay", -1.0)):
        with pytest.raises(LatentError, match=f"{name}={value}"):
            TrainConfig(**{name: value})  # type: ignore[arg-type]
    model = LatentModel(backbone, small("M.3"))
    with torch.no_grad():
        model.read_path.memory.weight.fill_(float("nan"))
    with pytest.raises(LatentError, match="loss became nan"):
        train(model, exercise, CONFIG)


def test_warm_up_and_cosine() -> None:
    config = TrainConfig(steps=100, warmup=10, rate=1.0)
    assert config.rate_at(0) == pytest.approx(0.1, rel=1e-3)
    assert config.rate_at(9) > 0.97
    assert config.rate_at(99) == pytest.approx(0.1, abs=0.01)
    assert TrainConfig.paper().rate_at(199) == pytest.approx(1e-4)
