"""Who may speak with a Studio server: programs that hold its token, and Studio's own page with it, on this machine.

Every page that a browser shows can send requests to a port of this machine. So a request is refused unless its Host is
this machine's (a site that points its name here is recognised by it), its Origin is Studio's where a browser sends one,
its body is declared as JSON (a browser asks before it sends that), and it holds the token of this start. What a request
asks for is looked at too: a context only chooses (studio_choices.py), and nothing is sent to addresses of its own.

langgraph.json mounts `app`, whose middleware stands before every route, and `auth`, LangGraph's own hook.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from langgraph_sdk import Auth
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents.errors import ConfigError

from .studio_choices import read
from .studio_settings import MAX_BYTES, ORIGINS, SERVER_KEYS, STUDIO, TOKEN, token

HOSTS = ("127.0.0.1", "localhost", "[::1]")
ROUTES = ("", "ok", "info", "openapi.json", "assistants", "threads", "runs")
"""First parts of the paths that are served: not, among others, `deploy`, which would upload the folder's source."""
OPEN = ("/ok",)
"""Paths that need no token."""
WEBHOOK = "webhook: results are sent to no other address"
PRESENTED = "retort.token"
"""Key of the scope under which the token stands that a request held in its path."""


def announced() -> str:
    """The token; where this process has made it, it is printed with Studio's address."""
    held = token()
    if not os.environ.get(TOKEN):
        url = f"{os.environ.get('LANGGRAPH_API_URL') or 'http://127.0.0.1:2024'}/{held}"
        print(f"retort: only this address is answered: {url}", file=sys.stderr)
        print(f"retort: Studio's page: {STUDIO}/?baseUrl={quote(url, safe='')}", file=sys.stderr, flush=True)
    return held


_token = announced()


def holds_token(scope: Scope) -> bool:
    """Whether a request holds the token: in its path, as `x-api-key` or as a bearer."""
    headers = Headers(scope=scope)
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    held = (scope.get(PRESENTED), headers.get("x-api-key"), bearer)
    return any(hmac.compare_digest(each.encode(), _token.encode()) for each in held if each)


def without_token(scope: Scope) -> Scope:
    """The request with a token at the start of its path taken out of it, and noted."""
    first, _, rest = scope["path"].removeprefix("/").partition("/")
    if not hmac.compare_digest(first.encode(), _token.encode()):
        return scope
    path = f"/{rest}"
    return {**scope, "path": path, "raw_path": quote(path).encode(), PRESENTED: first}


def problem(scope: Scope) -> tuple[int, str] | None:
    """Why a request is refused before anything reads it: status and words; None where it may pass."""
    headers = Headers(scope=scope)
    host, origin = headers.get("host", ""), headers.get("origin")
    if re.sub(r":\d+$", "", host).lower() not in HOSTS:
        return 403, f"Host {host!r} is not this machine's: use http://127.0.0.1"
    if origin is not None and origin not in ORIGINS:
        return 403, f"Origin {origin!r} is not Studio's ({', '.join(ORIGINS)})"
    if origin is None and headers.get("sec-fetch-site", "none") != "none":
        return 403, "a page that is not Studio's asks for this"
    if scope["path"].removeprefix("/").partition("/")[0] not in ROUTES:
        return 404, f"{scope['path']!r} is not served here"
    method = scope.get("method", "GET")
    if method == "OPTIONS":  # a browser's question before a request, which holds no header yet
        return None
    if scope["path"] not in OPEN and not holds_token(scope):
        return 401, "the token is missing: use the whole address that was printed at the start, or send it as x-api-key"
    body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if method not in ("GET", "HEAD") and body:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return 415, f"Content-Type {kind!r} is not application/json"
    return None


