"""A server of one's own that speaks OpenAI's protocol, on the loopback: what most people's local models look like."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Message, Request

import rnnprog
from rnnprog.lm.embedded import EmbeddedEngine

TASK = "rain: float, sky: str -> tomorrow: Literal['sun', 'rain']"
STEPS = [
    {"rain": float(t % 3), "sky": "grey" if t % 2 else "blue", "tomorrow": "rain" if t % 2 else "sun"} for t in range(6)
]
Fault = Callable[[int], "int | float | None"]


class Server:
    """Answers with the embedded model; ``fault`` may name a status, or seconds to sleep, for the n-th request."""

    def __init__(self) -> None:
        self.fault: Fault = lambda _n: None
        self.requests: list[dict[str, Any]] = []
        model, lock, server = EmbeddedEngine(), threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    server.requests.append({**asked, "path": self.path})
                    fault = server.fault(len(server.requests))
                if isinstance(fault, float):
                    time.sleep(fault)
                if isinstance(fault, int):
                    return self.reply(fault, {"error": {"message": f"status {fault} as ordered", "type": "test"}})
                system, *rest = asked["messages"]
                told = [(Message.user if m["role"] == "user" else Message.assistant)(m["content"]) for m in rest]
                text = model.complete(Request("embedded", tuple(told), system=system["content"])).message.text
                message = {"role": "assistant", "content": text}
                self.reply(
                    200,
                    {
                        "id": "x",
                        "object": "chat.completion",
                        "created": 0,
                        "model": asked["model"],
                        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
                    },
                )

            def reply(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass  # the client did not wait

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def lm(self, **settings: Any) -> dspy.LM:
        return dspy.LM("openai/local", **{"api_base": self.url, "api_key": "none", "cache": False, **settings})


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def program(lm: dspy.LM, **settings: Any) -> rnnprog.RecurrentModule:
    made = rnnprog.RecurrentModule(TASK, **settings)
    made.set_lm(lm)
    return made


def test_a_walk_over_http_equals_one_without_and_books_what_the_server_reports(server: Server) -> None:
    out = program(server.lm())(steps=STEPS)
    plain = program(rnnprog.embedded_lm())(steps=STEPS)
    assert out.outputs == plain.outputs
    assert out.memory == plain.memory
    used = out.trace.usage.values()
    assert len(server.requests) == sum(u.calls for u in used)
    assert {(u.prompt_tokens, u.completion_tokens) for u in used} == {(u.calls * 11, u.calls * 5) for u in used}
    assert {r["path"] for r in server.requests} == {"/v1/chat/completions"}
    assert not any("tomorrow: rain" in str(r["messages"]) for r in server.requests[:1])


def test_a_server_error_that_passes_costs_nothing_but_a_call(server: Server) -> None:
    server.fault = lambda n: 500 if n == 2 else None
    out = program(server.lm(num_retries=2))(steps=STEPS[:3])
    assert None not in out.outputs
    assert not any(u.failure for u in out.trace.updates)


@pytest.mark.parametrize(("fault", "told"), [(500, "500"), (1.5, "[Tt]imeout|timed out")], ids=["error", "timeout"])
def test_a_fault_that_stays_for_a_while_is_recorded_where_it_was(server: Server, fault: float, told: str) -> None:
    server.fault = lambda n: fault if n == 4 else None  # three calls a step: the second step's prediction
    out = program(server.lm(num_retries=0, timeout=0.4))(steps=STEPS[:3])
    assert [o is None for o in out.outputs] == [False, True, False]
    assert out.trace.records[1].failure.phase == "predictor"
    assert re.search(told, out.trace.records[1].failure.error)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_end_the_walk_at_once_and_keep_it(server: Server, status: int) -> None:
    server.fault = lambda n: status if n > 3 else None
    with pytest.raises(rnnprog.LMUnavailableError) as raised:
        program(server.lm())(steps=STEPS)
    assert len(raised.value.trace.records) == 1  # type: ignore[union-attr]
    assert len(server.requests) == 4


def test_a_server_that_is_not_there_is_given_up_on(server: Server) -> None:
    lm = server.lm(api_base="http://127.0.0.1:9/v1", num_retries=0)
    made = program(lm, failures=rnnprog.FailurePolicy(patience=2))
    with pytest.raises(rnnprog.LMUnavailableError, match="no reply for 2 steps in a row"):
        made(steps=STEPS)


@pytest.mark.parametrize(("status", "code"), [(None, 0), (401, 3)])
def test_command_line(server: Server, tmp_path: Path, status: int | None, code: int) -> None:
    server.fault = lambda _n: status
    table = tmp_path / "sky.csv"
    table.write_text("day,rain,sky\n" + "".join(f"{d},{d % 3},{'rain' if d % 2 else 'sun'}\n" for d in range(5)))
    own = ["--signature", "rain: float, sky: str -> tomorrow: Literal['sun', 'rain']", "--target", "next:sky"]
    model = ["--lm", "openai/local", "--lm-option", f"api_base={server.url}", "--lm-option", "api_key=none"]
    command = [sys.executable, "-m", "rnnprog.cli", "run", str(table), *own, "--order-by", "day", *model]
    done = subprocess.run(
        [*command, "--lm-option", "cache=false", "--out", str(tmp_path / "o"), "--json"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code == 0:
        assert json.loads(done.stdout)["arms"]["reflective"]["tokens"] == 16 * len(server.requests)
