"""Where a model's weights lie: a registered base, a full model folder, a PEFT adapter over its base, or a hub id.

Serving and training both read a model's name through this file, so that an adapter finds the same base in both. It
opens no weights and imports no heavy library. A base named by an adapter may be a registered name such as `tiny-base`
(bases.py), a path relative to the adapter's own folder (a run folder can then be moved), an absolute path, or a hub id.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import SeatError
from ..files import made_anew
from .bases import bases


@dataclass(frozen=True)
class Weights:
    """What a name stands for."""

    base: str
    """Folder of a full model, or a hub id."""
    adapter: Path | None = None
    """Folder of the adapter on it; None for a full model."""

    @property
    def tokenizer_path(self) -> str:
        """Folder (or hub id) whose tokenizer is used: the adapter's own where it carries one."""
        if self.adapter is not None and (self.adapter / "tokenizer_config.json").exists():
            return str(self.adapter)
        return self.base

    def signature(self) -> str:
        """Changes when the base's files do; two equal signatures may share one engine."""
        return folder_signature(self.base)


def folder_signature(name: str) -> str:
    """Names, sizes and times of the weight files in a folder; the name itself for a hub id."""
    folder = Path(name)
    if not folder.is_dir():
        return name
    stats = ((file.name, file.stat()) for file in sorted(folder.glob("*.safetensors")))
    return str(folder.resolve()) + "|" + ",".join(f"{n}:{stat.st_size}:{stat.st_mtime_ns}" for n, stat in stats)


def weights_anew(name: str) -> str:
    """The step where a model's files are broken: a student is trained again, any other model is fetched again."""
    folder = Path(name).resolve()
    if folder.parent.name == "students":
        return made_anew(folder / "config.json", "train")
    return "copy or download it whole again, or name another model"


def find_weights(name: str) -> Weights:
    """Say what `name` stands for.

    Args:
        name: a registered base such as `tiny-base`, a folder, or a hub id (`owner/model`).

    Raises:
        SeatError: no such folder, a folder with no model in it, or an adapter that names no base.
    """
    if name in bases:
        return Weights(str(bases.get(name)()))
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if _looks_like_path(name):
            raise SeatError(f"no model folder {name!r}: give a folder with a config.json or an adapter_config.json")
        return Weights(name)
    if (folder / "adapter_config.json").exists():
        return Weights(_base_of(folder), folder)
    if (folder / "config.json").exists():
        return Weights(str(folder))
    raise SeatError(
        f"{name!r} holds neither config.json nor adapter_config.json, so it is no model folder: {weights_anew(name)}"
    )


def _base_of(adapter: Path) -> str:
    """The base that an adapter names, as a folder or a hub id."""
    file = adapter / "adapter_config.json"
    try:
        named = json.loads(file.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (ValueError, AttributeError) as error:
        raise SeatError(f"{file} is not a JSON object ({error}): train the adapter again") from None
    if not isinstance(named, str) or not named:
        raise SeatError(f"{file} names no base model: set its 'base_model_name_or_path'")
    if named in bases:
        return str(bases.get(named)())
    beside = (adapter / named).resolve()
    if beside.is_dir():
        found = find_weights(str(beside))
    elif _looks_like_path(named):
        raise SeatError(f"{file} names the base {named!r}, which is not there: set its 'base_model_name_or_path'")
    else:
        return named
    if found.adapter is not None:
        raise SeatError(f"the base {named!r} of {file} is itself an adapter: merge it first (finetune.merge)")
    return found.base


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") != 1 or "\\" in name
