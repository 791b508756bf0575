"""A loopback endpoint of the OpenAI protocol that may refuse `response_format`, and plays its replies in order."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agents.context import Seat

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 40},
}
REFUSAL = "response_format json_schema is not available here"
_numbers = itertools.count()


class Endpoint:
    """The endpoint with what it was sent.

    Args:
        replies: texts in order; the last one is repeated. A text after `length:` is cut off at max_tokens.
        refuse: the status that refuses a request with `response_format`; None = it is taken.
        refuse_all: the status that refuses every request.
        outgrown: whether every request is too long for the model.
        stall: number of the call (from 1) that is answered after `stall_seconds`.
    """

    def __init__(
        self,
        replies: Sequence[str],
        *,
        refuse: int | None = None,
        refuse_all: int | None = None,
        outgrown: bool = False,
        stall: int | None = None,
        stall_seconds: float = 2.0,
    ) -> None:
        self.seen: list[dict[str, Any]] = []
        self._answered = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        owner = self

        class Listener(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                """Quiet."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with owner._lock:
                    owner.seen.append(body)
                    number = len(owner.seen)
                if number == stall:
                    owner._ended.wait(stall_seconds)
                if outgrown:
                    self.send(400, {"error": {"message": "This model's maximum context length is 2048 tokens"}})
                elif refuse_all is not None:
                    self.send(refuse_all, {"error": {"message": "no such model"}})
                elif refuse is not None and "response_format" in body:
                    self.send(refuse, {"error": {"message": REFUSAL}})
                else:
                    with owner._lock:
                        text = replies[min(owner._answered, len(replies) - 1)]
                        owner._answered += 1
                    reason = "length" if text.startswith("length:") else "stop"
                    said = {"role": "assistant", "content": text.removeprefix("length:")}
                    choice = {"index": 0, "message": said, "finish_reason": reason}
                    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
                    self.send(200, {**whole, "choices": [choice], "usage": USAGE})

            def send(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                with suppress(BrokenPipeError, ConnectionResetError):  # a client that stopped waiting
                    self.wfile.write(data)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        # A name of its own, so that what one test's endpoint refused is not remembered of another's at the same port.
        self.model = f"openai:m{next(_numbers)}@{self.url}"

    def seat(self, **changes: Any) -> Seat:
        """A seat behind this endpoint."""
        return Seat.model_validate({"model": self.model, **changes})

    @property
    def sent(self) -> str:
        """Everything that was sent here, as one text."""
        return json.dumps(self.seen, ensure_ascii=False)

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextmanager
def answering(*replies: str, **options: Any) -> Iterator[Endpoint]:
    """An endpoint for the length of a with block."""
    endpoint = Endpoint(replies, **options)
    endpoint.start()
    try:
        yield endpoint
    finally:
        endpoint.stop()
