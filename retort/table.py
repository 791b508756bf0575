"""The stages in their order: what each does, reads, makes, and everything that its result depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from agents.corpus.sources import sources
from agents.errors import StageError
from agents.models.templates import template_text
from agents.registry import file_of
from distill.dataset import STANDARD
from distill.exam.kinds import question_kinds
from distill.rows import RowFile
from finetune.methods import BUILTIN, method, short, sources_of
from graphs.trajectory import digest

from . import parts
from .boards import COLLECTED as COLLECTED_BOARD
from .boards import NOTES
from .config import RunConfig
from .parts import Parts

if TYPE_CHECKING:
    from .pipeline import Run

LIBRARY = ("agents/files.py", "agents/corpus/**/*.py")
LIBRARY_FILES = ("library/chunks.jsonl", "library/library.json")
"""What an episode reads of the library: the chunks, and which index is asked (where its model lies is no matter)."""
PLAY = (
    "agents/*.py",
    "agents/corpus/*.py",
    "agents/corpus/indexes/*.py",
    "agents/prompts/*",
    "agents/models/*.py",
    "agents/models/templates/*.py",
    "agents/providers/*.py",
    "agents/tools/*.py",
    "agents/toolcalls/*.py",
    "graphs/*.py",
    "!graphs/checkpoints.py",
    "!graphs/contents.py",
    "retort/run_folder.py",
)
"""What plays and judges an episode."""
EXAM = ("distill/exam/*.py",)
"""What builds and audits an exam."""
RUNNER = ("graphs/runner/*.py",)
TRAINING = (
    "agents/files.py",
    "agents/models/rendering.py",
    "agents/models/engine.py",
    "agents/models/hf.py",
    "agents/models/bases.py",
    "agents/models/weights.py",
    "agents/models/templates/*.py",
    "agents/providers/hf.py",
    "agents/toolcalls/*.py",
    "agents/tools/schemas.py",
    "finetune/*.py",
)
COLLECTED = ("collect", "!collect.concurrency", "!collect.workers", "!collect.executor", "board")
"""Settings that make an episode of collecting one that is asked for."""
REPORTED = ("proofs.json", "training.json", "losses.jsonl")
"""Files of a student's folder that the report shows."""


@dataclass(frozen=True)
class Stage:
    """One station of the line."""

    name: str
    does: str
    needs: tuple[str, ...]
    """Stages whose output it reads."""
    settings: tuple[str, ...]
    """Sections and keys of run.toml that it reads; `!SECTION.KEY` changes nothing in what it makes."""
    reads: tuple[str, ...]
    """Files of the run folder that it reads, as globs."""
    code: tuple[str, ...]
    """Source that makes its result, as globs from the project's root; tests/test_freshness_code.py proves it whole."""
    makes: tuple[str, ...]
    """Files and folders of the run folder that it makes."""
    more: tuple[Callable[[Run], Parts], ...] = ()
    """Parts that are neither: the corpus, players, tools, weights, templates."""


def corpus(run: Run) -> Parts:
    """Pages and facts, and the source where it is none of Retort's own."""
    return {**parts.corpus(run.config.corpus.opened()), **parts.foreign(sources, [run.config.corpus.source])}


def kinds(run: Run) -> Parts:
    """The kinds of question that are none of Retort's own."""
    return parts.foreign(question_kinds, run.config.exam.kinds)


def index(run: Run) -> Parts:
    """What the index is: its own code, its packages, its embedding model."""
    return parts.index(run.config.index)


def tools(run: Run) -> Parts:
    """The user's own tools."""
    return parts.tools(run.config.board)


def own_executor(section: Literal["collect", "evaluate"]) -> Callable[[Run], Parts]:
    """The code of an executor that is not Retort's."""

    def found(run: Run) -> Parts:
        return parts.executor(getattr(run.config, section).executor)

    return found


def teacher(run: Run) -> Parts:
    """Who plays the training tasks."""
    return seated(run, [run.config.collect.team])


def players(run: Run) -> Parts:
    """Who plays the held-out exam, in which arms."""
    arms = run.config.arms()
    rows = [arm.model_dump(mode="json") for arm in arms]
    return {"config.evaluate.arms": digest(rows), **seated(run, [arm.team for arm in arms])}


def scorers(run: Run) -> Parts:
    """The scores with their source, and who is asked by them."""
    from .evaluation import scoring

    made = scoring(run)
    return {f"score.{name}": digest(source, made.who.get(name)) for name, source in made.sources.items()}


