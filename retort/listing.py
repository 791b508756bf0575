"""`retort list`: the episodes of a run by arm, label, level and text, with the keys that `show` and `studio` take."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.errors import StageError
from agents.files import read_jsonl, read_models
from agents.task import LEVELS, Split, Task, is_right
from agents.text import shortened
from evals.places import score_files
from evals.report.collected import sorting
from graphs.labels import LABELS
from graphs.trajectory import Trajectory

from .folders import LEDGERS
from .show import printable

ANSWER_CHARS = 24
QUESTION_CHARS = 72


@dataclass(frozen=True)
class Wanted:
    """Which episodes are listed; what is None or empty filters nothing."""

    arm: str | None = None
    """The name of an arm; of episodes that count for none, the team's."""
    label: str | None = None
    """Of `graphs.labels.LABELS`; `limit` stands for every `limit:NAME`."""
    level: str | None = None
    stop: str | None = None
    """answered, gave_up, refused, malformed, loop, limit:NAME, or `limit` for all of these."""
    text: str | None = None
    """Stands in the question, the answer or any message, in capitals or not."""
    right: bool | None = None
    split: str | None = None


@dataclass(frozen=True)
class Episode:
    """One line of the list."""

    key: str
    split: Split
    """train: collected; dev and test: played by an arm."""
    arms: tuple[str, ...]
    """Rows of the leaderboard that it counts for; the team's name where there is none."""
    trajectory: Trajectory
    task: Task | None
    """None where the exam of today does not ask it."""
    sorted_as: str | None
    """Of a collected one `kept`, or the reason to drop it; None before the dataset is made."""

    @property
    def right(self) -> bool | None:
        """Whether it ended with the gold; None where the gold is not known."""
        t = self.trajectory
        return None if self.task is None else t.stop == "answered" and is_right(self.task, t.answer, t.form)

    @property
    def question(self) -> str:
        """The question, of the record where the exam does not have it any more."""
        if self.task is not None:
            return self.task.question
        return next((str(each["content"]) for each in self.trajectory.messages if each["role"] == "user"), "")

    def row(self) -> dict[str, Any]:
        """The same as JSON."""
        t, task = self.trajectory, self.task
        return {
            "key": self.key,
            "split": self.split,
            "arms": list(self.arms),
            "team": t.team,
            "mode": t.mode,
            "form": t.form,
            "task_id": t.task_id,
            "level": task.level if task else None,
            "kind": task.kind if task else None,
            "right": self.right,
            "stop": t.stop,
            "label": t.label or None,
            "reasons": list(t.verdict.reasons),
            "dataset": self.sorted_as,
            "question": self.question,
            "answer": t.answer,
            "gold": task.gold if task else None,
            "searches": len(t.searches),
            "calls": t.usage.calls,
            "tokens": t.usage.prompt + t.usage.completion,
            "seconds": t.usage.seconds,
        }


def begins(text: str, wanted: str | None) -> bool:
    """Whether a label or stop is the wanted one, or `limit` is wanted and it is `limit:NAME`."""
    return wanted is None or text == wanted or text.partition(":")[0] == wanted


def fits(episode: Episode, wanted: Wanted) -> bool:
    """Whether an episode is to be listed."""
    t = episode.trajectory
    if wanted.split not in (None, episode.split) or wanted.right not in (None, episode.right):
        return False
    if wanted.arm is not None and wanted.arm not in episode.arms:
        return False
    if wanted.level is not None and (episode.task is None or episode.task.level != wanted.level):
        return False
    if not (begins(t.label, wanted.label) and begins(t.stop, wanted.stop)):
        return False
    return wanted.text is None or wanted.text.casefold() in said_in(episode).casefold()


def said_in(episode: Episode) -> str:
    """All words of an episode: question, messages with their calls, answer."""
    t = episode.trajectory
    parts = [episode.question, t.answer or ""]
    for message in t.messages:
        parts += [str(message["content"]), str(message.get("reasoning_content") or "")]
        parts += [json.dumps(call["function"], ensure_ascii=False) for call in message.get("tool_calls") or ()]
    return "\n".join(parts)


