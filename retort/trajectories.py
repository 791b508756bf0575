"""The recorded episodes of a run as a sequence, and as a dataset in the form that a trainer reads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from agents.errors import StageError, need
from agents.files import write_jsonl
from agents.task import Split
from graphs.runner.ledger import Ledger
from graphs.trajectory import Trajectory

from .folders import LEDGERS

if TYPE_CHECKING:
    from .run_folder import RunFolder


class Trajectories(Sequence[Trajectory]):
    """Episodes of a ledger, read one at a time.

    >>> episodes = run.trajectories(accepted=True)
    >>> episodes[0].verdict.accepted
    True
    >>> len(episodes.filter(task_id=episodes[0].task_id)) >= 1
    True
    """

    def __init__(self, path: Path, keys: Sequence[str]) -> None:
        self._path = path
        self.keys = tuple(keys)

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, at: int) -> Trajectory: ...
    @overload
    def __getitem__(self, at: slice) -> Trajectories: ...
    def __getitem__(self, at: int | slice) -> Trajectory | Trajectories:
        if isinstance(at, slice):
            return Trajectories(self._path, self.keys[at])
        with Ledger(self._path) as ledger:
            return ledger.episode(self.keys[at])

    def __iter__(self) -> Iterator[Trajectory]:
        if self.keys:
            with Ledger(self._path) as ledger:
                for key in self.keys:
                    yield ledger.episode(key)

    def __repr__(self) -> str:
        return f"<{len(self)} trajectories of {self._path}>"

    def filter(self, **wanted: Any) -> Trajectories:
        """The episodes whose fields have these values, e.g. `stop="answered"`, `mode="cot"`, `label="wrong"`."""
        unknown = set(wanted) - set(Trajectory.model_fields)
        if unknown:
            raise TypeError(f"a trajectory has no {sorted(unknown)[0]!r}")
        good = [t.key for t in self if all(getattr(t, name) == value for name, value in wanted.items())]
        return Trajectories(self._path, good)

    def rows(self, format: str = "trl") -> Iterator[dict[str, Any]]:
        """The episodes as rows of a dataset.

        Args:
            format: an exporter, as `retort export --format` names it.

        Raises:
            ConfigError: no exporter has that name.

        >>> row = next(run.trajectories(accepted=True).rows("trl"))
        >>> sorted(row)
        ['key', 'messages', 'task_id', 'tools']
        """
        from distill.dataset import sft_row
        from distill.exporters import Conversation, opened
        from distill.exporters import rows as written

        return written(opened(format), (Conversation.of(sft_row(trajectory)) for trajectory in self))

    def to_dataset(self, format: str = "trl") -> Any:
        """The episodes as a `datasets.Dataset`.

        Args:
            format: an exporter: `trl`, `openai`, `sharegpt`, or your own as `/path/file.py:Class`.

        Raises:
            MissingExtra: `datasets` is not installed (extra `train`).

        >>> run.trajectories(accepted=True).to_dataset("trl").column_names
        ['messages', 'tools', 'key', 'task_id']
        """
        return dataset_of(self.rows(format))


def dataset_of(rows: Iterator[dict[str, Any]]) -> Any:
    """Rows as a `datasets.Dataset` in memory."""
    datasets = need("datasets", "train")
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.jsonl"
            if not write_jsonl(path, rows):
                return datasets.Dataset.from_list([])
            # By a file: `from_list` would give every tool call the arguments of all others, as nulls.
            return datasets.Dataset.from_json(str(path), cache_dir=folder, keep_in_memory=True)
    finally:
        if bars:
            datasets.enable_progress_bars()


def trajectories(run: RunFolder, split: Split, accepted: bool | None, team: str | None) -> Trajectories:
    """The episodes of a run: of `train` what was collected, else what the arms have played."""
    path = run.folder / LEDGERS[split]
    if not path.is_file():
        stage = "collect" if split == "train" else "evaluate"
        raise StageError(f"{path} is not there: call run.{stage}() first")
    with Ledger(path) as ledger:
        good = ledger.accepted()
        keys = [key for key in ledger.tasks() if accepted is None or good[key] == accepted]
    found = Trajectories(path, keys)
    return found if team is None else found.filter(team=team)
