"""What a Studio server is started with: the graphs, the hooks that protect it, and what is switched off."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Any

from agents.errors import ConfigError

GRAPHS = {name: f"retort.studio:{name}" for name in ("teacher", "student", "search")}
"""What the server serves."""
STUDIO = "https://smith.langchain.com/studio"
ORIGINS = ("https://smith.langchain.com", "https://eu.smith.langchain.com")
"""Pages that may speak with the server; all others are refused."""
TOKEN = "RETORT_STUDIO_TOKEN"  # noqa: S105
"""Variable with the token that requests must hold, so that one is kept over several starts."""
MAX_BYTES = 16 * 2**20
"""Of a request's body; a thread with a long history is some 100 kB."""
SERVER_KEYS = frozenset(
    {
        *("thread_id", "run_id", "assistant_id", "graph_id", "user_id", "cron_id"),
        *("checkpoint", "checkpoint_id", "checkpoint_ns", "checkpoint_map", "__event_streaming_v2"),
    }
)
"""Keys of `configurable` that are LangGraph's own."""


def token() -> str:
    """The token that the environment gives, else a new one.

    Raises:
        ConfigError: the given one is short, or cannot stand in a path.
    """
    given = os.environ.get(TOKEN, "")
    if given and not re.fullmatch(r"[A-Za-z0-9_-]{16,}", given):
        raise ConfigError(f"${TOKEN} must be 16 or more of A-Z, a-z, 0-9, - and _; unset it to have one made")
    return given or secrets.token_urlsafe(24)


def settings(root: Path | str) -> dict[str, Any]:
    """The content of langgraph.json; the one of a checkout says the same.

    Args:
        root: folder from which `retort` is imported.
    """
    return {
        "dependencies": [str(root)],
        "graphs": GRAPHS,
        # Without disable_studio_auth a header that anybody can send would stand for the token.
        "auth": {"path": "retort.studio_guard:auth", "disable_studio_auth": True},
        "http": {
            "app": "retort.studio_guard:app",
            "disable_store": True,
            "disable_mcp": True,
            "disable_a2a": True,
            "disable_ui": True,
            "disable_webhooks": True,
            "cors": {
                "allow_origins": list(ORIGINS),
                "allow_methods": ["*"],
                "allow_headers": ["*"],
                "expose_headers": ["x-pagination-total", "x-pagination-next", "location", "content-location"],
            },
        },
        "env": {},
    }
