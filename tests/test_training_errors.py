"""What a training refuses names keys of run.toml that exist, with a value that works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tiny_models import BARE, FORGETFUL, cpt_file, sft_file, tiny_model

from agents.errors import ProofError, RetortError, StageError
from finetune.pretrain import CptConfig, pretrain
from finetune.sft import SftConfig, sft
from finetune.trainer import memory_named
from retort.config_errors import known_keys

KEY = re.compile(r"\[(\w+)\] (\w+)")
SECTIONS = {"sft": SftConfig, "cpt": CptConfig}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("errors")
    tiny_model(folder / "base", hidden=32, layers=1)
    tiny_model(folder / "short", hidden=32, layers=1, positions=100)
    tiny_model(folder / "forgetful", template=FORGETFUL, hidden=32, layers=1)
    tiny_model(folder / "bare", template=BARE, hidden=32, layers=1)
    tiny_model(folder / "none", template=None, hidden=32, layers=1)
    sft_file(folder)
    cpt_file(folder)
    return folder


SFT: list[tuple[str, dict[str, Any], set[str]]] = [
    ("base", {"target": ("nope",)}, {"sft.target"}),
    ("base", {"target": ("lm_head",)}, {"sft.target"}),
    ("base", {"max_length": 100}, {"sft.max_length"}),
    ("short", {}, {"board.top_k", "board.extract_lines", "student.base"}),
    ("base", {"lr": 0.0}, {"sft.lr", "sft.epochs", "sft.target"}),
    ("base", {"lr": 0.0, "method": "full"}, {"sft.lr", "sft.epochs"}),
    ("base", {"chat_template": "nowhere.jinja"}, {"student.chat_template"}),
    ("forgetful", {}, {"student.chat_template"}),
    ("bare", {}, {"student.chat_template", "student.transport"}),
    ("none", {}, {"student.chat_template"}),
]


def keys_in(said: str) -> set[str]:
    """`section.key` of each key that a message names; every one must exist."""
    found = {".".join(pair) for pair in KEY.findall(said)}
    for name in found:
        section, _, key = name.partition(".")
        assert key in known_keys([section]), f"no key {name}: {said}"
    return found


@pytest.mark.parametrize(("base", "changes", "keys"), SFT)
def test_what_sft_refuses_names_keys_that_exist(
    home: Path, tmp_path: Path, base: str, changes: dict[str, Any], keys: set[str]
) -> None:
    config = SftConfig(**{"max_steps": 1, "batch": 3, "r": 2, **changes})
    with pytest.raises(RetortError) as caught:
        sft(str(home / base), home / "sft.jsonl", tmp_path / "student", config, seed=0)
    assert keys_in(str(caught.value)) >= keys, str(caught.value)
    assert "\n" not in str(caught.value)


CPT: list[tuple[str, dict[str, Any], set[str]]] = [
    ("short", {"max_length": 200}, {"cpt.max_length"}),
    ("base", {"lr": 0.0}, {"cpt.lr", "cpt.epochs"}),
    ("base", {"method": "lora", "target": ("nope",)}, {"cpt.target"}),
]


@pytest.mark.parametrize(("base", "changes", "keys"), CPT)
def test_what_cpt_refuses_names_keys_that_exist(
    home: Path, tmp_path: Path, base: str, changes: dict[str, Any], keys: set[str]
) -> None:
    config = CptConfig(**{"max_steps": 1, "batch": 2, "r": 2, **changes})
    with pytest.raises((ProofError, StageError)) as caught:
        pretrain(str(home / base), home / "cpt.jsonl", tmp_path / "student", config, seed=0)
    assert keys_in(str(caught.value)) >= keys, str(caught.value)


def test_too_little_memory_names_what_makes_it_less() -> None:
    import torch

    with pytest.raises(StageError) as caught, memory_named("sft"):
        torch.empty(2**60)
    assert keys_in(str(caught.value)) == {"sft.batch", "sft.accumulate", "sft.method"}
    with pytest.raises(RuntimeError, match="another"), memory_named("sft"):
        raise RuntimeError("another")
