"""A real HTTP server on loopback that speaks the OpenAI protocol and lets a scripted seat answer.

Run as a script it serves until it is killed: `python openai_server.py EXAM PORT`.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from agents.models.scripted import Scripted, open_scripted

Fault = Callable[[int, dict[str, Any]], tuple[int, Any] | str | None]
"""Number of the request (from 1) and its body -> status and JSON (or bytes) instead of the reply; "cut" breaks the
reply off, "stall" never answers; None = the seat answers."""


def to_langchain(rows: list[dict[str, Any]]) -> list[BaseMessage]:
    """OpenAI messages as LangChain messages."""
    found: list[BaseMessage] = []
    for row in rows:
        text = row.get("content") or ""
        if row["role"] == "system":
            found.append(SystemMessage(text))
        elif row["role"] == "user":
            found.append(HumanMessage(text))
        elif row["role"] == "tool":
            found.append(ToolMessage(text, tool_call_id=row["tool_call_id"]))
        else:
            calls = [
                {"name": c["function"]["name"], "args": json.loads(c["function"]["arguments"]), "id": c["id"]}
                for c in row.get("tool_calls") or ()
            ]
            found.append(AIMessage(text, tool_calls=calls))
    return found


def to_openai(message: AIMessage, thought: str | None) -> dict[str, Any]:
    """A LangChain reply as a chat completion."""
    said: dict[str, Any] = {"role": "assistant", "content": message.content}
    if thought:
        said["reasoning_content"] = thought
    if message.tool_calls:
        said["tool_calls"] = [
            {
                "id": c["id"],
                "type": "function",
                "function": {"name": c["name"], "arguments": json.dumps(c["args"])},
            }
            for c in message.tool_calls
        ]
    choice = {"index": 0, "message": said, "finish_reason": "tool_calls" if message.tool_calls else "stop"}
    usage = {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


class Server:
    """The server with what it has seen."""

    def __init__(
        self, seat: Scripted, *, fault: Fault | None = None, thought: str | None = None, delay: float = 0.0
    ) -> None:
        self.seen: list[dict[str, Any]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._lock = threading.Lock()
        self._ending = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                """Quiet."""

            def do_GET(self) -> None:
                self.send(200, {"status": "ok"})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with owner._lock:
                    owner.seen.append({"path": self.path, "authorization": self.headers.get("authorization"), **body})
                    number = len(owner.seen)
                    owner.in_flight += 1
                    owner.most_in_flight = max(owner.most_in_flight, owner.in_flight)
                try:
                    if delay:
                        time.sleep(delay)
                    broken = fault(number, body) if fault else None
                    if isinstance(broken, str):
                        self.close_connection = True
                        if broken == "stall":
                            owner._ending.wait(60)
                        else:
                            self.send(200, {"choices": []}, missing=10)
                        return
                    if broken is not None:
                        self.send(*broken)
                        return
                    player = seat.bind_tools(body.get("tools") or [])
                    self.send(200, to_openai(player.reply(to_langchain(body["messages"])), thought))
                finally:
                    with owner._lock:
                        owner.in_flight -= 1

            def send(self, status: int, body: Any, missing: int = 0) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data) + missing))
                self.end_headers()
                with suppress(BrokenPipeError, ConnectionResetError):  # a client that stopped waiting
                    self.wfile.write(data)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._ending.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextmanager
def serving(seat: Scripted, **options: Any) -> Iterator[Server]:
    """A server for the length of a with block."""
    server = Server(seat, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


if __name__ == "__main__":
    made = open_scripted("answer-key", sys.argv[1])
    assert isinstance(made, Scripted)
    one = Server(made)
    print(one.url, flush=True)
    one._http.serve_forever()
