"""What the stages of a run made, as records: read from the files of the run folder, so that fresh stages have one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict

from agents.errors import StageError
from agents.files import made_anew, read_json, read_jsonl, read_model, read_models
from agents.task import Task
from finetune.proofs import Proof
from finetune.settings import TrainingResult
from graphs.runner.collect import Collected

from .stages import recorded

if TYPE_CHECKING:
    from evals.frames import Leaderboard

    from .run_folder import RunFolder

M = TypeVar("M", bound="StageResult")


class StageResult(BaseModel):
    """What a stage made; as text the line that its command prints."""

    model_config = ConfigDict(frozen=True)

    stage: str
    summary: str
    """One line."""

    def __str__(self) -> str:
        return self.summary


class IndexResult(StageResult):
    """The library."""

    documents: int
    chunks: int
    facts: int
    skipped: int
    """Files that are no page and lines that are no fact; skipped.jsonl names them."""


class ExamResult(StageResult):
    """The exam."""

    train: int
    dev: int
    test: int
    counts: dict[str, Any]
    """What the exam was made of: facts, questions by level and kind."""
    baselines: dict[str, Any]
    """What guessing gets, by form and level."""


class CollectResult(StageResult):
    """The teacher's episodes."""

    parts: dict[str, Collected]
    """Mode and form (`react`, `react, choice`) -> what was played and what it has cost."""

    @property
    def usd(self) -> float:
        """What calls have cost over all starts, by the seats' prices."""
        return max((part.usd for part in self.parts.values()), default=0.0)


class DatasetResult(StageResult):
    """The training files."""

    ledger: int
    """Episodes in the ledger."""
    kept: int
    dropped: int
    reasons: dict[str, int]
    """Reason to drop -> episodes."""


class StageTraining(StageResult, TrainingResult):
    """A `TrainingResult` with the line that its command prints."""


def line_of(run: RunFolder, stage: str) -> str:
    """The line that a stage printed when it was done; raises StageError where it was not done to its end."""
    row = recorded(run.folder).get(stage)
    if row is None:
        raise StageError(f"the stage {stage!r} of {run.folder} is not done yet")
    return str(row.get("said", ""))


def index_result(run: RunFolder) -> IndexResult:
    """The library of a run."""
    chunks = rows(run.folder / "library" / "chunks.jsonl")
    return IndexResult(
        stage="index",
        summary=line_of(run, "index"),
        documents=len({row.get("document") for row in chunks}),
        chunks=len(chunks),
        facts=len(rows(run.folder / "facts.jsonl")),
        skipped=len(rows(run.folder / "skipped.jsonl")),
    )


def exam_result(run: RunFolder) -> ExamResult:
    """The exam of a run."""
    splits = [task.split for task in read_models(run.folder / "exam.jsonl", Task, "exam")]
    made = table(run.folder / "exam.json", "exam")
    sizes = {name: splits.count(name) for name in ("train", "dev", "test")}
    about = {"counts": made.get("counts", {}), "baselines": made.get("baselines", {})}
    return ExamResult.model_validate({"stage": "exam", "summary": line_of(run, "exam"), **sizes, **about})


def collect_result(run: RunFolder) -> CollectResult:
    """What collecting has done; parts that the config asks for no more are left out."""
    parts = table(run.folder / "collect.json", "collect")
    names = [name for name, _, _ in run.to_collect(run.tasks("train")[: run.config.collect.tasks])]
    found = {name: parts[name] for name in names if name in parts}
    return read(CollectResult, {"stage": "collect", "summary": line_of(run, "collect"), "parts": found}, run, "collect")


def dataset_result(run: RunFolder) -> DatasetResult:
    """What was kept and dropped."""
    counts = table(run.folder / "dataset.json", "dataset")
    names = ("ledger", "kept", "dropped", "reasons")
    found = {name: counts.get(name) for name in names}
    return read(DatasetResult, {"stage": "dataset", "summary": line_of(run, "dataset"), **found}, run, "dataset")


def training_result(run: RunFolder, stage: str) -> StageTraining:
    """What a training made."""
    folder = run.folder / "students" / stage
    made = table(folder / "training.json", stage)
    known = {name: value for name, value in made.items() if name in TrainingResult.model_fields}
    proofs = [Proof.model_validate(row) for row in read_json(folder / "proofs.json", stage)]
    more = {"stage": stage, "summary": line_of(run, stage), "out": folder, "proofs": tuple(proofs)}
    return read(StageTraining, {**known, **more}, run, stage)


def leaderboard_of(run: RunFolder, split: str = "test") -> Leaderboard:
    """The leaderboard of a run as it was written last."""
    from evals.frames import Leaderboard

    name = "leaderboard.json" if split == "test" else f"leaderboard.{split}.json"
    return read_model(run.folder / name, Leaderboard, "leaderboard" if split == "test" else "evaluate")


def table(path: Path, stage: str) -> dict[str, Any]:
    """A JSON object that a stage wrote."""
    found = read_json(path, stage)
    if not isinstance(found, dict):
        raise StageError(f"{path} is no JSON object: {made_anew(path, stage)}")
    return found


def rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file that the index wrote; empty where it is absent."""
    return read_jsonl(path, "index") if path.exists() else []


def read(kind: type[M], data: dict[str, Any], run: RunFolder, stage: str) -> M:
    """A record of plain values; raises StageError where a stage wrote something else."""
    try:
        return kind.model_validate(data)
    except ValueError:
        raise StageError(
            f"what the stage {stage!r} wrote in {run.folder} cannot be read: do it again with force=True"
        ) from None
