"""What a newcomer gives first: metrics of every kind, a list of teachers, arguments of the wrong kind."""

from __future__ import annotations

import errno
import warnings
from pathlib import Path
from typing import Any

import dspy
import optuna
import pytest
from pydantic import ValidationError

from rnnprog.cells.base import make_cell
from rnnprog.errors import ConfigurationError, DataError, LMUnavailableError, StorageError
from rnnprog.metrics import get_metric
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import (
    Budget,
    GepaTuner,
    Instructions,
    Model,
    Objective,
    Option,
    OptunaTuner,
    Schedule,
    Setting,
    Space,
)
from rnnprog.optimizers.data import items_of
from rnnprog.optimizers.planted import PlantedEngine, best_instructions, planted_lm, planted_program, planted_sequences
from rnnprog.trace import Sequence

SEQUENCES = planted_sequences(6, steps=3)
EXAMPLES = [dspy.Example(sequence=s.id, steps=s.steps).with_inputs("steps") for s in SEQUENCES]
SPACE = Space(parts=(Instructions(phase="predictor", texts=(best_instructions()["predictor"],), proposals=0),))


def tuner(metric: Any = "accuracy", **given: Any) -> OptunaTuner:
    schedule = Schedule(trials=2, rounds=0, concurrency=1)
    return OptunaTuner(metric, **{"space": SPACE, "folder": None, "schedule": schedule, **given})


def compiled(student: RecurrentModule, metric: Any = "accuracy", **given: Any) -> Any:
    return tuner(metric, **given).compile(student, trainset=SEQUENCES[:2], valset=SEQUENCES[2:])


def share(pred: Any, example: Any) -> float:
    return float(
        sum(a == step.target for a, step in zip(pred.outputs, example.steps, strict=True)) / len(example.steps)
    )


def dspy_style(example: Any, pred: Any, trace: Any = None) -> float:
    assert trace is None
    return share(pred, example)


def two(example: Any, pred: Any) -> float:
    return share(pred, example)


def gepa_style(gold: Any, pred: Any, trace: Any, pred_name: Any, pred_trace: Any) -> dspy.Prediction:
    assert trace is pred_name is pred_trace is None
    return dspy.Prediction(score=share(pred, gold), feedback="said")


@pytest.mark.parametrize("metric", [dspy_style, two, gepa_style])
def test_metrics_with_two_three_or_five_arguments_give_one_score(student: RecurrentModule, metric: Any) -> None:
    named = Objective("accuracy")
    prediction = student(steps=SEQUENCES[2].steps)
    example = EXAMPLES[2]
    assert Objective(metric).score(example, prediction) == named.score(example, prediction)
    assert compiled(student, metric).score == compiled(student, "accuracy").score


def test_a_metric_of_other_arguments_is_refused_before_anything_is_paid_for() -> None:
    def four(example: Any, pred: Any, trace: Any, extra: Any) -> float:
        return 1.0

    with pytest.raises(ConfigurationError, match=r"'four' takes .*GEPA's"):
        Objective(four)


def test_a_metric_without_a_number_says_what_it_gave(student: RecurrentModule) -> None:
    with pytest.warns(UserWarning, match=r"sequence '.*': ValueError: the metric .* returned {'score': 1}; return a n"):
        found = compiled(student, lambda example, pred: {"score": 1})
    assert all(log["error"].startswith("sequence ") for log in found.trial_logs.values())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"objectives": ("score", "score")}, "twice"),
        ({"constraints": {"score": 0.5}}, "upper limit"),
        ({"step_weights": [1.0, -1.0]}, "below 0"),
        ({"step_weights": [0.0, 0.0]}, "one is above"),
        ({"step_weights": [float("nan")]}, "finite"),
        ({"constraints": {"calls": float("nan")}}, "calls=nan keeps nothing or everything"),
    ],
)
def test_objectives_that_mean_nothing_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Objective("accuracy", **given)


