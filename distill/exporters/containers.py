"""Containers of exported rows: JSON lines as they are written, Parquet files, or folders of the library `datasets`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from agents.errors import ConfigError, need

from ..dataset import EPISODES

LOADS = {
    "jsonl": f'load_dataset("json", data_files="{EPISODES.name}")',
    "parquet": f'Dataset.from_parquet("{EPISODES.stem}.parquet")',
    "hf": f'load_from_disk("{EPISODES.stem}")',
}
"""Container -> how `datasets` reads it."""
ENDINGS = {"jsonl": ".jsonl", "parquet": ".parquet", "hf": ""}


def check_container(name: str) -> None:
    """Raise ConfigError for a container that there is none of."""
    if name not in LOADS:
        raise ConfigError(f"no container is named {name!r}; there are {', '.join(LOADS)}")


def contain(folder: Path, names: Sequence[str], container: str) -> None:
    """Replace NAME.jsonl of a folder by NAME.parquet, or by a folder NAME; JSON lines stay as they are.

    Raises:
        MissingExtra: Parquet and hf need the extra `train`.
    """
    if container == "jsonl":
        return
    datasets = need("datasets", "train")
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        for name in names:
            rows = folder / f"{name}.jsonl"
            if not rows.stat().st_size:  # no column can be told of an empty file
                rows.unlink()
                continue
            with tempfile.TemporaryDirectory() as cache:
                table = datasets.Dataset.from_json(str(rows), cache_dir=cache)
                if container == "parquet":
                    table.to_parquet(str(folder / f"{name}.parquet"))
                else:
                    table.save_to_disk(str(folder / name))
            rows.unlink()
    finally:
        if shown:
            datasets.enable_progress_bars()
