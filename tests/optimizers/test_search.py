from __future__ import annotations

import copy
import gc
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import dspy
import optuna
import pytest

from rnnprog.errors import ConfigurationError, DataError, LMUnavailableError
from rnnprog.module import RecurrentModule
from rnnprog.optimizers import (
    Budget,
    Progress,
    Request,
    Schedule,
    Setting,
    Space,
    default_space,
)
from rnnprog.optimizers.marks import CANDIDATE
from rnnprog.optimizers.planted import best_instructions, planted_lm, planted_program, rightness
from tests.optimizers.harness import SEQUENCES, TRAIN, VAL, texts, tuner


def test_the_planted_best_text_is_found(student: RecurrentModule) -> None:
    best = best_instructions()
    space = texts(
        predictor=("Answer as quickly as you can.", best["predictor"], "Think of colours as feelings."),
        reflector=("Blame the station.", best["reflector"]),
        rewriter=("Keep only the last note.", best["rewriter"], "Use rhymes where possible."),
    )
    program: Any = tuner(space=space, schedule=Schedule(trials=24, rounds=0, concurrency=2)).compile(
        student, trainset=TRAIN, valset=VAL
    )
    assert program.candidate_programs[0]["candidate"].instructions == best
    assert program.cell.rewriter.signature.instructions == best["rewriter"]
    scores = [row["score"] for row in program.candidate_programs]
    assert scores == sorted(scores, reverse=True)
    assert program.score == scores[0]


def test_written_proposals_get_better_than_the_student(student: RecurrentModule) -> None:
    schedule = Schedule(trials=14, rounds=2, round_every=6, proposals=6, walks=2, concurrency=2)
    program: Any = tuner(schedule=schedule).compile(student, trainset=TRAIN, valset=VAL)
    found = program.candidate_programs[0]["candidate"]
    assert rightness(found.instructions) > rightness({})
    options = [v for k, v in program.study.user_attrs.items() if k.startswith("option:")]
    written = [option for option in options if option["part"].endswith(".instruction")]
    assert {option["round"] for option in written} == {0, 1}
    assert all(option["parents"] for option in written)
    assert {entry.kind for entry in program.ledger.entries} == {"evaluation", "walk", "proposal"}


def test_the_student_is_not_changed(student: RecurrentModule) -> None:
    before, lm = copy.deepcopy(student.dump_state()), student.get_lm()
    tuner(schedule=Schedule(trials=4, rounds=1, walks=1, proposals=2)).compile(student, trainset=TRAIN, valset=VAL)
    assert student.dump_state() == before
    assert student.get_lm() is lm
    assert not hasattr(student, "study")


def test_baseline_and_user_texts_go_first_with_their_values(student: RecurrentModule) -> None:
    program: Any = tuner(space=texts(predictor=("One of mine, long enough.", "Another of mine."))).compile(
        student, trainset=TRAIN, valset=VAL
    )
    first = [program.trial_logs[n]["params"]["predictor.instruction"] for n in range(3)]
    assert first == ["student", "user-1", "user-2"]
    assert len(program.study.trials[0].intermediate_values) == len(VAL)


def test_equal_seeds_give_equal_trials_and_other_seeds_do_not(student: RecurrentModule) -> None:
    def rows(seed: int) -> list[Any]:
        schedule = Schedule(trials=5, rounds=1, walks=1, proposals=4, seed=seed)
        program: Any = tuner(schedule=schedule).compile(student, trainset=TRAIN, valset=VAL)
        return [(log["params"], log["values"]) for log in program.trial_logs.values()]

    assert rows(0) == rows(0)
    assert rows(0) != rows(1)


