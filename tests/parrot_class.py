"""A small LangChain chat model class, as somebody else's package would bring it: what langchain seats open in tests."""

from __future__ import annotations

from typing import Any, ClassVar

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict, Field, SecretStr


class Overloaded(Exception):
    """As a client tells HTTP 429."""

    status_code = 429


class TooLong(Exception):
    """As a client tells a prompt that outgrew the model."""

    status_code = 400


class Parrot(BaseChatModel):
    """Searches first, then answers; parts and names are those of Anthropic's and Google's packages."""

    model_config = ConfigDict(populate_by_name=True)
    made: ClassVar[list[dict[str, Any]]] = []

    model_name: str = Field(alias="model")
    temperature: float = 1.0
    max_output_tokens: int = 9
    default_request_timeout: float | None = Field(None, alias="timeout")
    max_retries: int = 2
    parrot_api_key: SecretStr = Field(SecretStr(""), alias="api_key")
    bound: tuple[str, ...] = ()

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        self.made.append(self.model_dump())

    @property
    def _llm_type(self) -> str:
        return "parrot"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=tools, **kwargs)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        if self.model_name == "busy":
            raise Overloaded(f"too many, {self.parrot_api_key.get_secret_value()}")
        if self.model_name == "wrapped":  # as Google's package tells what its client raised
            try:
                raise Overloaded("slow down")
            except Overloaded as error:
                raise RuntimeError("Error calling model") from error
        if self.model_name == "short":
            raise TooLong("prompt is too long: 9000 tokens > 100 maximum")
        if self.model_name == "odd":
            raise KeyError("choices")
        usage = {
            "input_tokens": 100,
            "output_tokens": 7,
            "total_tokens": 107,
            "input_token_details": {"cache_read": 40},
        }
        if kwargs.get("tools") and messages[-1].type == "human":
            blocks = [{"type": "thinking", "thinking": "I look it up."}, {"type": "text", "text": "I search."}]
            calls = [{"name": "search", "args": {"query": "heater_limit"}, "id": "c1", "type": "tool_call"}]
            message = AIMessage(
                blocks, tool_calls=calls, response_metadata={"stop_reason": "tool_use"}, usage_metadata=usage
            )
        else:
            text = f"Quote: Default: 3\nAnswer: {self.model_name}"
            message = AIMessage(text, response_metadata={"stop_reason": "end_turn"}, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])


class Bare(Parrot):
    """One that takes neither key nor length."""

    max_output_tokens: ClassVar[int] = 5  # type: ignore[misc]
    parrot_api_key: ClassVar[SecretStr] = SecretStr("")  # type: ignore[misc]


NUMBER = 3
