"""The tools of the reasoning agent: search, open and find in the manual, the user's own, and those of MCP servers.

`search` is offered and checked here, and run by the graph's subgraph. Nothing here raises for what a tool does.
"""

from __future__ import annotations

from .checks import call_problem
from .kit import close_kits, offered, offering, use
from .results import Observation
from .schemas import SEARCH

__all__ = ["SEARCH", "Observation", "call_problem", "close_kits", "offered", "offering", "use"]
