"""The line: each stage reads files of the run folder and writes files there; only what is missing or stale is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.context import Context, Mode, Seat, Team, Verify
from agents.errors import ProofError, StageError
from agents.files import read_json, read_jsonl, read_model, read_models, write_json, write_jsonl
from agents.folders import absolute
from agents.providers.hf import hf_line
from agents.providers.scripted import with_exam
from agents.task import Form, Task
from graphs.contents import recall, remember
from graphs.trajectory import digest

from . import lines
from .boards import COLLECTED
from .config import RunConfig, write_resolved
from .doctor.before import refuse_broken
from .evaluation import check_scores, evaluate, leaderboard
from .folders import check_place, claim
from .lock import alone
from .parts import Parts
from .stages import HASHES, Found, looked_at, mark, parts_of, sources, unmark
from .table import STAGES, Stage, stages_of

if TYPE_CHECKING:
    from graphs.runner.collect import Collected


def say(text: str) -> None:
    """A line for the person who waits; standard error, so that standard output stays the result."""
    print(text, file=sys.stderr, flush=True)


class Run:
    """A config and its run folder.

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
        """The team of an arm: base, cpt, student, or one of [teams]; the demonstrator gets this run's exam."""
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
        """The seat in this process of base, cpt or student."""
        if name == "base":
            return hf_line(self.config.student.base)
        stage = "cpt" if name == "cpt" else self.config.student.stages[-1]
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
            team=self.team(team),
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


def index(run: Run) -> str:
    """Manuals and facts into library/ and facts.jsonl; what is not read of them into skipped.jsonl."""
    from agents.corpus.documents import scan
    from agents.corpus.facts import read_facts
    from agents.corpus.index import Library

    corpus = run.config.corpus
    rows: list[dict[str, Any]] = []
    if corpus.manuals is not None and corpus.facts is not None:
        documents, skipped = scan(corpus.manuals)
        facts, remarks = read_facts(corpus.facts)
        rows += [each._asdict() for each in skipped]
        rows += [{"file": corpus.facts.name, **each._asdict()} for each in remarks]
    else:
        from agents.corpus.sources import stdlib

        documents, facts = stdlib.documents(), stdlib.facts()
    library = Library.build(documents, index=run.config.index)
    library.save(run.folder / "library")
    write_jsonl(run.folder / "facts.jsonl", facts)
    write_jsonl(run.folder / lines.SKIPPED, rows)
    for line in lines.passed_over(rows, run.folder / lines.SKIPPED):
        say(f"  {line}")
    note = f", {library.index.note}" if library.index.note else ""
    return f"{len(documents)} pages, {len(library.chunks)} chunks{note}, {len(facts)} facts{lines.left_out(rows)}"


def exam(run: Run) -> str:
    """Facts into exam.jsonl, held_out.json and exam.json; those that ask nothing into facts_rejected.jsonl."""
    from agents.corpus.facts import read_facts
    from agents.corpus.index import Library
    from distill.exam.build import build_exam

    facts, _ = read_facts(run.folder / "facts.jsonl")
    config = run.config.exam.model_copy(update={"seed": run.config.exam_seed()})
    made = build_exam(facts, Library.open(run.folder / "library"), config)
    say(made.summary())
    write_jsonl(
        run.folder / lines.REJECTED, lines.rejected(read_jsonl(run.folder / lines.SKIPPED, "index"), made.rejected)
    )
    write_jsonl(run.folder / "exam.jsonl", made.tasks)
    write_json(run.folder / "held_out.json", made.held_out.model_dump(mode="json"))
    write_json(run.folder / "exam.json", {"counts": made.counts, "baselines": made.baselines})
    for line in lines.facts_needed(made.counts, run.folder / lines.REJECTED):
        say(f"  {line}")
    splits = {name: sum(task.split == name for task in made.tasks) for name in ("train", "dev", "test")}
    return f"{splits['train']} training tasks, {splits['dev']} dev, {splits['test']} held out"


