"""The seat of a LangChain package: any chat model class, as `langchain:PACKAGE.CLASS:MODEL`.

Anthropic, Gemini, Bedrock and others are played through their own LangChain packages. The class is extended by what a
seat needs: failures come out by class as `ProviderError` and are repeated by the graph, contents are text with the
thought beside it, endings have the protocol's names. All such models run in one event loop of their own: their clients
keep connections, and every stage of a run has another loop.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import threading
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import SecretStr

from ..context import DEFAULT_KEY, Seat
from ..errors import ProviderError, RetortError, SeatError
from ..install import pip_line
from ..redaction import know, without_in
from .failures import MAX_READ, failure_of, outgrown, quoted, status_of

NAMES = {
    "model": ("model", "model_name", "model_id"),
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens", "max_output_tokens", "max_tokens_to_sample", "num_predict"),
    "timeout": ("timeout", "default_request_timeout", "request_timeout"),
    "max_retries": ("max_retries",),
    "base_url": ("base_url", "endpoint_url"),
}
"""What a seat sets -> names of the field that takes it, by the packages; the first one that a class has."""
KEYS = ("api_key",)
"""Names of the field that takes a key; of a class without it the first field that ends so and is a secret."""
ENDINGS = {
    "max_tokens": "length",
    "length": "length",
    "model_length": "length",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "model_context_window_exceeded": "context",
    "tool_use": "tool_calls",
    "tool_calls": "tool_calls",
}
"""How the packages tell an ending, in lower case -> the protocol's word; any other is `stop`."""


def open_langchain(name: tuple[str, str, str], url: str | None, seat: Seat) -> BaseChatModel:
    """The chat model of a class; importing its module runs that module's code.

    Args:
        name: module, class and model; the model is empty where none is given.

    Raises:
        SeatError: the package is not installed, it has no such class, or the class refuses the settings or lacks a key.
    """
    module, cls, model = name
    kind = class_of(module, cls)
    key = os.environ.get(seat.key_env, "") if seat.key_env != DEFAULT_KEY else ""
    if seat.key_env != DEFAULT_KEY and not key:
        raise SeatError(f"seat {seat.model!r}: environment variable {seat.key_env!r} is empty; export the key there")
    know(key)
    try:
        made: BaseChatModel = seated(kind)(**settings(kind, model, url, key, seat))
    except RetortError:
        raise
    except Exception as error:  # whatever a package raises where a key or a region is missing
        text = quoted(str(error), [key])
        raise SeatError(
            f"seat {seat.model!r}: {cls} cannot be opened ({type(error).__name__}: {text}); give its key by "
            "key_env, or by the variable that the package itself reads"
        ) from None
    for field in type(made).model_fields:
        value = getattr(made, field, None)
        if isinstance(value, SecretStr):
            know(value.get_secret_value())
    return made


def class_of(module: str, name: str) -> type[BaseChatModel]:
    """The chat model class of that name; raises SeatError where there is none."""
    try:
        place = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        raise SeatError(f"the package {missing!r} is not installed: {pip_line(missing)}") from None
    except Exception as error:
        raise SeatError(f"the module {module!r} cannot be imported ({type(error).__name__}: {error})") from None
    found = getattr(place, name, None)
    if found is None:
        raise SeatError(f"the module {module!r} has no {name!r}: name a chat model class of it")
    if not (isinstance(found, type) and issubclass(found, BaseChatModel)):
        raise SeatError(f"'{module}.{name}' is no chat model class of LangChain's (no BaseChatModel)")
    return found


def names_of(kind: type[BaseChatModel]) -> set[str]:
    """The names under which a class takes settings: its fields and their aliases."""
    return {name for field, about in kind.model_fields.items() for name in (field, about.alias) if name}


def settings(kind: type[BaseChatModel], model: str, url: str | None, key: str, seat: Seat) -> dict[str, Any]:
    """What a class is made with; what it has no field for is left out, and the seat's own deadline holds in any case.

    Raises:
        SeatError: the class takes no model, URL or key, and the seat gives one.
    """
    given = {
        "model": model or None,
        "temperature": seat.temperature,
        "max_tokens": seat.max_tokens,
        "timeout": seat.timeout,
        "max_retries": 0,  # the graph's retry policies repeat the call
        "base_url": url,
    }
    known = names_of(kind)
    found: dict[str, Any] = {}
    for name, value in given.items():
        field = next((each for each in NAMES[name] if each in known), None)
        if field is not None and value is not None:
            found[field] = value
        elif field is None and value is not None and name in ("model", "base_url"):
            raise SeatError(f"seat {seat.model!r}: {kind.__name__} takes no {name}: leave it out of the seat")
    if key:
        found[key_field(kind, seat)] = key
    return found


