"""Which board an episode was played on, as one hash, and which players sat there.

Rows of a leaderboard are comparable when graph, prompts, tools, limits, verifier and library agree. The mode is no part
of it: the closed-book arm is the same board with the search taken away, and its row says so.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from agents.context import Context, Seat, Team
from agents.prompts import every_prompt
from agents.seats import scripted, split_spec
from agents.task import Task
from agents.tools import TOOLS

from .library import open_library
from .trajectory import digest

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
    import agents.prompts
    import graphs

    rooms = (Path(str(room.__file__)).parent for room in (agents, agents.library, agents.prompts, graphs))
    return digest([(path.name, file_digest(path)) for room in rooms for path in sorted(room.glob("*.py"))])


def board_parts(context: Context) -> dict[str, str]:
    """Name -> hash of each thing that must agree."""
    return {
        "graph": digest(graph_shape(), code_digest()),
        "prompts": digest(every_prompt()),
        "tools": digest(TOOLS),
        "rules": digest(context.board.model_dump(), context.verify),
        "library": digest(open_library(context).hash),
    }


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
    sampling = seat.model_dump(exclude={"model", "timeout", "key_env"})
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
    seats = {"reason": team.reason, "search": team.search, "extract": team.extract}
    return digest({role: seat_identity(seat) for role, seat in seats.items() if seat is not None})


def episode_key(task: Task, team: str, board: str, mode: str, sample: int) -> str:
    """The key under which an episode is recorded: the same question, players, board and sample play once.

    Args:
        team: `team_identity`.
        board: `board_hash`.
    """
    return digest(task.id, task.question, task.options, team, board, mode, sample)
