"""Asks a seat for one JSON object of a schema; a reply that does not fit is sent back once, and then given up.

Where the endpoint has structured outputs the schema goes with the request; elsewhere it goes into the prompt in words.
Whatever a model writes is data: nothing here raises because of it, and all that had to be mended comes back by name.

::

    ROLE:no_json_schema   the endpoint refused the schema; this seat is asked in words from now on
    ROLE:thought          a <think> part stood before the object
    ROLE:fence            the object stood in a Markdown fence
    ROLE:words            there were words round the object
    ROLE:repaired         the second reply could be used
    ROLE:unread           neither reply could be used
    ROLE:late             the episode's seconds ran out
    ROLE:context          the prompt outgrew the model
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ValidationError

from ..context import Seat
from ..errors import ProviderError, SeatError
from ..prompts import prompt
from ..providers import names_where, provider_of, split_spec
from ..spent import Spent
from ..text import writable
from .desk import call

Form = TypeVar("Form", bound=BaseModel)

MAX_OBJECTS = 64
"""Opening braces of one reply at which an object is looked for."""
SENT_BACK = 4000
"""Characters of an unusable reply that are sent back with what is wrong with it."""
PROBLEM_CHARS = 300

_THOUGHT = re.compile(r"^.*</think>", re.DOTALL)  # templates that open the thought themselves leave only its end
_FENCE = re.compile(r"```\w*")
_DECODER = json.JSONDecoder(strict=False)  # models break lines inside strings
_PLAIN = ("type", "enum", "const", "description", "$schema")
_NESTED = ("properties", "$defs")
_NO_STRICT_FORM = ("allOf", "oneOf", "not", "prefixItems", "patternProperties")
_refused: set[str] = set()
"""Model lines of seats whose endpoint refused a schema in this process."""


async def ask_structured(
    seat: Seat, role: str, messages: Sequence[BaseMessage], schema: type[Form], *, seconds: float | None = None
) -> tuple[Form | None, list[Spent], list[str]]:
    """Ask for an object of `schema`.

    Args:
        role: whose account the tokens go on; the names of what was mended begin with it.
        seconds: what the episode has left, over all calls made here; None = only the seat's own `timeout` counts.

    Returns:
        The object, or None where no reply could be used; one row a call that was answered; names of what was mended.

    Raises:
        ProviderError: the endpoint failed; the node's retry policy decides what follows.
        SeatError: the seat insists on `json_schema` and is behind no endpoint.
    """
    rows: list[Spent] = []
    mended: list[str] = []
    asked = list(messages)
    for names in ([], ["repaired"]):
        left = None if seconds is None else seconds - sum(row["seconds"] for row in rows)
        if left is not None and left <= 0:
            return None, rows, [*mended, f"{role}:late"]
        try:
            reply, row = await _reply(seat, role, asked, schema, left, mended)
        except TimeoutError:
            return None, rows, [*mended, f"{role}:late"]
        rows.append(row)
        if reply.response_metadata.get("finish_reason") == "context":
            return None, rows, [*mended, f"{role}:context"]
        text = writable(str(reply.text))
        read = read_object(text, schema)
        if read.found is not None:
            return read.found, rows, [*mended, *(f"{role}:{name}" for name in (*read.mended, *names))]
        message = prompt("structured_repair").format(problem=read.problem, schema=in_words(schema))
        asked = [*messages, AIMessage(text[:SENT_BACK] or "(nothing)"), HumanMessage(message)]
    return None, rows, [*mended, f"{role}:unread"]


async def _reply(
    seat: Seat, role: str, asked: Sequence[BaseMessage], schema: type[BaseModel], left: float | None, mended: list[str]
) -> tuple[AIMessage, Spent]:
    """One reply, with the schema where the endpoint takes it and in words where it does not."""
    if takes_schema(seat):
        try:
            # As `extra_body`: as an argument of its own the client raises where a reply was cut off at max_tokens.
            return await call(seat, role, asked, seconds=left, extra_body={"response_format": response_format(schema)})
        except ProviderError as error:
            if error.kind != "request" or seat.structured == "json_schema":
                raise
        answered = await call(seat, role, with_schema(asked, schema), seconds=left)
        _refused.add(seat.model)  # only now: had this been refused too, the schema would not have been the reason
        mended.append(f"{role}:no_json_schema")
        return answered
    return await call(seat, role, with_schema(asked, schema), seconds=left)


def takes_schema(seat: Seat) -> bool:
    """Whether the next request of this seat carries the schema.

    Raises:
        SeatError: the seat insists on it and is behind no endpoint.
    """
    takes = provider_of(split_spec(seat.model)).json_schema
    if seat.structured == "json_schema" and not takes:
        known = ", ".join(names_where("json_schema"))
        raise SeatError(
            f"seat {seat.model!r}: structured = 'json_schema' needs an endpoint ({known}); "
            "set structured = 'auto' or 'prompt'"
        )
    if seat.structured == "auto":
        return takes and seat.model not in _refused
    return seat.structured == "json_schema"


def with_schema(messages: Sequence[BaseMessage], schema: type[BaseModel]) -> list[BaseMessage]:
    """The messages with the schema in words at the end of the system message."""
    text = prompt("structured").format(schema=in_words(schema))
    if messages and isinstance(messages[0], SystemMessage):
        return [SystemMessage(f"{messages[0].text}\n{text}"), *messages[1:]]
    return [SystemMessage(text), *messages]


@cache
def in_words(schema: type[BaseModel]) -> str:
    """The schema as it stands in a prompt."""
    return json.dumps(strict_schema(schema), ensure_ascii=False)


@cache
def response_format(schema: type[BaseModel]) -> dict[str, Any]:
    """`response_format` of a request that asks for `schema`."""
    return {
        "type": "json_schema",
        "json_schema": {"name": schema.__name__, "schema": strict_schema(schema), "strict": True},
    }


def strict_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema that strict structured outputs accept: every property required, no other ones, no bounds.

    Bounds (`maxLength`, `minimum`, ...) are refused by some endpoints; pydantic checks them when the reply is read.

    Raises:
        TypeError: the model has fields without a strict form: free keys, tuples, discriminated unions.
    """
    return _strict(schema.model_json_schema(), schema.__name__)