def test_other_step_weights_are_another_study() -> None:
    told = [Objective("accuracy", step_weights=weights).describe() for weights in ([1.0, 0.0], [0.0, 1.0])]
    assert told[0] != told[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"budget": 100}, "budget=100: give a Budget"),
        ({"schedule": {"trials": 2}}, "give a Schedule"),
        ({"sampler": "tpe"}, "sampler='tpe'"),
        ({"sampler": optuna.samplers.GridSampler({"x": [1]})}, "BruteForceSampler"),
        ({"prompt_model": "openai/gpt-4o"}, "give a BaseLM"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        tuner(**given)


@pytest.mark.parametrize(
    ("space", "metric", "said"),
    [
        (Space(parts=(Instructions(phase="nope", texts=("x",)),)), "accuracy", "no such phase"),
        (Space(parts=(Model(phase="predictor", names=("student", "big")),)), "accuracy", r"names \['big'\]"),
        (SPACE, "mae[nope]", r"looks at 'nope', but the program answers"),
    ],
)
def test_what_the_program_does_not_have_is_refused_unpaid(
    student: RecurrentModule, space: Space, metric: str, said: str
) -> None:
    storage = optuna.storages.InMemoryStorage()
    with pytest.raises(ConfigurationError, match=said):
        compiled(student, metric, space=space, storage=storage)
    assert not storage.get_all_studies()


@pytest.mark.parametrize("values", [(512, -3), ("many",)])
def test_settings_that_no_cell_takes_are_refused(values: Any) -> None:
    with pytest.raises(ValidationError, match="cannot be used"):
        Space(parts=(Setting(setting="budget", values=values),))


def test_a_logarithmic_range_starts_above_nothing() -> None:
    with pytest.raises(ValidationError, match="above 0"):
        Setting(setting="budget", low=0, high=9, log=True)


def test_examples_without_inputs_are_refused(student: RecurrentModule) -> None:
    with pytest.raises(DataError, match="with_inputs"):
        tuner().compile(student, trainset=[dspy.Example(steps=SEQUENCES[0].steps)])


def test_limits_that_nothing_keeps_are_told_as_such(student: RecurrentModule) -> None:
    with pytest.warns(UserWarning, match=r"no candidate keeps the limits: tokens_per_step 1 \(least seen \d"):
        found = compiled(student, Objective("accuracy", constraints={"tokens_per_step": 1}))
    assert found.score is None


def test_better_together_comes_back_to_the_tuner_with_a_better_student(
    student: RecurrentModule, tmp_path: Path
) -> None:
    teacher = planted_program(budget=128)
    teacher.set_lm(student.cell.predictor.lm)
    both = dspy.BetterTogether(metric=dspy_style, p=tuner(dspy_style, folder=tmp_path))
    with pytest.warns(UserWarning, match="student differ; this search has its own"):
        found: Any = both.compile(
            student, trainset=EXAMPLES[:2], valset=EXAMPLES[2:], teacher=teacher, strategy="p -> p", num_threads=1
        )
    assert not found.flag_compilation_error_occurred
    assert found.candidate_programs[0]["strategy"] == "p"
    assert len(list(tmp_path.rglob("program.json"))) == 2


def test_gepa_says_that_walks_count_as_nothing(student: RecurrentModule) -> None:
    def broken(example: Any, pred: Any, trace: Any = None) -> float:
        raise KeyError("boom")

    with pytest.warns(UserWarning, match=r"walks failed and count as 0; the first, of '.*': KeyError: 'boom'"):
        GepaTuner(broken, metric_calls=6, budget=Budget(calls=200)).compile(
            student, trainset=SEQUENCES[:2], valset=SEQUENCES[2:]
        )


def test_an_unknown_metric_is_not_asked_for_a_field() -> None:
    with pytest.raises(ConfigurationError, match="unknown metric 'acuracy'; there are"):
        get_metric("acuracy")


def test_proposers_that_give_nothing_usable_are_told(student: RecurrentModule) -> None:
    class Nonsense:
        def propose(self, request: Any) -> Any:
            raise RuntimeError("out of ideas")

    space = Space(parts=(Instructions(phase="predictor", proposals=2),))
    with pytest.warns(UserWarning, match="no proposal could be used; the first was refused: .*out of ideas"):
        compiled(student, space=space, proposer=Nonsense(), schedule=Schedule(trials=2, rounds=1, concurrency=1))


def test_a_budget_that_ends_within_the_first_candidate_is_told_before_it_is_spent(
    student: RecurrentModule,
) -> None:
    with pytest.warns(UserWarning, match="20 calls ends within the first candidate, which takes about 36 calls over 4"):
        assert compiled(student, budget=Budget(calls=20)).ledger.spent.calls <= 21


def test_without_a_model_nothing_is_begun() -> None:
    storage = optuna.storages.InMemoryStorage()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LMUnavailableError, match=r"no language model for cell\.predictor, cell\.reflector"):
            compiled(planted_program(), storage=storage)
    assert not storage.get_all_studies()