def collect(run: Run) -> str:
    """The teacher team plays the training tasks into the ledger."""
    from graphs.board import board_parts
    from graphs.episode import Table
    from graphs.runner.collect import collect as play_all
    from graphs.runner.collect import now
    from graphs.runner.ledger import Ledger

    options = run.config.collect
    tasks = run.tasks("train")[: options.tasks]
    said = []
    with Ledger(run.folder / "ledger.sqlite") as ledger:
        broken = ledger.set_aside_broken()
        if broken:
            say(f"  {broken} episodes that could not be read are set aside, and played again where they are asked for")
        for name, context, part in run.to_collect(tasks):
            table = Table.lay(context)
            how = {"concurrency": options.concurrency, "samples": options.samples, "workers": options.workers}
            playing = play_all(
                part,
                table,
                ledger,
                title=f"collect {name}",
                enough=options.enough,
                budget=run.config.budget,
                told=partial(summarise, run, name),
                **how,
            )
            done = now(playing)
            if done.failures:
                raise StageError(
                    f"collect: {sum(done.failures.values())} of {done.wanted} episodes failed at the endpoint; the "
                    "others are recorded, run the same command again for the rest\n" + "\n".join(done.failed())
                )
            said.append(f"{name}: {done.said()}")
    write_json(run.folder / COLLECTED, board_parts(run.collecting(options.modes[0])))  # the mode is no part of it
    return "; ".join(said)


def summarise(run: Run, name: str, done: Collected) -> None:
    """Write what collecting one part has done and cost into collect.json."""
    path = run.folder / "collect.json"
    try:
        modes = read_json(path, "collect") if path.exists() else {}
    except StageError:  # broken: what other modes cost stands in the ledger as well
        modes = {}
    modes = modes if isinstance(modes, dict) else {}
    write_json(path, {**modes, name: done.model_dump(mode="json")})


def dataset(run: Run) -> str:
    """The ledger into kept.jsonl, dropped.jsonl and the training files; blocked by the leak proof."""
    from agents.corpus.index import Library
    from distill.dataset import training_texts, write_dataset
    from distill.exam.split import HeldOut
    from distill.keep import sort_ledger, write_sorted
    from distill.leaks import leaks
    from graphs.episode import Table
    from graphs.runner.ledger import Ledger

    options = run.config.collect
    every = {task.id: task for task in run.tasks()}
    barred = read_model(run.folder / "held_out.json", HeldOut, "exam")
    chunks = Library.open(run.folder / "library", without=frozenset(barred.chunks)).chunks
    current = set()
    for _, context, part in run.to_collect(list(every.values())):
        table = Table.lay(context)
        current |= {table.key(task, n) for task in part for n in range(options.samples)}
    with Ledger(run.folder / "ledger.sqlite") as ledger:
        result = sort_ledger(every, ledger, run.config.dataset.per_task, current, run.config.dataset.drop)
        if len(result.kept) + len(result.dropped) != len(ledger):
            raise ProofError(
                f"{len(result.kept)} kept + {len(result.dropped)} dropped is not {len(ledger)} in the ledger"
            )
        if not result.kept:
            raise StageError(
                f"no episode of {len(result.dropped)} was kept ({result.reasons()}): `retort show` opens one"
            )
        tests = [task for task in every.values() if task.split == "test"]
        texts = training_texts(result.kept, chunks, run.config.dataset)
        report = leaks(texts, barred, tests, Library.open(run.folder / "library"))
        write_json(run.folder / "leaks.json", [lines.leak_proof(report)])
        report.check()
        counts = write_dataset(run.folder, every, result, chunks, run.config.dataset)
        write_sorted(result, run.folder)
    reasons = ", ".join(f"{name} {number}" for name, number in counts["reasons"].items())
    return f"{counts['kept']} kept, {counts['dropped']} dropped{' (' + reasons + ')' if reasons else ''}"


def cpt(run: Run) -> str:
    """Continual pretraining of the base on the allowed pages."""
    from finetune.pretrain import pretrain

    out, student, data = run.folder / "students" / "cpt", run.config.student, run.folder / "data" / "cpt.jsonl"
    config = run.config.cpt.templated(student.chat_template)
    done = pretrain(student.base, data, out, config, seed=run.config.seed)
    return lines.training_said(done)


