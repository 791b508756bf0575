"""A loopback endpoint that speaks the OpenAI protocol and breaks a share of all calls, each in one of many ways."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from openai_server import to_langchain, to_openai

from agents.models.scripted import Scripted

MARK = "FAULT-OF-THE-ENDPOINT"
"""Stands in everything that a broken reply says, so that a test can look for it where it must not be."""
KINDS = (
    "rate",
    "rate_after",
    "server",
    "cut",
    "garbage",
    "stall",
    "malformed_call",
    "duplicate_call",
    "empty",
)


class Hostile:
    """The server, with what it did by kind."""

    def __init__(self, seat: Scripted, *, rate: float, seed: int = 0, stall: float = 60.0) -> None:
        self.broken: Counter[str] = Counter()
        self.calls = 0
        self.most_in_flight = 0
        self._in_flight = 0
        self._lock = threading.Lock()
        self._ending = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                """Quiet."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with owner._lock:
                    owner.calls += 1
                    owner._in_flight += 1
                    owner.most_in_flight = max(owner.most_in_flight, owner._in_flight)
                    dice = random.Random(f"{seed}:{owner.calls}")
                try:
                    player = seat.bind_tools(body.get("tools") or [])
                    whole = to_openai(player.reply(to_langchain(body["messages"])), None)
                    self.answer(whole, dice)
                finally:
                    with owner._lock:
                        owner._in_flight -= 1

            def answer(self, whole: dict[str, Any], dice: random.Random) -> None:
                acts = bool(whole["choices"][0]["message"].get("tool_calls"))
                kind = dice.choice(KINDS) if dice.random() < rate else None
                if kind in ("malformed_call", "duplicate_call") and not acts:
                    kind = "server"
                if kind is not None:
                    with owner._lock:
                        owner.broken[kind] += 1
                said = json.dumps(whole).encode()
                if kind == "rate":
                    self.send(429, {"error": {"message": f"slow down {MARK}"}})
                elif kind == "rate_after":
                    self.send(429, {"error": {"message": f"slow down {MARK}"}}, {"retry-after": "0.1"})
                elif kind == "server":
                    self.send(500, {"error": {"message": f"internal {MARK}"}})
                elif kind == "cut":
                    self.raw(200, said[: len(said) // 2], length=len(said))
                    self.close_connection = True
                elif kind == "garbage":
                    self.raw(200, f"<html>{MARK}{{".encode() + said[:40])
                elif kind == "stall":
                    owner._ending.wait(stall)
                    self.close_connection = True
                elif kind == "empty":
                    whole["choices"][0]["message"] = {"role": "assistant", "content": ""}
                    whole["choices"][0]["finish_reason"] = "stop"
                    self.send(200, whole)
                elif kind == "malformed_call":
                    function = whole["choices"][0]["message"]["tool_calls"][0]["function"]
                    function["arguments"] = f"{MARK} query = {function['arguments'][1:]}"
                    self.send(200, whole)
                elif kind == "duplicate_call":
                    calls = whole["choices"][0]["message"]["tool_calls"]
                    calls.append(dict(calls[0]))
                    self.send(200, whole)
                else:
                    self.raw(200, said)

            def send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
                self.raw(status, json.dumps(body).encode(), headers=headers)

            def raw(
                self, status: int, data: bytes, *, length: int | None = None, headers: dict[str, str] | None = None
            ) -> None:
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(length or len(data)))
                    for name, value in (headers or {}).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)
                    self.wfile.flush()

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients that stopped waiting are no news."""

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End it, stalled calls included."""
        self._ending.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextmanager
def hostile(seat: Scripted, **options: Any) -> Iterator[Hostile]:
    """A hostile server for the length of a with block."""
    server = Hostile(seat, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
