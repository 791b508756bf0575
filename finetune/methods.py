"""Training methods: each makes a student of a base and of rows of the dataset; `[student] stages` names them in order.

A method stands in a file of its own and registers itself::

    @methods.register("mine")
    class Mine(Method[MineConfig, list[Row]]):
        config = MineConfig          # the section [mine] of run.toml
        does = "answers -> student"
        rows = EPISODES              # data/sft.jsonl, as distill/dataset.py makes it

Stages, command line, arms, plan and doctor follow from the names in `stages`: the rows that a method reads are made by
the stage `dataset`, what it trains lies in students/NAME, and the next method starts from there. Another package offers
one by an entry point of the group `retort.methods`; one of your own is named `/path/file.py:Class` (or `file.py:Class`
beside run.toml), and its section is [Class].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from agents.context import Transport
from agents.registry import Registry, file_of

from .settings import TrainConfig, TrainingResult

if TYPE_CHECKING:
    from distill.rows import RowFile

    from .proofs import Proof

C = TypeVar("C", bound=TrainConfig)
R = TypeVar("R")


@dataclass(frozen=True)
class Job(Generic[C]):
    """One training that is asked for."""

    base: str
    """A registered base such as `tiny-base`, a full model folder, an adapter folder, or a hub id."""
    data: Path
    """The file of rows."""
    out: Path
    """The student's folder, which is replaced."""
    config: C
    seed: int
    """Of the order of rows, of dropout and of an adapter's start."""
    transport: Transport = "native"
    """How tools will reach the student; its rows are written so."""


@dataclass
class Prepared(Generic[R]):
    """The rows of a training as its trainer takes them."""

    dataset: Any
    """A `datasets.Dataset`."""
    rows: R
    """What `dataset` was made of, in its order."""
    number: int
    """Rows that an epoch has."""
    max_length: int
    """Tokens of a row at the most."""
    options: dict[str, Any] = field(default_factory=dict)
    """Arguments of the trainer's config, beside those that every method has."""
    proofs: list[Proof] = field(default_factory=list)
    """What was proved on the way."""


class Method(ABC, Generic[C, R]):
    """A way of training; one object a training.

    Args:
        name: the stage's name, also of its section of run.toml and of its student's folder.
    """

    config: ClassVar[type[TrainConfig]] = TrainConfig
    """Its section of run.toml."""
    does: ClassVar[str]
    """`rows -> what it makes`, in a few words."""
    rows: ClassVar[RowFile]
    """The file of rows that it reads, and how these are made."""
    plays: ClassVar[bool] = True
    """Whether what it makes can be expected to play in the graph. False: it learns text, and an arm of it is weighed in
    the choice form, as its base is."""
    reads: ClassVar[tuple[str, ...]] = ("student.transport",)
    """Keys of run.toml that it depends on, beside its own section and `seed`."""
    files: ClassVar[tuple[str, ...]] = ()
    """Further source files that are its own, by their names beside the file of its class."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def read(self, job: Job[C]) -> R:
        """The rows of `job.data`, checked before a model is opened; raises StageError where they are no rows."""

    @abstractmethod
    def prepare(self, rows: R, tok: Any, positions: int | None, job: Job[C]) -> Prepared[R]:
        """The rows for the trainer.

        Args:
            positions: of the base; None where it does not tell.

        Raises:
            ProofError: a row does not fit.
        """

    @abstractmethod
    def prove(self, made: Prepared[R], trainer: Any, tok: Any, positions: int | None) -> list[Proof]:
        """The proofs on what is about to be trained; each that fails blocks."""

    @abstractmethod
    def prompts(self, rows: R, tok: Any) -> list[list[int]]:
        """Some prompts as token ids, on which the finished student is proved."""

    def trainer(self) -> tuple[Any, Any]:
        """TRL's trainer and the class of its arguments."""
        from trl.trainer.sft_config import SFTConfig

        from .loss import LeanTrainer

        return LeanTrainer, SFTConfig

    def counts(self, dataset: Any) -> tuple[int, int]:
        """Tokens of all rows, and those of them that carry loss."""
        tokens = sum(len(ids) for ids in dataset["input_ids"])
        if "labels" not in dataset.column_names:
            return tokens, tokens
        return tokens, sum(sum(label != -100 for label in labels) for labels in dataset["labels"])

    def train(self, job: Job[C]) -> TrainingResult:
        """Train and publish the student in `job.out`, replacing what was there.

        A training that was killed goes on from its last checkpoint (in `OUT.partial/`) when it is started again.

        Raises:
            StageError: the rows are absent, empty or broken; the training does not fit into memory.
            SeatError: no model in `job.base`.
            ProofError: a proof failed; `job.out` is as it was.
            MissingExtra: a library of the extra `train` or `qlora` is not installed.
        """
        rows = self.read(job)  # before torch is loaded: a broken file is told at once
        from .training import train

        return train(self, job, rows)


BUILTIN = {"cpt": "finetune.pretrain", "sft": "finetune.sft", "dpo": "finetune.dpo"}
methods: Registry[type[Method[Any, Any]]] = Registry("method", BUILTIN)
"""Name -> method."""


def short(stage: str) -> str:
    """The name of a stage: as it stands in `stages`, or the class of a method of the user's own."""
    return stage.rpartition(":")[2]


def method(stage: str) -> Method[Any, Any]:
    """The method of a stage.

    Args:
        stage: a name of `methods`, or `/path/file.py:Class`, whose code is then run.

    Raises:
        ConfigError: there is none of that name, or it cannot be imported.
    """
    return methods.get(stage)(short(stage))


def sources_of(stage: str) -> list[Path]:
    """The source files that make a method what it is: those of its class, and of the methods that it is made of."""
    found: list[Path] = []
    for kind in methods.get(stage).__mro__:
        home = file_of(kind) if issubclass(kind, Method) and kind is not Method else None
        if home is not None:
            found += [home, *(home.with_name(name) for name in vars(kind).get("files", ()))]
    return list(dict.fromkeys(found))


def weighed(stage: str) -> bool:
    """Whether what a method makes is weighed in the choice form, not played; False for one of the user's own."""
    return stage in methods and not methods.get(stage).plays


def in_order(stages: Sequence[str]) -> str | None:
    """What is wrong with an order of stages, in words; None where nothing is."""
    names = [short(stage) for stage in stages]
    for at, stage in enumerate(stages):
        if ":" not in stage and stage not in methods:
            return f"no training method is named {stage!r}; there are {', '.join(methods.names())}"
        if names[at] in names[:at]:
            return f"{names[at]!r} stands twice: name each training once"
        before = [name for name in stages[:at] if ":" not in name and not weighed(name)]
        if weighed(stage) and before:
            return f"{stage!r} learns plain text, which would undo {before[-1]!r}: name it first"
    return None
