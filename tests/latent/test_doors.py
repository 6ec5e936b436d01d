"""Commands, the missing extra, the dspy engine, and what loads when."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import dspy
import pytest
from typer.testing import CliRunner

from rnnprog.latent.backbone import Backbone
from rnnprog.latent.cli import app
from rnnprog.latent.demo import DemoPlan, Entry, demo
from rnnprog.latent.engine import AsyncLatentEngine, LatentEngine
from rnnprog.latent.errors import EmptyConversationError
from rnnprog.latent.laboratory import Laboratory, Sizes
from rnnprog.latent.memory import LatentMemory
from rnnprog.latent.model import LatentModel
from rnnprog.latent.spec import method
from rnnprog.latent.synthetic import World
from rnnprog.latent.testing import awakened, small
from rnnprog.latent.tiny import TinyRecipe, cached

RUN = CliRunner()
DOCS = Path(__file__).parents[2] / "docs"
SMALL = World(names=2, attributes=2, values=2, turns=6, facts=2, sessions=2)
RECIPE = TinyRecipe(steps=3, batch=4, width=32)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_the_package_loads_no_torch() -> None:
    assert python("import rnnprog, sys; assert 'torch' not in sys.modules").returncode == 0
    assert python("import rnnprog.latent, sys; assert 'torch' not in sys.modules").returncode == 0
    assert python("import rnnprog.latent.cli, sys; assert 'torch' not in sys.modules").returncode == 0


HIDE = "import sys; sys.modules['torch'] = None\n"


def test_a_finished_table_is_shown_without_torch() -> None:
    """The JSON of the table is read in an environment without the extra."""
    code = (
        "from rnnprog.latent.findings import Findings\n"
        "from rnnprog.latent.table_text import page\n"
        f"table = Findings.load({str(DOCS / 'latent-table.json')!r})\n"
        "print(page(table).count('| M.'))\n"
        "import sys; assert not {'torch', 'transformers', 'matplotlib'} & set(sys.modules)"
    )
    got = python(code)
    assert got.returncode == 0, got.stderr
    assert int(got.stdout) >= 12


def test_the_missing_extra_is_named() -> None:
    got = python(HIDE + "import rnnprog.latent\nrnnprog.latent.LatentMemory")
    assert 'pip install "rnnprog[latent]"' in got.stderr
    got = python(HIDE + "from rnnprog.latent.cli import app\napp(['demo'])")
    assert got.returncode == 2
    assert got.stderr.strip().endswith('pip install "rnnprog[latent]"')
    assert "Traceback" not in got.stderr


def test_unknown_public_names_are_refused() -> None:
    import rnnprog.latent as wing

    with pytest.raises(AttributeError, match="LatentMemory"):
        wing.Nothing  # noqa: B018
    assert wing.LatentMemory is LatentMemory


def test_demo_in_miniature(tmp_path: Path) -> None:
    plan = DemoPlan(
        world=SMALL,
        recipe=RECIPE,
        sizes=Sizes(4, 2, 3),
        entries=(Entry(method("M.3", rows=8), 2), Entry(method("M.4", form="repaired", rows=8), 2)),
    )
    lines: list[str] = []
    exams = demo(tmp_path, plan, lines.append)
    assert [exam.method for exam in exams] == ["M.3", "M.4 (repaired)"]
    assert (tmp_path / "forgetting.png").exists()
    first = [exam.f1["memory"].tolist() for exam in exams]
    again = demo(tmp_path, plan, lines.append)
    assert [exam.f1["memory"].tolist() for exam in again] == first


def test_the_tiny_backbone_is_a_checkpoint_trained_alike_twice(tmp_path: Path) -> None:
    one, two = cached(SMALL, RECIPE, tmp_path / "a"), cached(SMALL, RECIPE, tmp_path / "b")
    assert one.fingerprint == two.fingerprint
    again = Backbone.load(next((tmp_path / "a").iterdir()))
    assert again.fingerprint == one.fingerprint
    assert cached(SMALL, TinyRecipe(steps=3, batch=4, width=32, seed=1), tmp_path / "a").fingerprint != one.fingerprint


def test_a_half_written_backbone_is_trained_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill while it is stored leaves nothing that the next call would take for a checkpoint."""
    whole = cached(SMALL, RECIPE, tmp_path / "a").fingerprint

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save_file", killed)
        patch.setattr("transformers.modeling_utils.safe_save_file", killed)
        with pytest.raises(KeyboardInterrupt):
            cached(SMALL, RECIPE, tmp_path / "b")
    assert cached(SMALL, RECIPE, tmp_path / "b").fingerprint == whole


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rnnprog.latent import tiny

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained before the folder was tried")

    monkeypatch.setattr(tiny, "pretrain", never)
    (tmp_path / "file").write_text("in the way")
    for command in ("train", "demo", "table"):
        got = RUN.invoke(app, [command, "--out", str(tmp_path / "file" / "below")])
        assert got.exit_code == 2, got.output
        assert "cannot be written" in got.output


