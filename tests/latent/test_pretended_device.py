"""The whole path of another device, walked without one: written, read, trained, resumed, examined, saved, loaded.

The device is pretended: its tensors say ``cuda:0``, lie on the CPU, and refuse what those of a real device refuse, as a
stray CPU tensor beside one of the device, or a generator of the CPU. Values are real, so results must equal the CPU's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from rnnprog.cells.base import Experience
from rnnprog.latent.backbone import Backbone, Prompts
from rnnprog.latent.cell import LatentCell
from rnnprog.latent.conversations import Conversation
from rnnprog.latent.evaluate import ExamOptions, ExamPaper, examine
from rnnprog.latent.memory import LatentMemory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.spec import Form, MethodSpec, ReadSpec, WriteSpec
from rnnprog.latent.synthetic import World
from rnnprog.latent.talks import encode_questions, encode_talks
from rnnprog.latent.testing import FORMS, NAMED, awakened, small
from rnnprog.latent.tiny import TinyRecipe, pretrain
from rnnprog.latent.train import Exercise, TrainConfig, train

CUDA = torch.device("cuda:0")
_aten = torch.ops.aten
# Index tensors may be on the CPU, and copies go in either direction.
_MIXED = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default}
_COPIES = {_aten._to_copy.default, _aten.copy_.default, _aten.copy.default}


class Pretended(torch.Tensor):
    """A tensor of a device that is not there."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, real: torch.Tensor) -> Pretended:
        made: Pretended = torch.Tensor._make_wrapper_subclass(
            cls,
            real.shape,
            strides=real.stride(),
            storage_offset=real.storage_offset(),
            dtype=real.dtype,
            device="meta",
        )
        made.held = real
        return made

    @property
    def device(self) -> torch.device:
        return CUDA

    @property
    def is_meta(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"Pretended({self.held!r})"

    def tolist(self) -> Any:
        return self.detach().held.tolist()

    def numpy(self, *args: Any, **named: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), named: Any = None) -> Any:
        return computed(func, args, dict(named or {}))


def computed(func: Any, args: Any, named: dict[str, Any]) -> Any:
    """The result of an operator, on the device if its inputs are there."""
    plain: list[torch.Tensor] = []

    def real(value: Any) -> Any:
        if isinstance(value, Pretended):
            return value.held
        if isinstance(value, torch.Tensor):
            plain.append(value)
            if value.is_meta:  # a number that autograd made on the device: the zero beside a masked gradient
                return torch.zeros(value.shape, dtype=value.dtype)
        return value

    inner = tree_map(real, (args, {key: value for key, value in named.items() if key != "device"}))
    if func in _MIXED:  # indices may be on the CPU; what is indexed, and what is put there, may not
        plain = [each for each in (args[0], *args[2:3]) if isinstance(each, torch.Tensor) and each.device.type == "cpu"]
    if func not in _COPIES and any(tensor.dim() for tensor in plain):
        raise RuntimeError(f"{func}: expected all tensors on cuda:0, found one on cpu of {[t.shape for t in plain]}")
    generator = named.get("generator")
    if generator is not None and generator.device.type == "cpu":
        raise RuntimeError(f"{func}: expected a 'cuda' device type for generator but found 'cpu'")
    target = named.get("device")
    fetched = target is not None and torch.device(target).type == "cpu"
    result = func(*inner[0], **inner[1])
    if func._schema.is_mutable and not isinstance(result, tuple | list):
        return args[0] if result is not None else None
    return result if fetched else tree_map(away, result)


def away(value: Any) -> Any:
    """A CPU tensor as one of the device; anything else as it is."""
    return Pretended(value) if isinstance(value, torch.Tensor) and not isinstance(value, Pretended) else value


