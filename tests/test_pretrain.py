"""CPT: text goes in whole, the loss falls, and bad files are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_models import cpt_file, sft_file, tiny_model

from agents.errors import ProofError, StageError
from agents.models.hf import open_hf
from finetune.pretrain import CptConfig, pretrain
from finetune.sft import SftConfig, sft


def test_cpt_learns_the_text_and_hands_on_a_base_for_sft(tmp_path: Path) -> None:
    base, data = tiny_model(tmp_path / "base"), cpt_file(tmp_path)
    config = CptConfig(max_length=64, batch=4, max_steps=30, lr=3e-3)
    result = pretrain(str(base), data, tmp_path / "students/cpt", config, seed=0)
    assert result.first_loss is not None
    assert result.last_loss is not None
    assert result.last_loss < result.first_loss - 1
    assert result.trained_tokens == result.tokens == dict(result.proofs[0].numbers)["tokens"]
    assert [each.name for each in result.proofs] == ["packing", "saved", "changed", "served"]
    assert {path.name for path in (tmp_path / "students").iterdir()} == {"cpt"}
    after = sft(
        str(tmp_path / "students/cpt"), sft_file(tmp_path), tmp_path / "students/sft", SftConfig(max_steps=2), seed=0
    )
    named = json.loads((after.out / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert named == "../cpt"


def test_an_adapter_from_cpt_is_merged_under_the_sft_adapter(tmp_path: Path) -> None:
    base, data = tiny_model(tmp_path / "base", hidden=32, layers=1), cpt_file(tmp_path)
    config = CptConfig(method="lora", r=4, alpha=8, max_length=64, max_steps=3, lr=1e-2)
    first = pretrain(str(base), data, tmp_path / "students/cpt", config, seed=0)
    assert [each.name for each in first.proofs] == ["packing", "saved", "changed", "served", "merge"]
    second = sft(str(first.out), sft_file(tmp_path), tmp_path / "students/sft", SftConfig(max_steps=2), seed=0)
    named = json.loads((second.out / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert named == "base"
    moved = (tmp_path / "students").rename(tmp_path / "moved")
    assert open_hf(str(moved / "sft"), max_tokens=4).invoke("x").response_metadata["completion_ids"]


def test_a_block_wider_than_the_model_is_refused(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base", hidden=32, layers=1, positions=64)
    with pytest.raises(ProofError, match="packing proof"):
        pretrain(str(base), cpt_file(tmp_path), tmp_path / "out", CptConfig(max_length=128), seed=0)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"text": "a"}\n{"text": \n', r"line 2: not JSON"),
        ('{"text": "a"}\n\n{"chunk": "x"}\n', r"line 3: no 'text'"),
        ('{"text": "  "}\n', r"holds no text"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, said: str) -> None:
    data = tmp_path / "cpt.jsonl"
    data.write_text(text)
    with pytest.raises(StageError, match=said):
        pretrain("tiny-base", data, tmp_path / "out", CptConfig(), seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["cpt.jsonl"]
