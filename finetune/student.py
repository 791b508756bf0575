"""A student's folder: staged beside its place, filled, proven, and only then moved there.

It holds the model or adapter, the tokenizer with the template of the training, `seat.toml`, `proofs.json`,
`losses.jsonl` and `training.json`. A reader sees the old folder or the whole new one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents.files import write_json, write_text
from agents.models.bases import bases
from agents.models.weights import Weights
from agents.providers.hf import hf_line


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A new folder that replaces `out` when the block ends well, and vanishes when it raises."""
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = out.parent / f".{out.name}.new", out.parent / f".{out.name}.old"
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
        if out.exists():
            out.replace(old)
        fresh.replace(out)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def base_name(base: str, weights: Weights, out: Path) -> str:
    """How an adapter in `out` names its base: beside it by a relative path, so that a run folder can be moved."""
    if base in bases or not Path(weights.base).is_dir():
        return base if weights.adapter is None else weights.base
    folder, home = Path(weights.base).resolve(), out.resolve().parent
    return os.path.relpath(folder, out.resolve()) if folder.parent == home else str(folder)


def write_adapter(model: Any, folder: Path, base: str) -> None:
    """Save a PEFT model's adapter with `base` as the name of its base."""
    model.save_pretrained(folder, save_embedding_layers=False)
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    write_json(file, {**config, "base_model_name_or_path": base})
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card


def declare_stops(model: Any, stops: Sequence[int], pad: int) -> None:
    """Write into the generation config what ends a turn, so that any server stops where the student does."""
    from transformers import GenerationConfig

    settings: dict[str, Any] = {"eos_token_id": list(stops), "pad_token_id": pad}
    model.generation_config = GenerationConfig(**settings)  # type: ignore[no-untyped-call]


def write_seat(folder: Path, *, trained: str, method: str, base: str, transport: str = "native") -> None:
    """Write seat.toml: how to seat this student."""
    lines = [
        "# A student as a seat. A path in this file is relative to its folder.",
        f"spec = {json.dumps(hf_line('.'))}",
        f"transport = {json.dumps(transport)}",
        f"trained = {json.dumps(trained)}",
        f"method = {json.dumps(method)}",
        f"base = {json.dumps(base)}",
    ]
    write_text(folder / "seat.toml", "\n".join(lines) + "\n")


def versions() -> dict[str, str]:
    """Versions of the libraries that made a student."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "trl", "peft", "datasets", "accelerate")}