def test_every_call_is_booked_and_the_budget_is_a_hard_stop(student: RecurrentModule, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    student.set_lm(planted_lm(log=log))
    limit = 200
    program: Any = tuner(schedule=Schedule(trials=40, concurrency=3), budget=Budget(calls=limit)).compile(
        student, trainset=TRAIN, valset=VAL
    )
    made = len(log.read_text().splitlines())
    assert made == program.ledger.spent.calls == limit
    assert "200 of 200 calls" in program.stopped
    assert program.candidate_programs
    assert any("interrupted" in row for row in program.trial_logs.values())


@pytest.mark.parametrize("budget", [Budget(tokens=20_000), Budget(minutes=0.02)])
def test_other_budgets_stop_as_well(student: RecurrentModule, budget: Budget) -> None:
    student.set_lm(planted_lm(delay=0.002))
    space = texts(predictor=tuple(f"Fine text {n}." for n in range(60)))
    found: Any = tuner(schedule=Schedule(trials=200, rounds=0), space=space, budget=budget).compile(
        student, trainset=TRAIN, valset=VAL
    )
    assert "the budget is spent" in found.stopped
    if budget.tokens:
        assert found.ledger.spent.tokens < budget.tokens + 20 * 1500


def test_a_budget_below_one_evaluation_is_refused(student: RecurrentModule) -> None:
    with pytest.raises(ConfigurationError, match="below one evaluation"):
        tuner(budget=Budget(calls=3)).compile(student, trainset=TRAIN, valset=VAL)


def test_the_estimate_is_what_an_unpruned_search_costs(student: RecurrentModule) -> None:
    searcher = tuner(space=texts(predictor=("One of mine, long enough.", "Two.")), pruner="none")
    told = searcher.estimate(student, trainset=TRAIN, valset=VAL)
    assert told.calls == 4 * len(VAL) * 4 * 3
    program: Any = searcher.compile(student, trainset=TRAIN, valset=VAL, trials=3)
    assert program.ledger.spent.calls == told.calls * 3 // 4
    assert told.tokens > 0


def test_one_failing_candidate_is_recorded_and_the_search_goes_on(student: RecurrentModule) -> None:
    space = Space(parts=(Setting(setting="budget", values=(128, 2)),))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program: Any = tuner(space=space, schedule=Schedule(trials=6, rounds=0)).compile(
            student, trainset=TRAIN, valset=VAL
        )
    states = {log["params"]["budget"]: log for log in program.trial_logs.values()}
    assert "too small" in states[2]["error"]
    assert states[128]["state"] == "complete"
    assert program.candidate_programs[0]["candidate"].settings in ({}, {"budget": 128})


def test_a_proposer_of_nonsense_leaves_the_search_alive(student: RecurrentModule) -> None:
    class Nonsense:
        def propose(self, request: Request) -> tuple[list[Any], list[str]]:
            if request.part.name.startswith("pred"):
                raise ValueError("no idea")
            return [], ["nothing"]

    program: Any = tuner(proposer=Nonsense(), schedule=Schedule(trials=3, rounds=1, walks=1)).compile(
        student, trainset=TRAIN, valset=VAL
    )
    assert program.candidate_programs
    storage = program.study._storage
    held = storage.get_study_system_attrs(program.study._study_id)["rnnprog:round:0"]
    assert any("no idea" in reason for reason in held["rejected"])


def test_without_a_model_it_says_so(student: RecurrentModule) -> None:
    warnings.simplefilter("ignore")  # pytest restores the filters
    with pytest.raises(LMUnavailableError, match="no language model"):
        tuner().compile(planted_program(), trainset=TRAIN, valset=VAL)


def test_overlapping_sets_are_warned_of_by_id(student: RecurrentModule) -> None:
    with pytest.warns(UserWarning, match=r"2 sequences stand in trainset and valset: planted-0-1, planted-0-2"):
        tuner().compile(student, trainset=SEQUENCES[:3], valset=SEQUENCES[1:4], trials=1)


def test_no_valset_and_one_sequence_work_and_say_so(student: RecurrentModule) -> None:
    with pytest.warns(UserWarning, match="no valset"):
        program: Any = tuner().compile(student, trainset=SEQUENCES[:5], trials=1)
    assert {entry.sequence for entry in program.ledger.of("evaluation")} == {s.id for s in SEQUENCES[2:5]}
    with pytest.warns(UserWarning, match="one sequence"):
        tuner().compile(student, trainset=SEQUENCES[:1], trials=1)


@pytest.mark.parametrize("data", [[], [3], [SEQUENCES[0], SEQUENCES[1].model_copy(update={"id": SEQUENCES[0].id})]])
def test_unusable_data_is_refused(student: RecurrentModule, data: Any) -> None:
    with pytest.raises(DataError):
        tuner().compile(student, trainset=data)


def test_progress_is_told(student: RecurrentModule) -> None:
    seen: list[Progress] = []
    tuner(on_progress=seen.append).compile(student, trainset=TRAIN, valset=VAL, trials=2)
    assert seen[-1].doing == "done"
    assert [p.spent.calls for p in seen] == sorted(p.spent.calls for p in seen)
    assert seen[-1].best is not None


def test_everything_is_collected_seldom_while_a_search_goes_on(student: RecurrentModule) -> None:
    before, seen = gc.get_threshold(), set[int]()
    tuner(on_progress=lambda _: seen.add(gc.get_threshold()[2])).compile(student, trainset=TRAIN, valset=VAL, trials=2)
    assert max(seen) >= 200
    assert gc.get_threshold() == before


def test_interrupting_returns_the_best_so_far(student: RecurrentModule) -> None:
    def stop(progress: Progress) -> None:
        if progress.trials == 2 and progress.doing != "done":
            raise KeyboardInterrupt

    program: Any = tuner(on_progress=stop, space=texts(predictor=("One.", "Two.", "Three.")), pruner="none").compile(
        student, trainset=TRAIN, valset=VAL
    )
    assert program.stopped == "interrupted"
    assert len(program.candidate_programs) == 2


def test_prompts_are_stored_as_json(student: RecurrentModule) -> None:
    program: Any = tuner(schedule=Schedule(trials=3, rounds=1, walks=2)).compile(student, trainset=TRAIN, valset=VAL)
    for trial in program.study.trials:
        json.dumps({**trial.system_attrs, **trial.user_attrs})
    assert CANDIDATE in program.study.trials[0].system_attrs


def test_stands_inside_better_together(student: RecurrentModule) -> None:
    def metric(example: Any, prediction: Any, trace: Any = None) -> float:
        steps = zip(prediction.outputs, example.steps, strict=True)
        return float(sum(out == step.target for out, step in steps) / len(example.steps))

    examples = [dspy.Example(sequence=s.id, steps=s.steps).with_inputs("steps") for s in SEQUENCES]
    inner = tuner(
        metric,
        space=default_space(student, proposals=0, texts={"predictor": (best_instructions()["predictor"],)}).without(
            "demos", "start_memory"
        ),
    )
    outer = dspy.BetterTogether(metric=metric, p=inner)
    found = outer.compile(
        student,
        trainset=examples[:3],
        valset=examples[3:],
        strategy="p",
        optimizer_compile_args={"p": {"trials": 2}},
    )
    assert found.cell.predictor.signature.instructions == best_instructions()["predictor"]
    assert not found.flag_compilation_error_occurred


def test_a_compiled_program_loads_in_a_fresh_process_and_says_the_same(
    student: RecurrentModule, tmp_path: Path
) -> None:
    program: Any = tuner(
        folder=tmp_path, storage=None, schedule=Schedule(trials=6, rounds=1, walks=2, proposals=4)
    ).compile(student, trainset=TRAIN, valset=VAL)
    script = f"""
import json
from rnnprog.optimizers.planted import planted_program, planted_sequences, planted_lm
program = planted_program()
program.load({str(tmp_path / "program.json")!r}, allow_unsafe_lm_state=True)
print(json.dumps([program(steps=s.steps).outputs for s in planted_sequences(4, steps=4)]))
"""
    root = Path(__file__).parents[2]
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert json.loads(out.stdout.splitlines()[-1]) == [program(steps=s.steps).outputs for s in SEQUENCES[:4]]
    program.save(str(tmp_path / "whole"), save_program=True)
    again = dspy.load(str(tmp_path / "whole"), allow_pickle=True)
    assert again.cell.rewriter.signature.instructions == program.cell.rewriter.signature.instructions


def test_samplers_and_pruners_are_the_users_to_swap(student: RecurrentModule) -> None:
    space = texts(predictor=("One of mine.", "Two of mine."), rewriter=("Keep a calibration line.",))
    program: Any = tuner(
        space=space,
        schedule=Schedule(trials=6, rounds=0),
        sampler=lambda seed: optuna.samplers.RandomSampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(),
    ).compile(student, trainset=TRAIN, valset=VAL)
    assert len(program.candidate_programs) >= 2