def key_field(kind: type[BaseChatModel], seat: Seat) -> str:
    """The field of a class that takes a key."""
    known = names_of(kind)
    secret = [name for name, about in kind.model_fields.items() if "SecretStr" in str(about.annotation)]
    for name in (*KEYS, *(each for each in secret if each.endswith("key")), *secret):
        if name in known:
            return name
    raise SeatError(f"seat {seat.model!r}: {kind.__name__} takes no key: leave key_env out; the package finds its own")


def unmapped(kind: type[BaseChatModel]) -> list[str]:
    """Settings of a seat that a class has no field for."""
    known = names_of(kind)
    return [name for name in ("temperature", "max_tokens") if not known & set(NAMES[name])]


@cache
def seated(kind: type[BaseChatModel]) -> type[BaseChatModel]:
    """The class with what a seat needs."""

    class Seated(kind):  # type: ignore[misc, valid-type]
        async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
            kwargs.pop("run_manager", None)  # it belongs to the caller's loop, and reports tokens as they stream
            job = asyncio.run_coroutine_threadsafe(super()._agenerate(messages, *args, **kwargs), own_loop())
            try:
                return plain(await asyncio.wrap_future(job))
            except (ProviderError, asyncio.CancelledError):
                raise
            except Exception as error:
                return failed(error, kind.__name__)

        def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
            return plain(super()._generate(messages, *args, **kwargs))

    Seated.__name__ = Seated.__qualname__ = kind.__name__
    return Seated


@cache
def own_loop() -> asyncio.AbstractEventLoop:
    """The event loop in which the classes' own clients live, in a thread of its own until the process ends."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="retort-langchain", daemon=True).start()
    return loop


def plain(result: ChatResult) -> ChatResult:
    """A result whose messages are in the form that the graph reads."""
    if not result.generations:
        raise ProviderError("garbage", "the reply holds no message")
    first = result.generations[0]
    stated = {**(result.llm_output or {}), **(first.generation_info or {}), **first.message.response_metadata}
    return ChatResult(generations=[ChatGeneration(message=message_of(first.message, stated))])


def message_of(message: BaseMessage, stated: Mapping[str, Any]) -> AIMessage:
    """A reply with its text as one string, its thought in `reasoning_content`, its ending in the protocol's word.

    Args:
        stated: what the package says of the reply, wherever it says so.
    """
    if not isinstance(message, AIMessage):
        raise ProviderError("garbage", f"the reply is a {type(message).__name__}")
    thought = str(message.additional_kwargs.get("reasoning_content") or "") or "\n".join(thoughts(message.content))
    extra = {"reasoning_content": without_in(thought)} if thought else {}
    ending = next((stated[name] for name in ("finish_reason", "stop_reason", "stopReason") if stated.get(name)), "")
    usage = message.usage_metadata
    if usage is not None and (usage["input_tokens"] <= 0 or usage["output_tokens"] < 0):
        usage = None  # no count; the desk estimates
    return AIMessage(
        content=without_in(message.text if isinstance(message.text, str) else message.text()),
        tool_calls=message.tool_calls,
        invalid_tool_calls=message.invalid_tool_calls,
        additional_kwargs=extra,
        response_metadata={"finish_reason": ENDINGS.get(str(ending).lower(), "stop")},
        usage_metadata=usage,
    )


def thoughts(content: str | list[Any]) -> Iterator[str]:
    """The texts of thinking blocks."""
    for block in content if isinstance(content, list) else ():
        if isinstance(block, Mapping) and block.get("type") in ("thinking", "reasoning", "reasoning_content"):
            for name in ("thinking", "reasoning", "text"):
                if isinstance(block.get(name), str):
                    yield block[name]
                    break


def failed(error: Exception, where: str) -> ChatResult:
    """The reply to a prompt that outgrew the model; raises ProviderError by class for any other failure."""
    if status_of(error) in (400, 413, 422) and outgrown(str(error)[:MAX_READ]):
        message = AIMessage(content="", response_metadata={"finish_reason": "context"})
        return ChatResult(generations=[ChatGeneration(message=message)])
    raise failure_of(error, where) from None
