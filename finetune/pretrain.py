"""CPT: the manuals' own text, packed, so that a base has met the words of the microdomain before it looks them up.

Packing is `wrapped`: documents are laid end to end, each closed by the end token, and cut into blocks of equal length;
nothing is lost and nothing padded. A block's first words lack their context, which plain text bears.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from distill.dataset import TEXTS

from .methods import Job, Method, Prepared, methods
from .rows import read_texts, texts_dataset
from .settings import TrainConfig, TrainingResult, Tuning

if TYPE_CHECKING:
    from .proofs import Proof

BLOCK = 512


class CptConfig(TrainConfig):
    """Settings of CPT; see `TrainConfig`."""

    method: Tuning = "full"
    """full: all weights. lora, qlora: an adapter, which SFT merges before it starts."""
    epochs: float = 1.0
    """Passes over the text."""


@methods.register("cpt")
class Cpt(Method[CptConfig, list[str]]):
    """Continual pretraining on the manual's sections."""

    config: ClassVar[type[TrainConfig]] = CptConfig
    does = "manuals -> base that has read them"
    rows = TEXTS
    plays = False
    reads = ()

    def read(self, job: Job[CptConfig]) -> list[str]:
        """The texts."""
        return read_texts(job.data)

    def prepare(self, rows: list[str], tok: Any, positions: int | None, job: Job[CptConfig]) -> Prepared[list[str]]:
        """The texts, to be packed by TRL."""
        block = job.config.max_length or min(BLOCK, positions or BLOCK)
        total = sum(len(ids) for ids in documents(rows, tok))
        options = {"packing": True, "packing_strategy": "wrapped"}
        return Prepared(texts_dataset(rows, tok), rows, -(-total // block), block, options)

    def prove(self, made: Prepared[list[str]], trainer: Any, tok: Any, positions: int | None) -> list[Proof]:
        """Nothing is lost in packing."""
        from .proofs import run_proofs
        from .proofs_rows import PackedEvidence

        blocks = trainer.train_dataset["input_ids"]
        evidence = PackedEvidence(tok, documents(made.rows, tok), blocks, made.max_length, positions, self.name)
        return run_proofs("texts", evidence)

    def prompts(self, rows: list[str], tok: Any) -> list[list[int]]:
        """The beginnings of the first documents."""
        return [ids[:32] for ids in documents(rows, tok)[:4]]


def documents(texts: list[str], tok: Any) -> list[list[int]]:
    """Token ids of each text, closed by the end token."""
    return [tok(text + tok.eos_token)["input_ids"] for text in texts_dataset(texts, tok)["text"]]


def pretrain(base: str, data: Path, out: Path, config: CptConfig, *, seed: int) -> TrainingResult:
    """Train on data/cpt.jsonl and publish the model in the folder `out`; resumes and raises like `Method.train`."""
    return Cpt("cpt").train(Job(base, data, out, config, seed))
