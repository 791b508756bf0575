"""The seat behind any endpoint that speaks the OpenAI protocol, with thoughts kept both ways and failures by class.

ChatOpenAI drops `reasoning_content` in both directions (langchain-openai 1.7.3, measured), so three of its conversion
steps are extended. Retries are off here: the graph's own retry policy repeats the call, so each repeat is one attempt
of one node and a failure that lasts surfaces once, as ProviderError.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel

from ..context import Seat
from ..errors import PROVIDER_KINDS, ProviderError, SeatError, need
from ..redaction import know, secrets_of_url
from ..toolcalls.native import set_aside
from . import on_azure
from .failures import MAX_READ, deepest, failure, kind_of_connection, kind_of_status, outgrown, quoted, wait_of
from .turns import my_turn, turn_over
from .usage import read_completion

need("langchain_openai", "openai")
need("aiohttp", "openai")

import openai  # noqa: E402  (after the check that names the extra)
from langchain_openai import ChatOpenAI  # noqa: E402


def provider_error(error: Exception, where: str, key: str) -> ProviderError:
    """A ProviderError of the right class for what the client raised; the key stands in no message."""
    if isinstance(error, openai.APIConnectionError):
        kind = kind_of_connection(error) or "refused"
        # The client says "Request timed out." of a refused connection, too.
        return failure(kind, f"endpoint {where}", quoted(f"{PROVIDER_KINDS[kind]}: {deepest(error)}", [key]))
    status = error.status_code if isinstance(error, openai.APIStatusError) and error.status_code >= 400 else None
    kind = kind_of_status(status) if status else "garbage"
    text = quoted(str(error), [key]) or type(error).__name__
    return failure(kind, f"endpoint {where}", text, status=status, wait=wait_of(error))


NO_COMPLETION = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, OverflowError)
"""What the client and LangChain raise where a body is JSON or not, but no chat completion."""


class ReasoningChatOpenAI(ChatOpenAI):
    """ChatOpenAI that keeps `reasoning_content` and names failures by class."""

    @property
    def _where(self) -> str:
        parts = urlsplit(self.openai_api_base or "")
        return f"{parts.hostname or 'api'}{':' + str(parts.port) if parts.port else ''} model {self.model_name!r}"

    @property
    def _key(self) -> str:
        key = self.openai_api_key
        return key.get_secret_value() if key is not None and hasattr(key, "get_secret_value") else ""

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        payload = self._get_request_payload(messages, stop=stop, **kwargs)
        try:
            if self._use_responses_api(payload):
                return await super()._agenerate(messages, stop, run_manager, **kwargs)
            answer = await self._posted(payload)
        except (openai.APIError, *NO_COMPLETION) as error:
            return self._failed(error)
        return self.read(answer)

    def read(self, raw: object) -> ChatResult:
        """An endpoint's JSON as a message; usage that cannot be is left out.

        Raises:
            ProviderError: it is no chat completion.
        """
        try:
            return self._create_chat_result(raw)
        except (openai.APIError, *NO_COMPLETION) as error:
            return self._failed(error)

    async def _posted(self, payload: dict[str, Any]) -> object:
        """The answer to a request as plain JSON.

        `chat.completions.create` walks every message by its type hints and makes objects of the answer, and LangChain
        reads that in a thread: 0.8 ms of CPU a call (benchmarks/README.md), and none of it is used.
        """
        options = {key: payload[key] for key in ("extra_headers", "extra_query", "timeout") if key in payload}
        body = {key: value for key, value in payload.items() if key not in ("extra_body", *options)}
        return await self.root_async_client.post(
            "/chat/completions",
            cast_to=object,
            body={**body, **(payload.get("extra_body") or {})},
            options=openai_options(**options),
        )

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        try:
            return super()._generate(messages, *args, **kwargs)
        except (openai.APIError, *NO_COMPLETION) as error:
            return self._failed(error)

    def _failed(self, error: Exception) -> ChatResult:
        # A prompt that outgrew the model is the episode's affair (limit:context), not the endpoint's failure.
        if isinstance(error, openai.BadRequestError) and outgrown(str(error)[:MAX_READ]):
            message = AIMessage(content="", response_metadata={"finish_reason": "context"})
            return ChatResult(generations=[ChatGeneration(message=message)])
        raise provider_error(error, self._where, self._key) from None

    def _create_chat_result(self, response: Any, generation_info: dict[str, Any] | None = None) -> ChatResult:
        raw = read_completion(response.model_dump(warnings=False) if isinstance(response, BaseModel) else response)
        (text,) = (choice["message"] for choice in raw["choices"])
        calls = set_aside(text)  # ChatOpenAI fails on them as a whole
        result = super()._create_chat_result(raw, generation_info)
        message = result.generations[0].message
        thought = text.get("reasoning_content") or text.get("reasoning")
        if thought:
            message.additional_kwargs["reasoning_content"] = thought
        if text.get("refusal"):
            message.additional_kwargs["refusal"] = text["refusal"]
        if calls and isinstance(message, AIMessage):
            message.invalid_tool_calls += calls
        return result

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        generation = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        if generation is not None and chunk.get("choices"):
            delta = chunk["choices"][0].get("delta") or {}
            thought = delta.get("reasoning_content") or delta.get("reasoning")
            if thought:
                generation.message.additional_kwargs["reasoning_content"] = thought
        return generation

    def _get_request_payload(self, input_: Any, *, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        messages = self._convert_input(input_).to_messages()
        for message, sent in zip(messages, payload.get("messages") or [], strict=False):
            if isinstance(message, AIMessage):
                if message.additional_kwargs.get("reasoning_content"):
                    sent["reasoning_content"] = message.additional_kwargs["reasoning_content"]
                if sent.get("content") is None:
                    sent["content"] = ""
        return payload


def openai_options(**options: Any) -> Any:
    """The client's request options under the names that its own methods give them."""
    names = {"extra_headers": "headers", "extra_query": "params", "timeout": "timeout"}
    return {names[key]: value for key, value in options.items()}


