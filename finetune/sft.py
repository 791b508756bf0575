"""SFT: kept episodes become a student that thinks, calls and answers; loss on the assistant's turns alone.

An adapter folder as base is merged first: stacked adapters are refused by most servers. A LoRA student trained so
carries its merged base in `base/` within its folder.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.models.rendering import marked, render

from .rows import Row, episodes_dataset, masked_dataset, read_episodes, spoken
from .settings import TrainConfig, TrainingResult

if TYPE_CHECKING:
    from agents.context import Transport

    from .proofs import Proof
    from .training import Prepared


class SftConfig(TrainConfig):
    """Settings of SFT; see `TrainConfig`."""


def like_lengths(rows: Sequence[Row], lengths: Sequence[int], batch: int, seed: int) -> list[Row]:
    """Rows in the order of training: rows of like length share a batch, and the batches come in random order.

    Padding is most of what a step on a CPU would cost. The trainer's own `group_by_length` sorts 50 batches at a time:
    long episodes come first and short ones last, and a small student forgot how episodes of two searches begin.
    """
    rng = random.Random(seed)
    order = sorted(range(len(rows)), key=lambda i: (lengths[i], rng.random()))
    batches = [order[start : start + batch] for start in range(0, len(order), batch)]
    short = batches.pop() if batches and len(batches[-1]) < batch else []  # a batch that is not full must stay the last
    rng.shuffle(batches)
    return [rows[i] for part in [*batches, short] for i in part]


def sft(
    base: str, data: Path, out: Path, config: SftConfig, *, seed: int, transport: Transport = "native"
) -> TrainingResult:
    """Train on data/sft.jsonl and publish the student in the folder `out`, replacing what was there.

    A training that was killed goes on from its last checkpoint (in `OUT.partial/`) when it is started again.

    Args:
        base: `tiny-base`, a full model folder, an adapter folder, or a hub id.
        data: JSON lines of {"messages": [...], "tools": "JSON"}.
        out: The student's folder.
        config: Settings.
        seed: Of the order of rows, of dropout and of the adapter's start.
        transport: How tools will reach the student; its rows are written so.

    Raises:
        StageError: `data` is absent, empty or broken.
        SeatError: no model in `base`.
        ProofError: a proof failed; `out` is as it was.
        MissingExtra: a library of the extra `train` or `qlora` is not installed.
    """
    rows = [spoken(row, transport) for row in read_episodes(data)]
    from .proofs import demand, run_proofs
    from .proofs_rows import LengthEvidence, RowsEvidence, prove_length
    from .training import train

    length: list[Proof] = []

    def prepare(tok: Any, positions: int | None) -> Prepared:
        lengths = [len(render(tok, row.messages, row.tools, add_generation_prompt=False)) for row in rows]
        max_length = config.max_length or max(lengths)
        evidence = LengthEvidence([row.number for row in rows], lengths, max_length, positions)
        length.append(prove_length(evidence))
        demand(length)
        rows[:] = like_lengths(rows, lengths, config.batch * config.accumulate, seed)
        by_markers = marked(tok) and all(row.trained == row.turns for row in rows)
        dataset = episodes_dataset(rows, tok) if by_markers else masked_dataset(rows, tok)
        options = {"assistant_only_loss": by_markers, "packing": False, "train_sampling_strategy": "sequential"}
        return dataset, len(rows), max_length, options

    def prove(tok: Any, dataset: Any, max_length: int, positions: int | None) -> list[Proof]:
        evidence = RowsEvidence(tok, rows, dataset["input_ids"], dataset["labels"], max_length, positions)
        return [*length, *run_proofs("sft-rows", evidence)]

    def sample(tok: Any) -> list[list[int]]:
        """Prompts of the turns of the first rows, the shorter ones."""
        prompts = [
            render(tok, row.messages[:turn], row.tools, add_generation_prompt=True)
            for row in rows[:3]
            for turn in row.turns
        ]
        return sorted(prompts, key=len)[:6]

    return train(
        "sft", base, data, out, config, seed=seed, prepare=prepare, prove=prove, sample=sample, transport=transport
    )
