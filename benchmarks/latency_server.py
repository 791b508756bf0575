"""An OpenAI endpoint on loopback that answers after a fixed latency and plays an episode by counting turns.

A request without an assistant message is answered with a call of `search`, any other with a final message whose quote
is copied from the request's last tool message and whose answer is the first option: an episode is two calls. The answer
takes the latency and about 0.2 ms of CPU, so that what is measured is the client.

::

    python benchmarks/latency_server.py [--latency 1.0] [--port 0]       prints its URL and serves until it is killed
    POST /v1/chat/completions     GET /stats     POST /reset
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from typing import Any

from aiohttp import web

_QUOTED = re.compile(r"`([^`]+)`")
_OPTION = re.compile(r"^A\) (.+)$", re.MULTILINE)
PROMPT_TOKENS, COMPLETION_TOKENS = 400, 40
"""What every answer says it cost; the prompts of the benchmark are about that long."""


class Stats:
    """What the server has seen since it started or was reset."""

    def __init__(self) -> None:
        self.calls = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.request_bytes = 0
        self.first: float | None = None
        self.last: float | None = None
        self._cpu = time.process_time()

    def began(self, size: int) -> None:
        """A request of `size` bytes has come."""
        self.first = self.first or time.monotonic()
        self.request_bytes += size
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def ended(self, answered: bool) -> None:
        """A request was answered, or its client went away."""
        self.in_flight -= 1
        if answered:
            self.calls += 1
            self.last = time.monotonic()

    def to_dict(self) -> dict[str, Any]:
        """Plain values.

        `calls` are answered ones, `first` is the arrival of the first request and `last` the end of the last answer
        (`time.monotonic`), `now` is this moment, `cpu` is the server's own CPU seconds.
        """
        return {
            "calls": self.calls,
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "request_bytes": self.request_bytes,
            "first": self.first,
            "last": self.last,
            "now": time.monotonic(),
            "cpu": time.process_time() - self._cpu,
        }


def reply(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The assistant message that comes next."""
    question = next(str(m["content"]) for m in messages if m["role"] == "user")
    if not any(m["role"] == "assistant" for m in messages):
        name = _QUOTED.search(question)
        query = f"{name[1]} default" if name else question.partition("\n")[0][:80]
        call = {"name": "search", "arguments": json.dumps({"query": query})}
        calls = [{"id": "call_1", "type": "function", "function": call}]
        return {"role": "assistant", "content": "The manual says which value that is.", "tool_calls": calls}
    found = next((str(m["content"]) for m in reversed(messages) if m["role"] == "tool"), "")
    lines = [line for line in found.splitlines() if line.strip() and not line.startswith("[")]
    option = _OPTION.search(question)
    quote, answer = lines[0] if lines else "nothing found", option[1] if option else "I don't know"
    return {"role": "assistant", "content": f"That is the value.\nQuote: {quote}\nAnswer: {answer}"}


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """The whole chat completion."""
    message = reply(body["messages"])
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body.get("model", "latency"),
        "choices": [
            {"index": 0, "message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
        ],
        "usage": {**usage, "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS},
    }


class Endpoint:
    """The server's requests."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.stats = Stats()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, whatever its path."""
        if request.path == "/stats":
            return web.json_response(self.stats.to_dict())
        if request.path == "/reset":
            self.stats = Stats()
            return web.json_response({})
        if request.path != "/v1/chat/completions" or request.method != "POST":
            return web.json_response({"error": {"message": f"no such place: {request.path!r}"}}, status=404)
        due = asyncio.get_running_loop().time() + self.latency
        stats = self.stats  # a reset must not be answered for by requests from before it
        raw = await request.read()
        stats.began(len(raw))
        answered = False
        try:
            data = json.dumps(completion(json.loads(raw))).encode()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            answered = True
        finally:
            stats.ended(answered)
        return web.Response(body=data, content_type="application/json")


async def serve(latency: float, port: int) -> None:
    """Serve on loopback until cancelled; prints the URL first."""
    endpoint = Endpoint(latency)
    # aiohttp's bare server: its router and middlewares would double the CPU of a call.
    runner = web.ServerRunner(web.Server(endpoint.answer, access_log=None, keepalive_timeout=600.0))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    host, bound = runner.addresses[0][:2]
    print(f"http://{host}:{bound}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="OpenAI endpoint on loopback with a fixed latency.")
    parser.add_argument("--latency", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--port", type=int, default=0)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.latency, chosen.port))
