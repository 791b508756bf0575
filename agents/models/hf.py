"""The `hf:` seat: a LangChain chat model over a Hugging Face model in this process.

`transformers serve` and `ChatHuggingFace` drop the thought beside a tool call or ignore tools altogether (measured);
here a turn is rendered and read back by rendering.py, the same as in training, and token ids are kept. Requests
from concurrent episodes meet in the engine of their base model and are decoded together.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from ..errors import SeatError, need
from ..toolcalls.reply import READ_WITH
from .rendering import load_tokenizer, parse, render, stop_ids
from .weights import Weights, find_weights

ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}


def open_hf(
    model: str,
    *,
    temperature: float = 0.0,
    max_tokens: int = 256,
    seed: int = 0,
    max_batch: int = 32,
    device: str | None = None,
    dtype: str | None = None,
    logprobs: bool = False,
    chat_template: str | Path | None = None,
    shared: bool = True,
) -> HFChat:
    """Open a model in this process.

    Args:
        model: `tiny-base`, a folder with a full model or a PEFT adapter, or a hub id.
        temperature: 0 is greedy, and then the same prompt gets the same reply.
        max_tokens: Tokens of one reply at the most.
        seed: Start of the random numbers for `temperature` > 0, together with the prompt.
        max_batch: Replies decoded together at the most; engines are shared, the largest wish counts.
        device: `cpu`, `cuda:1`, ...; None takes a GPU where there is one.
        dtype: `float32`, `bfloat16`; None suits the device.
        logprobs: Keep each token's log-probability in `response_metadata`.
        chat_template: A bundled template's name or a Jinja file, in place of the tokenizer's own template.
        shared: Use the process's one engine for this base; False makes a private one, which the caller closes.

    Raises:
        SeatError: no model there, or it does not open.
        MissingExtra: torch or transformers is not installed.
    """
    weights = find_weights(model)
    need("torch", "train")
    need("transformers", "train")
    if weights.adapter is not None:
        need("peft", "train")
    from .engine import Engine, engine_for

    tok = load_tokenizer(weights.tokenizer_path, chat_template=chat_template)
    engine = (engine_for if shared else Engine)(weights.base, device=device, dtype=dtype, max_batch=max_batch)
    adapter = engine.adapter(weights.adapter) if weights.adapter is not None else None
    chat = HFChat(model=model, temperature=temperature, max_tokens=max_tokens, seed=seed, logprobs=logprobs)
    chat._seat(engine, tok, adapter, weights)
    return chat


class HFChat(BaseChatModel):
    """A chat model of this process; made by `open_hf`.

    Replies carry `response_metadata` with prompt_ids, completion_ids, logprobs (or None), model_name, seconds (the
    reply's share of the batch that it was decoded in, waiting for that batch left out) and finish_reason: stop, length,
    or context (the prompt left no room for `max_tokens`, nothing was generated); `mended`, where a call had to be
    mended to be read, with the names of `agents.toolcalls.MENDS`.
    """

    model: str
    temperature: float = 0.0
    max_tokens: int = 256
    seed: int = 0
    logprobs: bool = False
    _engine: Any = PrivateAttr(None)
    _tok: Any = PrivateAttr(None)
    _adapter: str | None = PrivateAttr(None)
    _stops: tuple[int, ...] = PrivateAttr(())
    _words: Any = PrivateAttr(default_factory=threading.Lock)
    _weights: Weights | None = PrivateAttr(None)

    def _seat(self, engine: Any, tok: Any, adapter: str | None, weights: Weights) -> None:
        self._engine, self._tok, self._adapter, self._weights = engine, tok, adapter, weights
        self._stops = tuple(dict.fromkeys([*stop_ids(tok), *engine.stops]))

    @property
    def engine(self) -> Any:
        """The `agents.models.engine.Engine` behind it."""
        return self._engine

    @property
    def adapter(self) -> str | None:
        """The engine's name of its adapter; None for a full model."""
        return self._adapter

    @property
    def tokenizer(self) -> Any:
        """Its tokenizer, with the one template."""
        return self._tok

    @property
    def _llm_type(self) -> str:
        return "retort-hf"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "temperature": self.temperature, "max_tokens": self.max_tokens, "seed": self.seed}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[Any, AIMessage]:
        """Offer tools; only `tool_choice` auto and none can be honoured, another one raises SeatError."""
        if tool_choice not in (None, "auto", "none"):
            raise SeatError(f"an hf seat cannot force tool_choice={tool_choice!r}: use 'auto' or 'none'")
        schemas = [] if tool_choice == "none" else [convert_to_openai_tool(each) for each in tools]
        return self.bind(tools=schemas, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        ids = self._render(messages, tools)
        request = self._request(ids, kwargs)
        if request is None:
            return _result(self._no_room(ids))
        return _result(self._read(ids, self._engine.submit(request).result(), tools, stop))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        ids = self._render(messages, tools)
        request = self._request(ids, kwargs)
        if request is None:
            return _result(self._no_room(ids))
        completion = await asyncio.wrap_future(self._engine.submit(request))
        return _result(self._read(ids, completion, tools, stop))

    def _render(self, messages: list[BaseMessage], tools: Sequence[dict[str, Any]] | None) -> list[int]:
        with self._words:  # a fast tokenizer may not be entered by two threads at once
            return render(self._tok, to_chat(messages), tools, add_generation_prompt=True)

    def _request(self, ids: list[int], options: dict[str, Any]) -> Any:
        """The engine's request; None when the model has too few positions for it."""
        from .engine import Request

        max_tokens = int(options.get("max_tokens") or self.max_tokens)
        positions = self._engine.positions
        if positions is not None and len(ids) + max_tokens > positions:
            return None
        temperature = float(options.get("temperature", self.temperature))
        seed = hashlib.sha256(repr((options.get("seed", self.seed), ids)).encode()).digest()
        return Request(
            ids=tuple(ids),
            max_tokens=max_tokens,
            temperature=temperature,
            seed=int.from_bytes(seed[:7], "big"),
            adapter=self._adapter,
            stops=self._stops,
            pad=self._tok.pad_token_id,
            logprobs=bool(options.get("logprobs", self.logprobs)),
        )

    def _no_room(self, ids: list[int]) -> AIMessage:
        metadata = self._metadata(ids, [], None, "context", 0.0)
        return AIMessage(content="", response_metadata=metadata, usage_metadata=_usage(len(ids), 0))

    def _read(
        self, ids: list[int], completion: Any, tools: Sequence[dict[str, Any]] | None, stop: list[str] | None
    ) -> AIMessage:
        """The engine's reply as a message."""
        generated = list(completion.ids)
        with self._words:
            turn = parse(self._tok, generated, ids, tools, cut=completion.finish == "length")
        content = turn.content
        for word in stop or []:
            content = content.partition(word)[0]
        # named by what was said, so that playing an episode again makes the same record
        name = hashlib.sha256(repr((ids, generated)).encode()).hexdigest()[:12]
        return AIMessage(
            content=content,
            tool_calls=[
                tool_call(name=call.name, args=call.arguments, id=f"call_{name}_{at}")
                for at, call in enumerate(turn.tool_calls)
            ],
            invalid_tool_calls=[
                invalid_tool_call(name=None, args=each.text, id=f"bad_{name}_{at}", error=each.error)
                for at, each in enumerate(turn.invalid)
            ],
            additional_kwargs={"reasoning_content": turn.reasoning} if turn.reasoning else {},
            response_metadata={
                **self._metadata(ids, generated, completion.logprobs, completion.finish, completion.seconds),
                **({READ_WITH: list(turn.mended)} if turn.mended else {}),
            },
            usage_metadata=_usage(len(ids), len(generated)),
        )

    def _metadata(
        self, ids: list[int], generated: list[int], logprobs: Any, finish: str, seconds: float
    ) -> dict[str, Any]:
        return {
            "model_name": self.model,
            "finish_reason": finish,
            "seconds": seconds,
            "prompt_ids": ids,
            "completion_ids": generated,
            "logprobs": list(logprobs) if logprobs is not None else None,
        }


def to_chat(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """LangChain messages in the chat form that templates read; a malformed call goes back in as it was written."""
    out: list[dict[str, Any]] = []
    for message in messages:
        row: dict[str, Any] = {"role": ROLES.get(message.type, message.type), "content": str(message.text)}
        if isinstance(message, ToolMessage) and message.name:
            row["name"] = message.name
        if isinstance(message, AIMessage):
            thought = message.additional_kwargs.get("reasoning_content")
            if thought:
                row["reasoning_content"] = thought
            if message.tool_calls:
                row["tool_calls"] = [
                    {"type": "function", "function": {"name": call["name"], "arguments": call["args"]}}
                    for call in message.tool_calls
                ]
            written = [each["args"] for each in message.invalid_tool_calls if each.get("args")]
            row["content"] = "\n".join(part for part in [row["content"], *written] if part)
        out.append(row)
    return out


def _result(message: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message)])


def _usage(prompt: int, completion: int) -> Any:
    return {"input_tokens": prompt, "output_tokens": completion, "total_tokens": prompt + completion}
