"""The trajectory: the one record of an episode, JSON in and out.

Messages are in OpenAI's chat form (`tool_calls` with their arguments as a dict), each with the node that wrote it and
whether a student is trained on it. A teacher's hidden reasoning stays beside its message as `reasoning_content`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.models.meter import Account

VERSION: Literal[1] = 1


class Hit(BaseModel):
    """One chunk that a search brought, with the index's score (higher is nearer)."""

    model_config = ConfigDict(frozen=True)

    chunk: str
    score: float


class Search(BaseModel):
    """One tool call of an episode: what was asked, what came, what the extractor left of it."""

    model_config = ConfigDict(frozen=True)

    tool: str = "search"
    query: str
    """The query; of other tools than search, open and find the arguments as JSON."""
    rewritten: str = ""
    """The query as retrieved with, of a search."""
    hits: tuple[Hit, ...] = ()
    """Chunks whose text the player was given; empty where a tool of another kind ran, or a fault was put in."""
    error: str | None = None
    """Why the tool failed, by its own account."""
    fault: str | None = None
    """The fault that was put in on purpose, of `agents.context.FaultKind`."""
    extract: str
    """The observation's text as the reasoning agent read it."""


class Verdict(BaseModel):
    """What the verifying agent found."""

    model_config = ConfigDict(frozen=True)

    well_formed: bool
    """The final message holds one answer that matches exactly one option."""
    grounded: bool | None = None
    """Every quote stands in a passage retrieved in this episode, and they bear what the answer rests on; None where
    nothing was searched."""
    correct: bool | None = None
    """The answer is the gold; None where the gold is not known."""
    judge: dict[str, Any] | None = None
    """The judge's verdict; None where no judge was asked."""
    accepted: bool = False
    reasons: tuple[str, ...] = ()
    """Names of the checks that failed: no_answer, ambiguous, no_quote, ungrounded, empty_quote,
    wrong, unsupported, judge."""


class Usage(BaseModel):
    """What an episode cost."""

    model_config = ConfigDict(frozen=True)

    prompt: int = 0
    """Prompt tokens over all model calls."""
    cached: int = 0
    """Of these, tokens that the endpoint had cached."""
    usd: float = 0.0
    """By the prices of the config."""
    roles: dict[str, Account] = Field(default_factory=dict)
    """The same by role."""
    completion: int = 0
    """Generated tokens over all model calls."""
    calls: int = 0
    """Turns of the reasoning agent."""
    seconds: float = 0.0
    """Wall time of the episode, waiting for its seat included."""


class Trajectory(BaseModel):
    """The record of one episode."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = VERSION
    key: str
    task_id: str
    team: str
    """The team's name in the config; `key` holds the hash of its seats."""
    mode: Literal["react", "cot", "answer"]
    form: Literal["free", "choice"] = "free"
    """Whether the task's options were shown."""
    sample: int = 0
    board: str
    """Hash of graph, prompts, tools, limits and index."""
    messages: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...] = ()
    """JSON schemas of the tools that the reasoning agent was offered."""
    searches: tuple[Search, ...] = ()
    answer: str | None = None
    """The final answer as given; None where the episode ended without one."""
    choice: str | None = None
    """The option that `answer` names; None where none or several match."""
    quotes: tuple[str, ...] = ()
    verdict: Verdict
    stop: str
    """answered, gave_up, refused, malformed, loop, or limit:NAME."""
    label: str = ""
    """Of `graphs.labels.LABELS`: what became of the episode, in one word."""
    mended: dict[str, int] = Field(default_factory=dict)
    """What the transport mended in replies: name -> times."""
    agreement: float | None = None
    """Share of the task's samples that gave this very answer; None where there was one sample."""
    repairs: int = 0
    """Malformed calls that were sent back."""
    revisions: int = 0
    """Critiques that were sent back."""
    usage: Usage = Field(default_factory=Usage)

    def to_json(self) -> str:
        """One line of JSON."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, line: str) -> Trajectory:
        """Inverse of `to_json`; raises pydantic's ValidationError for anything else."""
        return cls.model_validate_json(line)


def digest(*parts: object) -> str:
    """First 16 hex digits of the SHA-256 over the JSON of `parts`, keys sorted: the house's one content hash."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
