"""A loopback OpenAI server for the doctor: each fault of real endpoints can be switched on, and its counts are honest.

Messages are rendered by a small chat template into one text; the tokens of that text are what is reported, and the
"model" decides from that text alone. A fault changes the rendering or the wire, never the arithmetic.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = {
    "thought_lost": "text and reasoning beside tool_calls are not rendered",
    "reasoning_lost": "reasoning_content is not rendered",
    "reasoning_dropped": "reasoning_content before the last user message is not rendered",
    "thought_dropped": "text beside tool_calls before the last user message is not rendered",
    "arguments_as_string": "arguments are a JSON string of a JSON string",
    "arguments_as_object": "arguments are an object",
    "narrated": "the call stands as JSON in the content",
    "prose": "the call is told in prose, and only the text protocol brings one",
    "tools_refused": "400 for requests with tools",
    "cut": "prompts longer than the context lose their start, silently",
    "any_name": "every model name is answered",
    "idle_adapter": "the adapter's replies are its base's",
    "no_models": "GET /models is a 404",
    "no_usage": "no token counts",
    "schema_refused": "400 for response_format",
    "schema_ignored": "response_format changes nothing",
    "doubles": "each call comes twice",
    "no_thought": "nothing stands beside a call",
    "empty": "neither text nor calls",
    "unauthorized": "401 that repeats the key",
    "fails": "500 always",
    "shaky": "every third call is a 429",
    "stalls": "no answer in time",
    "garbage": "200 with HTML",
    "wordy": "more tokens than asked for",
    "escapes": "control characters in what it says",
}
BASE, ADAPTER = "base", "student"
_TOKEN = re.compile(r"\w+|[^\w\s]")
_CODE = re.compile(r"\b[A-Z]{5}-\d{4}\b")


def tokens(text: str) -> list[str]:
    """Words and marks."""
    return _TOKEN.findall(text)


class Patient:
    """The server with its faults."""

    def __init__(self, *faults: str, context: int | None = None, declares: bool = False, reasons: bool = False) -> None:
        unknown = set(faults) - set(FAULTS)
        if unknown:
            raise ValueError(f"unknown faults {sorted(unknown)}")
        self.faults = set(faults)
        self.context = context
        self.declares = declares
        self.reasons = reasons
        """Thoughts come as reasoning_content."""
        self.seen: list[dict[str, Any]] = []
        self.released = threading.Event()
        self._lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                """Quiet."""

            def do_GET(self) -> None:
                self.send(*owner.listed())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with owner._lock:
                    owner.seen.append(body)
                    number = len(owner.seen)
                self.send(*owner.answer(body, number, self.headers.get("authorization", "")))

            def send(self, status: int, body: Any) -> None:
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                with suppress(BrokenPipeError, ConnectionResetError):  # a client that stopped waiting
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(data)))
                    self.send_header("retry-after", "0")
                    self.end_headers()
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
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def listed(self) -> tuple[int, Any]:
        """GET /models."""
        if "no_models" in self.faults:
            return 404, error("no such page")
        rows: list[dict[str, Any]] = [{"id": BASE, "object": "model", "root": "/models/base", "parent": None}]
        rows.append({"id": ADAPTER, "object": "model", "root": "/adapters/student", "parent": BASE})
        if self.declares:
            for row in rows:
                row["max_model_len"] = self.context
        return 200, {"object": "list", "data": rows}

    def answer(self, body: dict[str, Any], number: int, authorization: str) -> tuple[int, Any]:
        """POST /chat/completions."""
        faults = self.faults
        if "stalls" in faults:
            self.released.wait(20)
        if "unauthorized" in faults:
            return 401, error(f"Incorrect API key provided: {authorization.removeprefix('Bearer ')}")
        if "fails" in faults:
            return 500, error("\x1b[31mCUDA error\x1b[0m" if "escapes" in faults else "CUDA error")
        if "shaky" in faults and number % 3 == 0:
            return 429, error("slow down")
        if "garbage" in faults:
            return 200, "<html>It works!</html>"
        if body["model"] not in (BASE, ADAPTER) and "any_name" not in faults:
            return 404, error(f"The model `{body['model']}` does not exist.")
        if body.get("tools") and "tools_refused" in faults:
            return 400, error('"auto" tool choice requires --enable-auto-tool-choice')
        if body.get("response_format") and "schema_refused" in faults:
            return 400, error("response_format is not supported")
        text = self.render(body["messages"], body.get("tools") or [])
        count, room = len(tokens(text)), self.context
        most = int(body.get("max_completion_tokens") or 256)
        if room is not None and count + (0 if "cut" in faults else most) > room:
            if "cut" not in faults:
                said = f"This model's maximum context length is {room} tokens. However, you requested {count + most}"
                return 400, error(f"{said} tokens.")
            starts = [match.start() for match in _TOKEN.finditer(text)]
            text = text[starts[count - room] :]
            count = room
        return 200, self.completion(self.play(text, body), count, most)

    def render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
        """The chat template."""
        last_user = max((n for n, row in enumerate(messages) if row["role"] == "user"), default=-1)
        parts = [f"<tools>{json.dumps(tools)}</tools>\n"] if tools else []
        for number, row in enumerate(messages):
            text, thought = row.get("content") or "", row.get("reasoning_content") or ""
            past, calls = number < last_user, row.get("tool_calls") or []
            if "reasoning_lost" in self.faults or ("reasoning_dropped" in self.faults and past):
                thought = ""
            if calls and ("thought_lost" in self.faults or ("thought_dropped" in self.faults and past)):
                text = thought = ""
            thought = f"<think>{thought}</think>" if thought else ""
            made = "".join(f"<tool_call>{json.dumps(call['function'])}</tool_call>" for call in calls)
            parts.append(f"<|{row['role']}|>{thought}{text}{made}<|end|>\n")
        return "".join(parts) + "<|assistant|>"

    def play(self, text: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the model says after `text`: thought, content, and perhaps a query."""
        role, _, last = text.removesuffix("<|assistant|>").rpartition("<|end|>")[0].rpartition("<|")[2].partition("|>")
        mine = body["model"] == ADAPTER and "idle_adapter" not in self.faults
        thought = "My manual tells that." if mine else "I look it up."
        if "empty" in self.faults:
            return {}
        if "Two code words stand above" in last:
            return {"content": " ".join(_CODE.findall(text))}
        if "Which code word opens" in text:
            found = _CODE.findall(text)
            return {"content": found[0] if found else "I see none."}
        if body.get("response_format") and "schema_ignored" not in self.faults:
            schema = body["response_format"]["json_schema"]["schema"]
            return {"content": json.dumps({name: sample(each) for name, each in schema["properties"].items()})}
        if "the one word: ready" in last:
            return {"content": "ready"}
        value = re.search(r"Boiling limit: (\w+ \w+)", text)
        if value:
            return {"content": f"{thought}\nQuote: {value.group(0)}\nAnswer: {value.group(1)}"}
        if role != "user" or "boiling limit" not in last:
            return {"content": "I cannot tell.\nAnswer: I don't know"}
        query = {"query": "Retort-9 kettle boiling limit"}
        if "<tools>" in text:
            return {"thought": thought, "call": query}
        if "Action:" in text:
            return {"content": f"Thought: {thought}\nAction: search\nAction Input: {json.dumps(query)}"}
        if "<tool_call>" in text and "prose" not in self.faults:
            call = json.dumps({"name": "search", "arguments": query})
            return {"content": f"{thought}\n<tool_call>\n{call}\n</tool_call>"}
        return {"content": "I don't know.\nAnswer: I don't know"}

    def completion(self, said: dict[str, Any], prompt: int, most: int) -> dict[str, Any]:
        """The reply on the wire."""
        message: dict[str, Any] = {"role": "assistant", "content": said.get("content", "")}
        finish = "stop"
        if "call" in said:
            thought = "" if "no_thought" in self.faults else said["thought"]
            message["content"] = "" if self.reasons else thought
            if self.reasons:
                message["reasoning_content"] = thought
            if "narrated" in self.faults:
                told = {"name": "search", "arguments": said["call"]}
                message["content"] = f"{thought}\n```json\n{json.dumps(told)}\n```"
            elif "prose" in self.faults:
                message["content"] = f'{thought} I will search the manual for "{said["call"]["query"]}".'
            else:
                message["tool_calls"], finish = self.calls(said["call"]), "tool_calls"
        if "escapes" in self.faults:
            message["content"] = f"\x1b]0;owned\x07{message['content']}"
        words = list(_TOKEN.finditer(message["content"]))
        if len(words) > most and "wordy" not in self.faults:
            message["content"], finish = message["content"][: words[most].start()], "length"
        written = message["content"]
        if "tool_calls" in message:
            written += json.dumps([message["tool_calls"], message.get("reasoning_content")])
        count = len(tokens(written)) + (500 if "wordy" in self.faults else 0)
        usage = {"prompt_tokens": prompt, "completion_tokens": count, "total_tokens": prompt + count}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        body = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        return body if "no_usage" in self.faults else {**body, "usage": usage}

    def calls(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        """The tool_calls of a reply."""
        written: Any = json.dumps(arguments)
        if "arguments_as_string" in self.faults:
            written = json.dumps(written)
        if "arguments_as_object" in self.faults:
            written = arguments
        count = 2 if "doubles" in self.faults else 1
        function = {"name": "search", "arguments": written}
        return [{"id": f"call0000{n}", "type": "function", "function": function} for n in range(count)]


def sample(schema: dict[str, Any]) -> Any:
    """A value of a small JSON schema."""
    return schema["enum"][0] if "enum" in schema else schema["type"] == "boolean" or "x"


def error(message: str) -> dict[str, Any]:
    """A failure as the protocol tells it."""
    return {"error": {"message": message, "type": "error"}}


@contextmanager
def ailing(*faults: str, **options: Any) -> Iterator[Patient]:
    """A server with faults for the length of a with block."""
    server = Patient(*faults, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
