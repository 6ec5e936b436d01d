from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason='the latent wing needs: pip install "rnnprog[latent]"')

from rnnprog.latent.backbone import Backbone, Prompts  # noqa: E402
from rnnprog.latent.conversations import Conversation  # noqa: E402
from rnnprog.latent.model import LatentModel  # noqa: E402
from rnnprog.latent.spec import METHODS, MethodSpec, method  # noqa: E402
from rnnprog.latent.synthetic import World  # noqa: E402
from rnnprog.latent.talks import encode_questions, encode_talks  # noqa: E402
from rnnprog.latent.tiny import untrained  # noqa: E402
from rnnprog.latent.train import Exercise  # noqa: E402

torch.set_num_threads(1)

ROWS = {"M.4": 12}
NAMED = [name for name in METHODS if name != "M.0"]
FORMS = ("paper", "proxy", "repaired")


def small(name: str, form: str = "paper") -> MethodSpec:
    """A method at a size for tests; rings must hold the longest turn."""
    return method(name, form=form, rows=ROWS.get(name, 24), top_k=2)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def world() -> World:
    return World(names=4, attributes=3, values=4, turns=10, facts=4, sessions=2)


@pytest.fixture(scope="session")
def backbone(world: World) -> Backbone:
    return untrained(world, width=32)


@pytest.fixture(scope="session")
def talks(world: World) -> list[Conversation]:
    return world.conversations(6, 1)


@pytest.fixture(scope="session")
def exercise(backbone: Backbone, talks: list[Conversation]) -> Exercise:
    return Exercise(encode_talks(backbone, talks, Prompts()), encode_questions(backbone, talks, Prompts()))


@pytest.fixture
def question(backbone: Backbone):  # type: ignore[no-untyped-def]
    return backbone.encode(["question: what pet does ana have ?", "question: what city does ben have ?"])


def awakened(model: LatentModel, scale: float = 0.3, seed: int = 9) -> LatentModel:
    """Every trained weight moved away from its start, so that memory can matter without training."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.trainable().values():
            weight.add_(scale * torch.randn(weight.shape, generator=generator))
    return model