def test_commands_train_resume_and_evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnprog.latent import workbench

    backbone = cached(SMALL, RECIPE, tmp_path)
    laboratory = Laboratory.synthetic(backbone, SMALL, Sizes(4, 2, 3))
    monkeypatch.setattr(workbench, "bench", lambda *a, **k: workbench.Bench(laboratory, (0, 2)))
    command = ["train", "--method", "M.6", "--rows", "12", "--out", str(tmp_path), "--set", "steps=4"]
    got = RUN.invoke(app, [*command, "--set", "batch=4", "--set", "check_every=2", "--set", "seed=3"])
    assert got.exit_code == 0, got.output
    adapter = Path(got.output.strip().splitlines()[-1].removeprefix("adapter: "))
    assert adapter.exists()
    got = RUN.invoke(app, ["evaluate", "--adapter", str(adapter), "--out", str(tmp_path / "exam")])
    assert got.exit_code == 0, got.output
    said = " ".join(got.output.split())
    assert "M.6 (repaired), 12 rows:" in said
    assert "published rate" in said
    assert "net benefit" in said
    assert (tmp_path / "exam" / "forgetting.png").exists()
    assert adapter.with_suffix(".exam.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--set", "steps"], "write key=value"),
        (["train", "--set", "stepz=3"], "no such setting"),
        (["train", "--set", "steps=many"], "steps takes a value like 3"),
        (["train", "--set", "rate=fast"], "rate takes a value like 3.0"),
        (["train", "--set", "steps=0"], "steps=0: must be at least 1"),
        (["train", "--backbone", "nowhere/at/all"], "no checkpoint that transformers loads"),
        (["train", "--backbone", "x", "--device", "gpu"], "choose cpu, cuda or cuda:0"),
        (["train", "--device", "gpu"], "choose cpu, cuda or cuda:0"),
        (["train", "--device", "cuda:first"], "choose cpu, cuda or cuda:0"),
        (["train", "--set", "dtype=float16"], "float16 overflows"),
        (["train", "--method", "M.9"], "no method 'M.9'"),
        (["train", "--form", "new"], "no form 'new'"),
        (["demo", "--device", "gpu"], "choose cpu, cuda or cuda:0"),
        (["table", "--device", "gpu"], "choose cpu, cuda or cuda:0"),
        (["table", "--methods", "M.9"], "no method 'M.9'"),
        (["table", "--seeds", "0"], "name at least one seed"),
        (["evaluate", "--adapter", "nowhere.safetensors", "--data", "nowhere.json"], "not shipped"),
    ],
)
def test_bad_commands_end_in_one_line(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rnnprog.latent import tiny

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained before the arguments were read")

    monkeypatch.setattr(tiny, "pretrain", never)
    got = RUN.invoke(app, [*arguments, "--out", str(tmp_path)])
    assert got.exit_code == 2
    assert words in got.output
    assert "Traceback" not in got.output


@pytest.fixture
def engine(backbone: Backbone) -> LatentEngine:
    memory = LatentMemory(awakened(LatentModel(backbone, small("M.6", "repaired"))))
    memory.write(["ana: i have a dog at home"])
    return LatentEngine(memory, max_new_tokens=4)


def test_the_engine_stands_behind_a_dspy_model(engine: LatentEngine) -> None:
    lm = dspy.LM("latent/memory", engine=engine, cache=False)
    direct = engine.memory.answer("what pet does ana have ?", max_new_tokens=4)
    assert lm("what pet does ana have ?") == [direct]
    with dspy.context(lm=lm):
        got = dspy.Predict("question -> pet")(question="what pet does ana have ?")
    assert got.pet == direct
    assert engine.memory.turns() == 1


def test_the_engine_answers_from_the_bank_as_it_is_now(engine: LatentEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is made to tell what was heard, since an untrained model says nothing of use."""
    lm = dspy.LM("latent/memory", engine=engine, cache=False)
    heard = engine.memory.turns
    monkeypatch.setattr(engine.memory, "answers_from", lambda bank, questions, **_: [str(int(bank.turns[0]))])
    assert lm("how much ?") == [str(heard())]
    engine.memory.write("ben: it rains again")
    assert lm("how much ?") == [str(heard())] == ["2"]


def test_the_engine_awaits(engine: LatentEngine) -> None:
    lm = dspy.LM("latent/memory", engine=engine, async_engine=AsyncLatentEngine(engine), cache=False)
    direct = engine.memory.answer("what pet does ana have ?", max_new_tokens=4)
    assert asyncio.run(lm.acall("what pet does ana have ?")) == [direct]


def test_the_engine_takes_the_question_out_of_a_chat_layout(engine: LatentEngine) -> None:
    text = (
        "[[ ## context ## ]]\nnothing\n\n[[ ## question ## ]]\nwhat pet?\n\n"
        "Respond with the corresponding output fields, starting with the field `[[ ## answer ## ]]`, and end."
    )
    assert engine.question_in(text) == "what pet?"
    assert engine.question_in("just this") == "just this"


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter(use_json_adapter_fallback=False), dspy.JSONAdapter()])
def test_the_engine_fills_every_output_of_a_larger_program(engine: LatentEngine, adapter: dspy.Adapter) -> None:
    class Chain(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ask = dspy.ChainOfThought("question -> pet")
            self.check = dspy.Predict("question, pet -> verdict, why")

        def forward(self, question: str) -> dspy.Prediction:
            return self.check(question=question, pet=self.ask(question=question).pet)

    engine.memory.model.backbone.generate = lambda conditioned, tokens: ["dog"]
    try:
        with dspy.context(lm=dspy.LM("latent/memory", engine=engine, cache=False), adapter=adapter):
            got = Chain()("what pet does ana have ?")
    finally:
        del engine.memory.model.backbone.generate
    assert (got.verdict, got.why) == ("dog", "dog")


def test_the_engine_refuses_an_empty_request(engine: LatentEngine) -> None:
    from dspy.lm15 import Message, Request

    with pytest.raises(EmptyConversationError, match="no user message"):
        engine.complete(Request(model="x", messages=(Message.assistant("hello"),)))


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter(use_json_adapter_fallback=False), dspy.JSONAdapter()])
def test_an_empty_field_is_no_question(engine: LatentEngine, adapter: dspy.Adapter) -> None:
    """Not the words of the layout around it."""
    lm = dspy.LM("latent/memory", engine=engine, cache=False)
    with dspy.context(lm=lm, adapter=adapter), pytest.raises(Exception, match="leaves 'question' empty"):
        dspy.Predict("context, question -> pet")(context="ana", question=" ")