def check(wanted: Wanted) -> None:
    """Raise StageError for a label or a level that no episode can have."""
    for name, value, known in (("label", wanted.label, tuple(LABELS)), ("level", wanted.level, LEVELS)):
        if value is not None and value.partition(":")[0] not in known:
            raise StageError(f"--{name} {value!r} is none of {', '.join(known)}")


def episodes(run: Path, split: str | None = None) -> Iterator[Episode]:
    """Every episode of a run folder, or of one split, one at a time.

    Raises:
        StageError: no such run folder.
    """
    from graphs.runner.ledger import Ledger

    if not run.is_dir():
        raise StageError(f"{str(run)!r} is no run folder")
    exam = run / "exam.jsonl"
    tasks = {task.id: task for task in read_models(exam, Task, "exam")} if exam.exists() else {}
    for part, name in LEDGERS.items():
        path = run / name
        if split not in (None, part) or not path.exists():
            continue
        arms = {} if part == "train" else arms_by_key(path.parent)
        sorted_as = sorting(run) if part == "train" else {}
        with Ledger(path) as ledger:
            for key, t in ledger.numbered():
                yield Episode(key, part, arms.get(key, (t.team,)), t, tasks.get(t.task_id), sorted_as.get(key))


def arms_by_key(folder: Path) -> dict[str, tuple[str, ...]]:
    """Key of an episode -> the arms that it counts for, by the files of scores."""
    found: dict[str, tuple[str, ...]] = {}
    for path in score_files(folder):
        for row in read_jsonl(path):
            key, arm = row.get("key"), row.get("arm")
            if key and arm and arm not in found.get(key, ()):
                found[key] = (*found.get(key, ()), arm)
    return found


@dataclass
class Listing:
    """The lines of a list, and what was counted on the way."""

    run: Path
    wanted: Wanted = field(default_factory=Wanted)
    looked_at: int = 0
    listed: int = 0
    arms: Counter[str] = field(default_factory=Counter)

    def lines(self, *, as_json: bool = False) -> Iterator[str]:
        """The list: a header and a line an episode, or a JSON object a line.

        Raises:
            StageError: no such run folder, or a label, level or arm that is none.
        """
        check(self.wanted)
        for episode in episodes(self.run, self.wanted.split):
            self.looked_at += 1
            self.arms.update(episode.arms)
            if not fits(episode, self.wanted):
                continue
            if not self.listed and not as_json:
                yield HEADER
            self.listed += 1
            yield json.dumps(episode.row(), ensure_ascii=False) if as_json else line(episode)
        if self.wanted.arm is not None and self.looked_at and self.wanted.arm not in self.arms:
            raise StageError(f"no episode is of an arm {self.wanted.arm!r}; there are {', '.join(sorted(self.arms))}")

    def count(self) -> str:
        """How many of how many were listed."""
        return f"{self.listed} of {self.looked_at} episodes; `retort show {self.run} KEY` shows one"


COLUMNS = (("key", 16), ("split", 5), ("arm", 20), ("form", 6), ("level", 12), ("right", 5), ("label", 14))
HEADER = "  ".join([*(f"{name:<{wide}}" for name, wide in COLUMNS), f"{'answer':<{ANSWER_CHARS}}", "question"])


def line(episode: Episode) -> str:
    """An episode as a line of the table; what a model wrote is shown on it, never obeyed by the terminal."""
    t, task = episode.trajectory, episode.task
    right = {True: "yes", False: "no", None: "-"}[episode.right]
    level = task.level if task else "-"
    label = t.label or t.stop
    cells = [episode.key, episode.split, "+".join(episode.arms), t.form, level, right, label]
    shown = [f"{short(cell, wide):<{wide}}" for cell, (_, wide) in zip(cells, COLUMNS, strict=True)]
    answer = short(t.answer if t.answer is not None else f"({t.stop})", ANSWER_CHARS)
    return "  ".join([*shown, f"{answer:<{ANSWER_CHARS}}", short(episode.question, QUESTION_CHARS)])


def short(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters."""
    return shortened(printable(" ".join(text.split())), most)