def test_parts_of_a_cell_that_is_not_there_are_refused() -> None:
    program = RecurrentModule(make_cell("zero_shot", "signal: int -> colour: str"))
    program.set_lm(planted_lm())
    space = Space(parts=(Setting(setting="budget", values=(64, 128)),))
    with pytest.raises(ConfigurationError, match=r"\['budget'\] belong to a reflective cell"):
        compiled(program, space=space)


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_paid_for(
    student: RecurrentModule, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    storage = optuna.storages.InMemoryStorage()
    with pytest.raises(
        StorageError, match=r"cannot be written .*; see to the rights, make room there, or give another"
    ):
        compiled(student, folder=tmp_path / "file" / "runs", storage=storage)
    assert not storage.get_all_studies()


def test_a_folder_that_fills_up_costs_neither_the_search_nor_its_result(
    student: RecurrentModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(optuna.artifacts, "upload_artifact", full)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.warns(UserWarning, match=r"could not be saved: OSError.*No space left"):
        found = compiled(student, folder=tmp_path / "runs", storage="memory")
    assert found.stopped == "all trials are done"
    assert found.score is not None
    assert not list((tmp_path / "runs").glob("*.partial.json"))


def test_long_and_foreign_ids_are_kept_apart_and_short() -> None:
    long = "/data/" + "x" * 600
    items = items_of([Sequence(id=id, steps=SEQUENCES[0].steps) for id in (long + "1", long + "2", "Größe/北京 ☂")])
    assert len({item.id for item in items}) == 3
    assert max(len(item.id) for item in items) < 200
    assert items[2].id == "Größe/北京 ☂"


class Engine:
    """Answers, and cannot be saved."""

    def __init__(self) -> None:
        self.inner = PlantedEngine()

    def complete(self, request: Any) -> Any:
        return self.inner.complete(request)

    def close(self) -> None:
        pass


def test_a_model_that_cannot_be_saved_can_be_tuned_with(tmp_path: Path) -> None:
    program = planted_program(budget=128)
    program.set_lm(dspy.LM("mine/model", engine=Engine(), cache=False))
    with pytest.warns(UserWarning, match=r"the program could not be saved: TypeError: .*dump_state"):
        found = compiled(program, folder=tmp_path)
    assert found.score is not None
    assert (tmp_path / "tuning.json").is_file()


@pytest.mark.parametrize("data", [SEQUENCES[0], EXAMPLES[0], 3, "steps"])
def test_one_sequence_where_several_are_asked_for_is_told(student: RecurrentModule, data: Any) -> None:
    with pytest.raises(DataError, match=r"valset is one \w+; give several .* values, e\.g\. a list"):
        tuner().compile(student, trainset=SEQUENCES[:2], valset=data)


LONG = "Something that is long enough to be an instruction."


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("x", "'x' is no option with a value"),
        ([Option(part="nope", label="proposed-1", value=LONG)], "nope 'proposed-1' was not asked for"),
        (
            [Option(part="predictor.instruction", label="other", value=LONG)],
            "'other' was not asked for, but proposed-1",
        ),
        ([Option(part="predictor.instruction", label="proposed-1")], "is no option with a value"),
    ],
)
def test_options_that_cannot_be_used_are_refused_by_name(student: RecurrentModule, given: Any, said: str) -> None:
    class Odd:
        def propose(self, request: Any) -> Any:
            return given, []

    space = Space(parts=(Instructions(phase="predictor", proposals=2),))
    with pytest.warns(UserWarning, match=f"no proposal could be used; the first was refused: .*{said}"):
        found = compiled(student, space=space, proposer=Odd(), schedule=Schedule(trials=2, rounds=1, concurrency=1))
    assert not [log["error"] for log in found.trial_logs.values() if "error" in log]


def test_half_a_character_costs_no_trial_and_no_result(student: RecurrentModule, tmp_path: Path) -> None:
    class Halves:
        def propose(self, request: Any) -> Any:
            return [Option(part=request.part.name, label=request.labels[0], value=f"{LONG} \ud83d")], []

    space = Space(parts=(Instructions(phase="predictor", proposals=1),))
    schedule = Schedule(trials=2, rounds=1, concurrency=1)
    found = compiled(student, space=space, proposer=Halves(), schedule=schedule, folder=tmp_path)
    assert not [log["error"] for log in found.trial_logs.values() if "error" in log]
    assert [log["params"]["predictor.instruction"] for log in found.trial_logs.values()] == ["student", "proposed-1"]
    assert (tmp_path / "program.json").is_file()
    assert (tmp_path / "tuning.json").is_file()


def test_a_broken_display_costs_no_result(student: RecurrentModule) -> None:
    def broken(progress: Any) -> None:
        raise RuntimeError("no screen")

    with pytest.warns(UserWarning, match="on_progress failed and is not called again: RuntimeError: no screen"):
        assert compiled(student, on_progress=broken).score is not None
