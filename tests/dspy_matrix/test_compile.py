"""Every optimizer of dspy compiles a RecurrentModule, and what comes back still walks (tiny data, no model)."""

from __future__ import annotations

import json
import re
from typing import Any

import dspy
import pytest
from dspy.lm15 import Message, Request, Response, Usage

import rnnprog
from rnnprog.testing.models import PureEngine, pure_lm

PHASES = ["cell.predictor", "cell.reflector", "cell.rewriter"]
Examples = list[dspy.Example]


def score(example: dspy.Example, prediction: dspy.Prediction, trace: Any = None, *_gepa: Any) -> float:
    """Share of right answers; takes the five arguments of GEPA as well as dspy's three."""
    truth = [step["tomorrow"] for step in example.steps]
    right = [o is not None and o["tomorrow"] == y for o, y in zip(prediction.outputs, truth, strict=True)]
    return float(sum(right)) / len(right)


def always(example: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> bool:
    return True


class Proposer(PureEngine):
    """Answers tasks as its base does; as a prompt model it proposes numbered instructions."""

    def complete(self, request: Request) -> Response:
        system = str(request.system)
        proposes = re.search(r"`(proposed_instruction|new_instruction|improved_instruction)`", system)
        if proposes is None and "```" not in str(request.messages[-1].text):
            return super().complete(request)
        text = f"Instruction number {len(self.log)}: look at the sky."
        self.log.append(super_exchange(system, text))
        if proposes is None:  # GEPA reads its proposal from a code block
            answer = f"```\n{text}\n```"
        else:
            outputs = re.findall(r"^\d+\. `(\w+)` \(", system.partition("Your output fields are:")[2], re.MULTILINE)
            answer = "\n\n".join(f"[[ ## {name} ## ]]\n{text}" for name in outputs) + "\n\n[[ ## completed ## ]]"
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(answer),
            finish_reason="stop",
            usage=Usage(input_tokens=1, output_tokens=1, total_tokens=2),
        )


def super_exchange(prompt: str, reply: str) -> Any:
    from rnnprog.testing.models import Exchange

    return Exchange(prompt, reply, ("proposal",), "valid", 1, 1)


@pytest.fixture
def proposer() -> dspy.LM:
    return dspy.LM("rnnprog/proposer", engine=Proposer(), cache=False, num_retries=0, temperature=1.0)


@pytest.fixture
def student(task: str) -> rnnprog.RecurrentModule:
    program = rnnprog.RecurrentModule(task, budget=200)
    program.set_lm(pure_lm())
    dspy.configure(lm=program.get_lm())  # reset_copy forgets the models of predictors, and so do some optimizers
    return program


@pytest.fixture
def before(student: rnnprog.RecurrentModule) -> Any:
    return json.dumps(student.dump_state())


def check(compiled: Any, student: rnnprog.RecurrentModule, before: str, examples: Examples) -> None:
    out = compiled(steps=examples[0].steps)
    assert len(out.outputs) == 3
    assert None not in out.outputs
    assert json.dumps(student.dump_state()) == before, "the student is never mutated"


def test_bootstrap_few_shot(student: Any, before: str, examples: Examples) -> None:
    compiled = dspy.BootstrapFewShot(metric=always, max_bootstrapped_demos=2, max_labeled_demos=0).compile(
        student, trainset=examples
    )
    check(compiled, student, before, examples)
    demos = {name: predictor.demos for name, predictor in compiled.named_predictors()}
    assert {name: len(found) for name, found in demos.items()} == dict.fromkeys(PHASES, 2)
    assert {"memory", "rain", "sky", "tomorrow"} <= set(demos["cell.predictor"][0].keys()), "memory is shown in demos"
    assert compiled._compiled, "dspy freezes what this optimizer returns, inside larger programs too"
    fresh = rnnprog.RecurrentModule(student.cell.task)
    fresh.load_state(compiled.dump_state(), allow_unsafe_lm_state=True)
    assert fresh(steps=examples[0].steps).trace == compiled(steps=examples[0].steps).trace


def test_bootstrap_few_shot_takes_one_step_of_each_sequence(student: Any, examples: Examples) -> None:
    # dspy keeps one call for each predictor and sequence, drawn independently: our own selection of demos does better
    compiled = dspy.BootstrapFewShot(metric=always, max_bootstrapped_demos=4, max_labeled_demos=0).compile(
        student, trainset=examples
    )
    assert [len(predictor.demos) for _, predictor in compiled.named_predictors()] == [4, 4, 4]


def test_bootstrap_few_shot_with_random_search(student: Any, before: str, examples: Examples) -> None:
    compiled = dspy.BootstrapFewShotWithRandomSearch(
        metric=score, max_bootstrapped_demos=1, max_labeled_demos=0, num_candidate_programs=1, num_threads=1
    ).compile(student, trainset=examples)
    check(compiled, student, before, examples)
    assert len(compiled.candidate_programs) >= 3


