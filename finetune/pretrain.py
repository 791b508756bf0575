"""CPT: the manuals' own text, packed, so that a base has met the words of the microdomain before it looks them up.

Packing is `wrapped`: documents are laid end to end, each closed by the end token, and cut into blocks of equal length;
nothing is lost and nothing padded. A block's first words lack their context, which plain text bears.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .rows import read_texts, texts_dataset
from .settings import Method, TrainConfig, TrainingResult

if TYPE_CHECKING:
    from .proofs import Proof
    from .training import Prepared

BLOCK = 512


class CptConfig(TrainConfig):
    """Settings of CPT; see `TrainConfig`."""

    method: Method = "full"
    """full: all weights. lora, qlora: an adapter, which SFT merges before it starts."""
    epochs: float = 1.0
    """Passes over the text."""


def pretrain(base: str, data: Path, out: Path, config: CptConfig, *, seed: int) -> TrainingResult:
    """Train on data/cpt.jsonl and publish the model in the folder `out`; resumes and raises like `sft`."""
    texts = read_texts(data)
    from .proofs import run_proofs
    from .proofs_rows import PackedEvidence
    from .training import train

    def prepare(tok: Any, positions: int | None) -> Prepared:
        block = config.max_length or min(BLOCK, positions or BLOCK)
        total = sum(len(ids) for ids in documents(tok))
        return texts_dataset(texts, tok), -(-total // block), block, {"packing": True, "packing_strategy": "wrapped"}

    def documents(tok: Any) -> list[list[int]]:
        return [tok(text + tok.eos_token)["input_ids"] for text in texts_dataset(texts, tok)["text"]]

    def prove(tok: Any, dataset: Any, max_length: int, positions: int | None) -> list[Proof]:
        evidence = PackedEvidence(tok, documents(tok), dataset["input_ids"], max_length, positions)
        return run_proofs("cpt-rows", evidence)

    def sample(tok: Any) -> list[list[int]]:
        """The beginnings of the first documents."""
        return [ids[:32] for ids in documents(tok)[:4]]

    return train("cpt", base, data, out, config, seed=seed, prepare=prepare, prove=prove, sample=sample)
