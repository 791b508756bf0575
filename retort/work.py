"""What each stage does: it reads files of the run folder, writes files there, and says in a line what it made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from agents.errors import ProofError, StageError
from agents.files import read_json, read_jsonl, read_model, write_json, write_jsonl

from . import lines
from .boards import COLLECTED
from .evaluation import evaluate, leaderboard
from .lines import say
from .table import STAGES, row_files

if TYPE_CHECKING:
    from graphs.runner.collect import Collected

    from .pipeline import Run


def index(run: Run) -> str:
    """The source's pages and facts into library/ and facts.jsonl; what is not read of them into skipped.jsonl."""
    from agents.corpus.library import Library

    corpus = run.config.corpus.opened().read()
    library = Library.build(corpus.documents, index=run.config.index)
    library.save(run.folder / "library")
    write_jsonl(run.folder / "facts.jsonl", corpus.facts)
    write_jsonl(run.folder / lines.SKIPPED, corpus.left_out)
    for line in lines.passed_over(corpus.left_out, run.folder / lines.SKIPPED):
        say(f"  {line}")
    made = f"{len(corpus.documents)} pages, {library.summary}, {len(corpus.facts)} facts"
    return made + lines.left_out(corpus.left_out)


def exam(run: Run) -> str:
    """Facts into exam.jsonl, held_out.json and exam.json; those that ask nothing into facts_rejected.jsonl."""
    from agents.corpus.facts import read_facts
    from agents.corpus.library import Library
    from distill.exam.build import build_exam
    from distill.exam.kinds import kinds_of

    facts, _ = read_facts(run.folder / "facts.jsonl")
    config = run.config.exam.model_copy(update={"seed": run.config.exam_seed()})
    kinds = kinds_of(config.kinds, run.config.corpus.opened().kinds)
    made = build_exam(facts, Library.open(run.folder / "library"), config, kinds)
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
    summaries = []
    with Ledger(run.folder / "ledger.sqlite") as ledger:
        broken = ledger.set_aside_broken()
        if broken:
            say(f"  {broken} episodes that could not be read are set aside, and played again where they are asked for")
        for name, context, part in run.to_collect(tasks):
            table = Table.from_context(context)
            how = {"concurrency": options.concurrency, "samples": options.samples, "workers": options.workers}
            playing = play_all(
                part,
                table,
                ledger,
                title=f"collect {name}",
                enough=options.enough,
                budget=run.config.budget,
                executor=options.executor,
                on_summary=partial(summarise, run, name),
                **how,
            )
            done = now(playing)
            if done.failures:
                raise StageError(
                    f"collect: {sum(done.failures.values())} of {done.wanted} episodes failed at the endpoint; the "
                    "others are recorded, run the same command again for the rest\n" + "\n".join(done.failed())
                )
            summaries.append(f"{name}: {done.summary()}")
    write_json(run.folder / COLLECTED, board_parts(run.collecting(options.modes[0])))  # the mode is no part of it
    return "; ".join(summaries)


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
    from agents.corpus.library import Library
    from distill.dataset import texts_of, write_dataset
    from distill.exam.split import HeldOut
    from distill.keep import sort_ledger, write_sorted
    from distill.leaks import leaks
    from distill.rows import Source
    from graphs.episode import Table
    from graphs.runner.ledger import Ledger

    options = run.config.collect
    every = {task.id: task for task in run.tasks()}
    barred = read_model(run.folder / "held_out.json", HeldOut, "exam")
    chunks = Library.open(run.folder / "library", without=frozenset(barred.chunks)).chunks
    current = set()
    for _, context, part in run.to_collect(list(every.values())):
        table = Table.from_context(context)
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
        files = row_files(run.config)
        source = Source(every, result.kept, chunks, run.config.dataset, result.siblings)
        report = leaks(texts_of(source, files), barred, tests, Library.open(run.folder / "library"))
        write_json(run.folder / "leaks.json", [lines.leak_proof(report)])
        report.check()
        counts = write_dataset(run.folder, every, result, chunks, run.config.dataset, files)
        write_sorted(result, run.folder)
    reasons = ", ".join(f"{name} {number}" for name, number in counts["reasons"].items())
    more = "".join(f", {number} rows of {name}" for name, number in counts.get("rows", {}).items())
    return f"{counts['kept']} kept, {counts['dropped']} dropped{' (' + reasons + ')' if reasons else ''}{more}"


def train(run: Run, name: str) -> str:
    """One training of the student, from what the training before it made, or from the base."""
    from finetune.methods import Job, method

    student, names = run.config.student, run.config.student.trainings
    at = names.index(name)
    kind = method(student.stages[at])
    job = Job(
        base=str(run.folder / "students" / names[at - 1]) if at else student.base,
        data=run.folder / "data" / kind.rows.name,
        out=run.folder / "students" / name,
        config=run.config.training(name).templated(student.chat_template),
        seed=run.config.seed,
        transport=student.transport,
    )
    return lines.training_said(kind.train(job))


WORK: dict[str, Callable[[Run], str]] = {
    "index": index,
    "exam": exam,
    "collect": collect,
    "dataset": dataset,
    "evaluate": evaluate,
    "leaderboard": leaderboard,
}

assert list(WORK) == list(STAGES), "every stage has its work"


def work_of(stage: str) -> Callable[[Run], str]:
    """What does a stage; one that is none of the fixed ones is a training."""
    return WORK.get(stage) or partial(train, name=stage)