def test_labeled_few_shot(student: Any, before: str, examples: Examples) -> None:
    compiled = dspy.LabeledFewShot(k=2).compile(student, trainset=examples)
    check(compiled, student, before, examples)
    system = compiled.history[0]["messages"]
    assert [m["role"] for m in system] == ["system", "user"], "whole sequences are no demos: no field name coincides"


def test_knn_few_shot(student: Any, examples: Examples) -> None:
    def vectors(texts: list[str]) -> Any:
        import numpy as np

        return np.array([[float(len(text)), 1.0] for text in texts])

    texts = [e.copy(topic=str(k)).with_inputs("steps") for k, e in enumerate(examples)]
    knn = dspy.KNNFewShot(k=2, trainset=texts, vectorizer=dspy.Embedder(vectors), max_labeled_demos=0)
    compiled = knn.compile(student)
    assert len(compiled(steps=examples[0].steps).outputs) == 3


def test_miprov2(student: Any, before: str, examples: Examples, proposer: dspy.LM) -> None:
    compiled = dspy.MIPROv2(
        metric=score,
        prompt_model=proposer,
        task_model=student.get_lm(),
        auto=None,
        num_candidates=2,
        max_bootstrapped_demos=1,
        max_labeled_demos=0,
        num_threads=1,
        verbose=False,
        seed=1,
    ).compile(student, trainset=examples, valset=examples, num_trials=3, minibatch=False)
    check(compiled, student, before, examples)
    assert len(compiled.trial_logs) >= 3


def test_gepa(student: Any, before: str, examples: Examples, proposer: dspy.LM) -> None:
    seen: set[str] = set()

    def metric(gold: Any, prediction: Any, trace: Any = None, name: Any = None, own: Any = None) -> Any:
        if name is not None:
            seen.add(name)
            assert len(own) == 1, "dspy shows one call of the trajectory"
            return dspy.Prediction(score=score(gold, prediction), feedback="Look at the sky.")
        return score(gold, prediction)

    compiled = dspy.GEPA(
        metric=metric, max_metric_calls=30, reflection_lm=proposer, num_threads=1, seed=0, reflection_minibatch_size=2
    ).compile(student, trainset=examples, valset=examples)
    check(compiled, student, before, examples)
    assert seen <= set(PHASES)
    assert seen, "the phases are told apart by name"


def test_simba(student: Any, before: str, examples: Examples, proposer: dspy.LM) -> None:
    many = [e.copy().with_inputs("steps") for e in examples] * 2
    simba = dspy.SIMBA(
        metric=score, bsize=4, num_candidates=2, max_steps=1, max_demos=1, prompt_model=proposer, num_threads=1
    )
    check(simba.compile(student, trainset=many, seed=0), student, before, examples)


def test_copro(student: Any, before: str, examples: Examples, proposer: dspy.LM) -> None:
    with dspy.context(lm=proposer):
        compiled = dspy.COPRO(metric=score, breadth=2, depth=1, prompt_model=proposer).compile(
            student, trainset=examples, eval_kwargs={"num_threads": 1, "display_progress": False}
        )
    check(compiled, student, before, examples)


def test_better_together(student: Any, before: str, examples: Examples) -> None:
    few = dspy.BootstrapFewShot(metric=always, max_bootstrapped_demos=1, max_labeled_demos=0)
    labeled = dspy.LabeledFewShot(k=1)
    optimizer = dspy.BetterTogether(metric=score, p=few, w=labeled)
    compiled = optimizer.compile(student, trainset=examples, valset=examples, strategy="p -> w")
    check(compiled, student, before, examples)


def test_ensemble(student: Any, before: str, examples: Examples) -> None:
    other = student.deepcopy()
    other.set_lm(pure_lm(seed=2))
    together = dspy.Ensemble(reduce_fn=lambda outputs: outputs[-1], size=None).compile([student, other])
    assert together(steps=examples[0].steps).trace == other(steps=examples[0].steps).trace
    assert together.named_predictors()[0][0] == "programs[0].cell.predictor"
    assert json.dumps(student.dump_state()) == before


def test_a_failed_step_does_not_cut_the_trajectory(student: Any, examples: Examples) -> None:
    dspy.configure(lm=pure_lm(("valid", "valid", "valid", "garbage"), seed=1))
    student.set_lm(dspy.settings.lm)
    outs = [student(steps=e.steps) for e in examples]
    failed = [o.trace for o in outs if any(r.failure or any(u.failure for u in r.updates) for r in o.trace.records)]
    assert failed, "the model is meant to fail somewhere"
    compiled = dspy.BootstrapFewShot(metric=always, max_bootstrapped_demos=4, max_labeled_demos=0).compile(
        student, trainset=examples
    )
    assert all(len(predictor.demos) == 4 for _, predictor in compiled.named_predictors())


def test_phases_differ_so_that_gepa_can_tell_them_apart(student: Any) -> None:
    signatures = [predictor.signature for _, predictor in student.named_predictors()]
    assert all(one != other for k, one in enumerate(signatures) for other in signatures[k + 1 :])
    outputs = [name for signature in signatures for name in signature.output_fields]
    assert len(set(outputs)) == len(outputs), "listeners find a phase by its output names"