def seated(run: Run, names: list[str]) -> Parts:
    """The players of teams; one that is still to be trained is absent."""
    found: Parts = {}
    for name in dict.fromkeys(names):
        try:
            found |= parts.players(run.team(name))
        except StageError:
            found[f"team.{name}.reason.weights"] = parts.ABSENT
    return found


def base(run: Run) -> Parts:
    """The base that is trained."""
    return parts.model(run.config.student.base)


def start(before: str | None) -> Callable[[Run], Parts]:
    """What a training starts from: what the training before it made, or the base."""
    return base if before is None else lambda run: parts.trained(run.folder, before)


def own_method(stage: str) -> Callable[[Run], Parts]:
    """The source of a method that comes from elsewhere; Retort's own stands among the code of the stage."""

    def found(run: Run) -> Parts:
        elsewhere = [path for path in sources_of(stage) if not path.is_relative_to(parts.ROOT)]
        return {f"method.{path.name}": parts.content(path) for path in elsewhere}

    return found


def own_rows(run: Run) -> Parts:
    """The source of rows that are made by a method from elsewhere."""
    paths = [file_of(file.make) for file in row_files(run.config)]
    elsewhere = [path for path in paths if path is not None and not path.is_relative_to(parts.ROOT)]
    return {f"method.{path.name}": parts.content(path) for path in elsewhere}


def template(section: str) -> Callable[[Run], Parts]:
    """A training's own chat template, and the base's path where what is made names it: an adapter does."""

    def found(run: Run) -> Parts:
        config = run.config.training(section).templated(run.config.student.chat_template)
        own: Parts = {}
        if config.chat_template is not None:
            own[f"template.{section}"] = digest(template_text(config.chat_template))
        if config.method != "full":
            own["config.student.base"] = digest(run.config.student.base)
        return own

    return found


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "index",
            "manuals -> library",
            (),
            ("corpus.source", "corpus.loaders", "index"),
            (),
            (*LIBRARY, "agents/folders.py", "retort/work.py:index"),
            ("library", "facts.jsonl", "skipped.jsonl"),
            (corpus, index),
        ),
        Stage(
            "exam",
            "facts -> exam",
            ("index",),
            ("exam", "corpus.source"),
            ("library/chunks.jsonl", "facts.jsonl", "skipped.jsonl"),
            (
                *LIBRARY,
                "agents/answers.py",
                "agents/task.py",
                *EXAM,
                "retort/work.py:exam",
            ),
            ("exam.jsonl", "held_out.json", "exam.json", "facts_rejected.jsonl"),
            (kinds,),
        ),
        Stage(
            "collect",
            "teacher team -> ledger",
            ("exam",),
            COLLECTED,
            ("exam.jsonl", "held_out.json", *LIBRARY_FILES),
            (*PLAY, *RUNNER, "retort/work.py:collect"),
            ("ledger.sqlite", "collect.json", COLLECTED_BOARD),
            (teacher, tools, own_executor("collect")),
        ),
        Stage(
            "dataset",
            "ledger -> kept, dropped, training files",
            ("collect",),
            # Which episodes of the ledger are asked for follows from all that collecting follows from.
            ("dataset", *COLLECTED),
            ("exam.jsonl", "held_out.json", *LIBRARY_FILES, "ledger.sqlite"),
            (
                *PLAY,
                "distill/dataset.py",
                "distill/exam/evidence.py",
                "distill/keep.py",
                "distill/leaks.py",
                "distill/rows.py",
                "graphs/runner/ledger.py",
                "distill/exam/names.py",
                "distill/exam/split.py",
                "distill/exam/statements.py",
                "retort/work.py:dataset",
            ),
            ("kept.jsonl", "dropped.jsonl", "data/README.md", "leaks.json", "dataset.json"),
            (teacher, tools),
        ),
        Stage(
            "evaluate",
            "arms -> scores on the held-out exam",
            ("exam",),
            ("evaluate.tasks", "evaluate.forms", "board"),
            ("exam.jsonl", *LIBRARY_FILES),
            (*PLAY, *RUNNER, "evals/likelihood.py", "evals/looks.py", "evals/places.py", "evals/replay.py")
            + ("evals/scores.py", "evals/scorers/*.py", "evals/scoring.py", "evals/asking.py", "evals/jobs.py")
            + ("evals/journal.py", "evals/weighed.py", "retort/config.py:Arm", "retort/evaluation.py"),
            ("scores", "board.json"),
            (players, tools, scorers, own_executor("evaluate")),
        ),
        Stage(
            "leaderboard",
            "scores -> leaderboard and report",
            ("evaluate", "dataset"),
            ("evaluate.tasks", "evaluate.forms", "collect.team"),
            ("exam.jsonl", "exam.json", "scores/*.jsonl", "collect.json", "dataset.json", "data/README.md")
            + (
                "kept.jsonl",
                "dropped.jsonl",
                "board.json",
                COLLECTED_BOARD,
                "leaks.json",
                *(f"students/*/{name}" for name in REPORTED),
            ),
            (
                "agents/answers.py",
                "agents/context.py",
                "agents/tools/schemas.py",
                "agents/corpus/*.py",
                "agents/corpus/indexes/*.py",
                "agents/own_code.py",
                "agents/providers/*.py",
                "agents/redaction.py",
                "agents/registry.py",
                "agents/task.py",
                "agents/tools/schemas.py",
                "distill/exam/baselines.py",
                "distill/exam/cues.py",
                "distill/exam/drafts.py",
                "distill/exam/evidence.py",
                "distill/exam/guessable.py",
                "distill/exam/kinds.py",
                "graphs/runner/ledger.py",
                "distill/exam/names.py",
                "distill/exam/paraphrase.py",
                "distill/exam/probe.py",
                "distill/exam/statements.py",
                "distill/exam/wording.py",
                "evals/**/*",
                "graphs/trajectory.py",
                "retort/boards.py",
                "retort/evaluation.py",
            ),
            ("leaderboard.json", "leaderboard.csv", "leaderboard.md", "baselines.jsonl", NOTES, "report.html"),
            (players, scorers),
        ),
    )
}
"""The stages that every config has; trainings come between `dataset` and `evaluate`."""


