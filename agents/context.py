"""The runtime context of THE graph: who plays (team), by which rules (board), over which library.

Plain data through and through, so that LangGraph Studio can show and edit it, and hashes mean something. What is heavy
(models, indexes) is opened from it when used, once a process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .providers import in_line, known_of, names_where
from .redaction import authority, looks_like_key, parameters, secret_name
from .task import Form

Role = Literal["reason", "search", "extract", "judge"]
Mode = Literal["react", "cot", "answer"]
Transport = Literal["native", "text", "hermes"]
Verify = Literal["off", "score", "revise"]


class Price(BaseModel):
    """What an endpoint charges, in USD per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: float = Field(0.0, ge=0)
    completion: float = Field(0.0, ge=0)
    cached: float | None = Field(None, ge=0)
    """Prompt tokens that the endpoint had cached; None = as other prompt tokens."""

    def usd(self, prompt: int, completion: int, cached: int = 0) -> float:
        """USD for one call; `cached` tokens are among the `prompt` tokens."""
        cheap = self.prompt if self.cached is None else self.cached
        return ((prompt - cached) * self.prompt + cached * cheap + completion * self.completion) / 1e6


KEY_GOES = 'export MY_KEY=... in the shell and write its name into run.toml, key_env = "MY_KEY"'
"""What to do with a key, in an error that does not show it."""
DEFAULT_KEY = "OPENAI_API_KEY"
"""Variable with the key where a seat names none; langchain seats then leave it to the package to find its own."""
MAX_NAME = 64
"""Characters of a variable's name above which it is taken for a key."""


def table_line(provider: Any, model: Any, url: Any) -> str:
    """The line `provider:model@url` of a seat whose parts stand in keys of their own.

    Args:
        provider: as in the line, and what stands between it and the model: `langchain:PACKAGE.CLASS`.
        model: its name at the endpoint, whatever characters that has (`claude-sonnet@20250514`).
        url: one URL or a list of them; a comma in one is written as the `%2C` that it stands for.

    Raises:
        ValueError: a part is missing or no text.
    """
    urls = [url] if isinstance(url, str) else url or []
    if not isinstance(provider, str) or not isinstance(model, str) or not all(isinstance(one, str) for one in urls):
        raise ValueError('a seat is a line, model = "provider:model@url", or has provider, model and url as texts')
    known = known_of(f"{provider}:")
    if known is not None and not known.remote:
        raise ValueError(f'a seat of the provider {provider!r} is a line: model = "{provider}:{model}"')
    if not model and ":" not in provider:
        raise ValueError(f'the seat of the provider {provider!r} names no model: model = "NAME"')
    at = ",".join(one.strip().replace(",", "%2C") for one in urls)
    return ":".join(filter(None, (provider, in_line(model)))) + (f"@{at}" if at else "")


class Seat(BaseModel):
    """One chat model with its sampling.

    Beside the line in `model`, a table may give `provider`, `model` and `url` as keys of their own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    model: str
    """`provider:model@url`, e.g. `openai:gpt-5@https://host/v1`, `hf:tiny-base`, `vllm:NAME@http://127.0.0.1:8000/v1`.

    Several URLs, split by commas, are endpoints of the same model: each call goes to the one with most room.
    """
    temperature: float = Field(0.0, ge=0.0, le=2.0)
    """0 is greedy."""
    max_tokens: int = Field(256, ge=1)
    """Tokens of one reply at the most."""
    timeout: float = Field(120.0, gt=0)
    """Seconds for one call from its first byte to its last, for seats behind an endpoint; others cannot hang."""
    transport: Transport = "native"
    """How tools reach the model: the protocol's `tool_calls`; Thought / Action / Observation as text; Hermes' tags."""
    chat_template: str | None = None
    """Seats of this process: a bundled template (`chatml`) or a Jinja file in place of the model's own."""
    structured: Literal["auto", "json_schema", "prompt"] = "auto"
    """Judge and extractor: the endpoint's `json_schema`, the schema in words, or the first where it is accepted."""
    concurrency: int = Field(1024, ge=1)
    """Calls in flight at one endpoint at the most; fewer while it answers 429 or 503."""
    price: Price | None = None
    """What the tokens cost; None = nothing is known, and 0 is counted."""
    key_env: str = DEFAULT_KEY
    """Name of the environment variable with the key; the key itself stands in no file."""

    @model_validator(mode="before")
    @classmethod
    def _table_form(cls, given: Any) -> Any:
        """`provider`, `model` and `url` as keys of their own become the line that they stand for."""
        if not isinstance(given, Mapping) or not {"provider", "url"} & set(given):
            return given
        rest = {name: value for name, value in given.items() if name not in ("provider", "url")}
        if set(rest) - set(cls.model_fields):
            return {"model": "", **rest}  # an unknown key is told first: `model` may have been meant by it
        return {**rest, "model": table_line(given.get("provider"), given.get("model", ""), given.get("url"))}

    @model_validator(mode="after")
    def _template_in_process(self) -> Seat:
        known = known_of(self.model)
        if self.chat_template is not None and not (known is not None and known.chat_template):
            takes = ", ".join(f"{name}:" for name in names_where("chat_template"))
            raise ValueError(f"chat_template is for {takes} seats; the server of {self.model!r} renders with its own")
        return self

    @field_validator("model")
    @classmethod
    def _no_secret_in_the_url(cls, model: str) -> str:
        known = known_of(model)
        if known is not None and not known.remote:
            return model
        for url in model.partition("@")[2].split(","):
            if "@" in authority(url.strip()):
                raise ValueError(
                    f"the URL of a seat holds a user or a password, which would stand in files; {KEY_GOES}"
                )
            for name, value in parameters(url):
                if secret_name(name) or looks_like_key(value):
                    shown = "a parameter" if looks_like_key(name) else f"the parameter {name!r}"
                    raise ValueError(f"the URL of a seat holds a secret in {shown}; {KEY_GOES}")
        return model

    @field_validator("key_env")
    @classmethod
    def _no_key_for_a_name(cls, name: str) -> str:
        if looks_like_key(name) or len(name) > MAX_NAME or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"this is no name of an environment variable, and maybe a key; {KEY_GOES}")
        return name


