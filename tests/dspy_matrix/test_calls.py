"""Every way in which dspy calls a module (architecture, section 3), one test each."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import dspy
import pytest
from dspy.streaming import StatusMessage
from dspy.utils.callback import BaseCallback

import rnnprog
from rnnprog.testing.models import hostile_lm, pure_lm

Steps = list[dict[str, Any]]


def engine(lm: dspy.LM) -> Any:
    return lm.engine


def test_call(program: rnnprog.RecurrentModule, steps: Steps, lm: dspy.LM) -> None:
    out = program(steps=steps)
    assert isinstance(out, dspy.Prediction)
    assert out.tomorrow == out.outputs[-1]["tomorrow"]
    assert len(out.outputs) == len(out.trace) == 3
    assert out.memory == out.state.carry
    assert len(engine(lm).log) == 9  # predict, reflect and rewrite at every step


def test_acall(program: rnnprog.RecurrentModule, steps: Steps) -> None:
    assert asyncio.run(program.acall(steps=steps)).trace == program(steps=steps).trace


def test_batch(program: rnnprog.RecurrentModule, examples: list[dspy.Example]) -> None:
    together = program.batch(examples, num_threads=4, disable_progress_bar=True)
    assert [p.trace for p in together] == [program(steps=e.steps).trace for e in examples]


def test_a_sequence_names_its_walk_and_an_example_does_where_that_is_an_input(
    program: rnnprog.RecurrentModule, steps: Steps, examples: list[dspy.Example]
) -> None:
    walked = rnnprog.Sequence(id="may", steps=tuple(rnnprog.Step.model_validate(s) for s in _stepped(steps)))
    assert program(steps=walked).trace == program(steps=steps, sequence="may").trace
    assert asyncio.run(program.acall(steps=walked)).trace.sequence == "may"
    assert program(steps=walked, sequence="june").trace.sequence == "june"
    assert program(steps=steps).trace.sequence == "0"
    devset = [dspy.Example(e, sequence=f"s{k}").with_inputs("steps", "sequence") for k, e in enumerate(examples)]
    devset += [dspy.Example(steps=walked).with_inputs("steps")]
    result = dspy.Evaluate(devset=devset, metric=lambda *_: 1.0, num_threads=4, display_progress=False)(program)
    assert [p.trace.sequence for _, p, _ in result.results] == ["s0", "s1", "s2", "s3", "may"]
    together = program.batch(devset, num_threads=4, disable_progress_bar=True)
    assert [p.trace.records[0].id for p in together] == ["s0:0", "s1:0", "s2:0", "s3:0", "may:0"]


def _stepped(steps: Steps) -> Steps:
    return [{"inputs": {"rain": s["rain"], "sky": s["sky"]}, "target": {"tomorrow": s["tomorrow"]}} for s in steps]


def test_parallel(program: rnnprog.RecurrentModule, examples: list[dspy.Example]) -> None:
    run = dspy.Parallel(num_threads=4, disable_progress_bar=True)
    together = run([(program, example.inputs()) for example in examples])
    assert [p.trace for p in together] == [program(steps=e.steps).trace for e in examples]


def hit(example: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> float:
    truth = [step["tomorrow"] for step in example.steps]
    right = [o is not None and o["tomorrow"] == y for o, y in zip(prediction.outputs, truth, strict=True)]
    return float(sum(right)) / len(right)


def test_evaluate(program: rnnprog.RecurrentModule, examples: list[dspy.Example]) -> None:
    result = dspy.Evaluate(devset=examples, metric=hit, num_threads=4, display_progress=False)(program)
    alone = [hit(e, program(steps=e.steps)) for e in examples]
    assert [score for _, _, score in result.results] == alone
    assert result.score == pytest.approx(100 * sum(alone) / len(alone), abs=0.01)


def test_evaluate_of_a_hostile_model_loses_no_sequence(
    program: rnnprog.RecurrentModule, examples: list[dspy.Example]
) -> None:
    program.set_lm(hostile_lm(seed=3))
    result = dspy.Evaluate(devset=examples, metric=hit, num_threads=2, display_progress=False, failure_score=-1.0)(
        program
    )
    assert all(score >= 0 for _, _, score in result.results)
    assert all(len(prediction.outputs) == 3 for _, prediction, _ in result.results)


def test_asyncify(program: rnnprog.RecurrentModule, steps: Steps) -> None:
    assert asyncio.run(dspy.asyncify(program)(steps=steps)).trace == program(steps=steps).trace


async def _streamed(program: Any, **inputs: Any) -> tuple[list[str], list[Any]]:
    messages, rest = [], []
    async for value in program(**inputs):
        if isinstance(value, StatusMessage):
            messages.append(value.message)
        else:
            rest.append(value)
    return messages, rest


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_streamify_tells_every_step(program: rnnprog.RecurrentModule, steps: Steps, is_async: bool) -> None:
    streaming = dspy.streamify(program, is_async_program=is_async)
    messages, rest = asyncio.run(_streamed(streaming, steps=steps))
    assert messages == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    assert rest[-1].trace == program(steps=steps).trace


def test_streamify_as_a_sync_generator(program: rnnprog.RecurrentModule, steps: Steps) -> None:
    values = list(dspy.streamify(program, async_streaming=False)(steps=steps))
    assert [v.message for v in values if isinstance(v, StatusMessage)] == [f"step {n} of 3" for n in (1, 2, 3)]
    assert values[-1].trace == program(steps=steps).trace


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: p.deepcopy()], ids=["copy", "dspy"])
def test_deepcopy(program: rnnprog.RecurrentModule, steps: Steps, copied: Any) -> None:
    other = copied(program)
    assert other(steps=steps).trace == program(steps=steps).trace
    other.cell.predictor.signature = other.cell.predictor.signature.with_instructions("Say sun.")
    other.cell.initial_memory.learned = other.cell.settings.value.layout.parse("Rules to apply next\n- x").memory
    assert program.cell.predictor.signature.instructions != "Say sun."
    assert program.cell.initial_memory.learned is None


def test_reset_copy(program: rnnprog.RecurrentModule, steps: Steps) -> None:
    cell: Any = program.cell
    cell.predictor.demos = [dspy.Example(rain=1.0, sky="s", tomorrow="sun")]
    cell.initial_memory.learned = cell.settings.value.layout.parse("Rules to apply next\n- Rain.").memory
    fresh: Any = program.reset_copy()
    assert fresh.cell.predictor.demos == []
    assert fresh.initial().carry == cell.settings.value.layout.initial()
    assert fresh.cell.settings.value == cell.settings.value, "settings are what a program is: reset keeps them"
    assert cell.initial_memory.learned is not None, "the original is not touched"


def test_get_lm(program: rnnprog.RecurrentModule, lm: dspy.LM) -> None:
    assert program.get_lm() is lm
    program.set_lms(rewriter=pure_lm(seed=9))
    with pytest.raises(ValueError, match="different models"):
        program.get_lm()


def test_get_lm_is_none_before_one_is_set(task: str) -> None:
    assert rnnprog.RecurrentModule(task).get_lm() is None


def test_set_lm_reaches_the_judge_too(task: str, lm: dspy.LM) -> None:
    program = rnnprog.RecurrentModule(task, feedback=rnnprog.JudgeFeedback(["names the sky"]))
    program.set_lm(lm)
    assert [name for name, _ in program.named_predictors()] == [
        "cell.predictor",
        "cell.reflector",
        "cell.rewriter",
        "feedback.judge",
    ]
    assert all(predictor.lm is lm for _, predictor in program.named_predictors())


def test_set_lms_gives_each_phase_its_own_model(program: rnnprog.RecurrentModule, steps: Steps) -> None:
    models = {phase: pure_lm(seed=k) for k, phase in enumerate(("predictor", "reflector", "rewriter"))}
    program.set_lms(**models)
    program(steps=steps)
    asked = {phase: {e.outputs for e in engine(model).log} for phase, model in models.items()}
    assert asked == {
        "predictor": {("tomorrow",)},
        "reflector": {("outcome", "cause", "lesson")},
        "rewriter": {("new_memory",)},
    }


def test_set_lms_names_the_phases_there_are(program: rnnprog.RecurrentModule, lm: dspy.LM) -> None:
    with pytest.raises(rnnprog.ConfigurationError, match=r"writer.*predictor.*reflector.*rewriter"):
        program.set_lms(writer=lm)


def _counted(lm: dspy.LM) -> dict[str, int]:
    log = engine(lm).log
    return {"prompt": sum(e.prompt_tokens for e in log), "completion": sum(e.completion_tokens for e in log)}


def _told(usage: Any) -> dict[str, int]:
    (entry,) = usage.values()
    return {"prompt": entry["prompt_tokens"], "completion": entry["completion_tokens"]}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_track_usage_per_prediction(
    program: rnnprog.RecurrentModule, steps: Steps, lm: dspy.LM, is_async: bool
) -> None:
    with dspy.context(track_usage=True):
        out = asyncio.run(program.acall(steps=steps)) if is_async else program(steps=steps)
    assert _told(out.get_lm_usage()) == _counted(lm)


def test_track_usage_inside_evaluate_threads(program: rnnprog.RecurrentModule, examples: list[dspy.Example]) -> None:
    with dspy.context(track_usage=True):
        result = dspy.Evaluate(devset=examples, metric=hit, num_threads=4, display_progress=False)(program)
    for _, prediction, _ in result.results:
        usage = rnnprog.trace.add_usage(prediction.trace.usage)
        assert _told(prediction.get_lm_usage()) == {
            "prompt": sum(u.prompt_tokens for u in usage.values()),
            "completion": sum(u.completion_tokens for u in usage.values()),
        }


@pytest.mark.parametrize("disable_history", [False, True])
def test_track_usage_by_an_outer_tracker(
    program: rnnprog.RecurrentModule, steps: Steps, lm: dspy.LM, disable_history: bool
) -> None:
    with dspy.context(disable_history=disable_history), dspy.track_usage() as tracker:
        out = program(steps=steps)
    assert _told(tracker.get_total_tokens()) == _counted(lm)
    assert sum(u.prompt_tokens for u in out.trace.usage.values()) == _counted(lm)["prompt"]


class Recorder(BaseCallback):
    def __init__(self) -> None:
        self.modules: list[str] = []
        self.lms = 0

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self.modules.append(type(instance).__name__)

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self.lms += 1


def test_callbacks(program: rnnprog.RecurrentModule, steps: Steps) -> None:
    recorder = Recorder()
    with dspy.context(callbacks=[recorder]):
        program(steps=steps)
    assert recorder.modules == ["RecurrentModule"] + ["Predict"] * 9
    assert recorder.lms == 9


def test_history_of_the_module(program: rnnprog.RecurrentModule, steps: Steps) -> None:
    program(steps=steps)
    assert len(program.history) == 9


@pytest.mark.parametrize("setting", [{"disable_history": True}, {"max_history_size": 0}, {"max_history_size": 2}])
def test_usage_does_not_depend_on_the_history(
    program: rnnprog.RecurrentModule, steps: Steps, setting: dict[str, Any]
) -> None:
    with dspy.context(**setting):
        quiet = program(steps=steps).trace
    assert quiet == program(steps=steps).trace
    assert sum(u.calls for u in quiet.usage.values()) == 9


def test_trace_of_settings(program: rnnprog.RecurrentModule, steps: Steps) -> None:
    with dspy.context(trace=[]):
        program(steps=steps)
        entries = list(dspy.settings.trace)
    cell: Any = program.cell
    assert [p for p, _, _ in entries] == [cell.predictor, cell.reflector, cell.rewriter] * 3
    for (_, inputs, outputs), step in zip(entries[::3], steps, strict=True):
        assert set(inputs) == {"memory", "rain", "sky"}
        assert inputs["rain"] == step["rain"]
        assert outputs.tomorrow in ("sun", "rain")


def test_max_trace_size_keeps_the_latest_calls(program: rnnprog.RecurrentModule, steps: Steps) -> None:
    with dspy.context(trace=[], max_trace_size=4):
        out = program(steps=steps)
        assert len(dspy.settings.trace) == 4
        assert dspy.settings.trace[-1][0] is program.cell.rewriter
    assert len(out.trace) == 3, "our own trace has no such cap"


def test_trace_switched_off(program: rnnprog.RecurrentModule, steps: Steps) -> None:
    with dspy.context(trace=None):
        assert program(steps=steps).trace == program(steps=steps).trace


def test_best_of_n(program: rnnprog.RecurrentModule, steps: Steps) -> None:
    rewards: list[float] = []

    def reward(_args: Any, prediction: dspy.Prediction) -> float:
        rewards.append(float(len(rewards)))
        return rewards[-1]

    best = dspy.BestOfN(module=program, N=3, reward_fn=reward, threshold=99.0)
    out = best(steps=steps)
    assert len(rewards) == 3
    assert len(out.trace) == 3


def last_is_snow(_args: Any, prediction: dspy.Prediction) -> float:
    return 0.0


@pytest.mark.parametrize("placement", ["user", "system"])
def test_refine(task: str, steps: Steps, lm: dspy.LM, placement: Any) -> None:
    program = rnnprog.RecurrentModule(task, placement=placement)
    program.set_lm(lm)
    advisor = dspy.utils.DummyLM([{"discussion": "d", "advice": '{"cell.predictor": "look at the sky first"}'}] * 2)
    with dspy.context(lm=advisor):
        out = dspy.Refine(module=program, N=2, reward_fn=last_is_snow, threshold=1.0)(steps=steps)
    assert len(out.trace) == 3
    prompts = [e.prompt for e in engine(lm).log if e.outputs == ("tomorrow",)]
    assert any("look at the sky first" in prompt for prompt in prompts[3:])
    assert not any("look at the sky first" in prompt for prompt in prompts[:3])
