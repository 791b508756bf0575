"""The command line: each stage alone or all of them, and what would be run or was played, to look at.

Only argparse is loaded for `--help`; everything heavy loads inside the command that uses it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Parser, place, port, seconds, whole

if TYPE_CHECKING:
    from .pipeline import Run

SINGLE = {
    "index": (("index",), "manuals -> library"),
    "exam": (("exam",), "facts -> exam with splits and levels"),
    "collect": (("collect",), "the teacher team plays the training tasks into the ledger"),
    "dataset": (("dataset",), "ledger -> kept, dropped and training files"),
    "train": (("cpt", "sft"), "continual pretraining, then fine-tuning, with their proofs"),
    "evaluate": (("evaluate",), "every arm plays the held-out exam in the same graph"),
    "leaderboard": (("leaderboard",), "scores -> leaderboard and report; prints the leaderboard"),
}
BEFORE_EVALUATE = ("index", "exam", "collect", "dataset", "cpt", "sft")


DEBUG = "RETORT_DEBUG"
"""Variable that shows tracebacks."""


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = Parser(
        prog="retort", description="Distil a team of agents working over your manuals into one small model of your own."
    )
    top.add_argument("--version", action="store_true", help="print the version")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    new = commands.add_parser("new", help="write a commented run.toml and a sample manual that runs into a new folder")
    new.add_argument("folder", type=place, metavar="DIR")
    new.add_argument("--bare", action="store_true", help="run.toml alone, without the sample manual")

    for name, text in [("run", "all stages that are missing or stale, ending with the leaderboard")] + [
        (name, about) for name, (_, about) in SINGLE.items()
    ]:
        one = commands.add_parser(name, help=text)
        placed(one)
        if name != "run":
            one.add_argument("--force", action="store_true", help="do it again even where it is fresh")
        if name in ("run", "evaluate", "leaderboard"):
            one.add_argument(
                "--split",
                choices=("dev", "test"),
                default="test",
                help="dev: the tasks for choosing",
            )
        if name == "leaderboard":
            machine_readable(one)

    plan = commands.add_parser("plan", help="what would run, how many calls and tokens, without spending any")
    placed(plan)
    plan.add_argument(
        "--pilot", type=whole, metavar="N", help="play N training tasks for real and forecast the rest with an interval"
    )
    machine_readable(plan)

    merge = commands.add_parser("merge", help="write a LoRA student as one full model, for servers")
    merge.add_argument(
        "student", type=place, metavar="STUDENT", help="a folder with an adapter, e.g. runs/NAME/students/sft"
    )
    merge.add_argument("out", type=place, metavar="OUT", help="the new model folder")

    doctor = commands.add_parser("doctor", help="probe every seat and this machine before a run is let loose")
    placed(doctor)
    doctor.add_argument("--seconds", type=seconds, default=30.0, metavar="S", help="for one call at the most")
    machine_readable(doctor)

    ask = commands.add_parser("ask", help="play one question of your own, every turn as it comes")
    ask.add_argument("run", type=place, metavar="RUN", help="a run folder, or the config of one")
    ask.add_argument("question", metavar="QUESTION")
    ask.add_argument("--team", default="student", help="student, base, cpt, or a name of [teams] (default: student)")
    ask.add_argument(
        "--option", action="append", default=[], metavar="TEXT", help="an answer to choose from; repeat it"
    )
    ask.add_argument("--mode", choices=("react", "cot", "answer"), default="react", help="cot, answer: closed book")
    trusting(ask)

    studio = commands.add_parser("studio", help="LangGraph Studio over a run; a stored trajectory opens as a thread")
    studio.add_argument("run", type=place, metavar="RUN", help="a run folder, or the config of one")
    studio.add_argument("--trajectory", metavar="KEY", help="open this episode (the start of its key is enough)")
    studio.add_argument("--port", type=port, metavar="N", help="port of the server (default: 2024, or a free one)")
    studio.add_argument("--no-browser", action="store_true", help="print the page's address, do not open it")
    trusting(studio)

    show = commands.add_parser("show", help="a run's leaderboard, or one episode of it, in the terminal")
    show.add_argument("run", type=place, metavar="RUN", help="a run folder, or the config of one")
    show.add_argument("what", nargs="?", metavar="KEY", help="an episode's key (its start is enough) or a task id")
    show.add_argument("--arm", help="only episodes of this team")
    looks(commands)
    return top


def looks(commands: argparse._SubParsersAction[Parser]) -> None:
    """The commands that read run folders and play nothing."""
    listing = commands.add_parser("list", help="a run's episodes by arm, label, level and text, with their keys")
    listing.add_argument("run", type=place, metavar="RUN", help="a run folder, or the config of one")
    listing.add_argument("--arm", help="a row of the leaderboard, or a team")
    listing.add_argument("--label", help="accepted, wrong, ungrounded, limit, ...")
    listing.add_argument("--level", help="engineer, professional or consultant")
    listing.add_argument("--stop", help="answered, gave_up, malformed, loop, limit, limit:NAME, ...")
    listing.add_argument("--text", help="stands in question, answer or a message, in capitals or not")
    listing.add_argument("--split", choices=("train", "dev", "test"), help="train: what was collected")
    ended = listing.add_mutually_exclusive_group()
    ended.add_argument("--right", action="store_true", default=None, help="ended with the gold")
    ended.add_argument("--wrong", dest="right", action="store_false", help="did not")
    machine_readable(listing, "an object a line")

    compare = commands.add_parser("compare", help="one arm of two runs, paired over the test tasks that both played")
    compare.add_argument("first", type=place, metavar="RUN_A", help="a run folder")
    compare.add_argument("second", type=place, metavar="RUN_B", help="another")
    compare.add_argument("--arm", default="student", help="a row of both leaderboards (default: student)")
    compare.add_argument("--form", choices=("free", "choice"), help="default: the primary form of the runs")
    machine_readable(compare)

    export = commands.add_parser("export", help="a run's dataset as a folder that other tools read, with its card")
    export.add_argument("run", type=place, metavar="RUN", help="a run folder, or the config of one")
    export.add_argument("out", type=place, metavar="OUT", help="the new folder")
    export.add_argument(
        "--format",
        choices=("messages", "sharegpt", "parquet", "hf"),
        default="messages",
        help="messages: JSON lines as TRL reads them (default)",
    )
    export.add_argument("--dropped", action="store_true", help="also the episodes left out, with the reasons")
    export.add_argument("--pages", action="store_true", help="also the manual's sections for pretraining")


def machine_readable(command: argparse.ArgumentParser, how: str = "one object") -> None:
    """The argument that asks for JSON."""
    command.add_argument("--json", action="store_true", help=f"print JSON, {how}")


def placed(command: argparse.ArgumentParser) -> None:
    """Arguments that name a config and its run folder."""
    command.add_argument(
        "config", type=place, metavar="CONFIG", help="run.toml, the folder that holds it, or a run folder"
    )
    command.add_argument("--run", type=place, metavar="DIR", help="the run folder (default: runs/NAME beside run.toml)")
    trusting(command)


def trusting(command: argparse.ArgumentParser) -> None:
    """The argument that stands for an answer to the question what may be executed."""
    said = (
        "do not ask before tools, MCP commands and templates of the config run, and before keys are sent where it says"
    )
    command.add_argument("--trust", action="store_true", help=said)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 a proof failed, 2 an error to mend, 130 interrupted."""
    arguments = parser().parse_args(argv)
    if arguments.version:
        from . import __version__

        print(f"retort {__version__}")
        return 0
    if arguments.command is None:
        parser().print_help()
        return 2
    if arguments.command == "doctor":
        from .doctor.rooms import shadowed

        said = shadowed()  # before anything of ours is imported by a name that another distribution has taken
        if said:
            print(said)
            return 1
    from agents.errors import ProofError, RetortError

    from .outward import keep_in

    keep_in()
    try:
        return command(arguments)
    except ProofError as error:
        complain(f"blocked: {error}")
        return 1
    except RetortError as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        print("retort: stopped; what was finished is kept, run the same command again to continue", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `retort show ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from agents.storage import storage_error

        # A full disk may show in any library that writes.
        complain(str(storage_error(error) or unexpected(error)))
        return 2


def unexpected(error: Exception) -> str:
    """What is said of an error that nobody foresaw."""
    first = (str(error).strip().splitlines() or [""])[0][:200]
    kind = type(error).__name__
    return (
        f"{kind}{f': {first}' if first else ''}: that is a mistake in Retort; {DEBUG}=1 before the same command shows "
        "where, please report that"
    )


def complain(said: str) -> None:
    """Print what a command ended with; before it the traceback, where RETORT_DEBUG=1 asks for it."""
    if os.environ.get(DEBUG, "") not in ("", "0"):
        import traceback

        traceback.print_exc()
    print(f"retort: {said}", file=sys.stderr)


def command(arguments: argparse.Namespace) -> int:
    """Run the chosen command."""
    name = arguments.command
    if name == "new":
        from .new import new

        print(new(arguments.folder, sample=not arguments.bare))
        from .trust import made_here

        made_here(arguments.folder)
        return 0
    if name in ("show", "studio", "ask"):
        from .folders import run_given

        arguments.run = run_given(arguments.run)
    if name == "show":
        from .show import show

        print(show(arguments.run, arguments.what, arguments.arm))
        return 0
    if name in ("list", "compare", "export"):
        return look(arguments)
    if name == "studio":
        from .studio_server import studio

        agreed(arguments)
        return studio(arguments.run, arguments.trajectory, arguments.port, not arguments.no_browser)
    if name == "ask":
        from .ask import ask

        agreed(arguments)
        said = partial(print, flush=True)
        return ask(arguments.run, arguments.question, arguments.team, arguments.option, arguments.mode, said)
    if name == "merge":
        from finetune.merge import merge

        print(merge(str(arguments.student), arguments.out))
        return 0
    run = opened(arguments)
    if name == "plan":
        from .plan import plan

        text, status = plan(run, arguments.pilot, as_json=arguments.json)
        print(text)
        return status
    if name == "doctor":
        from .doctor import doctor

        text, status = doctor(run, seconds=arguments.seconds, as_json=arguments.json)
        print(text)
        return status
    from .evaluation import dev
    from .pipeline import work
    from .trust import made

    as_json = getattr(arguments, "json", False)
    if getattr(arguments, "split", "test") == "dev":
        if name == "run":
            work(run, BEFORE_EVALUATE)
            made(run.config, run.folder)
        table = dev(run, play=name != "leaderboard")
        print(json_file(run.folder / "leaderboard.dev.json") if as_json else table)
        return 0
    stages = None if name == "run" else SINGLE[name][0]
    work(run, stages, force=getattr(arguments, "force", False))
    made(run.config, run.folder)
    if name in ("run", "leaderboard"):
        from .show import leaderboard_text

        print(json_file(run.folder / "leaderboard.json") if as_json else leaderboard_text(run.folder))
    return 0


def look(arguments: argparse.Namespace) -> int:
    """Run a command of `looks`."""
    from .folders import run_given

    for name in ("run", "first", "second"):
        if hasattr(arguments, name):
            setattr(arguments, name, run_given(getattr(arguments, name)))
    if arguments.command == "list":
        from .listing import Listing, Wanted

        names = ("arm", "label", "level", "stop", "text", "right", "split")
        listing = Listing(arguments.run, Wanted(**{name: getattr(arguments, name) for name in names}))
        for line in listing.lines(as_json=arguments.json):
            print(line)
        print(listing.count(), file=sys.stderr)
    elif arguments.command == "compare":
        from .against import compared, text

        found = compared(arguments.first, arguments.second, arguments.arm, arguments.form)
        print(found.model_dump_json(indent=2) if arguments.json else text(found))
    else:
        from .export import export

        print(export(arguments.run, arguments.out, arguments.format, dropped=arguments.dropped, pages=arguments.pages))
    return 0


def json_file(path: Path) -> str:
    """What a command wrote as JSON, for standard output."""
    return path.read_text(encoding="utf-8").rstrip()


def opened(arguments: argparse.Namespace) -> Run:
    """The config and run folder that the arguments name."""
    from .config import load_config
    from .folders import beside, elsewhere, place_of
    from .outward import settle
    from .pipeline import Run
    from .trust import agree

    place = place_of(arguments.config)
    config = load_config(place.config)
    said = settle(config)
    if said:
        print(said, file=sys.stderr)
    folder = arguments.run or place.run or beside(place.config, config.name)
    if folder != arguments.run and (noted := elsewhere(place.config, config.name, folder)):
        print(noted, file=sys.stderr)
    run = Run(config, folder, place.config)
    run.check_place()
    agree(config, place.config.parent, run.folder, trust=arguments.trust)
    return run


def agreed(arguments: argparse.Namespace) -> None:
    """Ask whether what a run folder names may be executed, where that was not agreed to before."""
    if (arguments.run / "run.toml").exists():  # else the command says what is missing
        from .config import load_config
        from .trust import agree

        agree(load_config(arguments.run), arguments.run, arguments.run, trust=arguments.trust)
