"""Old scores are only gone on with where they are scores of the same thing: metric code, models, feedback."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import dspy
import pytest

from rnnprog.errors import ConfigurationError
from rnnprog.feedback import Label, Nobody, Rule
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import GepaTuner, Instructions, Objective, OptunaTuner, Schedule, Space
from rnnprog.optimizers.code_digest import code_digest, same_code
from rnnprog.optimizers.planted import TASK, best_instructions, planted_lm, planted_sequences

ROOT = Path(__file__).parents[2]
SEQUENCES = planted_sequences(5, steps=3)
SPACE = Space(parts=(Instructions(phase="predictor", texts=(best_instructions()["predictor"],), proposals=0),))

METRIC = """
WEIGHTS = {"red": 1.0, "blue": 2.0}
SEEN = []

def close(a, b):
    return abs(a - b) < 0.1

def score(example, pred, trace=None):
    SEEN.append(1)
    return float(close(example, pred)) * WEIGHTS["red"]
"""


def made(source: str, name: str = "score") -> Any:
    """Return a function of a module with this source."""
    module: dict[str, Any] = {"__name__": "mine"}
    exec(textwrap.dedent(source), module)
    return module[name]


@pytest.mark.parametrize(
    ("old", "new"),
    [("< 0.1", "<  0.1  # near"), ("def close(a, b):\n", 'def close(a, b):\n    "How near."\n')],
)
def test_layout_comments_and_docstrings_do_not_count(old: str, new: str) -> None:
    assert old in METRIC
    assert code_digest(made(METRIC)) == code_digest(made(METRIC.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("< 0.1", "< 0.5"),  # in a function that the metric uses
        ("float(close(example, pred))", "1 - float(close(example, pred))"),
        ("close(example, pred)", "close(pred, example)"),
        ("trace=None", "trace=1"),
        ("abs(", "pow("),
    ],
)
def test_what_runs_counts(old: str, new: str) -> None:
    assert code_digest(made(METRIC)) != code_digest(made(METRIC.replace(old, new)))


def test_constants_count_and_what_the_code_changes_does_not() -> None:
    still = "LIMITS = {'a': 1.0}\nTIMES = 0\ndef score(example, pred):\n    return pred < LIMITS['a']\n"
    assert code_digest(made(still)) != code_digest(made(still.replace("1.0", "2.0")))
    counting = "TIMES = 0\ndef score(example, pred):\n    global TIMES\n    TIMES += 1\n    return 1.0\n"
    metric = made(counting)
    before = code_digest(metric)
    metric(None, None)
    assert metric.__globals__["TIMES"] == 1
    assert code_digest(metric) == before
    logging = made(METRIC)
    before = code_digest(logging)
    logging(1.0, 1.0)
    assert code_digest(logging) == before


class Judge:
    """A metric with settings, and with a memory of its own."""

    def __init__(self, tolerance: float, words: tuple[str, ...] = ()) -> None:
        self.tolerance, self.words, self.asked, self.cache = tolerance, words, 0, dict[str, float]()

    def __call__(self, example: Any, pred: Any, trace: Any = None) -> float:
        self.asked += 1
        self.cache["last"] = self.tolerance
        return self.tolerance


class Stern(Judge):
    def __call__(self, example: Any, pred: Any, trace: Any = None) -> float:
        return 0.0


def test_settings_of_callables_count_and_their_memory_does_not() -> None:
    judge = Judge(0.1)
    before = code_digest(judge)
    judge(None, None)
    assert code_digest(judge) == before == code_digest(Judge(0.1))
    others = [Judge(0.2), Judge(0.1, ("sun",)), Stern(0.1), Judge(0.1).__call__]
    assert len({before, *map(code_digest, others)}) == 5

    def scoring(example: Any, pred: Any, tolerance: float = 0.5) -> float:
        return tolerance

    parts = [functools.partial(scoring, tolerance=t) for t in (0.1, 0.1, 0.2)]
    assert code_digest(parts[0]) == code_digest(parts[1]) != code_digest(parts[2])
    asks = [dspy.Predict("question -> score: float"), dspy.Predict("question -> score: int")]
    assert code_digest(asks[0]) != code_digest(asks[1])
    assert code_digest(asks[0]) == code_digest(dspy.Predict("question -> score: float"))


def test_a_digest_is_the_same_in_every_process() -> None:
    source = METRIC + "\ndef among(e, p):\n    return p in {'a', 'b', 'c', 'd'}\n"
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_identity import Judge, code_digest, made
import dspy, functools
JUDGE = functools.partial(made, name=dspy.ChainOfThought("question -> score: float"))
print(code_digest(made({source!r}), made({source!r}, 'among'), Judge(0.1), JUDGE))
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_other_versions_of_python_cannot_be_compared_and_pass() -> None:
    assert same_code("python3.11:a", "python3.12:b")
    assert not same_code("python3.11:a", "python3.11:b")


def student(seed: int = 0, **given: Any) -> RecurrentModule:
    program = RecurrentModule(TASK, budget=128, **given)
    program.set_lm(planted_lm(seed))
    return program


def tuned(metric: Any, program: Any, folder: Path, name: str | None = "mine", **given: Any) -> Any:
    schedule = Schedule(trials=2, rounds=0, concurrency=1)
    tuner = OptunaTuner(metric, space=SPACE, schedule=schedule, folder=folder, study_name=name, **given)
    return tuner.compile(program, trainset=SEQUENCES[:2], valset=SEQUENCES[2:])


LENIENT = "def score(example, pred, trace=None):\n    return 0.25\n"


def test_an_edited_metric_does_not_get_the_scores_of_the_old_one(tmp_path: Path) -> None:
    first = tuned(made(LENIENT), student(), tmp_path)
    assert first.score == 0.25
    again = tuned(made(LENIENT + "    # as before\n"), student(), tmp_path)
    assert again.ledger == first.ledger, "what is the same goes on, and pays for nothing"
    edited = made(LENIENT.replace("0.25", "0.75"))
    with pytest.raises(
        ConfigurationError,
        match=r"code of the metric differ \(its code, .* do not compare\); choose another study name or storage",
    ):
        tuned(edited, student(), tmp_path)
    assert tuned(edited, student(), tmp_path, name="another").score == 0.75


def test_without_a_name_an_edited_metric_has_a_study_of_its_own(tmp_path: Path) -> None:
    tuned(made(LENIENT), student(), tmp_path, name=None)
    with pytest.warns(UserWarning, match="code of the metric differ .*; this search has its own"):
        assert tuned(made(LENIENT.replace("0.25", "0.75")), student(), tmp_path, name=None).score == 0.75


def test_another_step_weight_function_is_another_objective(tmp_path: Path) -> None:
    tuned(Objective("accuracy", step_weights=lambda t, n: 1.0), student(), tmp_path)
    with pytest.raises(ConfigurationError, match="code of the metric differ"):
        tuned(Objective("accuracy", step_weights=lambda t, n: float(t)), student(), tmp_path)


def test_another_model_or_feedback_does_not_get_the_old_scores(tmp_path: Path) -> None:
    tuned("accuracy", student(), tmp_path)
    other = student()
    lm = planted_lm()
    lm.model = "rnnprog/another"
    other.set_lm(lm)
    with pytest.raises(
        ConfigurationError, match=r"models differ \(they were rnnprog/planted, now they are rnnprog/another\)"
    ):
        tuned("accuracy", other, tmp_path)
    for feedback in (Label(delay=2), Nobody(), Rule(lambda inputs, outputs: True)):
        with pytest.raises(ConfigurationError, match="feedback differ"):
            tuned("accuracy", student(feedback=feedback), tmp_path)
    assert tuned("accuracy", student(feedback=Label()), tmp_path).score is not None


def test_one_more_answer_to_choose_from_is_another_program(tmp_path: Path) -> None:
    tuned("accuracy", student(), tmp_path)
    program = RecurrentModule(TASK.replace("'white'", "'white', 'black'"), budget=128)
    program.set_lm(planted_lm())
    with pytest.raises(ConfigurationError, match="student differ"):
        tuned("accuracy", program, tmp_path)


def test_gepa_does_not_go_on_with_the_state_of_another_search(tmp_path: Path) -> None:
    def search(metric: Any, program: Any) -> Any:
        tuner = GepaTuner(metric, metric_calls=6, folder=tmp_path)
        return tuner.compile(program, trainset=SEQUENCES[:2], valset=SEQUENCES[2:])

    warnings.simplefilter("ignore")  # pytest restores the filters
    search(made(LENIENT), student())
    search(made(LENIENT), student())
    with pytest.raises(ConfigurationError, match="holds a search about something else: code of the metric differ"):
        search(made(LENIENT.replace("0.25", "0.75")), student())
    with pytest.raises(ConfigurationError, match=r"feedback differ.*choose another folder"):
        search(made(LENIENT), student(feedback=Nobody()))
