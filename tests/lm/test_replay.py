"""A recording answers as the model did, refuses what it has not seen, and survives a crash."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.utils import DummyLM

from rnnprog.lm.embedded import embedded_lm
from rnnprog.lm.faults import ReplayError, ScriptError
from rnnprog.lm.replay import record, replay
from rnnprog.lm.scripted import scripted_lm


def program(lm: Any, signature: str = "sky -> tomorrow") -> Any:
    predict = dspy.Predict(signature)
    predict.lm = lm
    return predict


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "calls.jsonl"


def test_what_was_recorded_is_replayed_with_its_usage(path: Path) -> None:
    task = "memory, sky -> tomorrow, mm: float"
    recorded = program(record(embedded_lm(temperature=0.7), path), task)
    seen = {"memory": "When sky is grey, then tomorrow is rain.", "sky": "grey \u2028 line"}
    first = recorded(**seen)
    usage = recorded.lm.history[-1]["usage"]
    again = program(replay(path), task)
    assert again(**seen) == first
    assert again.lm.history[-1]["usage"] == usage
    assert usage["prompt_tokens"] > 0
    assert again.lm.kwargs["temperature"] == 0.7
    assert "sky" in lines(path)[1]["prompt"][-1]["text"]


def test_equal_requests_are_told_apart_by_their_number(path: Path) -> None:
    script = [{"tomorrow": f"day {i}"} for i in range(3)]
    recorded = program(record(scripted_lm(script, temperature=1.0), path))
    said = [recorded(sky="grey").tomorrow for _ in range(3)]
    again = program(replay(path))
    assert [again(sky="grey").tomorrow for _ in range(3)] == said == ["day 0", "day 1", "day 2"]
    with pytest.raises(ReplayError, match="asked 4 times but recorded 3 times"):
        again(sky="grey")


@pytest.mark.parametrize(("temperature", "answers"), [(0.0, 1), (None, 2)])
def test_without_temperature_a_further_equal_request_repeats(
    path: Path, temperature: float | None, answers: int
) -> None:
    script = [{"tomorrow": f"day {i}"} for i in range(2)]
    recorded = program(record(scripted_lm(script, temperature=temperature), path))
    said = [recorded(sky="grey").tomorrow for _ in range(2)]
    assert len(lines(path)) == 1 + answers
    again = program(replay(path))
    assert [again(sky="grey").tomorrow for _ in range(4)] == [*said, said[-1], said[-1]]


def test_an_unseen_prompt_fails_and_names_the_nearest_and_the_difference(path: Path) -> None:
    recorded = program(record(embedded_lm(), path))
    recorded(sky="grey and low")
    recorded(sky="something quite different")
    with pytest.raises(ReplayError, match="recorded 'grey and low', asked 'grey and high'"):
        program(replay(path))(sky="grey and high")
    warmer = dspy.Predict("sky -> tomorrow", temperature=0.9)
    warmer.lm = replay(path)
    with pytest.raises(ReplayError, match="other settings"):
        warmer(sky="grey and low")


def test_a_broken_last_line_is_dropped_and_the_recording_continued(path: Path) -> None:
    inner = scripted_lm([{"tomorrow": "a"}, {"tomorrow": "b"}, {"tomorrow": "c"}])
    recorded = program(record(inner, path))
    recorded(sky="one")
    recorded(sky="two")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])  # the process died while writing
    assert program(replay(path))(sky="one").tomorrow == "a"
    with pytest.raises(ReplayError):
        program(replay(path))(sky="two")
    resumed = program(record(inner, path))
    assert resumed(sky="one").tomorrow == "a"  # from the file
    assert resumed(sky="two").tomorrow == "c"  # asked again
    inner.engine.assert_done()
    assert len(lines(path)) == 3
    assert program(replay(path))(sky="two").tomorrow == "c"


def test_a_failed_call_leaves_no_hole(path: Path) -> None:
    inner = scripted_lm([RuntimeError("down"), {"tomorrow": "a"}], temperature=1.0)
    recorded = program(record(inner, path))
    with pytest.raises(Exception, match="down"):
        recorded(sky="one")
    assert recorded(sky="one").tomorrow == "a"
    assert program(replay(path))(sky="one").tomorrow == "a"


def test_damage_in_the_middle_and_other_models_are_refused(path: Path) -> None:
    recorded = program(record(embedded_lm(), path))
    recorded(sky="one")
    with pytest.raises(ReplayError, match="was recorded with"):
        record(embedded_lm(temperature=0.5), path)
    text = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([text[0], text[1][:30], text[1]]) + "\n", "utf-8")
    with pytest.raises(ReplayError, match="line 2 is damaged"):
        replay(path)
    path.write_text("{}\n")
    with pytest.raises(ReplayError, match="line 1"):
        replay(path)
    with pytest.raises(ReplayError, match="make one with record"):
        replay(path.with_name("missing"))


def test_no_key_is_ever_written(path: Path) -> None:
    inner = dspy.LM("openai/gpt-x", api_key="sk-SECRET", api_base="http://localhost:9/v1", temperature=0.3)
    outer = record(inner, path)
    assert "sk-SECRET" not in path.read_text()
    assert "api_key" not in outer.kwargs
    assert "localhost" not in path.read_text()
    assert outer.kwargs["temperature"] == 0.3
    assert "sk-SECRET" not in json.dumps(replay(path).dump_state())


def test_any_lm_can_be_recorded(path: Path) -> None:
    inner = DummyLM([{"tomorrow": "rain"}])
    assert program(record(inner, path))(sky="grey").tomorrow == "rain"
    assert program(replay(path))(sky="grey").tomorrow == "rain"


def test_threads_and_async(path: Path) -> None:
    recorded = program(record(embedded_lm(), path))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: recorded(sky=f"s{i}"), range(40)))
    asyncio.run(recorded.acall(sky="async"))
    assert len(lines(path)) == 42
    again = program(replay(path))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: again(sky=f"s{i}"), range(40)))
    asyncio.run(again.acall(sky="async"))


def test_a_replayed_program_is_saved_and_loaded(path: Path, tmp_path: Path) -> None:
    program(record(embedded_lm(), path))(sky="one")
    saved = program(replay(path))
    saved.save(tmp_path / "p.json")
    loaded = dspy.Predict("sky -> tomorrow")
    loaded.load(tmp_path / "p.json", allow_unsafe_lm_state=True)
    assert loaded(sky="one") == saved(sky="one")


def test_a_script_error_is_not_hidden_by_recording(path: Path) -> None:
    with pytest.raises(ScriptError):
        program(record(scripted_lm([]), path))(sky="one")
