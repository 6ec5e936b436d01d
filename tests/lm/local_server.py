"""A server of one's own that speaks OpenAI's protocol, on the loopback, and counts what it is asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dspy
from dspy.lm15 import Message, Request

from rnnprog.lm.embedded import EmbeddedEngine

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

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
