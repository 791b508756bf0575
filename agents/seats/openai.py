"""The seat behind any endpoint that speaks the OpenAI protocol, with thoughts kept both ways and failures by class.

ChatOpenAI drops `reasoning_content` in both directions (langchain-openai 1.7.3, measured), so three of its conversion
steps are extended. Retries are off here: the graph's own retry policy repeats the call, so each repeat is one attempt
of one node and a failure that lasts surfaces once, as ProviderError.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from ..context import Seat
from ..errors import ProviderError, SeatError, need

need("langchain_openai", "openai")

import httpx  # noqa: E402
import openai  # noqa: E402  (after the check that names the extra)
from langchain_openai import ChatOpenAI  # noqa: E402

_CONTEXT_WORDS = ("context length", "context_length", "maximum context", "too long", "max_model_len")


def provider_error(error: openai.APIError, where: str, key: str) -> ProviderError:
    """A ProviderError of the right class for what the client raised; the key stands in no message."""
    kind, next_step = "server", "the endpoint failed; run again to continue"
    if isinstance(error, openai.APITimeoutError):
        kind, next_step = "timeout", "raise the seat's `timeout`, or lower the concurrency"
    elif isinstance(error, openai.APIConnectionError):
        kind, next_step = "refused", "is the server running, and is the URL right?"
    elif isinstance(error, openai.RateLimitError):
        kind, next_step = "rate", "lower the concurrency, or run again later"
    elif isinstance(error, (openai.AuthenticationError, openai.PermissionDeniedError)):
        kind, next_step = "auth", "is the key in the environment variable that `key_env` names?"
    elif isinstance(error, openai.APIStatusError) and error.status_code < 500:
        kind, next_step = "request", "the endpoint refuses the request itself: model name, tools, or parameters"
    status = f" ({error.status_code})" if isinstance(error, openai.APIStatusError) else ""
    said = " ".join(str(error).split())[:300]
    if key:
        said = said.replace(key, "[key]")
    return ProviderError(kind, f"endpoint {where}{status}: {said}; {next_step}")


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

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        try:
            return await super()._agenerate(messages, *args, **kwargs)
        except openai.APIError as error:
            return self._failed(error)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        try:
            return super()._generate(messages, *args, **kwargs)
        except openai.APIError as error:
            return self._failed(error)

    def _failed(self, error: openai.APIError) -> ChatResult:
        # A prompt that outgrew the model is the episode's affair (limit:context), not the endpoint's failure.
        if isinstance(error, openai.BadRequestError) and any(word in str(error).lower() for word in _CONTEXT_WORDS):
            message = AIMessage(content="", response_metadata={"finish_reason": "context"})
            return ChatResult(generations=[ChatGeneration(message=message)])
        raise provider_error(error, self._where, self._key) from None

    def _create_chat_result(self, response: Any, generation_info: dict[str, Any] | None = None) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        raw = response if isinstance(response, dict) else response.model_dump()
        for generation, choice in zip(result.generations, raw.get("choices") or [], strict=False):
            said = choice.get("message") or {}
            thought = said.get("reasoning_content") or said.get("reasoning")
            if thought:
                generation.message.additional_kwargs["reasoning_content"] = thought
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


def open_openai(model: str, url: str | None, seat: Seat) -> ReasoningChatOpenAI:
    """The chat model for `openai:model@url`; without a URL OPENAI_BASE_URL or OpenAI's own is used.

    Raises:
        SeatError: the environment variable with the key is empty and the endpoint is not on this machine.
    """
    key = os.environ.get(seat.key_env, "")
    if not key and url is not None and urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
        key = "none"  # local servers ask for no key, the client insists on one
    if not key:
        raise SeatError(f"seat {seat.model!r}: environment variable {seat.key_env!r} is empty; export the key there")
    return ReasoningChatOpenAI(
        model=model,
        base_url=url,
        api_key=key,
        temperature=seat.temperature,
        max_tokens=seat.max_tokens,  # an alias of max_completion_tokens, which older servers lack
        timeout=seat.timeout,
        max_retries=0,
        # Of its own, not langchain-openai's process-wide one: that keeps connections of event loops long closed.
        http_async_client=httpx.AsyncClient(timeout=seat.timeout, follow_redirects=True),
    )