class Guard:
    """The middleware that stands before every route of the server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        scope = without_token(scope)
        refused = problem(scope)
        if refused is None and scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            body = await whole(receive)
            refused = foreign(body)
            receive = again(body, receive)
        if refused is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused[1][:100]})
        else:
            origin = Headers(scope=scope).get("origin")
            readable = {"Access-Control-Allow-Origin": origin} if origin in ORIGINS else None
            await JSONResponse({"detail": refused[1]}, refused[0], readable)(scope, receive, send)


async def whole(receive: Receive) -> bytes:
    """The body of a request, as far as `MAX_BYTES` and one part more."""
    body = b""
    while len(body) <= MAX_BYTES:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body


def again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that brings a body which was read already, then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def foreign(body: bytes) -> tuple[int, str] | None:
    """Why a body is refused: too long, no JSON, a webhook, or a message that would make an endpoint fetch something."""
    if len(body) > MAX_BYTES:
        return 413, f"the body is longer than {MAX_BYTES} bytes"
    try:
        data = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return 422, "the body is not JSON"
    # Before LangGraph sees it, which asks for the address of the host to judge it.
    if any(isinstance(each, dict) and each.get("webhook") for each in (data if isinstance(data, list) else [data])):
        return 422, WEBHOOK
    found = not_text(data)
    return (422, found) if found else None


def not_text(value: Any) -> str | None:
    """What is wrong where a message within `value` has content that is no text, e.g. the address of a picture."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            content = each.get("content")
            for part in content if isinstance(content, list) else ():
                if not isinstance(part, str) and not (isinstance(part, dict) and part.get("type") == "text"):
                    kind = part.get("type") if isinstance(part, dict) else part
                    return f"a message has content of type {kind!r}: only text is taken"
            waiting += each.values()
    return None


auth = Auth()
"""LangGraph's hook: the token again for its routes, and what a request asks for."""


@auth.authenticate
async def authenticate(scope: dict[str, Any]) -> str:
    """The one user: whoever holds the token."""
    if not holds_token(scope):
        raise Auth.exceptions.HTTPException(401, "the token is missing")
    return "local"


@auth.on
async def allowed(ctx: Any, value: Any) -> bool:
    """What the handlers below do not look at may be done."""
    return True


@auth.on.store
async def no_store(ctx: Any, value: Any) -> bool:
    """Nothing here uses the store."""
    return False


@auth.on.crons
async def no_crons(ctx: Any, value: Any) -> bool:
    """Runs that start by themselves may be listed, of which there are none."""
    return str(ctx.action) in ("search", "read")


@auth.on.threads.create_run
async def check_run(ctx: Any, value: Any) -> None:
    """A run's context only chooses, its messages are text, and its end is told to nobody else."""
    asked = value.get("kwargs") or {}
    if asked.get("webhook"):
        raise refused(WEBHOOK)
    chosen(asked.get("context"))
    found = not_text([asked.get("input"), asked.get("command")])
    if found:
        raise refused(found)


@auth.on.assistants.create
async def check_new_assistant(ctx: Any, value: Any) -> None:
    """An assistant's context only chooses."""
    check_assistant(value)


@auth.on.assistants.update
async def check_changed_assistant(ctx: Any, value: Any) -> None:
    """An assistant's context only chooses."""
    check_assistant(value)


def check_assistant(value: Mapping[str, Any]) -> None:
    """Look at both places in which an assistant can have a context."""
    chosen(value.get("context"))
    chosen((value.get("config") or {}).get("configurable"))


def chosen(context: Mapping[str, Any] | None) -> None:
    """Refuse a context that does more than choose; LangGraph would drop unknown keys without a word."""
    from .studio import choice

    own = {name: value for name, value in (context or {}).items() if name not in SERVER_KEYS}
    try:
        if own:
            read(choice, own)
    except ConfigError as error:
        raise refused(str(error)) from None


def refused(text: str) -> Auth.exceptions.HTTPException:
    """The answer to what is not allowed."""
    return Auth.exceptions.HTTPException(422, text)


app = Starlette(middleware=[Middleware(Guard)])
"""What langgraph.json mounts: LangGraph puts its own routes behind this app's middleware."""
