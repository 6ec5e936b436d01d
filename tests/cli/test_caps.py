"""``rnnprog run`` with a model that sends a bill: what it may cost, said before and held."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dspy
import pytest
from typer.testing import CliRunner

import rnnprog
from rnnprog.cli.app import app
from rnnprog.errors import ConfigurationError
from rnnprog.tasks import load_task
from tests.lm.local_server import Server

SMALL = ["run", "regimes", "--option", "n_steps=8", "--option", "n_sequences=2", "--concurrency", "1"]  # 48 calls
PRICE = ["--price", "openai/local=1000,1000"]  # 16 tokens a call, so 0.016 USD


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    dspy.cache.reset_memory_cache()  # its keys know no address
    yield made
    made.close()


def paid(server: Server, *more: str, code: int = 0) -> str:
    asked = ["--lm", "openai/local", "--lm-option", f"api_base={server.url}", "--lm-option", "api_key=none"]
    done = CliRunner().invoke(app, [*SMALL, *asked, *more], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.mark.parametrize(
    "cap", [["--max-calls", "7"], ["--max-tokens", "100"], ["--max-usd", "0.1", *PRICE]], ids=lambda cap: cap[0]
)
def test_a_cap_ends_the_run_and_a_higher_one_goes_on_without_paying_twice(
    server: Server, tmp_path: Path, cap: list[str]
) -> None:
    told = json.loads(paid(server, *cap, "--out", str(tmp_path), "--json", "--prompts", code=4))
    assert len(server.requests) == 7
    assert "NOT COMPLETE: the cap of" in told["note"]
    assert "0 of 2 walks are finished" in told["note"]
    (trace,) = rnnprog.read_traces(tmp_path / "trace.jsonl")
    assert [len(trace), trace.usage["predictor"].calls] == [2, 2]
    assert "cap of" in (trace.error or "")
    assert "NOT COMPLETE" in (tmp_path / "page.html").read_text()
    assert len((tmp_path / "prompts.jsonl").read_text().splitlines()) == 7

    whole = json.loads(paid(server, "--max-calls", "1000", "--out", str(tmp_path), "--json"))
    assert (whole["note"], whole["arms"]["reflective"]["steps"]) == ("", 16)
    assert len(server.requests) == len({json.dumps(request["messages"]) for request in server.requests})


def test_the_cap_is_told_in_one_sentence(server: Server) -> None:
    said = " ".join(paid(server, "--max-calls", "7", "--concurrency", "2", code=4).split())
    assert said.count("the cap of 7 model calls is reached") == 1
    assert "ended early" not in said
    assert "NOT COMPLETE" not in paid(server)


def test_the_control_is_under_the_same_cap_and_its_end_is_told(server: Server) -> None:
    told = json.loads(paid(server, "--max-calls", "50", "--control", "--json", code=4))
    assert told["arms"]["reflective"]["steps"] == 16
    assert 0 < told["arms"]["empty_memory"]["steps"] < 16
    assert "2 of 4 walks are finished" in told["note"]
    assert len(server.requests) == 50


def test_the_estimate_is_that_of_the_run_and_nothing_is_asked_or_written(server: Server, tmp_path: Path) -> None:
    out = ["--estimate", "--control", "--max-calls", "63", *PRICE, "--out", str(tmp_path / "no")]
    told = json.loads(paid(server, *out, "--json"))
    assert [(arm["label"], arm["calls"]) for arm in told["arms"]] == [("reflective", 48), ("empty_memory", 16)]
    assert (told["calls"], told["over"]) == (64, ["max_calls"])
    assert told["usd"] == pytest.approx((told["prompt_tokens"] + told["completion_tokens"]) / 1000)
    said = " ".join(paid(server, *out).split())
    assert "32 steps to walk: about 64 calls" in said
    assert "more than --max-calls 63 allows" in said
    assert (server.requests, (tmp_path / "no").exists()) == ([], False)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--max-usd", "1"], "cannot be held"),
        (["--price", "openai/other=1,1"], "no model of this command is called that; there are openai/local"),
        (["--price", "openai/local=dear"], "give USD for a million tokens"),
        (["--cell", "label_history", "--control"], "--control holds the memory of a reflective cell empty"),
    ],
)
def test_what_cannot_be_held_or_compared_is_refused_before_the_first_call(
    server: Server, args: list[str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        paid(server, *args)
    assert server.requests == []


def test_run_takes_several_listeners_and_stated_prices() -> None:
    class Ear:
        def __init__(self) -> None:
            self.heard: list[Any] = []

        def calling(self, phase: str) -> None: ...

        def called(self, call: Any) -> None:
            self.heard.append(call.cost)

        def left(self, phase: str) -> None: ...

    data, ears = load_task("regimes", n_steps=8), (Ear(), Ear())
    program = rnnprog.RecurrentModule(data.task)
    program.set_lm(rnnprog.embedded_lm())
    free = rnnprog.lm.prices.Price(sent=0, received=0)
    result = rnnprog.run(program, data.sequences, listener=ears, prices={"rnnprog/embedded": free})
    assert [ear.heard for ear in ears] == [[0.0] * 24] * 2
    assert next(iter(result.timings.values())).cost == 0.0