class _Requests(TorchFunctionMode):
    """Answers what asks for a device by name, before torch looks for it."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), named: Any = None) -> Any:
        named = dict(named or {})
        if func in (torch.Tensor.cuda,):
            return moved(args[0], CUDA)
        if func is torch.Tensor.to and wants_cuda([*args[1:], *named.values()]):
            dtype = next((v for v in [*args[1:], *named.values()] if isinstance(v, torch.dtype)), None)
            other = next((v for v in args[1:] if isinstance(v, torch.Tensor)), None)
            return moved(args[0], CUDA, other.dtype if other is not None else dtype)
        if func is torch.where and any(isinstance(value, Pretended) for value in args):
            # torch would make the number a tensor of the device that is not there.
            kind = next(value.dtype for value in args[1:] if isinstance(value, torch.Tensor))
            args = [torch.tensor(value, dtype=kind) if isinstance(value, int | float) else value for value in args]
        if func is torch.Tensor.__setitem__ and isinstance(args[0], Pretended) and isinstance(args[2], int | float):
            args = [*args[:2], torch.tensor(args[2], dtype=args[0].dtype)]
        if wants_cuda([named.get("device")]):
            if any(isinstance(value, Pretended) for value in args):
                return func(*args, **{key: value for key, value in named.items() if key != "device"})
            return moved(func(*args, **{**named, "device": "cpu"}), CUDA)
        return func(*args, **named)


def wants_cuda(values: list[Any]) -> bool:
    """Whether one of these names the device, or is a tensor on it."""
    return any(
        isinstance(value, Pretended)
        or (isinstance(value, torch.device) and value.type == "cuda")
        or (isinstance(value, str) and value.startswith("cuda"))
        for value in values
    )


class _There(torch.autograd.Function):
    """To the device, with a way back for gradients."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        return Pretended(tensor.detach().clone())

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return gradient.cpu()


def moved(tensor: torch.Tensor, device: torch.device, dtype: torch.dtype | None = None) -> torch.Tensor:
    """``tensor.to(device, dtype)``."""
    if dtype is not None:
        tensor = tensor.to(dtype)
    if isinstance(tensor, Pretended):
        return tensor
    there = _There.apply(tensor)
    assert isinstance(there, torch.Tensor)
    return there


@contextmanager
def pretended_cuda() -> Iterator[None]:
    """While it lasts, ``cuda`` is a device."""
    with _Requests():
        yield


SAID = ["ana: i have a dog at home", "ben: how are you", "ben: i live in paris now"]
QUESTION = "what pet does ana have ?"


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pretended_cuda():
        yield


@pytest.fixture
def there(device: None, backbone: Backbone) -> Backbone:
    return Backbone(copy.deepcopy(backbone.model).to("cuda"), backbone.tokenizer)


def test_the_pretended_device_refuses_what_a_real_one_refuses(device: None) -> None:
    far = torch.ones(3, device="cuda")
    assert far.device == CUDA
    with pytest.raises(RuntimeError, match="found one on cpu"):
        far + torch.ones(3)
    with pytest.raises(RuntimeError, match="generator"):
        far.normal_(generator=torch.Generator())
    with pytest.raises(RuntimeError, match="found one on cpu"):
        torch.ones(3)[far.long()]
    assert float(far[torch.tensor([0])]) == 1.0
    with pytest.raises(TypeError, match="numpy"):
        far.numpy()
    assert float((far + 1.0).sum().cpu()) == 6.0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMED)
def test_a_memory_answers_there_as_here(there: Backbone, backbone: Backbone, name: str, form: Form) -> None:
    here, far = (LatentMemory(awakened(LatentModel(each, small(name, form)))) for each in (backbone, there))
    for mem in (here, far):
        mem.write_all({"a": SAID, "b": SAID[1:]})
    assert far.bank("a").rows.device.type == "cuda"
    torch.testing.assert_close(far.bank("a").rows.cpu(), here.bank("a").rows, atol=1e-5, rtol=1e-4)
    asked = [("a", QUESTION), ("b", "what city ?"), ("c", QUESTION)]
    assert far.answer_all(asked, max_new_tokens=4) == here.answer_all(asked, max_new_tokens=4)


@pytest.mark.parametrize("name", ["M.3", "M.4"])
def test_files_go_from_one_device_to_the_other(there: Backbone, backbone: Backbone, name: str, tmp_path: Path) -> None:
    here, far = (LatentMemory(awakened(LatentModel(each, small(name, "repaired")))) for each in (backbone, there))
    far.write(SAID)
    far.save(tmp_path / "bank.safetensors")
    here.load(tmp_path / "bank.safetensors")
    assert here.bank().rows.device.type == "cpu"
    far.load(tmp_path / "bank.safetensors")
    assert far.bank().rows.device.type == "cuda"
    assert far.answer(QUESTION, max_new_tokens=4) == here.answer(QUESTION, max_new_tokens=4)
    cell = LatentCell("said, question -> answer", far, max_new_tokens=4)
    carry = cell.learn(cell.initial(), Experience("0", 0, {"said": SAID[0], "question": "q"}, None)).carry
    again = cell.load_carry(cell.dump_carry(carry))
    assert again.rows.device.type == "cuda"
    assert cell.digest(again) == cell.digest(carry)


