"""Which board an episode was played on, as one hash, and which players sat there.

Rows of a leaderboard are comparable when graph, prompts, tools, limits, verifier, library and index
agree. The mode is no part
of it: the closed-book arm is the same board with the search taken away, and its row says so.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from agents.context import Board, Context, Seat, Team
from agents.errors import SeatError
from agents.models.templates import template_text
from agents.models.weights import find_weights
from agents.prompts import every_prompt
from agents.providers import ModelFiles, provider_of, split_spec
from agents.task import Form, Task
from agents.tools import offered

from .contents import folder_contents, sha256_of
from .library import open_library
from .trajectory import digest

NO_PLAY = frozenset({"checkpoints", "contents", "labels"})
"""Modules that tell of an episode or of files, and do not decide how an episode goes."""
NO_PLAYER = frozenset({"model", "timeout", "key_env", "concurrency", "price"})
"""Fields of a seat that do not change what it says; `model` is taken apart."""
SCRIPTS = frozenset({".cjs", ".js", ".mjs", ".py", ".rb", ".sh", ".ts"})
"""Suffixes of files on an MCP server's command line that are its code; others may be data that it writes itself."""
NOTES = frozenset({"README.md", "losses.jsonl", "proofs.json", "seat.toml", "training.json"})
"""Files of a student's folder that tell of its training, seconds included, and that nothing loads."""


@cache
def graph_shape() -> str:
    """THE graph as mermaid text."""
    from .react import graph

    return str(graph.get_graph().draw_mermaid())


@cache
def code_digest() -> str:
    """Hash of the source of every module that decides how an episode goes: other code is another board."""
    return digest([(path.name, file_digest(path)) for path in played_files()])


def played_files() -> list[Path]:
    """The modules that decide how an episode goes."""
    import agents
    import agents.corpus
    import agents.corpus.indexes
    import agents.toolcalls
    import agents.tools
    import graphs

    rooms = (agents, agents.corpus, agents.corpus.indexes, agents.tools, agents.toolcalls, graphs)
    folders = (Path(str(room.__file__)).parent for room in rooms)
    found = [path for folder in folders for path in sorted(folder.glob("*.py")) if path.stem not in NO_PLAY]
    return found + [Path(str(agents.models.__file__)).with_name(f"{name}.py") for name in ("rendering", "structured")]


def board_parts(context: Context) -> dict[str, str]:
    """Name -> hash of each thing that must agree."""
    rules = context.board.model_dump(exclude={"tools", "mcp"})
    library = open_library(context)
    return {
        "graph": digest(graph_shape(), code_digest()),
        "prompts": digest(every_prompt()),
        "tools": digest(offered(context.board), own_tools(context.board)),
        "rules": digest(rules, context.verify, context.faults and context.faults.model_dump()),
        "library": digest(library.hash),
        "index": digest(library.fingerprint),
    }


def own_tools(board: Board) -> list[str]:
    """Hashes of the files of the user's own tools and of MCP servers."""
    return [file_digest(path) for path in tool_files(board).values()]


def tool_files(board: Board) -> dict[str, Path]:
    """Name -> file of each tool of the user's own, and of each script that an MCP server's command line names."""
    found: dict[str, Path] = {}
    for spec in board.tools:
        place = spec.rpartition(":")[0]
        path = module_file(place) if place else None
        if path is not None:
            found[path.name if place.endswith(".py") else place] = path
    for name, server in board.mcp.items():
        for word in (server.command, *server.args):
            if word and Path(word).suffix in SCRIPTS and Path(word).is_file():
                found[f"{name}/{Path(word).name}"] = Path(word)
    return found


def module_file(place: str) -> Path | None:
    """The file of a module, given by its path or its name; None where there is none."""
    if place.endswith(".py"):
        return Path(place) if Path(place).is_file() else None
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin and Path(spec.origin).is_file() else None


def board_hash(context: Context) -> str:
    """One hash over `board_parts`."""
    return digest(board_parts(context))


def file_digest(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file's content; raises OSError."""
    return sha256_of(path)[:16]


def weights_digest(name: str) -> str:
    """Hash of a model's files, with those of its base where it is an adapter; a hub id stands for itself."""
    try:
        found = find_weights(name)
        folders = [each for each in (found.adapter, Path(found.base)) if each is not None]
        return digest(*(folder_contents(each, NOTES) if each.is_dir() else str(each) for each in folders))
    except (SeatError, OSError):  # opening the seat says so better
        return digest("absent", name)


@cache
def player_code(files: tuple[Path, ...]) -> list[str]:
    """Hashes of the source that is the player, as it was when this process first asked."""
    return [file_digest(path) for path in files]


def seat_parts(seat: Seat) -> dict[str, Any]:
    """What plays in a seat, by name: the model, its sampling, and how tools and schemas reach it.

    A model in a folder goes by the content of its files, wherever they lie. One behind an endpoint goes by its name:
    the same model at another URL is the same player, as it is with other prices, keys, waits and calls in flight.
    """
    spec = split_spec(seat.model)
    provider = provider_of(spec)
    parts: dict[str, Any] = {"provider": Path(spec.provider).name, **seat.model_dump(exclude=set(NO_PLAYER))}
    if seat.chat_template is not None:
        parts["chat_template"] = digest(template_text(seat.chat_template))
    code = provider.code(spec)
    if code:
        parts["code"] = player_code(code)
    for name, what in provider.identity(spec).items():
        if isinstance(what, ModelFiles):
            parts[name] = weights_digest(what.name)
        elif isinstance(what, Path):
            parts[name] = file_digest(what) if what.is_file() else None
        else:
            parts[name] = what
    return parts


def seat_identity(seat: Seat) -> str:
    """Hash of what plays in a seat: a retrained student is another player, a moved run is not."""
    return digest(seat_parts(seat))


def team_identity(team: Team) -> str:
    """Hash of who sits where; the team's name is not part of it."""
    return digest({role: seat_identity(seat) for role, seat in team.seats().items()}, team.first_thought)


def episode_key(task: Task, team: str, board: str, mode: str, form: Form, sample: int) -> str:
    """The key under which an episode is recorded: the same question, players, board and sample play once.

    Args:
        team: `team_identity`.
        board: `board_hash`.
    """
    return digest(task.id, task.question, task.shown(form), team, board, mode, form, sample)