class Team(BaseModel):
    """Role -> seat. Only `reason` must be seated; no `search` seat = queries go in as written."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str
    reason: Seat
    search: Seat | None = None
    """Rewrites queries before they are retrieved."""
    extract: Seat | None = None
    """Contextual answer extraction, where the board says `extract = "seat"`."""
    judge: Seat | None = None
    """Asked last by the verifying agent, where `verify = "revise"`; it never sees the gold."""
    first_thought: bool = False
    """Think without tools first; the first sentence of that opens the first turn (arXiv 2505.17612, section 3.2)."""

    def seats(self) -> dict[str, Seat]:
        """Role -> seat, seated ones only."""
        roles = {"reason": self.reason, "search": self.search, "extract": self.extract, "judge": self.judge}
        return {role: seat for role, seat in roles.items() if seat is not None}


class Limits(BaseModel):
    """What one episode may use; reaching one ends it as `limit:NAME`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(6, ge=1)
    """Turns of the reasoning agent."""
    searches: int = Field(4, ge=0)
    """Searches; one more than this many ends the episode."""
    repairs: int = Field(2, ge=0)
    """Malformed calls that are sent back; one more ends the episode as `malformed`."""
    revisions: int = Field(1, ge=0)
    """Critiques that are sent back, where `verify = "revise"`."""
    tokens: int = Field(16_000, ge=1)
    """Prompt and completion tokens over all calls."""
    seconds: float | None = Field(None, gt=0)
    """Seconds in model calls that succeeded and in tools; None = no limit. Waiting for a failing endpoint, or behind
    other episodes for a model in this process, is not the player's time."""
    tool_seconds: float = Field(30.0, gt=0)
    """Seconds of one tool call; past it the observation says so."""


class McpServer(BaseModel):
    """A server of tools that speaks the Model Context Protocol: a program over stdio, or a URL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str | None = None
    """Program to start; it speaks over its standard input and output."""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    """Names of environment variables handed on to the program; their values stand in no file."""
    url: str | None = None
    """Address of a server that runs already (streamable HTTP)."""
    tools: tuple[str, ...] | None = None
    """Only these of its tools; None = all."""

    @model_validator(mode="after")
    def _one_of_two(self) -> McpServer:
        if (self.command is None) == (self.url is None):
            raise ValueError('an MCP server has either command = "PROGRAM" or url = "http://..."')
        return self


FaultKind = Literal["timeout", "empty", "error", "truncated", "stale"]


class ToolFaults(BaseModel):
    """Faults that are put into tool results on purpose while collecting, so that recovering can be learnt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: float = Field(0.1, ge=0, le=1)
    """Share of tool calls that go wrong."""
    kinds: tuple[FaultKind, ...] = ("timeout", "empty", "error", "truncated", "stale")
    tools: tuple[str, ...] | None = None
    """Only these tools; None = all."""
    seed: int = 0


class Board(BaseModel):
    """The rules of play, the same for every team of one leaderboard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limits: Limits = Limits()
    top_k: int = Field(3, ge=1, le=20)
    """Passages that a search retrieves."""
    extract: Literal["off", "lexical", "seat"] = "lexical"
    """What is left of a passage: all of it; the lines nearest to the query by words; what the extract seat says."""
    extract_lines: int = Field(3, ge=1)
    """Lines of a passage that the lexical extractor leaves, its first line included."""
    tools: tuple[str, ...] = ("search",)
    """What the reasoning agent is offered: search, open, find, and LangChain tools of your own as `module:function`."""
    mcp: dict[str, McpServer] = Field(default_factory=dict)
    """Name -> server whose tools are offered too."""


class Context(BaseModel):
    """Everything that an episode is played with, beside the task."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    team: Team
    library: str
    """Folder of the library."""
    without: str | None = None
    """A held_out.json whose chunks are left out of the library: how collection never sees held-out pages."""
    board: Board = Board()
    form: Form = "free"
    """free: answered in the player's own words. choice: the task's options are shown, and the answer names one."""
    mode: Mode = "react"
    """react: with tools. cot: the same graph with nothing to search, one step. answer: the same, without a thought."""
    verify: Verify = "score"
    """off: nothing is checked. score: checked, no help. revise: a critique is sent back first."""
    faults: ToolFaults | None = None
    """Faults put into tool results on purpose; None = none."""