def exercise_of(backbone: Backbone, talks: list[Conversation]) -> Exercise:
    return Exercise(encode_talks(backbone, talks, Prompts()), encode_questions(backbone, talks, Prompts()))


def walked(rule: str) -> MethodSpec:
    write = WriteSpec(rule, rows=8, top_k=2, clamp=False, trained=True)  # type: ignore[arg-type]
    return MethodSpec(f"trained {rule}", write, ReadSpec("extension", initial="normal"))


SPECS = [small("M.1"), small("M.2"), small("M.4", "repaired"), small("M.5", "repaired"), walked("attention")]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_training_there_takes_the_same_steps(
    there: Backbone, backbone: Backbone, talks: list[Conversation], spec: MethodSpec, tmp_path: Path
) -> None:
    config = TrainConfig(steps=4, batch=8, warmup=1, check_every=2, window=3 if "trained" in spec.name else None)
    here, far = (LatentModel(each, spec) for each in (backbone, there))
    calm = train(here, exercise_of(backbone, talks), config, validation=exercise_of(backbone, talks[:2]))
    exercise, validation = exercise_of(there, talks), exercise_of(there, talks[:2])

    class Interrupted(Exception):
        pass

    def interrupt(line: str) -> None:
        if " 4/" in line:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(far, exercise, config, validation=validation, folder=tmp_path, progress=interrupt)
    again = LatentModel(there, spec)
    report = train(again, exercise, config, validation=validation, folder=tmp_path)
    assert report.best == pytest.approx(calm.best, rel=1e-4)
    for key, weight in here.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key].cpu(), weight, atol=1e-4, rtol=1e-3)


def test_an_exam_there_gives_the_same_scores(there: Backbone, backbone: Backbone, talks: list[Conversation]) -> None:
    options = ExamOptions(batch=16, max_new_tokens=3)
    exams = [
        examine(awakened(LatentModel(each, small("M.4", "repaired"))), ExamPaper.of(each, talks), options=options)
        for each in (backbone, there)
    ]
    assert all(np.array_equal(exams[0].f1[key], exams[1].f1[key]) for key in exams[0].f1)
    assert exams[0].knowledge == exams[1].knowledge
    assert exams[0].backbone == exams[1].backbone


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_checkpoint_loads_onto_the_device(backbone: Backbone, device: None, dtype: str, tmp_path: Path) -> None:
    backbone.model.save_pretrained(tmp_path)
    backbone.tokenizer.save_pretrained(tmp_path)
    before = torch.get_float32_matmul_precision()
    try:
        far = Backbone.load(tmp_path, device="cuda", dtype=dtype)
    finally:
        torch.set_float32_matmul_precision(before)
    assert far.device.type == "cuda"
    assert far.fingerprint == backbone.fingerprint
    for name in ("M.1", "M.2", "M.4"):
        mem = LatentMemory(awakened(LatentModel(far, small(name, "repaired"))))
        mem.write(SAID)
        assert mem.bank().rows.dtype is torch.float32
        assert isinstance(mem.answer(QUESTION, max_new_tokens=3), str)
        far_model = mem.model
        encoded = far.encode(["question: " + QUESTION])
        far_model.loss(mem.bank(), encoded, far.labels(["dog"])).backward()
        assert all(weight.grad is not None for weight in far_model.read_path.parameters())


def test_a_backbone_trained_there_has_the_weights_of_one_trained_here(world: World, device: None) -> None:
    recipe = TinyRecipe(steps=4, batch=4, width=32)
    here, there = (pretrain(world, recipe, device=name) for name in ("cpu", "cuda"))
    assert there.device.type == "cuda"
    mine, theirs = here.model.state_dict(), there.model.state_dict()
    # Moved to a pretended device, one tensor of two names becomes two: the tied embeddings are left out.
    untied = [name for name in mine if "embed" not in name and name not in ("shared.weight", "lm_head.weight")]
    assert len(untied) > 30
    for name in untied:
        assert (theirs[name].cpu() - mine[name]).abs().mean() < 1e-6, name