def sft(run: Run) -> str:
    """Supervised fine-tuning on the kept episodes, from the base or from what CPT made of it."""
    from finetune.sft import sft as train

    student, data = run.config.student, run.folder / "data" / "sft.jsonl"
    base = str(run.folder / "students" / "cpt") if "cpt" in student.stages else student.base
    config = run.config.sft.templated(student.chat_template)
    out = run.folder / "students" / "sft"
    done = train(base, data, out, config, seed=run.config.seed, transport=student.transport)
    return lines.training_said(done)


def check_budget(run: Run, only: Sequence[str] | None) -> None:
    """Raise ConfigError where the money of a stage that plays could not be counted."""
    from agents.models.prices import check_prices

    config = run.config
    plays: list[tuple[str, Mode, Verify]] = []
    if only is None or "collect" in only:
        plays += [(config.collect.team, mode, config.collect.verify) for mode in config.collect.modes]
    if only is None or "evaluate" in only:
        check_scores(run)
        plays += [(arm.team, arm.mode, "score") for arm in config.arms() if arm.team in config.teams]
    for name, mode, verify in plays:
        context = Context(team=run.team(name), library="", board=config.board, mode=mode, verify=verify)
        check_prices(config.budget, context)


WORK: dict[str, Callable[[Run], str]] = {
    "index": index,
    "exam": exam,
    "collect": collect,
    "dataset": dataset,
    "cpt": cpt,
    "sft": sft,
    "evaluate": evaluate,
    "leaderboard": leaderboard,
}


def needed(run: Run, stage: Stage, code: Mapping[str, Parts] | None = None) -> dict[str, Found]:
    """The states of all stages; raises StageError where one that `stage` reads is not fresh.

    Args:
        code: what `sources` told; None = the source as it is now.
    """
    found = looked_at(run, code)
    late = [name for name in stage.needs if name in found and found[name].state != "fresh"]
    if late:
        raise StageError(lines.run_first(stage.name, late[0], found[late[0]].said(), run.folder))
    return found


def work(run: Run, only: Sequence[str] | None = None, *, force: bool = False) -> None:
    """Do the stages that are missing or stale, all or some; `force` does the named ones in any case.

    Raises:
        StageError: a stage outside `only` that a wanted one reads is not fresh, something that it needs is broken, or
            another process works on the run.
        ConfigError: a budget in USD with seats that have no price, said before anything is done.
    """
    check_budget(run, only)
    run.check_place()
    with alone(run.folder):
        run.settle()
        recall(run.folder / HASHES)
        try:
            do(run, only, force=force)
        finally:
            remember(run.folder / HASHES)


PLAYED = ("collect", "cpt", "sft", "evaluate")
"""Stages before which is looked at what can be broken: those that pay a teacher, or train what it is paid for."""


def do(run: Run, only: Sequence[str] | None, *, force: bool) -> None:
    """`work` on a run folder that this process holds."""
    # Taken once: a module that is edited while its stage waits may have been imported before.
    code = sources()
    looked = False
    for stage in stages_of(run.config):
        if only is not None and stage.name not in only:
            continue
        found = needed(run, stage, code)
        state, why = found[stage.name].state, found[stage.name].why
        if state == "fresh" and only is not None:
            why = unusable(run, stage.name)
        if state == "fresh" and not why and not (force and only):
            say(f"{stage.name:<12} fresh")
            continue
        if stage.name in PLAYED and not looked:
            looked = True
            later = stages_of(run.config)
            names = [each.name for each in later[later.index(stage) :] if only is None or each.name in only]
            for remark in refuse_broken(run, names):
                say(f"{'':<12} {remark}")
        say(f"{stage.name:<12} {stage.does}{f'  ({why})' if why else ''}")
        depends = parts_of(run, stage, code[stage.name])
        unmark(run.folder, stage.name)
        begun = time.monotonic()
        said = WORK[stage.name](run)
        seconds = time.monotonic() - begun
        mark(run.folder, stage.name, depends, seconds, said)
        say(f"{'':<12} {said}  [{seconds:.1f} s]")


def unusable(run: Run, stage: str) -> str:
    """Why what a stage made cannot be used although every file is as it was; empty where it can."""
    from agents.corpus.index import Library

    try:
        if stage == "index":
            Library.open(run.folder / "library")
    except StageError as error:
        return str(error)
    return ""


assert list(WORK) == list(STAGES), "every stage has its work"
