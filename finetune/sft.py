"""SFT: kept episodes become a student that thinks, calls and answers; loss on the assistant's turns alone.

An adapter folder as base is merged first: stacked adapters are refused by most servers. A LoRA student trained so
carries its merged base in `base/` within its folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from agents.context import Transport
from agents.models.rendering import marked, render
from distill.dataset import EPISODES

from .methods import Job, Method, Prepared, methods
from .rows import Row, episodes_dataset, like_lengths, masked_dataset, read_episodes, spoken
from .settings import TrainConfig, TrainingResult

if TYPE_CHECKING:
    from .proofs import Proof


class SftConfig(TrainConfig):
    """Settings of SFT; see `TrainConfig`."""


@methods.register("sft")
class Sft(Method[TrainConfig, list[Row]]):
    """Supervised fine-tuning on episodes."""

    config: ClassVar[type[TrainConfig]] = SftConfig
    does = "episodes -> student"
    rows = EPISODES

    def read(self, job: Job[TrainConfig]) -> list[Row]:
        """The episodes, as a seat with the job's transport says them."""
        return [spoken(row, job.transport) for row in read_episodes(job.data)]

    def order(self, rows: list[Row], lengths: list[int], job: Job[TrainConfig]) -> list[Row]:
        """The rows in the order of training."""
        return like_lengths(rows, lengths, job.config.batch * job.config.accumulate, job.seed)

    def prepare(self, rows: list[Row], tok: Any, positions: int | None, job: Job[TrainConfig]) -> Prepared[list[Row]]:
        """The episodes as TRL reads them; none is cut."""
        from .proofs import demand
        from .proofs_rows import LengthEvidence, prove_length

        lengths = [len(render(tok, row.messages, row.tools, add_generation_prompt=False)) for row in rows]
        max_length = job.config.max_length or max(lengths)
        numbers = [row.number for row in rows]
        length = prove_length(LengthEvidence(numbers, lengths, max_length, positions, self.name))
        demand([length])
        ordered = self.order(rows, lengths, job)
        by_markers = marked(tok) and all(row.trained == row.turns for row in ordered)
        dataset = episodes_dataset(ordered, tok) if by_markers else masked_dataset(ordered, tok)
        options = {"assistant_only_loss": by_markers, "packing": False, "train_sampling_strategy": "sequential"}
        return Prepared(dataset, ordered, len(rows), max_length, options, [length])

    def prove(self, made: Prepared[list[Row]], trainer: Any, tok: Any, positions: int | None) -> list[Proof]:
        """What is trained is what is served, and the assistant's turns alone carry loss."""
        from .proofs import run_proofs
        from .proofs_rows import RowsEvidence

        dataset = trainer.train_dataset
        evidence = RowsEvidence(tok, made.rows, dataset["input_ids"], dataset["labels"], made.max_length, positions)
        return run_proofs("episodes", evidence)

    def prompts(self, rows: list[Row], tok: Any) -> list[list[int]]:
        """Prompts of the turns of the first rows, the shorter ones."""
        found = [
            render(tok, row.messages[:turn], row.tools, add_generation_prompt=True)
            for row in rows[:3]
            for turn in row.turns
        ]
        return sorted(found, key=len)[:6]


def sft(
    base: str, data: Path, out: Path, config: SftConfig, *, seed: int, transport: Transport = "native"
) -> TrainingResult:
    """Train on data/sft.jsonl and publish the student in the folder `out`; resumes and raises like `Method.train`.

    Args:
        base: `tiny-base`, a full model folder, an adapter folder, or a hub id.
        data: JSON lines of {"messages": [...], "tools": "JSON"}.
        out: The student's folder.
        config: Settings.
        seed: Of the order of rows, of dropout and of the adapter's start.
        transport: How tools will reach the student; its rows are written so.
    """
    return Sft("sft").train(Job(base, data, out, config, seed, transport))