def openai_limits(connections: int) -> Any:
    """Room for so many connections, kept open between calls."""
    return type(openai.DEFAULT_CONNECTION_LIMITS)(max_connections=connections, max_keepalive_connections=connections)


def with_azure_key(request: Any) -> None:
    """Put the key of a request to Azure where its deployments look for it: beside the protocol's own header."""
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    if key and on_azure(str(request.url)):
        request.headers["api-key"] = key


class TurnTaking(openai.DefaultAioHttpClient):
    """The client's aiohttp transport; what comes of a reply waits for its turn (turns.py)."""

    async def send(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request; the answer is handed on when it is this episode's turn."""
        turn_over()
        with_azure_key(args[0] if args else kwargs["request"])
        response = await super().send(*args, **kwargs)
        await my_turn()
        return response


def open_openai(model: str, url: str | None, seat: Seat) -> ReasoningChatOpenAI:
    """The chat model for `openai:model@url`; without a URL OPENAI_BASE_URL or OpenAI's own is used.

    Raises:
        SeatError: the environment variable with the key is empty and the endpoint is not on this machine.
    """
    key = os.environ.get(seat.key_env, "")
    know(key, *secrets_of_url(url or os.environ.get("OPENAI_BASE_URL", "")))
    if not key and url is not None and urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
        key = "none"  # local servers ask for no key, the client insists on one
    if not key:
        raise SeatError(f"seat {seat.model!r}: environment variable {seat.key_env!r} is empty; export the key there")
    base, _, query = (url or "").partition("?")
    return ReasoningChatOpenAI(
        model=model,
        base_url=base or None,
        # Parameters of the URL (`?api-version=...`) go behind the path of each request; as a part of `base_url` the
        # client would put the path behind them.
        default_query=dict(parse_qsl(query)) or None,
        api_key=key,
        temperature=seat.temperature,
        max_tokens=seat.max_tokens,  # an alias of max_completion_tokens, which older servers lack
        timeout=seat.timeout,
        max_retries=0,
        # Of its own, not langchain-openai's process-wide one: that keeps connections of event loops long closed. Over
        # aiohttp, at 1.6 ms of CPU a call where the default transport takes 2.6, and 4.2 with 1,024 in flight.
        http_async_client=TurnTaking(
            timeout=seat.timeout, limits=openai_limits(seat.concurrency), follow_redirects=True
        ),
    )
