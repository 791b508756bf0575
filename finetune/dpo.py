"""DPO: of two turns that go on from one history the better one becomes more likely than the other (arXiv 2305.18290).

A pair is one assistant turn twice, so that no tool result stands among what is compared: the tokens are those that SFT
would train of the turn, and their log-probabilities are compared with those of the model before, the reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.context import Transport
from agents.errors import StageError
from agents.models.rendering import render, stop_ids
from distill.pairs import PAIRS

from .methods import Job, Method, Prepared, methods
from .rows import Row, checked_row, like_lengths, numbered_lines, spoken
from .settings import SMALL, TrainConfig, TrainingResult

if TYPE_CHECKING:
    from .proofs import Proof


class DpoConfig(TrainConfig):
    """Settings of DPO; see `TrainConfig`."""

    epochs: float = Field(default=1.0, gt=0)
    """Passes over the pairs: with more, a small set is soon known by heart."""
    beta: float = Field(default=0.1, gt=0)
    """How far the student may move away from the model before: the smaller, the farther."""
    loss: Literal["sigmoid", "ipo", "hinge"] = "sigmoid"
    """Of the difference of log-probabilities; ipo is meant for pairs without noise."""
    lr: float | None = Field(default=None, ge=0)
    """Highest learning rate; None: 1e-5 for adapters, 1e-6 for full training; ten and fifty times that when tiny."""

    def rate(self, parameters: int) -> float:
        """The learning rate for a model of so many parameters: a twentieth of SFT's, or less."""
        if self.lr is not None:
            return self.lr
        if self.method == "full":
            return 5e-5 if parameters < SMALL else 1e-6
        return 1e-4 if parameters < SMALL else 1e-5


class Pair(BaseModel):
    """One history with two turns that go on from it."""

    model_config = ConfigDict(frozen=True)

    number: int
    """Line in the file, from 1."""
    chosen: Row
    """The history and the better turn."""
    rejected: Row
    """The same history and the worse one."""


def read_pairs(path: Path, transport: Transport) -> list[Pair]:
    """Read data/dpo.jsonl, as a seat with that transport would say it.

    Raises:
        StageError: the file is absent or empty, or a line (named) is no pair.
    """
    found = []
    for number, value in numbered_lines(path):
        history = value.get("messages")
        turns = [value.get(name) for name in ("chosen", "rejected")]
        if not isinstance(history, list) or not all(_is_turn(turn) for turn in turns):
            raise StageError(
                f"{path}, line {number}: no 'messages' with the assistant turns 'chosen' and 'rejected': run the stage "
                "'dataset' again"
            )
        tools = value.get("tools")
        one, two = (checked_row(path, number, {"messages": [*history, turn], "tools": tools}) for turn in turns)
        found.append(Pair(number=number, chosen=spoken(one, transport), rejected=spoken(two, transport)))
    if not found:
        raise StageError(
            f"{path} holds no pair: pairs come from tasks that were played more than once, well and badly: raise "
            "[collect] samples and the temperature of the teacher's seat, or take the training out of [student] stages"
        )
    return found


def tokens_of(row: Row, tok: Any) -> tuple[list[int], list[int]]:
    """The prompt of a row's last turn as serving renders it, and the turn's tokens up to the one that ends it."""
    prompt = render(tok, row.messages[:-1], row.tools, add_generation_prompt=True)
    turn = render(tok, row.messages, row.tools, add_generation_prompt=False)[len(prompt) :]
    stops = stop_ids(tok)
    ends = [at for at, token in enumerate(turn) if token in stops]
    return prompt, turn[: ends[-1] + 1] if ends else turn  # templates put a line break behind the end


@methods.register("dpo")
class Dpo(Method[DpoConfig, list[Pair]]):
    """Direct preference optimisation on pairs of turns."""

    config: ClassVar[type[TrainConfig]] = DpoConfig
    does = "pairs of turns -> student that prefers the better ones"
    rows = PAIRS
    files = ("dpo_trainer.py", "proofs_pairs.py")

    def read(self, job: Job[DpoConfig]) -> list[Pair]:
        """The pairs."""
        return read_pairs(job.data, job.transport)

    def prepare(self, rows: list[Pair], tok: Any, positions: int | None, job: Job[DpoConfig]) -> Prepared[list[Pair]]:
        """The pairs as tokens; those of like length share a batch."""
        from datasets import Dataset

        from .proofs import demand
        from .proofs_rows import LengthEvidence, prove_length

        made = {pair.number: (*tokens_of(pair.chosen, tok), tokens_of(pair.rejected, tok)[1]) for pair in rows}
        lengths = [len(prompt) + max(len(one), len(two)) for prompt, one, two in (made[pair.number] for pair in rows)]
        max_length = job.config.max_length or max(lengths)
        length = prove_length(LengthEvidence([pair.number for pair in rows], lengths, max_length, positions, self.name))
        demand([length])
        ordered = like_lengths(rows, lengths, job.config.batch * job.config.accumulate, job.seed)
        names = ("prompt_ids", "chosen_ids", "rejected_ids")
        dataset = Dataset.from_list([dict(zip(names, made[pair.number], strict=True)) for pair in ordered])
        options = {
            "beta": job.config.beta,
            "loss_type": [job.config.loss],
            "precompute_ref_log_probs": True,
            "disable_dropout": job.config.dropout == 0,
            "train_sampling_strategy": "sequential",
        }
        return Prepared(dataset, ordered, len(rows), max_length, options, [length])

    def prove(self, made: Prepared[list[Pair]], trainer: Any, tok: Any, positions: int | None) -> list[Proof]:
        """The pairs are served as they are trained, and the trainer counts the tokens of the turns alone."""
        from .proofs import run_proofs
        from .proofs_pairs import PairsEvidence

        return run_proofs("pairs", PairsEvidence(tok, made.rows, trainer))

    def prompts(self, rows: list[Pair], tok: Any) -> list[list[int]]:
        """The histories of some pairs, the shorter ones of the first dozen."""
        found = [tokens_of(pair.chosen, tok)[0] for pair in rows[:12]]
        return sorted(found, key=len)[:6]

    def trainer(self) -> tuple[Any, Any]:
        """TRL's trainer, and the class of its arguments."""
        from trl.trainer.dpo_config import DPOConfig

        from .dpo_trainer import PairTrainer

        return PairTrainer, DPOConfig

    def counts(self, dataset: Any) -> tuple[int, int]:
        """Tokens of both sides of all pairs, and those of the turns."""
        names = ("prompt_ids", "chosen_ids", "rejected_ids")
        prompt, chosen, rejected = (sum(len(ids) for ids in dataset[name]) for name in names)
        return 2 * prompt + chosen + rejected, chosen + rejected


def dpo(
    base: str, data: Path, out: Path, config: DpoConfig, *, seed: int, transport: Transport = "native"
) -> TrainingResult:
    """Train on data/dpo.jsonl and publish the student in the folder `out`; resumes and raises like `Method.train`."""
    return Dpo("dpo").train(Job(base, data, out, config, seed, transport))


def _is_turn(value: Any) -> bool:
    return isinstance(value, dict) and value.get("role") == "assistant"
