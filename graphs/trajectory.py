"""The trajectory: the one record of an episode, JSON in and out.

Messages are in OpenAI's chat form (`tool_calls` with their arguments as a dict), each with the node that wrote it and
whether a student is trained on it (`train`; no turn that was sent back is). A teacher's hidden reasoning stays beside
its message as `reasoning_content`. Beside the messages stands every model call by role (`calls`), of the reasoning
agent as the number of its message.

Records of version 1 are read too: they hold no calls, their tool uses are called `searches`, and a turn that a critique
sent back is marked as trained in them, which is put right when they are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from agents.models.meter import Account
from agents.tools.schemas import BUILTIN

VERSION: Literal[2] = 2
READABLE = (1, 2)
"""Versions of a record that are read."""
CallRole = Literal["reason", "first_thought", "rewrite", "extract", "judge"]
COSTS = ("prompt", "completion", "cached", "usd", "seconds")
"""Fields of a call that say what it cost."""
SENT_BACK = ("repair", "verify")
"""Nodes whose message says that the turn before it was not accepted."""


def account_of(role: str) -> str:
    """The role of a team on whose account a call of this role is (`Usage.roles`)."""
    return {"first_thought": "reason", "rewrite": "search"}.get(role, role)


class Hit(BaseModel):
    """One chunk that a search brought, with the index's score (higher is nearer)."""

    model_config = ConfigDict(frozen=True)

    chunk: str
    score: float


class ToolUse(BaseModel):
    """One tool call of an episode, whatever the tool: what was asked, what came, what the extractor left of it."""

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

    @property
    def of_library(self) -> bool:
        """Whether it looked into the library: a search, or a page that was opened or searched for words."""
        return self.tool in BUILTIN


class Call(BaseModel):
    """One model call of an episode that was answered, whatever its role."""

    model_config = ConfigDict(frozen=True)

    role: CallRole
    model: str
    """Provider and model, without the URL."""
    sampling: dict[str, Any] = Field(default_factory=dict)
    """temperature, max_tokens, and what else went with the request: `stop`, the name of a schema."""
    turn: int | None = None
    """Where the reply stands in `Trajectory.messages`, of the reasoning agent's calls."""
    messages: tuple[dict[str, Any], ...] = ()
    """The request in OpenAI's chat form, before a transport put tools and calls into words; empty where it is the
    episode's own messages before `turn`."""
    reply: dict[str, Any] | None = None
    """The reply in the same form; None where it is the message at `turn`."""
    prompt: int = 0
    completion: int = 0
    cached: int = 0
    usd: float = 0.0
    seconds: float = 0.0

    @model_serializer(mode="wrap")
    def _without_nothing(self, dumped: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields at their defaults are left out: a turn's own call is 150 bytes of the ledger."""
        plain = type(self).model_fields
        return {name: value for name, value in dumped(self).items() if getattr(self, name) != plain[name].default}


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

    version: Literal[2] = VERSION
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
    tool_uses: tuple[ToolUse, ...] = ()
    """Every tool call that was run, in order; see `searches`."""
    calls: tuple[Call, ...] = ()
    """Every model call that was answered, in order; none in records of version 1."""
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

    @model_validator(mode="before")
    @classmethod
    def _of_version_1(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        read = dict(given)
        if "searches" in read:
            read.setdefault("tool_uses", read.pop("searches"))
        if read.get("version") == 1 and isinstance(read.get("messages"), (list, tuple)):
            read |= {"version": VERSION, "messages": without_sent_back(read["messages"])}
        return read

    @property
    def searches(self) -> tuple[ToolUse, ...]:
        """The tool calls that looked into the library; those of own tools and MCP servers are not among them."""
        return tuple(use for use in self.tool_uses if use.of_library)

    @property
    def could_search(self) -> bool:
        """Whether the player was offered a tool that looks into the library."""
        return any(tool.get("function", {}).get("name") in BUILTIN for tool in self.tools)

    def to_json(self) -> str:
        """One line of JSON."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, line: str) -> Trajectory:
        """Inverse of `to_json`; raises pydantic's ValidationError for anything else."""
        return cls.model_validate_json(line)


def without_sent_back(messages: Sequence[Any]) -> list[Any]:
    """The messages with `train` off at each turn that the next message sends back."""
    rows = list(messages)
    for at, (row, after) in enumerate(pairwise(rows)):
        sent_back = isinstance(after, dict) and after.get("node") in SENT_BACK
        if sent_back and isinstance(row, dict) and row.get("role") == "assistant":
            rows[at] = {**row, "train": False}
    return rows


class RoleCall(BaseModel):
    """A model call with its whole request and reply: what a student of its role is made of."""

    model_config = ConfigDict(frozen=True)

    key: str
    """Of the episode."""
    task_id: str
    team: str
    call: Call
    messages: tuple[dict[str, Any], ...]
    """The request."""
    reply: dict[str, Any]
    tools: tuple[dict[str, Any], ...] = ()
    """What was offered with it."""


def calls_of(trajectories: Iterable[Trajectory], role: CallRole) -> Iterator[RoleCall]:
    """Every call of a role in episodes, with the history as the request of a turn.

    A turn that was sent back is there too: its reply's `train` is off.
    """
    for t in trajectories:
        for call in t.calls:
            if call.role != role:
                continue
            reply = call.reply if call.turn is None else t.messages[call.turn]
            request = call.messages or (t.messages[: call.turn] if call.turn is not None else ())
            tools = t.tools if role == "reason" else ()
            about = {"key": t.key, "task_id": t.task_id, "team": t.team, "call": call, "tools": tools}
            yield RoleCall.model_validate({**about, "messages": request, "reply": reply or {}})


def digest(*parts: object) -> str:
    """First 16 hex digits of the SHA-256 over the JSON of `parts`, keys sorted: the house's one content hash."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
