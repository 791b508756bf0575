"""Which board an episode was played on, as one hash, and which players sat there.

Rows of a leaderboard are comparable when graph, prompts, tools, limits, verifier and library agree. The mode is no part
of it: the closed-book arm is the same board with the search taken away, and its row says so.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from agents.context import Board, Context, Seat, Team
from agents.prompts import every_prompt
from agents.seats import scripted, split_spec
from agents.task import Form, Task
from agents.tools import offered

from .library import open_library
from .trajectory import digest

NO_PLAY = frozenset({"checkpoints", "labels"})
"""Modules that tell of an episode afterwards, and do not decide how it goes."""
WHOLE_FILE = 64 * 2**20
"""Files up to this many bytes are hashed by content, larger ones by size and time of change."""


@cache
def graph_shape() -> str:
    """THE graph as mermaid text."""
    from .react import graph

    return str(graph.get_graph().draw_mermaid())


@cache
def code_digest() -> str:
    """Hash of the source of every module that decides how an episode goes: other code is another board."""
    import agents
    import agents.library
    import agents.tools
    import agents.transport
    import graphs

    rooms = (agents, agents.library, agents.tools, agents.transport, graphs)
    folders = (Path(str(room.__file__)).parent for room in rooms)
    played = [path for folder in folders for path in sorted(folder.glob("*.py")) if path.stem not in NO_PLAY]
    return digest([(path.name, file_digest(path)) for path in played])


def board_parts(context: Context) -> dict[str, str]:
    """Name -> hash of each thing that must agree."""
    rules = context.board.model_dump(exclude={"tools", "mcp"})
    return {
        "graph": digest(graph_shape(), code_digest()),
        "prompts": digest(every_prompt()),
        "tools": digest(offered(context.board), own_tools(context.board)),
        "rules": digest(rules, context.verify, context.faults and context.faults.model_dump()),
        "library": digest(open_library(context).hash),
    }


def own_tools(board: Board) -> list[str]:
    """Hashes of the files of the user's own tools, as far as they are named by file."""
    files = [Path(spec.rpartition(":")[0]) for spec in board.tools if ":" in spec]
    return [file_digest(path) for path in files if path.is_file()]


def board_hash(context: Context) -> str:
    """One hash over `board_parts`."""
    return digest(board_parts(context))


def file_digest(path: Path) -> str:
    """Hash of a file by content, or of a large one by size and time of change."""
    stat = path.stat()
    if stat.st_size > WHOLE_FILE:
        return digest(path.name, stat.st_size, stat.st_mtime_ns)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def seat_identity(seat: Seat) -> str:
    """What plays in a seat, wherever its files lie: a retrained student is another player, a moved run is not."""
    provider, model, url = split_spec(seat.model)
    sampling = seat.model_dump(exclude={"model", "timeout", "key_env", "concurrency", "price"})
    if provider == "scripted":
        script = file_digest(Path(url)) if url and Path(url).exists() else url
        return digest(provider, model, script, file_digest(Path(scripted.__file__)), sampling)
    local = Path(model)
    if provider in ("hf", "vllm") and local.is_dir():
        files = sorted(path for path in local.rglob("*") if path.is_file())
        return digest(provider, [(str(path.relative_to(local)), file_digest(path)) for path in files], sampling)
    return digest(seat.model, sampling)


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
