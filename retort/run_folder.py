"""A config and its run folder: its tasks, its teams, and the context in which its episodes are played."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from agents.context import Context, Mode, Seat, Team, Verify
from agents.errors import StageError
from agents.files import read_models
from agents.folders import absolute
from agents.providers.hf import hf_line
from agents.providers.scripted import with_exam
from agents.task import Form, Task
from graphs.trajectory import digest

from .config import RunConfig, write_resolved
from .folders import check_place, claim


class RunFolder:
    """A config and its run folder: where a run's files lie, and with whom and by which rules its episodes are played.

    Args:
        source: the run.toml that the config was read from; None = no file.

    Raises:
        FolderError: `folder` is no path.
    """

    def __init__(self, config: RunConfig, folder: Path, source: Path | None = None) -> None:
        self.config = config
        self.folder = absolute(folder)
        self.source = source

    def check_place(self) -> None:
        """Raise FolderError or StageError where the run folder is none, another config's, or holds the corpus."""
        check_place(self.folder, self.source, (self.config.corpus.manuals, self.config.corpus.facts))

    def settle(self) -> None:
        """Write the run folder's own run.toml, and whose it is."""
        write_resolved(self.config, self.folder)
        claim(self.folder, self.source)

    def tasks(self, split: str | None = None) -> list[Task]:
        """The exam's tasks, of one split or all."""
        rows = read_models(self.folder / "exam.jsonl", Task, "exam")
        return [task for task in rows if split is None or task.split == split]

    def team(self, name: str) -> Team:
        """The team of an arm: base, student, a training, or one of [teams]; the demonstrator gets this run's exam."""
        if name in self.config.teams:
            team = self.config.teams[name].named(name)
        else:
            student = self.config.student
            seat = Seat(
                model=self.student_model(name),
                max_tokens=student.max_tokens,
                transport=student.transport,
                chat_template=student.chat_template if name == "base" else None,  # a trained one carries its own
            )
            team = Team(name=name, reason=seat)

        lines = {role: with_exam(seat.model, self.folder / "exam.jsonl") for role, seat in team.seats().items()}
        seats = {role: seat.model_copy(update={"model": lines[role]}) for role, seat in team.seats().items()}
        return team.model_copy(update=seats)

    def student_model(self, name: str) -> str:
        """The hf seat of base, of what a training made, or of student, which is what the last one made."""
        if name == "base":
            return hf_line(self.config.student.base)
        names = self.config.student.trainings
        stage = name if name in names else names[-1]
        folder = self.folder / "students" / stage
        if not folder.exists():
            raise StageError(f"{folder} is not there: run the stage {stage!r} first")
        return hf_line(folder)

    def collecting(self, mode: Mode, form: Form = "free") -> Context:
        """The context of collected episodes: held-out pages barred, faults put in where the config says."""
        options = self.config.collect
        context = self.context(options.team, mode, options.verify, held_out=True)
        return context.model_copy(update={"faults": options.faults, "form": form})

    def to_collect(self, tasks: Sequence[Task]) -> Iterator[tuple[str, Context, list[Task]]]:
        """What is collected, part by part: its name, the context, and those of `tasks` that are played in it."""
        for mode in self.config.collect.modes:
            for form in FORMS:
                part = [task for task in tasks if form_of(task, self.config.collect.choice) == form]
                if part:
                    yield mode if form == "free" else f"{mode}, choice", self.collecting(mode, form), part

    def context(self, team: str, mode: Mode, verify: Verify, *, held_out: bool) -> Context:
        """The runtime context of an episode; `held_out` bars the pages that training must not see."""
        return Context(
            team=RunFolder.team(self, team),
            library=str(self.folder / "library"),
            without=str(self.folder / "held_out.json") if held_out else None,
            board=self.config.board,
            mode=mode,
            verify=verify,
        )


FORMS: tuple[Form, ...] = ("free", "choice")


def form_of(task: Task, share: float) -> Form:
    """The form in which a training question is played: of those with options a share of `share`, by its id."""
    return "choice" if task.options and int(digest(task.id), 16) % 10_000 < share * 10_000 else "free"
