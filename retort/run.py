"""A run as an object: every stage is a method that returns what it made, as a blocking call or as a coroutine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agents.context import Mode, Team
from agents.errors import ConfigError
from agents.task import Form, Split, Task
from graphs.runner.loop import in_thread

from .config import RunConfig, load_config, validated
from .episodes import LOOP, RunTeam, begun
from .folders import beside, place_of
from .overrides import from_mapping
from .paths import absolute
from .progress import Callback, reported, say
from .run_folder import RunFolder

if TYPE_CHECKING:
    from evals.frames import Leaderboard
    from finetune.settings import TrainingResult
    from graphs.trajectory import Trajectory

    from .plan import Plan
    from .results import CollectResult, DatasetResult, ExamResult, IndexResult
    from .trajectories import Trajectories

TRUST = "give trust=True to Run.load"


class Run(RunFolder):
    """A config and its run folder, with a method for each stage.

    A stage does nothing where it is fresh, unless `force` is given, and raises StageError where one that it reads is
    not fresh. One process at a time works on a run folder. Progress goes to the logger `retort` and to `progress`.
    Every stage has a coroutine beside it (`collect_async`): it works in a thread of its own, and cancelling it ends
    the episodes that it plays. Blocking calls work inside a running event loop too, as in a notebook.

    Args:
        config: what run.toml says.
        folder: the run folder; a stage makes it.
        source: the run.toml that the config was read from; None = none.
        progress: called with each message on how far a stage is, maybe from another thread.
        trust: whether what the config names may be executed here, and given keys, without having been agreed to.

    Raises:
        FolderError: `folder` is no path.
    """

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        source: Path | None = None,
        *,
        progress: Callback | None = None,
        trust: bool = False,
    ) -> None:
        super().__init__(config, folder, source)
        self.progress = progress
        self.trust = trust

    @classmethod
    def load(
        cls,
        path: str | Path,
        folder: str | Path | None = None,
        *,
        overrides: Mapping[str, Any] | None = None,
        progress: Callback | None = None,
        trust: bool = False,
    ) -> Run:
        """The run of a run folder, a run.toml, or the folder that holds one; nothing is written.

        Args:
            path: where the config lies.
            folder: the run folder; None = `path` where it is one, else `runs/NAME` beside the config.
            overrides: dotted key of run.toml -> value that replaces it, as `--set` does.
            progress: see the class.
            trust: see the class.

        Raises:
            ConfigError: no config, or a broken one.
            StageError: the folder is another config's run.

        >>> retort.Run.load(run.folder, overrides={"sft.max_steps": 3}).config.sft.max_steps
        3
        """
        place = place_of(Path(path))
        config = load_config(place.config, from_mapping(overrides or {}))
        where = Path(folder) if folder is not None else place.run or beside(place.config, config.name)
        run = cls(config, where, place.config, progress=progress, trust=trust)
        run.check_place()
        return run

    @classmethod
    def create(
        cls,
        config: RunConfig | Mapping[str, Any] | str | Path,
        folder: str | Path,
        *,
        overrides: Mapping[str, Any] | None = None,
        progress: Callback | None = None,
        trust: bool | None = None,
    ) -> Run:
        """A run in `folder`, which is made with its run.toml; a folder that holds this run already is opened.

        Args:
            config: built in Python (a RunConfig, or plain tables as in run.toml, relative paths from the current
                folder), or the path of a run.toml.
            folder: the run folder.
            overrides: dotted key -> value that replaces it.
            progress: see the class.
            trust: see the class; None = a config that is built in Python is trusted, a file is not.

        Raises:
            ConfigError: an unknown key, or a value that does not fit.
            FolderError, StageError: the folder holds something else, or a run of another name.

        >>> tables = {"name": "sketch", "corpus": {"source": "stdlib"}, "exam": {"train": 40}}
        >>> made = retort.Run.create(tables, folder / "sketch", overrides={"exam.test": 20})
        >>> made.config.exam.train, made.config.exam.test, (made.folder / "run.toml").exists()
        (40, 20, True)
        """
        if isinstance(config, str | Path):
            run = cls.load(config, folder, overrides=overrides, progress=progress, trust=bool(trust))
        else:
            data = config.model_dump(mode="json", exclude_none=True) if isinstance(config, RunConfig) else config
            checked = validated(data, "the config", from_mapping(overrides or {}))
            made = absolute(checked, Path.cwd())
            run = cls(made, Path(folder), progress=progress, trust=True if trust is None else trust)
            run.check_place()
        with run._holding("Run.create"):
            from .lock import alone

            with alone(run.folder):
                run.settle()
        return run

    def team(self, name: str) -> Team:
        """A team by its name: base, student, a training such as cpt, or one of [teams].

        Raises:
            StageError: it is still to be trained.

        >>> run.team("teacher").reason.model.partition("@")[0]
        'scripted:answer-key'
        """
        return RunTeam.of(self, super().team(name))

    def index(self, *, force: bool = False) -> IndexResult:
        """Manuals into the library.

        >>> run.index().documents
        6
        """
        from .results import index_result

        self._work("index", force=force)
        return index_result(self)

    def exam(self, *, force: bool = False) -> ExamResult:
        """Facts into the exam; `tasks` gives its questions.

        >>> made = run.exam()
        >>> made.train == len(run.tasks("train"))
        True
        """
        from .results import exam_result

        self._work("exam", force=force)
        return exam_result(self)

    def collect(self, *, force: bool = False) -> CollectResult:
        """The teacher team plays the training tasks into the ledger.

        Raises:
            ProviderError, BudgetError: the endpoint is down, or the budget used up; the same call goes on later.

        >>> run.collect().parts["react"].failures
        {}
        """
        from .results import collect_result

        self._work("collect", force=force)
        return collect_result(self)

    def dataset(self, *, force: bool = False) -> DatasetResult:
        """The ledger into training files, with the reason for every episode that is dropped.

        >>> made = run.dataset()
        >>> made.kept + made.dropped == made.ledger
        True
        """
        from .results import dataset_result

        self._work("dataset", force=force)
        return dataset_result(self)

    def train(self, name: str | None = None, *, force: bool = False) -> TrainingResult:
        """Train and prove a student.

        Args:
            name: a training of the config's student.stages; None = all of them in their order.
            force: train again where it is fresh.

        Returns:
            What the last training made.

        Raises:
            ConfigError: the config has no training of that name.
            ProofError: a proof failed; the student is not published.

        >>> result = run.train("sft")
        >>> all(proof.passed for proof in result.proofs)
        True
        """
        from .results import training_result

        known = self.config.student.trainings
        names = [each for each in known if name in (None, each)]
        if not names:
            there = ", ".join(known) or "none: student.stages is empty"
            raise ConfigError(f"no training of this run is named {name!r}; there are {there}")
        self._work(*names, force=force)
        return training_result(self, names[-1])

    def evaluate(self, split: Literal["dev", "test"] = "test", *, force: bool = False) -> Leaderboard:
        """Every arm plays the held-out exam; the leaderboard and the report are written.

        Args:
            split: `dev` for choosing, as often as you like; it leaves the test alone.
            force: build the scores again; recorded episodes stay.

        >>> board = run.evaluate()
        >>> board.row("teacher").accuracy.value
        1.0
        >>> list(board.to_pandas()["arm"])
        ['base', 'base+cpt', 'student', 'student closed book', 'teacher']
        """
        from .results import leaderboard_of

        if split == "dev":
            self._dev()
        else:
            self._work("evaluate", "leaderboard", force=force)
        return leaderboard_of(self, split)

    def run(self) -> Leaderboard:
        """Every stage that is missing or stale, as `retort run` does.

        >>> run.run().row("teacher").n
        6
        """
        from .results import leaderboard_of

        self._work(force=False)
        return leaderboard_of(self)

    async def index_async(self, *, force: bool = False) -> IndexResult:
        """`index` as a coroutine."""
        return await in_thread(partial(self.index, force=force))

    async def exam_async(self, *, force: bool = False) -> ExamResult:
        """`exam` as a coroutine."""
        return await in_thread(partial(self.exam, force=force))

    async def collect_async(self, *, force: bool = False) -> CollectResult:
        """`collect` as a coroutine; cancelled, it ends the episodes in flight, and the next call goes on.

        >>> asyncio.run(run.collect_async()).stage
        'collect'
        """
        return await in_thread(partial(self.collect, force=force))

    async def dataset_async(self, *, force: bool = False) -> DatasetResult:
        """`dataset` as a coroutine."""
        return await in_thread(partial(self.dataset, force=force))

    async def train_async(self, name: str | None = None, *, force: bool = False) -> TrainingResult:
        """`train` as a coroutine; cancelled, it still trains to its end."""
        return await in_thread(partial(self.train, name, force=force))

    async def evaluate_async(self, split: Literal["dev", "test"] = "test", *, force: bool = False) -> Leaderboard:
        """`evaluate` as a coroutine."""
        return await in_thread(partial(self.evaluate, split, force=force))

    async def run_async(self) -> Leaderboard:
        """`run` as a coroutine."""
        return await in_thread(self.run)

    def plan(self, pilot: int | None = None) -> Plan:
        """What would be done and what it would roughly cost; as text what `retort plan` prints.

        Args:
            pilot: play so many training tasks for real, and forecast the rest from them.

        >>> {found.state for _, found in run.plan().stages}
        {'fresh'}
        """
        from .plan import planned

        with self._holding("Run.plan"):
            self.agree()
            return planned(self, pilot)

    def trajectories(
        self, split: Split = "train", *, accepted: bool | None = None, team: str | None = None
    ) -> Trajectories:
        """Recorded episodes.

        Args:
            split: `train`: what was collected; `dev`, `test`: what the arms played.
            accepted: only episodes that were accepted, or only others.
            team: only episodes of this team.

        >>> len(run.trajectories("test", team="teacher"))
        12
        """
        from .trajectories import trajectories

        return trajectories(self, split, accepted, team)

    def play(self, task: Task, team: str = "student", *, mode: Mode = "react", form: Form = "free") -> Trajectory:
        """Play one task; `retort.play` as a blocking call.

        >>> run.play(run.tasks("dev")[0], "teacher").stop
        'answered'
        """
        return begun(task, self.team(team), mode, form).result()

    @property
    def report(self) -> Path:
        """The report of the last evaluation, a page of HTML.

        >>> run.report.name
        'report.html'
        """
        return self.folder / "report.html"

    def agree(self) -> None:
        """Raise TrustError where what the config and its students name may not be executed here."""
        from .trust import agree

        home = self.source.parent if self.source is not None else self.folder
        agree(self.config, home, self.folder, trust=self.trust, ask=False, step=TRUST)

    def _work(self, *names: str, force: bool) -> None:
        """Do stages, all where none is named, with lock and freshness as the command line does them."""
        from .pipeline import work
        from .trust import made

        with self._holding(f"the stage {names[0]!r}" if names else "Run.run"):
            self.agree()
            work(self, names or None, force=force)
            made(self.config, self.folder)

    def _dev(self) -> None:
        from .evaluation import dev

        with self._holding("the stage 'evaluate'"):
            self.agree()
            dev(self)

    @contextmanager
    def _holding(self, what: str) -> Iterator[None]:
        """Hold this process's models, let nothing leave the machine unasked, and report progress."""
        from .outward import settle

        with LOOP.kept_for(what), reported(self.progress):
            if line := settle(self.config):
                say(line)
            yield

    def __repr__(self) -> str:
        return f"<Run {self.config.name!r} in {self.folder}>"