def row_files(config: RunConfig) -> list[RowFile]:
    """The files of training rows that a run makes: those of every run, and those that its trainings read."""
    return list(dict.fromkeys([*STANDARD, *(method(stage).rows for stage in config.student.stages)]))


def training(spec: str, before: str | None) -> Stage:
    """The stage of a training.

    Args:
        spec: as it stands in [student] stages.
        before: the training whose result it starts from; None = the base.
    """
    name, kind = short(spec), method(spec)
    own = {path for path in sources_of(spec) if path.is_relative_to(parts.ROOT)}
    others = {path for each in BUILTIN for path in sources_of(each)} - own
    return Stage(
        name,
        kind.does,
        ("dataset",) if before is None else ("dataset", before),
        (name, "seed", *kind.reads, f"!{name}.chat_template", f"!{name}.save_every"),
        (f"data/{kind.rows.name}",),
        (
            *TRAINING,
            *sorted(path.relative_to(parts.ROOT).as_posix() for path in own),
            *sorted(f"!{path.relative_to(parts.ROOT).as_posix()}" for path in others),
            "retort/work.py:train",
        ),
        (f"students/{name}",),
        (start(before), template(name), own_method(spec)),
    )


def stages_of(config: RunConfig) -> list[Stage]:
    """The stages that this config runs, in order: its trainings stand behind the dataset."""
    names = config.student.trainings
    trainings = [training(each, names[at - 1] if at else None) for at, each in enumerate(config.student.stages)]
    files = row_files(config)
    rows = [path for file in files if (path := file_of(file.make)) is not None and path.is_relative_to(parts.ROOT)]
    found: list[Stage] = []
    for stage in STAGES.values():
        if stage.name == "dataset":
            code = dict.fromkeys((*stage.code, *(path.relative_to(parts.ROOT).as_posix() for path in rows)))
            makes = (*stage.makes, *(f"data/{file.name}" for file in files))
            found += [replace(stage, code=tuple(code), makes=makes, more=(*stage.more, own_rows)), *trainings]
        elif stage.name == "evaluate":
            found.append(replace(stage, needs=(*stage.needs, *names)))
        else:
            found.append(stage)
    return found


def stage_of(config: RunConfig, name: str) -> Stage:
    """A stage of this config; KeyError where it has none of that name."""
    return {stage.name: stage for stage in stages_of(config)}[name]


def stages_before(config: RunConfig, name: str) -> list[str]:
    """The names of the stages before a stage."""
    names = [stage.name for stage in stages_of(config)]
    return names[: names.index(name)]