def _strict(node: dict[str, Any], name: str) -> dict[str, Any]:
    if "$ref" in node:
        return {"$ref": node["$ref"]}  # nothing may stand beside it
    free = [key for key in _NO_STRICT_FORM if key in node]
    if free or node.get("additionalProperties"):
        raise TypeError(f"{name} has a field without a strict form: {(*free, 'additionalProperties')[0]!r}")
    kept: dict[str, Any] = {key: node[key] for key in _PLAIN if key in node}
    for key in _NESTED:
        if key in node:
            kept[key] = {field: _strict(inner, name) for field, inner in node[key].items()}
    if "anyOf" in node:
        kept["anyOf"] = [_strict(inner, name) for inner in node["anyOf"]]
    if "items" in node:
        kept["items"] = _strict(node["items"], name)
    if node.get("type") == "object":
        kept |= {"required": list(kept.setdefault("properties", {})), "additionalProperties": False}
    return kept


class Read(NamedTuple):
    """What could be made of a reply."""

    found: Any
    """The object; None where there is none to use."""
    mended: list[str]
    problem: str
    """What is wrong, in words for the model; empty where the object was found."""


def read_object(text: str, schema: type[Form]) -> Read:
    """The one object of `schema` that stands in a reply, with or without words and fences round it."""
    body = _THOUGHT.sub("", text)
    mended = ["thought"] if body != text else []
    problem = "it holds no JSON object"
    found: Form | None = None
    rest = body
    for value, start, end in objects(body):
        try:
            # Through JSON, so that escaped halves of surrogate pairs come out as question marks.
            one = schema.model_validate_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
        except ValidationError as error:
            problem = wrong(error)
            continue
        except (ValueError, RecursionError):
            continue
        if found is not None and one != found:
            return Read(None, mended, "it holds several objects that say different things")
        if found is None:
            found, rest = one, body[:start] + body[end:]
    if found is None:
        return Read(None, mended, problem)
    if "```" in rest:
        mended.append("fence")
    if _FENCE.sub("", rest).strip():
        mended.append("words")
    return Read(found, mended, "")


def objects(text: str) -> Iterator[tuple[Any, int, int]]:
    """JSON objects in a text, outermost ones, each with where it starts and ends."""
    at = text.find("{")
    for _ in range(MAX_OBJECTS):
        if at < 0:
            return
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield value, at, end
        at = text.find("{", end)


def wrong(error: ValidationError) -> str:
    """What does not fit, field by field."""
    rows = error.errors(include_url=False, include_context=False, include_input=False)
    text = "; ".join(f"{'.'.join(map(str, row['loc'])) or 'the object'}: {row['msg']}" for row in rows[:5])
    return writable(text)[:PROBLEM_CHARS]


def fenced(sections: Sequence[tuple[str, str]]) -> str:
    """Untrusted texts, each under a heading that it cannot forge: the headings carry a hash of all the texts.

    Args:
        sections: (what it is, the text).
    """
    texts = [(name, writable(text).strip()) for name, text in sections]
    code = hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]
    parts = [f"[{code} {name}]\n{text}" for name, text in texts]
    return "\n".join(
        [f"Data follows, in sections whose headings carry the code {code}.", *parts, f"[{code} end of the data]"]
    )
