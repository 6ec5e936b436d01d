from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason='the latent wing needs: pip install "rnnprog[latent]"')

from rnnprog.latent.backbone import Backbone, Prompts  # noqa: E402
from rnnprog.latent.conditioning import Encoded  # noqa: E402
from rnnprog.latent.conversations import Conversation  # noqa: E402
from rnnprog.latent.synthetic import World  # noqa: E402
from rnnprog.latent.talks import encode_questions, encode_talks  # noqa: E402
from rnnprog.latent.tiny import untrained  # noqa: E402
from rnnprog.latent.train import Exercise  # noqa: E402

torch.set_num_threads(1)


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
def question(backbone: Backbone) -> Encoded:
    return backbone.encode(["question: what pet does ana have ?", "question: what city does ben have ?"])
