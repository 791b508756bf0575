"""A folder from which the whole line runs on the made-up kettle in half a minute, training included."""

from __future__ import annotations

from pathlib import Path

import little

CONFIG = """
name = "kettle"
[corpus]
manuals = "manual"
facts = "facts.jsonl"
[exam]
train = 60
test = 40
dev = 16
[cpt]
method = "full"
max_steps = 2
max_length = 128
[sft]
method = "full"
max_steps = 2
batch = 2
[student]
max_tokens = 24
[evaluate]
tasks = 6
"""


def folder_of(root: Path, config: str = CONFIG) -> Path:
    """A folder with the kettle's manual, facts and run.toml."""
    little.write_microdomain(root)
    (root / "run.toml").write_text(config, encoding="utf-8")
    return root
