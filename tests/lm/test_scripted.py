"""A script that runs out raises, and is never taken for a bad answer."""

from __future__ import annotations

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError, LMRateLimitError, LMUnexpectedError

from rnnprog.errors import RnnprogError
from rnnprog.lm.faults import ScriptError
from rnnprog.lm.scripted import scripted_lm
from rnnprog.signatures import Reflect, Rewrite


def predictor(script: Any, signature: Any = "sky -> tomorrow: Literal['sun', 'rain'], mm: float") -> Any:
    predict = dspy.Predict(signature)
    predict.lm = scripted_lm(script)
    return predict


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter(), dspy.JSONAdapter()], ids=["chat", "json"])
def test_fields_are_rendered_for_the_adapter(adapter: Any) -> None:
    predict = predictor([{"tomorrow": "rain", "mm": 2.5}])
    with dspy.context(adapter=adapter):
        said = predict(sky="grey")
    assert (said.tomorrow, said.mm) == ("rain", 2.5)


def test_raw_text_passes_as_it_is() -> None:
    assert predictor(["[[ ## tomorrow ## ]]\nsun\n\n[[ ## mm ## ]]\n1"])(sky="x").mm == 1
    with pytest.raises(AdapterParseError):
        predictor(["no fields at all", "not even json"])(sky="x")


def test_running_out_raises_and_names_the_call() -> None:
    predict = predictor([{"tomorrow": "rain", "mm": 1.0}])
    predict(sky="grey")
    with pytest.raises(ScriptError, match=r"call 2 .*asks for .*'tomorrow', 'mm'.* all 1 lines") as caught:
        predict(sky="grey")
    assert isinstance(caught.value, RnnprogError)
    assert len(predict.lm.engine.seen) == 2  # no hidden retry, no second try in another format


def test_left_overs_are_found() -> None:
    predict = predictor([{"tomorrow": "rain", "mm": 1.0}, "second"])
    predict(sky="grey")
    with pytest.raises(ScriptError, match=r"1 of script \(next: 'second'\) left after 1 calls"):
        predict.lm.engine.assert_done()


def test_errors_are_raised() -> None:
    with pytest.raises(LMRateLimitError):
        predictor([LMRateLimitError("slow down")])(sky="x")
    with pytest.raises(LMUnexpectedError, match="boom"):
        predictor([RuntimeError("boom")])(sky="x")


def test_a_function_sees_the_prompt() -> None:
    predict = predictor(lambda prompt: {"tomorrow": "rain" if prompt.inputs["sky"] == "grey" else "sun", "mm": 0.0})
    assert [predict(sky=sky).tomorrow for sky in ("grey", "blue")] == ["rain", "sun"]
    predict.lm.engine.assert_done()


def test_one_script_for_each_phase() -> None:
    lm = scripted_lm(
        {
            "predictor": [{"tomorrow": "sun"}],
            "reflector": lambda prompt: {"outcome": "a", "cause": "b", "lesson": "c"},
            "rewriter": [{"new_memory": "## Facts"}],
        }
    )
    seen = {"observation": "x: 1", "answer": "y: 2", "evidence": "z"}
    with dspy.context(lm=lm):
        said = dspy.Predict(Rewrite)(memory="", critique="", headings="## Facts", budget_tokens=9, **seen)
        assert said.new_memory == "## Facts"
        assert dspy.Predict(Reflect)(**seen).lesson == "c"
        assert dspy.Predict("sky -> tomorrow")(sky="x").tomorrow == "sun"
        with pytest.raises(ScriptError, match="phase 'judge'"):
            dspy.Predict("a -> assessment, acceptable: bool")(a="x")
    lm.engine.assert_done()


def test_copies_and_threads_and_async_share_the_script() -> None:
    predict = predictor([{"tomorrow": "sun", "mm": float(i)} for i in range(20)])
    twin = copy.deepcopy(predict)
    with ThreadPoolExecutor(4) as pool:
        seen = [said.mm for said in pool.map(lambda p: p(sky="x"), [predict, twin] * 9)]
    seen += [asyncio.run(predict.acall(sky="x")).mm, asyncio.run(twin.acall(sky="x")).mm]
    assert sorted(seen) == [float(i) for i in range(20)]
    predict.lm.engine.assert_done()
