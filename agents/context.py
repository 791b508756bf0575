"""The runtime context of THE graph: who plays (team), by which rules (board), over which library.

Plain data through and through, so that LangGraph Studio can show and edit it, and hashes mean something. What is heavy
(models, indexes) is opened from it when used, once a process.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["reason", "search", "extract"]
Mode = Literal["react", "cot"]
Verify = Literal["off", "score", "revise"]


class Seat(BaseModel):
    """One chat model with its sampling."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """`provider:model@url`, e.g. `openai:gpt-5@https://host/v1`, `hf:tiny-base`, `vllm:NAME@http://127.0.0.1:8000/v1`."""
    temperature: float = Field(0.0, ge=0.0, le=2.0)
    """0 is greedy."""
    max_tokens: int = Field(256, ge=1)
    """Tokens of one reply at the most."""
    timeout: float = Field(120.0, gt=0)
    """Seconds for one call, for seats behind an endpoint."""
    key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable with the key; the key itself stands in no file."""


class Team(BaseModel):
    """Role -> seat. Only `reason` must be seated; no `search` seat = queries go in as written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    reason: Seat
    search: Seat | None = None
    """Rewrites queries before they are retrieved."""
    extract: Seat | None = None
    """Contextual answer extraction, where the board says `extract = "seat"`."""


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
    seconds: float = Field(180.0, gt=0)
    """Wall time."""


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


class Context(BaseModel):
    """Everything that an episode is played with, beside the task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    team: Team
    library: str
    """Folder of the library."""
    without: str | None = None
    """A held_out.json whose chunks are left out of the library: how collection never sees held-out pages."""
    board: Board = Board()
    mode: Mode = "react"
    """react: with tools. cot: the same graph with nothing to search, one step."""
    verify: Verify = "score"
    """off: nothing is checked. score: checked, no help. revise: a critique is sent back first."""
