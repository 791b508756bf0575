"""The line that installs an optional extra: from the checkout, the address or the index that Retort itself came from.

The package index has another project by the name `retort`, so the distribution is named otherwise; import and command
are `retort`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import unquote, urlsplit

DISTRIBUTION = "retort-distill"
CHECKOUT = Path(__file__).resolve().parents[1]
"""The folder in which this package lies; a checkout where it holds a pyproject.toml."""


def install_line(extra: str) -> str:
    """The line for a shell that installs Retort's extra `extra`."""
    if (CHECKOUT / "pyproject.toml").is_file():
        place = "." if Path.cwd() == CHECKOUT else str(CHECKOUT)
        return f"pip install -e '{place}[{extra}]'"
    return f"pip install '{source_of(extra)}'"


def pip_line(module: str) -> str:
    """The line that installs another project's package in which a module lies."""
    return f"pip install {module.partition('.')[0].replace('_', '-')}"


def source_of(extra: str, paths: Sequence[str] | None = None) -> str:
    """What pip is to be given for an extra of an installed Retort: a folder, `NAME @ URL`, or the name for the index.

    Args:
        paths: where installed distributions are looked for; None = sys.path.
    """
    name = f"{DISTRIBUTION}[{extra}]"
    found = distributions(name=DISTRIBUTION) if paths is None else distributions(name=DISTRIBUTION, path=list(paths))
    for each in found:
        try:
            direct = json.loads(each.read_text("direct_url.json") or "{}")  # PEP 610
        except ValueError:
            continue
        url = str(direct.get("url", ""))
        if url.startswith("file:"):
            place = Path(unquote(urlsplit(url).path))
            if (place / "pyproject.toml").is_file():
                return f"{place}[{extra}]"
        elif url:
            vcs = direct.get("vcs_info")
            return f"{name} @ {vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else f"{name} @ {url}"
    return name
