"""Whether the endpoint holds replies to a JSON schema, for seats that judge or extract."""

from __future__ import annotations

import json
from typing import Any

from langchain_core.messages import HumanMessage

from .findings import Finding, Severity
from .line import Line

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"verdict": {"type": "string", "enum": ["kettle", "teapot"]}, "sure": {"type": "boolean"}},
    "required": ["verdict", "sure"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "probe", "strict": True, "schema": SCHEMA}}
TOKENS = 256


async def schema_findings(line: Line) -> list[Finding]:
    """One finding: the schema is kept, refused, or ignored; the question itself says nothing of JSON."""
    if line.seat.structured == "prompt":
        return [Finding("json_schema", "fine", 'structured = "prompt": the schema stands in the prompt')]
    asked = [HumanMessage("Which of the two is used to boil water, and are you sure?")]
    reply = await line.say(asked, most=min(line.seat.max_tokens, TOKENS), response_format=FORMAT)
    severity: Severity = "broken" if line.seat.structured == "json_schema" else "warning"
    step = 'structured = "prompt"'
    if reply.kind in ("request", "server"):
        seen = f"response_format json_schema is refused ({reply.status}): {reply.said}"
        return [Finding("json_schema_unsupported", severity, seen, step)]
    if reply.kind:
        return [Finding("json_schema", "warning", f"not measured ({reply.kind}: {reply.said})", "run it again")]
    if fits(reply.content):
        return [Finding("json_schema", "fine", "a reply to a JSON schema fits it")]
    seen = f"response_format json_schema is ignored: the reply is {reply.content[:80]!r}"
    if reply.finish == "length":
        seen += f", cut at {TOKENS} tokens"
    return [Finding("json_schema_unsupported", severity, seen, step)]


def fits(text: str) -> bool:
    """Whether a reply is JSON of the probe's schema."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict) or set(value) != {"verdict", "sure"}:
        return False
    return value["verdict"] in ("kettle", "teapot") and isinstance(value["sure"], bool)
