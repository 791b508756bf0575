"""The ways out and in: canonical messages to what is sent, and what came to a canonical message."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from ..context import Transport
from ..text import writable
from . import hermes, native, text
from .calls import Offer
from .native import narrated
from .reply import put_together, was_cut, without_thought

_FORMS = {"text": text, "hermes": hermes}


def stop_words(transport: Transport) -> list[str] | None:
    """Where a model is to stop, so that it does not make up what a tool brings; None where the protocol sees to it."""
    return None if transport == "native" else list(_FORMS[transport].STOP)


def outgoing(
    transport: Transport, messages: Sequence[BaseMessage], tools: Sequence[dict[str, Any]]
) -> list[BaseMessage]:
    """The messages as they are sent.

    In a text transport the tools stand in the system message (one is put first where there is none), calls are words of
    the assistant, and what tools brought, several results together, is a message of the user.

    Args:
        messages: in canonical form; they are not changed.
        tools: JSON schemas in OpenAI's form; a native seat has them bound instead.
    """
    if transport == "native":
        return list(messages)
    form = _FORMS[transport]
    sent: list[BaseMessage] = []
    brought: list[str] = []
    for message in [*messages, None]:
        if isinstance(message, ToolMessage):
            brought.append(str(message.text))
            continue
        if brought:
            sent.append(HumanMessage(form.observations(brought)))
            brought = []
        if isinstance(message, AIMessage):
            sent.append(_spoken(form, message))
        elif message is not None:
            sent.append(message)
    if tools:
        first = sent[0] if sent and isinstance(sent[0], SystemMessage) else None
        text = form.described(tools)
        head = SystemMessage(f"{first.text}\n\n{text}" if first else text, id=first.id if first else None)
        sent = [head, *(sent[1:] if first else sent)]
    return sent


def _spoken(form: Any, message: AIMessage) -> AIMessage:
    """A turn of the assistant as words; its hidden thought stays beside them."""
    calls = [(call["name"], json.dumps(call["args"], ensure_ascii=False, default=str)) for call in message.tool_calls]
    calls += [(call["name"] or "", call["args"] or "") for call in message.invalid_tool_calls]
    thought = message.additional_kwargs.get("reasoning_content")
    kept = {"reasoning_content": thought} if thought else {}
    return AIMessage(form.turn(str(message.text), calls), id=message.id, additional_kwargs=kept)


def incoming(transport: Transport, reply: AIMessage, tools: Sequence[dict[str, Any]]) -> tuple[AIMessage, list[str]]:
    """The reply in canonical form, and the name (see `MENDS`) of each thing that was mended in it.

    The content is the thought alone. Calls have arguments as a dict and ids of their own; what cannot be read stands in
    `invalid_tool_calls` with an error for the model. Usage, metadata and the reply's id stay. A native reply in order
    comes back as it is.
    """
    if transport == "native":
        return native.incoming(reply, tools)
    offer = Offer(tools)
    came = str(reply.text)
    text = writable(came)
    mended = ["surrogate"] if text != came else []
    rest, thought = without_thought(text)
    mended += ["think"] if thought is not None else []
    content, calls, names = _FORMS[transport].parse(rest, offer, cut=was_cut(reply))
    if not calls and (reply.tool_calls or reply.invalid_tool_calls):  # the endpoint has read the text by itself
        calls, more = native.drafts(reply, offer)
        return put_together(reply, content, calls, [*mended, *names, *more], thought=thought, with_ids=True)
    if not calls and (stated := narrated(content, offer, but=transport, cut=was_cut(reply))) is not None:
        content, calls, names = stated.content, stated.calls, [*names, "narrated", *stated.mended]
    return put_together(reply, content, calls, [*mended, *names], thought=thought)
