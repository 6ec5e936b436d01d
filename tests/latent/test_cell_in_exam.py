"""The latent cell sits an exam beside text cells and floors, under the same data, scores and report."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import rnnprog
from rnnprog.evaluate.arms import feedback_of
from rnnprog.evaluate.config import ExamConfig
from rnnprog.evaluate.entrants import Entrant, entrants_of
from rnnprog.evaluate.examine import sit
from rnnprog.evaluate.frame import frame_of
from rnnprog.exam_result import ExamResult, write_exam
from rnnprog.latent.backbone import Backbone
from rnnprog.latent.cell import LatentCell
from rnnprog.latent.checkpoint import save_adapter
from rnnprog.latent.conversations import spoken
from rnnprog.latent.errors import LatentError
from rnnprog.latent.memory import LatentMemory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.synthetic import World
from rnnprog.latent.testing import awakened, small
from rnnprog.module import RecurrentModule
from rnnprog.report.build import build
from rnnprog.tasks import TaskData
from rnnprog.tasks.base import make_task
from rnnprog.trace import Sequence, Step


def heard(world: World) -> TaskData:
    """Conversations turn by turn, each turn with a question about the conversation."""
    sequences = []
    for talk in world.conversations(3, 5):
        asked = [talk.questions[place % len(talk.questions)] for place in range(6)]
        said = spoken(talk.turns[:6])
        steps = tuple(
            Step(inputs={"said": line, "question": question.text}, target={"answer": question.answer})
            for line, question in zip(said, asked, strict=True)
        )
        sequences.append(Sequence(id=talk.id, steps=steps))
    return make_task("talks", "said: str, question: str -> answer: str", sequences)


@pytest.fixture(scope="module")
def examined(backbone: Backbone, world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[ExamResult, Path]:
    out = tmp_path_factory.mktemp("exam")
    config = ExamConfig.of(task="talks", cells=["zero_shot", "reflective"])
    frame = frame_of(config, rnnprog.embedded_lm(), data=heard(world))
    cell = LatentCell(
        frame.data.task, LatentMemory(awakened(LatentModel(backbone, small("M.4", "repaired")))), max_new_tokens=3
    )
    latent = Entrant("latent", "arm", RecurrentModule(cell, feedback=feedback_of(config)))
    exam = sit(replace(frame, entrants=[latent, *frame.entrants]), out=out)
    write_exam(exam, out)
    return exam, out


def test_all_are_scored_on_the_same_steps(examined: tuple[ExamResult, Path]) -> None:
    exam, _ = examined
    arms = {arm.label: arm for arm in exam.arms}
    assert {"latent", "zero_shot", "reflective", "empty_memory", "persistence"} <= set(arms)
    figures = {label: arm.figures["score"] for label, arm in arms.items()}
    assert figures["latent"].n == figures["reflective"].n == figures["persistence"].n == 18
    traces = arms["latent"].runs[0].result.traces
    assert [[update.operation for record in trace.records for update in record.after] for trace in traces] == [
        ["write"] * 6
    ] * 3
    assert "latent" in {one.arm for one in exam.comparisons}


def test_it_stands_in_the_report(examined: tuple[ExamResult, Path]) -> None:
    _, out = examined
    page = build(out, out / "report.html").read_text()
    assert "latent" in page
    assert "reflective" in page


def test_it_is_named_in_an_exam_by_the_file_of_its_adapter(backbone: Backbone, world: World, tmp_path: Path) -> None:
    """As ``rnnprog compare --cells latent --cell-option latent.memory=FILE --cell-option latent.backbone=FOLDER``."""
    backbone.model.save_pretrained(tmp_path / "t5")
    backbone.tokenizer.save_pretrained(tmp_path / "t5")
    model = awakened(LatentModel(backbone, small("M.6", "repaired")))
    save_adapter(tmp_path / "adapter.safetensors", model)
    named = {"memory": str(tmp_path / "adapter.safetensors"), "backbone": str(tmp_path / "t5")}
    config = ExamConfig.of(task="talks", cells=["latent", "zero_shot"], cell_options={"latent": named})
    data = heard(world)
    entrant = entrants_of(config, data)[0]
    cell = entrant.program.cell
    assert entrant.label == "latent"
    assert isinstance(cell, LatentCell)
    assert cell.describe()["backbone"] == backbone.fingerprint
    assert len(rnnprog.run(entrant.program, data.sequences[:1]).traces[0].records) == 6
    with pytest.raises(LatentError, match="add backbone="):
        rnnprog.make_cell("latent", "said, question -> answer", memory=named["memory"])


def test_the_missing_extra_is_named_where_the_cell_is_asked_for() -> None:
    code = "import sys; sys.modules['torch'] = None\nimport rnnprog\nrnnprog.make_cell('latent', 'x -> y')"
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ConfigurationError: the cell 'latent' needs what is not installed" in got.stderr
    assert 'pip install "rnnprog[latent]"' in got.stderr
