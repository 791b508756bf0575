"""What every training method lets a user set, and what a training hands back.

Defaults are those that worked on small sets of agent episodes (500-2,000 kept trajectories). A learning rate of None
suits the method: adapters want ten times that of full training, and a model of a few million parameters more again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from .proofs import Proof

Tuning = Literal["lora", "qlora", "full"]
"""Which weights change."""
SMALL = 50_000_000
"""Parameters below which a model counts as tiny."""


class TrainConfig(BaseModel):
    """The settings that training methods share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Tuning = "lora"
    """lora: an adapter. qlora: an adapter over a 4-bit base (extra `qlora`). full: all weights."""
    r: int = Field(default=32, ge=1)
    """Rank of the adapter."""
    alpha: int = Field(default=64, ge=1)
    """Scale of the adapter; twice the rank is usual."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the adapter's inputs dropped in training."""
    target: str | tuple[str, ...] = "all-linear"
    """Layers that get an adapter: `all-linear`, or names."""
    epochs: float = Field(default=2.0, gt=0)
    """Passes over the data."""
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after so many optimiser steps; None goes by `epochs`."""
    batch: int = Field(default=8, ge=1)
    """Rows a forward pass, per device."""
    accumulate: int = Field(default=1, ge=1)
    """Forward passes an optimiser step."""
    lr: float | None = Field(default=None, ge=0)
    """Highest learning rate; None: 2e-4 for adapters, 2e-5 for full training; ten and fifty times that when tiny."""
    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    """How the learning rate goes down."""
    warmup: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Share of the steps over which the learning rate comes up."""
    weight_decay: float = Field(default=0.0, ge=0.0)
    """AdamW's weight decay."""
    max_length: int | None = Field(default=None, ge=8)
    """Tokens of a row at the most. CPT: None takes 512. Others: None takes the longest row, a smaller number blocks."""
    save_every: int = Field(default=200, ge=1)
    """Optimiser steps between two checkpoints, from which a killed training goes on."""
    chat_template: str | None = None
    """A bundled template (`chatml`) or a Jinja file, in place of [student] chat_template and of the base's own."""

    def templated(self, template: str | None) -> Self:
        """These settings with `template` as the chat template, unless they name one of their own."""
        return self if self.chat_template is not None else self.model_copy(update={"chat_template": template})

    def rate(self, parameters: int) -> float:
        """The learning rate for a model of so many parameters."""
        if self.lr is not None:
            return self.lr
        if self.method == "full":
            return 1e-3 if parameters < SMALL else 2e-5
        return 2e-3 if parameters < SMALL else 2e-4


class TrainingResult(BaseModel):
    """What a training made."""

    model_config = ConfigDict(frozen=True)

    out: Path
    """The student's folder."""
    method: Tuning
    base: str
    """As it was named."""
    rows: int
    tokens: int
    """Tokens of all rows, once."""
    trained_tokens: int
    """Those of them that carry loss."""
    max_length: int
    steps: int
    resumed_from: int
    """Step of the checkpoint from which a killed training went on; 0 for one that ran through."""
    seconds: float
    """Wall time of this process's share of the training, without the proofs."""
    first_loss: float | None
    last_loss: float | None
    proofs: tuple[Proof, ...]
